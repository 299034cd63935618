package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// How often a view is drawn anew: in place on a terminal, below each other where
// it is none.
const (
	redrawEvery = time.Second
	plainEvery  = 10 * time.Second
)

func testnetStatusCommand(o *options) *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use:   "status DIR",
		Short: "Show how all nodes of a network on this machine are doing",
		Args:  oneFolder("which network? give the DIR of munimentd testnet"),
		RunE: func(c *cobra.Command, args []string) error {
			homes, err := testnetHomes(args[0])
			if err != nil {
				return withCode(exitPrecondition, err)
			}
			if watch {
				return o.watchTestnet(c, homes)
			}
			return o.drawTestnet(c.OutOrStdout(), askAll(c.Context(), homes))
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "again and again, until Ctrl-C")
	return c
}

// testnetHomes gives the homes of a network on this machine, in the order of
// their numbers.
func testnetHomes(dir string) ([]string, error) {
	homes, err := filepath.Glob(filepath.Join(dir, "node-*"))
	if err != nil {
		return nil, err
	}
	number := func(home string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(home), "node-"))
		if err != nil {
			return 0
		}
		return n
	}
	homes = slices.DeleteFunc(homes, func(home string) bool { return number(home) < 1 })
	slices.SortFunc(homes, func(a, b string) int { return number(a) - number(b) })
	if len(homes) == 0 {
		return nil, fmt.Errorf("%s holds no nodes: name the folder that munimentd testnet has made", dir)
	}
	return homes, nil
}

// answer is what a node says, or why it does not.
type answer struct {
	home   string
	status *apiv1.StatusResponse
	err    error
}

// askAll asks all nodes at once.
func askAll(ctx context.Context, homes []string) []answer {
	answers := make([]answer, len(homes))
	var asking sync.WaitGroup
	for i, home := range homes {
		asking.Go(func() {
			s, err := (options{home: home}).status(ctx)
			answers[i] = answer{home, s, err}
		})
	}
	asking.Wait()
	return answers
}

// drawTestnet writes what the nodes say, once.
func (o options) drawTestnet(w io.Writer, answers []answer) error {
	if o.output == "json" {
		list := make([]map[string]any, len(answers))
		for i, a := range answers {
			list[i] = map[string]any{"home": a.home, "running": a.err == nil}
			if a.err == nil {
				s := a.status
				list[i]["height"], list[i]["log_size"], list[i]["cosigned_size"], list[i]["peers"] = s.Height, s.LogSize, s.CosignedSize, s.Peers
				list[i]["validators"], list[i]["catching_up"], list[i]["free_bytes"], list[i]["claim"] = s.Validators, s.CatchingUp, s.FreeBytes, s.Claim
			}
		}
		return json.NewEncoder(w).Encode(list)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "node\theight\tlog\tcosigned\tpeers\tstate\tfree disk\tclaim")
	for _, a := range answers {
		name := filepath.Base(a.home)
		if a.err != nil {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\tdoes not run\t-\t-\n", name)
			continue
		}
		s := a.status
		state, claim := "in step", s.Claim
		if s.CatchingUp {
			state = "catching up"
		}
		if claim == "" {
			claim = "keeps no content"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%d MiB\t%s\n", name, s.Height, s.LogSize, s.CosignedSize, s.Peers, state, s.FreeBytes>>20, claim)
	}
	return t.Flush()
}

// watchTestnet draws the view until it is told to stop: in place on a terminal.
func (o options) watchTestnet(c *cobra.Command, homes []string) error {
	w := c.OutOrStdout()
	file, isFile := w.(*os.File)
	inPlace := isFile && term.IsTerminal(int(file.Fd())) && o.output == "text"
	every := plainEvery
	if inPlace {
		every = redrawEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	lines := 0
	for {
		var view bytes.Buffer
		if err := o.drawTestnet(&view, askAll(c.Context(), homes)); err != nil {
			return err
		}
		if c.Context().Err() != nil {
			return nil
		}
		text := view.String()
		if inPlace {
			text, lines = redrawn(text, lines), strings.Count(text, "\n")+2
		}
		if _, err := fmt.Fprint(w, text); err != nil {
			return err // the terminal is gone
		}
		select {
		case <-c.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// redrawn gives a view that takes the place of the one before, which had so many
// lines. What was there before the first one stays.
func redrawn(view string, before int) string {
	const toEndOfLine, toEnd = "\x1b[K", "\x1b[J"
	up := ""
	if before > 0 {
		up = fmt.Sprintf("\x1b[%dA\r", before)
	}
	view += "\nCtrl-C ends this.\n"
	return up + strings.ReplaceAll(view, "\n", toEndOfLine+"\n") + toEnd
}
