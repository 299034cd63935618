package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) networkRefreshCommand() *cobra.Command {
	var witnesses []string
	c := &cobra.Command{
		Use: "refresh [--witness NAME]...", Short: "Bring the pinned network file up to date",
		Long: "Asks a node for what has happened since the file was pinned: nodes and keys that came or went. Each change is\n" +
			"believed only if the keys before it have signed it, and every node line only with the signatures of its own keys;\n" +
			"the node that is asked need not be trusted. The file is pinned anew, under the fingerprint that is printed: whoever\n" +
			"refreshes has the same eras in the file.\n\n" +
			"The ledger does not hold the names of witnesses outside the network: give those that the file does not have yet.",
		Example: "  muniment network refresh\n  muniment network refresh --witness witness.example.org/library",
		Args:    exactly(0, "no argument"),
	}
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "name of a witness, as it stands in its signatures")
	c.RunE = func(c *cobra.Command, _ []string) error { return p.refreshNetwork(c.Context(), witnesses) }
	return c
}

// refreshResult is what network refresh prints.
type refreshResult struct {
	networkResult
	Was   string `json:"was"` // the fingerprint before
	Eras  int    `json:"eras"`
	Added int    `json:"added"` // of the eras were not there before
}

func (p *program) refreshNetwork(ctx context.Context, witnesses []string) error {
	s, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.close()
	was, n := s.network, receipt.Network{}
	for _, node := range s.candidates() {
		s.node = node
		if n, err = s.upToDate(ctx, witnesses); codeOf(err) != exitUnavailable {
			break
		}
		s.disconnectFrom(node, err)
	}
	if err != nil {
		return err
	}
	c, err := p.places.loadConfig()
	if err != nil {
		return err
	}
	if fingerprint(n) != fingerprint(was) {
		if err := p.pinAnew(&c, n); err != nil {
			return err
		}
	}
	result := refreshResult{networkResult: p.networkResult(n, c), Was: fingerprint(was), Eras: len(n.Eras), Added: len(n.Eras) - len(was.Eras)}
	return p.show(result, func(w io.Writer) {
		if result.Fingerprint == result.Was {
			fmt.Fprintf(w, "network\t%s is up to date\nfingerprint\t%s\n", n.ChainID, result.Fingerprint)
			return
		}
		fmt.Fprintf(w, "eras\t%d, of them %d new\n", result.Eras, result.Added)
		result.networkResult.write(w)
	})
}

// candidates gives the nodes to ask: the one that the flag names, else all in
// turn, since the first may have left.
func (s *session) candidates() []receipt.Node {
	if s.program.node != "" {
		return []receipt.Node{s.node}
	}
	return s.network.Nodes
}

// disconnectFrom says that a node did not answer, and forgets the connection.
func (s *session) disconnectFrom(node receipt.Node, err error) {
	s.program.say("node %.8s does not answer: %s", node.ID, printable(err.Error()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.closed = append(s.closed, s.conn)
		s.conn = nil
	}
}

// upToDate asks the node for handovers until there are no more, and checks that
// the newest tree is the last era's.
func (s *session) upToDate(ctx context.Context, witnesses []string) (receipt.Network, error) {
	n := s.network
	for {
		response, err := unary(ctx, s, apiv1.NewAuditorsClient, apiv1.AuditorsClient.Network, &apiv1.NetworkRequest{Eras: uint64(len(n.Eras))})
		if err != nil {
			return receipt.Network{}, err
		}
		for _, handover := range response.Handovers {
			if n, err = n.Extend(handover, witnesses...); err != nil {
				return receipt.Network{}, handoverError(err)
			}
		}
		if len(response.Handovers) > 0 {
			continue
		}
		var cards []receipt.Card
		for _, text := range response.Cards {
			if card, err := receipt.ParseCard(text); err == nil {
				cards = append(cards, card)
			}
		}
		if n, err = receipt.ParseNetwork(n.WithCards(cards).Marshal()); err != nil {
			return receipt.Network{}, err
		}
		return n, s.checkNewest(ctx, n)
	}
}

// handoverError turns the refusal of a handover into a failure.
func handoverError(err error) error {
	refusal, ok := errors.AsType[*receipt.Refusal](err)
	switch {
	case !ok:
		return err
	case refusal.Reason == receipt.UnknownWitness:
		return failed(exitIndeterminate, string(refusal.Reason), "ask whoever runs a node for its name, and give it with --witness NAME", "%s", printable(refusal.Detail))
	case refusal.Reason.Outcome() == receipt.Indeterminate:
		return failed(exitIndeterminate, string(refusal.Reason), "ask another node with --node", "%s", printable(refusal.Detail))
	}
	return failed(exitContradicted, string(refusal.Reason), "do not rely on this node: tell whoever runs it", "%s", printable(refusal.Detail))
}

// checkNewest demands that the newest tree which the node shows is the last era's,
// or its beginning: a node that kept a handover back would be found out.
func (s *session) checkNewest(ctx context.Context, n receipt.Network) error {
	response, err := unary(ctx, s, apiv1.NewAuditorsClient, apiv1.AuditorsClient.Checkpoint, &apiv1.CheckpointRequest{})
	if err != nil {
		return err
	}
	if _, err := n.CheckCheckpoint(response.Checkpoint, nil); err != nil {
		refusal, ok := errors.AsType[*receipt.Refusal](err)
		if !ok {
			return err
		}
		code := exitContradicted
		if refusal.Reason.Outcome() == receipt.Indeterminate {
			code = exitIndeterminate
		}
		return failed(code, string(refusal.Reason), "try again, or ask another node with --node",
			"the newest tree of the node is not of the last era that it tells of: %s", printable(refusal.Detail))
	}
	return nil
}

// pinAnew puts a network in the place of the pinned one. The new file waits
// beside the old one until its fingerprint is pinned; see pinnedFile.
func (p *program) pinAnew(c *config, n receipt.Network) error {
	path := p.places.networkFile(n.ChainID)
	if err := replaceFile(nextFile(path), n.Marshal()); err != nil {
		return fmt.Errorf("keep network file: %w", err)
	}
	c.Networks[n.ChainID] = fingerprint(n)
	if err := p.places.saveConfig(*c); err != nil {
		return err
	}
	return promote(path)
}

func nextFile(path string) string { return path + ".next" }

// promote makes the waiting file the network file.
func promote(path string) error {
	if err := os.Rename(nextFile(path), path); err != nil {
		return fmt.Errorf("keep network file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// pinnedFile reads the network file that has the pinned fingerprint: the one that
// waits beside it where the last refresh was cut off.
func (p *program) pinnedFile(path, pin string) ([]byte, error) {
	text, err := readBounded(nextFile(path), receipt.MaxNetworkBytes)
	if err == nil {
		if n, err := receipt.ParseNetwork(text); err == nil && fingerprint(n) == pin {
			return text, promote(path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return readBounded(path, receipt.MaxNetworkBytes)
}
