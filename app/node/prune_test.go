package node

import (
	"errors"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/state"
)

// TestAPrunedNode has three of four validators keep few blocks. One of them restarts,
// and makes receipts of entries whose blocks it no longer has; a new node gets
// those blocks from the one that keeps them all, whoever else is there.
func TestAPrunedNode(t *testing.T) {
	const keep, heartbeat = 5, 50 * time.Millisecond
	c := newCity(t, 4)
	for i := range 4 {
		if i > 0 {
			c.configs[i].Store.KeepBlocks = keep
		}
		c.nodes[i] = open(t, c.homes[i], c.configs[i], heartbeat)
	}
	for _, n := range c.nodes[:4] {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	old, height := submit(t, c.nodes[0], anchor(t, c.nodes[0], "of the first blocks"))
	pruned := func() bool {
		blocks := c.nodes[3].engine.BlockStore()
		return blocks.Base() > height && blocks.Size() <= keep+1
	}
	eventually(t, "the block is pruned", func() bool { return c.nodes[3].View().Head().Height > height+2*keep && pruned() })
	if block := c.nodes[3].engine.BlockStore().LoadBlock(height); block != nil {
		t.Errorf("block %d is still there", height)
	}
	if base := c.nodes[0].engine.BlockStore().Base(); base != 1 {
		t.Errorf("a node that keeps all begins with block %d", base)
	}
	verified(t, c.nodes[3].Network(), receiptOf(t, c.nodes[3], old.TxIndex+1))

	if err := c.nodes[3].Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(c.homes[3], state.Options{Exit: func(int) {}}, func(int64, int64) {}); !errors.Is(err, ErrPruned) {
		t.Errorf("rebuild: %v, want %v", err, ErrPruned)
	}
	c.nodes[3] = open(t, c.homes[3], c.configs[3], heartbeat)
	if err := c.nodes[3].Start(); err != nil {
		t.Fatal(err)
	}
	verified(t, c.nodes[3].Network(), receiptOf(t, c.nodes[3], old.TxIndex+1))
	late, _ := submit(t, c.nodes[3], anchor(t, c.nodes[3], "after the restart"))

	c.nodes[4] = open(t, c.homes[4], c.configs[4], heartbeat)
	if err := c.nodes[4].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new node has all", func() bool { return c.nodes[4].View().Head().Size > int64(late.TxIndex)+1 })
	if blocks := c.nodes[4].engine.BlockStore(); blocks.Base() != 1 || blocks.LoadBlock(height) == nil {
		t.Errorf("the new node begins with block %d", blocks.Base())
	}
	for _, i := range []record.Index{old.TxIndex + 1, late.TxIndex + 1} {
		verified(t, c.nodes[4].Network(), receiptOf(t, c.nodes[4], i))
	}
	c.agree()
}

// TestPruningIsBounded: a node that begins to prune late does so in small steps.
func TestPruningIsBounded(t *testing.T) {
	n := run(t, newHome(t), time.Hour)
	submit(t, n, anchor(t, n, "a"))
	base := n.engine.BlockStore().Base()
	for _, c := range []struct {
		keep         int
		height, want int64
	}{
		{0, 50_000, 0}, {10_000, 9_000, 0}, {10_000, 10_000, 1}, {10_000, 10_001, 2}, {10_000, 50_000, base + prunedAtOnce},
	} {
		n.config.Store.KeepBlocks = c.keep
		if got := n.retain(c.height); got != c.want {
			t.Errorf("of %d blocks, keeping %d: first is %d, want %d", c.height, c.keep, got, c.want)
		}
	}
	n.config.Store.KeepBlocks = 0
}
