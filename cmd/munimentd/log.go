package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/store/vault"
)

func logCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "log",
		Short: "The log of accesses to content",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "verify",
		Short: "Check the chain of the access log and name the first bad line",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkHome(); err != nil {
				return withCode(exitPrecondition, err)
			}
			head, err := vault.VerifyLog(o.node().Accesses())
			if errors.Is(err, vault.ErrBroken) {
				return withCode(exitContradicted, err)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%d lines, chain whole, head %x\n", head.Size, head.Root)
			return nil
		},
	})
	return c
}
