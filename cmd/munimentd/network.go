package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
)

func networkCommand(o *options) *cobra.Command {
	var witnesses []string
	c := &cobra.Command{
		Use:   "network",
		Short: "Print the network file as it is now: with the keys and nodes that came since the founding",
		Long: `Prints the file that departments and auditors trust, as this node knows it: each
change of keys with the signatures of the keys before it, and where nodes are by
their cards. The fingerprint goes by another way than the file.

The ledger does not hold the names of witnesses outside the network: give those
that network.mun does not have yet. The node may run or be stopped.`,
		Example: `  munimentd network >city.mun
  munimentd network --output json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.printNetwork(c, witnesses) },
	}
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "name of a witness, as it stands in its signatures")
	return c
}

// upToDate gives the network file of the home as it is now.
func (o options) upToDate(witnesses []string) (receipt.Network, error) {
	n, err := o.node().UpToDate(witnesses...)
	if refusal, ok := errors.AsType[*receipt.Refusal](err); ok {
		code := exitContradicted
		if refusal.Reason == receipt.UnknownWitness {
			code = exitPrecondition
		}
		return receipt.Network{}, withCode(code, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return receipt.Network{}, withCode(exitPrecondition, fmt.Errorf("there is no network file in %s: %w", o.home, err))
	}
	return n, err
}

func (o options) printNetwork(c *cobra.Command, witnesses []string) error {
	n, err := o.upToDate(witnesses)
	if err != nil {
		return err
	}
	sum := n.Fingerprint()
	fingerprint := hex.EncodeToString(sum[:])
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"chain_id": n.ChainID, "eras": len(n.Eras), "nodes": len(n.Nodes), "fingerprint": fingerprint, "file": string(n.Marshal()),
		})
	}
	if _, err := c.OutOrStdout().Write(n.Marshal()); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "munimentd: %s, fingerprint %s\n", eras(len(n.Eras)), fingerprint)
	return nil
}

func eras(n int) string {
	if n == 1 {
		return "1 era"
	}
	return fmt.Sprintf("%d eras", n)
}
