package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func genesisCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "genesis",
		Short: "Found a network of several members, each with its own machine",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withCode(exitUsage, fmt.Errorf("there is no command %q: run munimentd genesis --help", "genesis "+args[0]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(genesisAssembleCommand(o), genesisJoinCommand(o))
	return c
}

// assembly are the flags of genesis assemble.
type assembly struct {
	founding, out, at string
}

func genesisAssembleCommand(o *options) *cobra.Command {
	var a assembly
	c := &cobra.Command{
		Use:   "assemble --founding FILE --out DIR CARD...",
		Short: "Make what the members of a new network start with, from what was decided and their cards",
		Long: `Make what the members of a new network start with, from what was decided and
their cards.

Every card becomes a validator; those with a custodian key are the founding
file's set of custodians. Its address is not used. DIR gets genesis.json,
network.mun and members/: give all of it to every member. With the same --time,
anybody who has the founding file and the cards makes the same.`,
		Example: `  munimentd genesis assemble --founding founding.toml --out network clerk.card it.card library.card auditor.card`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case a.founding == "":
				return withCode(exitUsage, errors.New("which network is to be founded? give --founding FILE; munimentd init --example prints one"))
			case a.out == "":
				return withCode(exitUsage, errors.New("where is the network to be put? give --out DIR"))
			case len(args) == 0:
				return withCode(exitUsage, errors.New("who are the members? name their cards, which munimentd member request has made"))
			}
			return o.assemble(c, a, args)
		},
	}
	c.Flags().StringVar(&a.founding, "founding", "", "what the city has decided")
	c.Flags().StringVar(&a.out, "out", "", "folder to be made")
	c.Flags().StringVar(&a.at, "time", "", "time of the founding, as 2026-11-22T14:00:00Z (default: now)")
	return c
}

func (o options) assemble(c *cobra.Command, a assembly, files []string) error {
	at := time.Now()
	if a.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, a.at); err != nil {
			return withCode(exitUsage, fmt.Errorf("--time %q: use the form 2026-11-22T14:00:00Z", a.at))
		}
	}
	text, err := os.ReadFile(a.founding)
	if err != nil {
		return fmt.Errorf("read founding file: %w", err)
	}
	f, err := parseFounding(text)
	if err == nil {
		_, err = f.facts(record.KeyID{1})
	}
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("founding file %s: %w", a.founding, err))
	}
	var cards [][]byte
	for _, file := range files {
		card, err := readCardFile(file)
		if err != nil {
			return withCode(exitPrecondition, fmt.Errorf("nothing was made: %w", err))
		}
		cards = append(cards, card)
	}
	if err := (options{home: a.out}).checkNew(); err != nil {
		return err
	}
	out, err := node.Assemble(node.Assembly{
		ChainID: f.ChainID, Origin: f.Origin, Time: at, Custody: f.Custody != "", Cards: cards,
		Facts: func(custodians []record.KeyID) []record.Fact {
			facts, _ := f.facts(custodians...) // was tried above
			return facts
		},
	})
	switch {
	case errors.Is(err, node.ErrCard):
		return withCode(exitPrecondition, fmt.Errorf("nothing was made: %w", err))
	case err != nil: // what the ledger would refuse
		return withCode(exitUsage, fmt.Errorf("founding file %s: nothing was made: %w", a.founding, err))
	}
	undo := made(a.out)
	if err := os.MkdirAll(a.out, 0o700); err != nil {
		return fmt.Errorf("write %s: %w", a.out, err)
	}
	if err := out.Write(a.out); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", a.out, err), emptied(a.out), undo())
	}
	if n := len(cards); n == 2 || n == 3 {
		fmt.Fprintf(c.ErrOrStderr(), "munimentd: of %d members none can be down: four are the fewest of which one can\n", n)
	}
	return o.handedOut(c, a.out, out, "Give the folder to every member, and read the fingerprint aloud. Each of them:\n  munimentd genesis join "+a.out+"\n")
}

// readCardFile reads a card that somebody has handed in, whatever its name.
func readCardFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s is not there: name the card that munimentd member request has made", file)
	case err != nil:
		return nil, fmt.Errorf("read member card: %w", err)
	case info.IsDir() || info.Size() > receipt.MaxCardBytes:
		return nil, fmt.Errorf("%s is no member card: name what munimentd member request has made", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read member card: %w", err)
	}
	if _, err := receipt.ParseCard(text); err != nil {
		return nil, fmt.Errorf("%s: %w: ask its node for it again", file, err)
	}
	return text, nil
}

// emptied removes what is in a folder that was made here.
func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(dir+"/"+e.Name()))
	}
	if errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return err
}

func genesisJoinCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "join DIR",
		Short: "Join a network that was assembled with this node's card",
		Long: `Join a network that was assembled with this node's card.

All members compare the fingerprint, aloud: it is what they trust. The same
command again changes nothing.`,
		Args: oneFolder("which network? give the DIR that was assembled"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.join(c, args[0], node.Home.JoinFounding)
		},
	}
}
