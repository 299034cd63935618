package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func (p *program) nodeCommand() *cobra.Command {
	return group("node", "List the nodes of the network, and propose that one comes, changes or leaves",
		p.nodeListCommand(), p.nodeAdmitCommand(), p.nodeChangeCommand(), p.nodeReplaceCommand(), p.nodeRemoveCommand(), p.nodeOverrideCommand())
}

// memberInfo is what is shown of a node.
type memberInfo struct {
	ID        string   `json:"id"`
	KeyID     string   `json:"key_id"` // of the node key, in hex
	Power     uint32   `json:"power"`  // 0: it does not vote
	Validator string   `json:"validator_key"`
	Cosigner  string   `json:"cosigner_key"`
	Log       string   `json:"log_key"`
	Custodian string   `json:"custodian_id,omitempty"` // id of its custodian key
	Sets      []string `json:"custodian_sets"`         // of which it is one
}

func nodeIDOf(n *record.Node) string { return receipt.NodeID(n.NodeKey[:]) }

// custodianOf gives the id of a node's custodian key, false where it has none.
func custodianOf(n *record.Node) (record.KeyID, bool) {
	return record.KeyIDOf(n.CustodianKey[:]), n.CustodianKey != [32]byte{}
}

func (r registry) memberInfo(n *record.Node) memberInfo {
	info := memberInfo{
		ID: nodeIDOf(n), KeyID: fmt.Sprintf("%x", record.KeyIDOf(n.NodeKey[:])), Power: n.Power, Sets: []string{},
		Validator: hex.EncodeToString(n.ValidatorKey[:]), Cosigner: hex.EncodeToString(n.CosignerKey[:]), Log: hex.EncodeToString(n.LogKey[:]),
	}
	if id, ok := custodianOf(n); ok {
		info.Custodian = fmt.Sprintf("%x", id)
		for set := range facts[*record.CustodianSet](r) {
			if slices.Contains(set.Custodians, id) {
				info.Sets = append(info.Sets, string(set.Code))
			}
		}
	}
	return info
}

// memberID finds a registered node by its id, or how it begins.
func (r registry) memberID(text string) (*record.Node, error) {
	if text == "" || strings.Trim(text, "0123456789abcdef") != "" || len(text) > 40 {
		return nil, usage("%q is no node id, nor how one begins: muniment node list shows them", printable(text))
	}
	var found *record.Node
	for n := range facts[*record.Node](r) {
		if !strings.HasPrefix(nodeIDOf(n), text) {
			continue
		}
		if found != nil {
			return nil, usage("several nodes begin with %s: give more of the id", text)
		}
		found = n
	}
	if found == nil {
		return nil, failed(exitNotFound, "UNKNOWN_NODE", adviceOn["UNKNOWN_NODE"], "no node %s is registered", text)
	}
	return found, nil
}

func (p *program) nodeListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the registered nodes and their keys", Args: exactly(0, "no argument")}
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, done, err := p.readRegistry(c)
		if err != nil {
			return err
		}
		defer done()
		result := struct {
			Nodes []memberInfo `json:"nodes"`
		}{Nodes: []memberInfo{}}
		for n := range facts[*record.Node](r) {
			result.Nodes = append(result.Nodes, r.memberInfo(n))
		}
		return p.show(result, func(w io.Writer) {
			for _, n := range result.Nodes {
				part := "does not vote"
				if n.Power > 0 {
					part = fmt.Sprintf("validator, power %d", n.Power)
				}
				content := "keeps no content"
				switch {
				case len(n.Sets) > 0:
					content = "custodian of " + strings.Join(n.Sets, ", ")
				case n.Custodian != "":
					content = "in no custodian set"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\n", n.ID, part, content)
			}
		})
	}
	return c
}

// readRegistry opens a session that signs nothing and reads what is registered.
func (p *program) readRegistry(c *cobra.Command) (registry, func(), error) {
	s, err := p.open(false)
	if err != nil {
		return registry{}, nil, err
	}
	r, err := s.registry(c.Context())
	if err != nil {
		s.close()
		return registry{}, nil, err
	}
	return r, s.close, nil
}
