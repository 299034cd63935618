package receipt

import (
	"maps"
	"slices"
	"strings"
)

// WithCards gives the network with the node lines that cards tell: of nodes of
// the era in force, known by log key and cosigner. A later card counts before an
// earlier one. Lines of validators that have left go.
func (n Network) WithCards(cards []Card) Network {
	era := n.Eras[len(n.Eras)-1]
	lines, issued := make(map[string]Node), make(map[string]int64)
	for _, node := range n.Nodes {
		if !n.hasLeft(node.ID) {
			lines[node.ID] = node
		}
	}
	for _, c := range cards {
		id := c.ID()
		validator := slices.IndexFunc(era.Validators, func(v Validator) bool { return v.NodeID == id })
		member := slices.Contains(era.Logs, c.Node.LogKey) && (validator < 0 || era.Validators[validator].Cosigner == c.Node.CosignerKey)
		if member && c.Issued > issued[id] {
			lines[id], issued[id] = c.Line(), c.Issued
		}
	}
	if len(lines) > 0 { // else nobody would be left to ask
		n.Nodes = slices.SortedFunc(maps.Values(lines), func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	}
	return n
}

// hasLeft says whether a node was a validator of an era and is none of the last.
func (n Network) hasLeft(id string) bool {
	in := func(e Era) bool {
		return slices.ContainsFunc(e.Validators, func(v Validator) bool { return v.NodeID == id })
	}
	return slices.ContainsFunc(n.Eras, in) && !in(n.Eras[len(n.Eras)-1])
}
