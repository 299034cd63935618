package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
)

func (p *program) networkAddCommand() *cobra.Command {
	var want string
	c := &cobra.Command{
		Use: "add FILE --fingerprint HEX", Short: "Pin a network file: whom to believe from now on",
		Long: "Pins the network file that munimentd init wrote. Its fingerprint comes to you by another way than the file:\n" +
			"by telephone, on paper, from a colleague. All that this program believes rests on it. A file that was pinned\n" +
			"before and is up to date by now stays.",
		Args: exactly(1, "one network file"),
	}
	c.Flags().StringVar(&want, "fingerprint", "", "SHA-256 of the file, as munimentd init, genesis join or network printed it")
	c.RunE = func(_ *cobra.Command, args []string) error { return p.addNetwork(args[0], want) }
	return c
}

func (p *program) addNetwork(path, want string) error {
	text, err := readBounded(path, receipt.MaxNetworkBytes)
	if err != nil {
		return fmt.Errorf("read network file: %w", err)
	}
	n, err := receipt.ParseNetwork(text)
	if err != nil {
		return failed(exitError, "BAD_NETWORK_FILE", "", "network file %s: %w", path, err)
	}
	const ask = "ask whoever runs a node for the fingerprint, by another way than the file came: munimentd init or genesis join printed it, munimentd network prints that of today's file"
	switch got := fingerprint(n); {
	case want == "":
		return failed(exitUsage, "NO_FINGERPRINT", ask, "give --fingerprint: without it anybody could have made this file")
	case !isHex(want, 32):
		return usage("the fingerprint is not 64 lower-case hex digits")
	case want != got:
		return failed(exitContradicted, "FINGERPRINT_DIFFERS", ask, "%s has fingerprint %s, not the one given: nothing was pinned", path, got)
	}
	if !fileName(n.ChainID) {
		return failed(exitError, "BAD_NETWORK_FILE", "", "network file %s: chain id %q cannot name a file", path, n.ChainID)
	}
	c, err := p.places.loadConfig()
	if err != nil {
		return err
	}
	if kept, err := p.pinnedAs(c, n.ChainID); err == nil && continues(kept, n) {
		p.say("this file is pinned already, with %s that came since: it stays as it is", counted(len(kept.Eras)-len(n.Eras), "era"))
		n, want = kept, fingerprint(kept)
	} else if err := replaceFile(p.places.networkFile(n.ChainID), text); err != nil {
		return fmt.Errorf("keep network file: %w", err)
	}
	if c.Networks == nil {
		c.Networks = map[string]string{}
	}
	c.Networks[n.ChainID] = want
	if c.Network == "" {
		c.Network = n.ChainID
	}
	if office := p.office; office != "" {
		if _, err := p.actingOffice(c); err != nil {
			return err
		}
		c.Office = office
	}
	if err := p.places.saveConfig(c); err != nil {
		return err
	}
	return p.showNetwork(n, c)
}

// continues tells whether a network file is an older one with the eras that came
// since. To pin the older one would be to trust keys again that are retired.
func continues(n, older receipt.Network) bool {
	if len(n.Eras) <= len(older.Eras) {
		return false
	}
	n.Nodes, n.Eras = older.Nodes, slices.Clone(n.Eras[:len(older.Eras)])
	n.Eras[len(n.Eras)-1].Closed = nil
	return fingerprint(n) == fingerprint(older)
}

func (p *program) networkShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show", Short: "Show the pinned network", Args: exactly(0, "no argument")}
	c.RunE = func(*cobra.Command, []string) error {
		config, err := p.places.loadConfig()
		if err != nil {
			return err
		}
		n, err := p.pinnedNetwork(config)
		if err != nil {
			return err
		}
		return p.showNetwork(n, config)
	}
	return c
}

// networkResult is what network add and network show print.
type networkResult struct {
	ChainID     string     `json:"chain_id"`
	Origin      string     `json:"origin"`
	Network     string     `json:"network"` // hex
	Fingerprint string     `json:"fingerprint"`
	Default     bool       `json:"default"`
	Validators  int        `json:"validators"`
	Witnesses   int        `json:"witnesses"`
	Nodes       []nodeInfo `json:"nodes"`
	Office      string     `json:"office"`
}

type nodeInfo struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

func (p *program) showNetwork(n receipt.Network, c config) error {
	result := p.networkResult(n, c)
	return p.show(result, result.write)
}

func (p *program) networkResult(n receipt.Network, c config) networkResult {
	era := n.Eras[len(n.Eras)-1]
	result := networkResult{
		ChainID: n.ChainID, Origin: n.Origin, Network: fmt.Sprintf("%x", n.ID), Fingerprint: fingerprint(n),
		Default: c.Network == n.ChainID, Validators: len(era.Validators), Witnesses: len(era.Witnesses), Office: c.Office,
	}
	for _, node := range n.Nodes {
		result.Nodes = append(result.Nodes, nodeInfo{node.ID, node.Address})
	}
	return result
}

func (r networkResult) write(w io.Writer) {
	fmt.Fprintf(w, "network\t%s, %s\ngenesis\t%s\nfingerprint\t%s\nvalidators\t%d\nwitnesses\t%d\n",
		r.ChainID, r.Origin, r.Network, r.Fingerprint, r.Validators, r.Witnesses)
	for _, node := range r.Nodes {
		fmt.Fprintf(w, "node\t%s at %s\n", node.ID, node.Address)
	}
	if r.Office != "" {
		fmt.Fprintf(w, "acting office\t%s\n", r.Office)
	}
}
