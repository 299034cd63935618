package main

import (
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func (p *program) nodeOverrideCommand() *cobra.Command {
	var until, out string
	c := &cobra.Command{
		Use: "override ID... --until DATE -o FILE", Short: "Sign that nodes may connect for some days which the ledger does not list",
		Long: "For the case that the ledger cannot decide, because too few validators are up, or that a node has not heard yet of a\n" +
			"decision. An operator puts the file into a node's home with munimentd member override FILE. Nothing goes to the\n" +
			"ledger; the office must be one of those that govern security.",
		Example: "  muniment node override 3f1a...c2 --until 2031-05-06 -o override.mun",
	}
	c.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("which nodes? give their ids")
		}
		return nil
	}
	c.Flags().StringVar(&until, "until", "", "last day on which they may connect (required)")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		day, err := wantedDay("--until", until)
		if err != nil {
			return err
		}
		today := dayOf(p.now().UTC())
		switch {
		case out == "":
			return usage("where to? give -o FILE")
		case day < today || day > today+receipt.OverrideDays:
			return usage("--until %s: use today or one of the %d days after it", until, receipt.OverrideDays)
		}
		for _, id := range args {
			if raw, err := hex.DecodeString(id); err != nil || len(raw) != 20 || hex.EncodeToString(raw) != id {
				return usage("%q is no node id: 40 hex digits, as munimentd member card prints it", printable(id))
			}
		}
		return p.writeOverride(args, day, out)
	}
	return c
}

// overrideResult is what node override prints.
type overrideResult struct {
	File  string   `json:"file"`
	Nodes []string `json:"nodes"`
	Until string   `json:"until"`
	KeyID string   `json:"key_id"` // of the key that signed
}

func (p *program) writeOverride(ids []string, until record.Day, out string) error {
	s, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.close()
	text, err := receipt.Override{Network: record.Network(s.network.ID), Nodes: ids, Until: until}.Sign(s.signing)
	if err != nil {
		return usage("the override cannot be made: %v", err)
	}
	o, err := receipt.ParseOverride(text)
	if err != nil {
		return err
	}
	if err := replaceFile(out, text); err != nil {
		return fmt.Errorf("write override: %w", err)
	}
	result := overrideResult{File: out, Nodes: o.Nodes, Until: dayText(o.Until), KeyID: fmt.Sprintf("%x", o.Key)}
	err = p.show(result, func(w io.Writer) {
		for _, id := range result.Nodes {
			fmt.Fprintf(w, "node\t%s\n", id)
		}
		fmt.Fprintf(w, "until\t%s\nsigned by\t%s, key %s\nfile\t%s\n", result.Until, s.account.Office, result.KeyID, out)
	})
	if err == nil {
		p.say("next: at each node that shall let them in: munimentd member override %s", out)
	}
	return err
}
