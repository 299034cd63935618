package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
)

func memberOverrideCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "override FILE",
		Short: "Let nodes connect for some days that the ledger does not list, as an office has signed",
		Long: `Let nodes connect for some days that the ledger does not list, as an office has
signed with muniment node override.

The file takes the place of the one before; the node may run, and judges it by its
ledger whenever such a node knocks. Its log says what comes of it. Remove
override.mun from the home to end it before its last day.`,
		Example: "  munimentd member override override.mun",
		Args:    oneFolder("which override? give the one FILE that muniment node override has written"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.checkHome(); err != nil {
				return withCode(exitPrecondition, err)
			}
			return o.override(c, args[0])
		},
	}
}

func (o options) override(c *cobra.Command, file string) error {
	switch info, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		return withCode(exitPrecondition, fmt.Errorf("%s is not there: name the file that muniment node override has written", file))
	case err != nil:
		return fmt.Errorf("read override: %w", err)
	case info.Size() > receipt.MaxOverrideBytes:
		return withCode(exitPrecondition, fmt.Errorf("%s has %d bytes and is no override: name the file that muniment node override has written", file, info.Size()))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read override: %w", err)
	}
	signed, err := o.node().PutOverride(text, time.Now())
	switch {
	case errors.Is(err, node.ErrOverride), errors.Is(err, receipt.ErrMalformed):
		return withCode(exitPrecondition, fmt.Errorf("%s: %w: nothing was changed: have an office sign another with muniment node override", file, err))
	case err != nil:
		return fmt.Errorf("keep override: %w", err)
	}
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"file": o.node().Override(), "nodes": signed.Nodes, "until": signed.Until.String(), "key_id": fmt.Sprintf("%x", signed.Key),
		})
	}
	w := c.OutOrStdout()
	for _, id := range signed.Nodes {
		fmt.Fprintf(w, "node       %s\n", id)
	}
	fmt.Fprintf(w, "until      %s\nsigned by  key %x\nfile       %s\n\nThe node judges it by its ledger, and says in its log what comes of it.\n", signed.Until, signed.Key, o.node().Override())
	return nil
}
