package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func eraseCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "erase",
		Short: "Have the running node carry out now what locked dispositions wait for",
		Long: `Have the running node carry out now what locked dispositions wait for.

The node does so by itself every so often (erase_every in munimentd.toml). The
command answers when keys are destroyed and the reports are on the ledger, and
says what has to wait, and for what.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var r *apiv1.EraseResponse
			err := o.ask(c.Context(), func(ctx context.Context, node apiv1.OperatorsClient) (err error) {
				r, err = node.Erase(ctx, &apiv1.EraseRequest{})
				return err
			})
			if err != nil {
				return err
			}
			e := erasureOf(r)
			if o.output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(e)
			}
			e.print(c.OutOrStdout())
			return nil
		},
	}
}

// erasure is what munimentd erase prints.
type erasure struct {
	Dispositions []uint64  `json:"dispositions"`
	Destroyed    uint64    `json:"destroyed"`
	Redacted     uint64    `json:"redacted"`
	Preserved    uint64    `json:"preserved"`
	Rings        uint32    `json:"rings"`
	Claim        string    `json:"claim"`
	Says         string    `json:"says"`
	Waiting      []waiting `json:"waiting"`
}

type waiting struct {
	Disposition uint64 `json:"disposition"` // 0: what is erased again, or forgotten deposits
	Why         string `json:"why"`
}

func erasureOf(r *apiv1.EraseResponse) erasure {
	e := erasure{
		Dispositions: append([]uint64{}, r.Dispositions...), Destroyed: r.Destroyed, Redacted: r.Redacted, Preserved: r.Preserved,
		Rings: r.Rings, Claim: r.Claim, Says: claimSays(r.Claim), Waiting: []waiting{},
	}
	for _, w := range r.Waiting {
		e.Waiting = append(e.Waiting, waiting{w.Disposition, w.Why})
	}
	return e
}

// claimSays gives the words of a level, as "C1", without its name.
func claimSays(level string) string {
	for _, c := range []record.Claim{record.ClaimFiles, record.ClaimKey} {
		if c.String() == level {
			return strings.TrimPrefix(c.Says(), level+": ")
		}
	}
	return ""
}

func (e erasure) print(w io.Writer) {
	switch {
	case len(e.Dispositions) > 0:
		fmt.Fprintf(w, "carried out  dispositions %s\nrecords      %d destroyed, %d redacted, %d preserved\n", numbers(e.Dispositions), e.Destroyed, e.Redacted, e.Preserved)
	case e.Rings == 0 && len(e.Waiting) == 0:
		fmt.Fprintln(w, "nothing waits to be erased")
	}
	if e.Rings > 0 {
		fmt.Fprintf(w, "rings        %d replaced, their old keys destroyed\nclaim        %s: %s\n", e.Rings, e.Claim, e.Says)
	}
	for _, one := range e.Waiting {
		if one.Disposition == 0 { // what is erased again, or deposits that never became records
			fmt.Fprintf(w, "waiting      %s\n", one.Why)
			continue
		}
		fmt.Fprintf(w, "waiting      disposition %d: %s\n", one.Disposition, one.Why)
	}
}

func numbers(all []uint64) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = fmt.Sprint(n)
	}
	return strings.Join(texts, ", ")
}
