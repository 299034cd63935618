package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
)

func (p *program) networkCommand() *cobra.Command {
	return group("network", "Pin the network file, keep it up to date, and show what is pinned", p.networkAddCommand(), p.networkRefreshCommand(), p.networkShowCommand())
}

// pinnedNetwork loads the network that the flag or the configuration names, and
// checks that the file is still the one that was pinned.
func (p *program) pinnedNetwork(c config) (receipt.Network, error) {
	chain := p.network
	if chain == "" {
		chain = c.Network
	}
	return p.pinnedAs(c, chain)
}

// pinnedAs does so for the network of a name.
func (p *program) pinnedAs(c config, chain string) (receipt.Network, error) {
	pin, ok := c.Networks[chain]
	if !ok {
		next := "pin one with: muniment network add FILE --fingerprint HEX"
		if chain == "" {
			return receipt.Network{}, failed(exitUsage, "NO_NETWORK", next, "no network is pinned")
		}
		return receipt.Network{}, failed(exitUsage, "NO_NETWORK", next, "network %s is not pinned", chain)
	}
	text, err := p.pinnedFile(p.places.networkFile(chain), pin)
	if errors.Is(err, fs.ErrNotExist) {
		return receipt.Network{}, failed(exitError, "NO_NETWORK", "pin it again with: muniment network add FILE --fingerprint "+pin, "the file of network %s is gone", chain)
	}
	if err != nil {
		return receipt.Network{}, fmt.Errorf("read network file: %w", err)
	}
	n, err := receipt.ParseNetwork(text)
	if err != nil {
		return receipt.Network{}, fmt.Errorf("network file of %s: %w", chain, err)
	}
	if fingerprint(n) != pin || n.ChainID != chain {
		return receipt.Network{}, failed(exitContradicted, "FINGERPRINT_DIFFERS", "find out who changed it; pin the right file again with: muniment network add FILE --fingerprint "+pin,
			"the file of network %s is not the one that was pinned", chain)
	}
	return n, nil
}

func fingerprint(n receipt.Network) string {
	sum := n.Fingerprint()
	return hex.EncodeToString(sum[:])
}

// chooseNode gives the node to call: the first, or the one that the flag names.
func chooseNode(n receipt.Network, wanted string) (receipt.Node, error) {
	var found []receipt.Node
	for _, node := range n.Nodes {
		if strings.HasPrefix(node.ID, wanted) {
			found = append(found, node)
		}
	}
	switch {
	case wanted == "" || len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return receipt.Node{}, usage("the network file has no node %s: muniment network show lists them", wanted)
	}
	return receipt.Node{}, usage("%d nodes begin with %s: give more of the id", len(found), wanted)
}
