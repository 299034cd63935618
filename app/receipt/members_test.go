package receipt

import (
	"fmt"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// TestALogKeyIsOneNodes: a member that makes cards of nodes of its own invention,
// which it can sign with its log key, gets one line for them, and none beside its own.
func TestALogKeyIsOneNodes(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	four := keepersOf("0", "1", "2", "3")
	card := func(k keepers, node string, issued int64) Card {
		key := cardKeys(node)[0]
		c := cardOf(t, cardKeys(node))
		c.Node = &record.Node{NodeKey: publicOf(key), LogKey: publicOf(k[3].log), CosignerKey: publicOf(k[3].cosigner)}
		c.Issued = issued
		return c
	}
	var cards []Card
	for i := range int64(100) {
		cards = append(cards, card(four, fmt.Sprint("invented ", i), i+1))
	}
	got := w.network.WithCards(cards)
	if len(got.Nodes) != 5 {
		t.Errorf("%d nodes, want the 4 of the file and one more", len(got.Nodes))
	}
	if _, err := ParseNetwork(got.Marshal()); err != nil {
		t.Error(err)
	}
	own := cards[0]
	own.Node = &record.Node{NodeKey: publicOf(four[3].node), LogKey: publicOf(four[3].log), CosignerKey: publicOf(four[3].cosigner)}
	for _, list := range [][]Card{append([]Card{own}, cards...), append(cards[:len(cards):len(cards)], own)} {
		if got := w.network.WithCards(list); len(got.Nodes) != 4 {
			t.Errorf("%d nodes, want the 4 of the file", len(got.Nodes))
		}
	}
}

// TestOldLinesMakeRoom: nodes without a vote leave no trace in an era, so that
// lines of those that have left stay in the file, as long as there is room.
func TestOldLinesMakeRoom(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	n := w.network
	for i := len(n.Nodes); i < maxNodes; i++ {
		n.Nodes = append(n.Nodes, cardOf(t, cardKeys(fmt.Sprint("was there ", i))).Line())
	}
	k := keepersOf("0", "1", "2", "3")
	c := cardOf(t, cardKeys("new"))
	c.Node.LogKey = publicOf(k[0].log)
	got := n.WithCards([]Card{c})
	if len(got.Nodes) != maxNodes {
		t.Fatalf("%d nodes", len(got.Nodes))
	}
	want := map[string]bool{c.ID(): true}
	for _, node := range w.network.Nodes {
		want[node.ID] = true
	}
	for _, node := range got.Nodes {
		delete(want, node.ID)
	}
	if len(want) > 0 {
		t.Errorf("%d lines of validators, or of the new node, went", len(want))
	}
}
