package receipt

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// WithCards gives the network with the node lines that cards tell: of nodes of
// the era in force, known by log key and cosigner. A log key is one node's: who
// has one cannot fill the file with nodes of its own making. A later card counts
// before an earlier one. Lines of validators that have left go, and those of nodes
// of which nothing is heard where there are too many.
func (n Network) WithCards(cards []Card) Network {
	lines := make(map[string]Node)
	for _, node := range n.Nodes {
		if !n.hasLeft(node.ID) {
			lines[node.ID] = node
		}
	}
	heard := n.members(cards)
	for _, id := range slices.Sorted(maps.Keys(heard)) {
		lines[id] = heard[id].Line()
	}
	rank := func(id string) int {
		_, told := heard[id]
		switch {
		case n.validator(id) >= 0:
			return 0
		case told:
			return 1
		}
		return 2
	}
	ids := slices.SortedFunc(maps.Keys(lines), func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b)) })
	if len(ids) == 0 { // nobody would be left to ask
		return n
	}
	n.Nodes = nil
	for _, id := range slices.Sorted(slices.Values(ids[:min(len(ids), maxNodes)])) {
		n.Nodes = append(n.Nodes, lines[id])
	}
	return n
}

// members gives the card that counts of each node of the era in force: of those
// with one log key that of the validator, and of one node the latest.
func (n Network) members(cards []Card) map[string]Card {
	era := n.Eras[len(n.Eras)-1]
	byLog := make(map[[32]byte]Card)
	for _, c := range cards {
		validator := n.validator(c.ID())
		if !slices.Contains(era.Logs, c.Node.LogKey) || validator >= 0 && era.Validators[validator].Cosigner != c.Node.CosignerKey {
			continue
		}
		before, ok := byLog[c.Node.LogKey]
		votes := ok && n.validator(before.ID()) >= 0
		if !ok || validator >= 0 && !votes || (validator >= 0) == votes && c.Issued > before.Issued {
			byLog[c.Node.LogKey] = c
		}
	}
	members := make(map[string]Card)
	for _, log := range era.Logs { // in an order, for a node that shows one card with each of two log keys
		if c, ok := byLog[log]; ok && c.Issued > members[c.ID()].Issued {
			members[c.ID()] = c
		}
	}
	return members
}

// validator finds a node among the validators of the era in force, -1 where it is none.
func (n Network) validator(id string) int {
	return slices.IndexFunc(n.Eras[len(n.Eras)-1].Validators, func(v Validator) bool { return v.NodeID == id })
}

// hasLeft says whether a node was a validator of an era and is none of the last.
func (n Network) hasLeft(id string) bool {
	in := func(e Era) bool {
		return slices.ContainsFunc(e.Validators, func(v Validator) bool { return v.NodeID == id })
	}
	return slices.ContainsFunc(n.Eras, in) && !in(n.Eras[len(n.Eras)-1])
}
