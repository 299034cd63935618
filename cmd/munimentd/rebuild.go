package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/store/state"
)

func rebuildCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Replay the blocks into a new state, compare every AppHash, and use it if all agree",
		Long: `Replay the blocks into a new state, compare every AppHash, and use it if all agree.

The node must not be running. Records, receipts and keys are not touched: only
what follows from the blocks is made anew. The ledger as it was stays beside it
until you remove it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkHome(); err != nil {
				return withCode(exitPrecondition, err)
			}
			const every = 1000
			r, err := node.Rebuild(o.node(), state.Options{Exit: os.Exit}, func(height, of int64) {
				if height%every == 0 {
					fmt.Fprintf(c.ErrOrStderr(), "block %d of %d\n", height, of)
				}
			})
			switch {
			case errors.Is(err, node.ErrReplayDiffers), errors.Is(err, node.ErrBlockDamaged):
				return withCode(exitContradicted, err)
			case errors.Is(err, node.ErrNoBlocks), errors.Is(err, node.ErrPruned), errors.Is(err, node.ErrOldLedger), errors.Is(err, syscall.EAGAIN):
				return withCode(exitPrecondition, err)
			case err != nil:
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "replayed %d blocks, %d entries, AppHash %x: all agree\nthe ledger as it was: %s\n", r.Height, r.Entries, r.AppHash, r.Old)
			return nil
		},
	}
}
