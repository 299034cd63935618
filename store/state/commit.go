package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/ledger"
)

// Commit writes what one block, or several in a row, changed: genesis goes to disk together with block 1. It is not called concurrently.
// An error means that the process must end. Steps:
//
//  1. check that the changes follow the last block, and build the batch
//  2. add the new records to the filter: it may admit too much, never too little
//  3. hang what the batch overwrites on the current view, then drop it from the memory
//  4. write the batch, synced: the only durable step
//  5. make the new view current
func (s *State) Commit(changes ...ledger.Changes) error {
	if s.broken != nil {
		return fmt.Errorf("commit: %w: %w", ErrBroken, s.broken)
	}
	if err := s.commit(changes); err != nil {
		s.broken = err
		return fmt.Errorf("commit block %d: %w", s.current.Load().tip.head.Height+1, err)
	}
	return nil
}

func (s *State) commit(changes []ledger.Changes) error {
	if len(changes) == 0 {
		return fmt.Errorf("no block: %w", ErrNotNext)
	}
	current := s.current.Load()
	b := builder{
		state: s, batch: s.db.NewBatchWithSize(batchSize(changes)), tip: current.tip, edge: s.edge, fresh: current.tip.head.Size == 0,
		overwritten: make(map[string][]byte, overwriting(changes)),
	}
	defer b.batch.Close()
	for _, c := range changes {
		if err := b.add(c); err != nil {
			return err
		}
	}
	if err := b.write(); err != nil {
		return err
	}
	for _, key := range b.anchors {
		s.filter.add(key)
	}
	next := newView(s, b.tip)
	current.later.Store(&superseded{values: b.overwritten, by: next})
	s.memory.forget(b.overwritten)
	crashpoint("state: before the batch")
	if err := b.batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	crashpoint("state: after the batch")
	s.edge = b.edge
	s.current.Store(next)
	return nil
}

// builder gathers the batch of one Commit. Fresh: nothing was ever committed.
type builder struct {
	state   *State
	batch   *pebble.Batch
	tip     tip
	edge    edge
	fresh   bool
	blocks  []ledger.Changes // those with entries
	anchors [][]byte         // keys of the new lines of the record index

	overwritten map[string][]byte // by key: what it was before the batch, nil where it was not there
}

// batchSize estimates the bytes of a batch, so that it need not grow.
func batchSize(changes []ledger.Changes) int {
	size := 4096
	for _, c := range changes {
		for _, e := range c.Entries {
			size += len(e) + 16 + hashSize
		}
		size += len(c.Anchors)*(maxAnchorKey+8) + len(c.Nodes)*112 + 2*tileWidth*hashSize
	}
	return size
}

// overwriting counts the keys that may be there and are written.
func overwriting(changes []ledger.Changes) (n int) {
	for _, c := range changes {
		n += len(c.Values) + len(c.Nodes)
	}
	return n
}

// add takes the changes of one block.
func (b *builder) add(c ledger.Changes) error {
	if err := b.follows(c); err != nil {
		return err
	}
	b.tip.head.Height, b.tip.head.Time = c.Height, c.Time
	if len(c.Entries) == 0 {
		return nil
	}
	b.tip = tip{head: c.Head, stateRoot: c.StateRoot, frontier: slices.Clone(c.Frontier), anchors: b.tip.anchors + int64(len(c.Anchors))}
	b.blocks = append(b.blocks, c)
	return nil
}

// write fills the batch, prefix by prefix in the order of their keys: Pebble sorts a large batch, which takes it no time
// where it is sorted already, and searches the place of each key of a small one beside the one before.
func (b *builder) write() error {
	head := blockValue(b.tip.head.Height, b.tip.head.Time)
	if err := b.batch.Set([]byte{prefixBlock}, head, nil); err != nil {
		return err
	}
	if err := b.each(b.entries); err != nil {
		return err
	}
	if b.fresh {
		if err := b.batch.Set([]byte{prefixFormat}, binary.AppendUvarint(nil, format), nil); err != nil {
			return err
		}
	}
	if len(b.blocks) == 0 {
		return nil
	}
	if _, err := parseTip(head, b.tip.headValue()); err != nil {
		return err
	}
	if err := b.batch.Set([]byte{prefixHead}, b.tip.headValue(), nil); err != nil {
		return err
	}
	if err := b.each(b.landmarks, b.nodes, b.values); err != nil {
		return err
	}
	if err := b.tiles(); err != nil {
		return err
	}
	return b.each(b.index)
}

// each does the steps one after the other, each for all blocks.
func (b *builder) each(steps ...func(ledger.Changes) error) error {
	for _, step := range steps {
		for _, c := range b.blocks {
			if err := step(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// follows checks that the changes follow the block before, and agree with themselves.
func (b *builder) follows(c ledger.Changes) error {
	before := b.tip.head
	empty := len(c.Entries) == 0
	switch {
	case b.fresh && len(b.blocks) == 0 && (c.Height != 0 || empty):
		return fmt.Errorf("height %d before genesis: %w", c.Height, ErrNotNext)
	case (!b.fresh || len(b.blocks) > 0) && c.Height != before.Height+1:
		return fmt.Errorf("height %d after %d: %w", c.Height, before.Height, ErrNotNext)
	case empty && (len(c.Values)+len(c.Nodes)+len(c.Anchors) > 0 || c.AppHash != before.AppHash):
		return fmt.Errorf("a block without entries changes something: %w", ErrNotNext)
	case empty:
		return nil
	case c.FirstIndex != before.Size || c.Size != before.Size+int64(len(c.Entries)) || len(c.LeafHashes) != len(c.Entries):
		return fmt.Errorf("entries %d to %d with %d leaf hashes after a log of %d: %w", c.FirstIndex, c.Size, len(c.LeafHashes), before.Size, ErrNotNext)
	case c.Head.Height != c.Height || c.Head.Time != c.Time || c.Head.Size != c.Size || c.Head.AppHash != c.AppHash:
		return fmt.Errorf("the head is of another block: %w", ErrNotNext)
	case b.tip.head.Size > 0 && (c.Head.Network != before.Network || c.Head.ChainID != before.ChainID || c.Head.Origin != before.Origin):
		return fmt.Errorf("the head is of another ledger: %w", ErrNotNext)
	}
	return nil
}

func (b *builder) entries(c ledger.Changes) error {
	for i, entry := range c.Entries {
		op := b.batch.SetDeferred(1+8, len(entry))
		op.Key[0] = prefixEntry
		binary.BigEndian.PutUint64(op.Key[1:], uint64(c.FirstIndex+int64(i)))
		copy(op.Value, entry)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}

// values sets state values. What they were before is read here, in one go.
func (b *builder) values(c ledger.Changes) error {
	keys := make([][]byte, len(c.Values))
	for i, v := range c.Values {
		keys[i] = stateKey(v.Key)
	}
	was := make([][]byte, len(keys))
	if !b.fresh {
		var err error
		if was, err = b.state.getAll(keys); err != nil {
			return err
		}
	}
	for i, v := range c.Values {
		if err := b.overwrite(keys[i], v.Value, was[i]); err != nil {
			return err
		}
	}
	return nil
}

// nodes writes the nodes that changed.
func (b *builder) nodes(c ledger.Changes) error {
	keys := make([][]byte, len(c.Nodes))
	order := make([]int, len(c.Nodes))
	for i, n := range c.Nodes {
		keys[i], order[i] = nodeKey(n.Path), i
	}
	slices.SortFunc(order, func(x, y int) int { return bytes.Compare(keys[x], keys[y]) })
	for _, i := range order {
		if err := b.overwrite(keys[i], c.Nodes[i].Node, c.Nodes[i].Was); err != nil {
			return err
		}
	}
	return nil
}

// overwrite sets a key, or deletes it where value is nil, and notes what it was before the first block of the batch.
func (b *builder) overwrite(key, value, was []byte) error {
	if _, again := b.overwritten[string(key)]; !again {
		b.overwritten[string(key)] = was
	}
	if value == nil {
		return b.batch.Delete(key, nil)
	}
	return b.batch.Set(key, value, nil)
}

// tiles adds the leaf hashes to the log tree, which must have the frontier that the last block says.
func (b *builder) tiles() error {
	leaves := b.blocks[0].LeafHashes
	if len(b.blocks) > 1 {
		leaves = nil
		for _, c := range b.blocks {
			leaves = append(leaves, c.LeafHashes...)
		}
	}
	var err error
	b.edge, err = b.edge.append(leaves, func(level int, index int64, tile []byte) error {
		return b.batch.Set(tileKey(level, index), tile, nil)
	})
	if err == nil && !slices.Equal(b.edge.frontier(), b.tip.frontier) {
		err = fmt.Errorf("the leaf hashes give another frontier: %w", ErrNotNext)
	}
	return err
}

// place is where a line of the record index is among those of its block, and what they are sorted by: the first bytes of
// commitments are nearly always enough.
type place struct {
	office string
	prefix uint64
	at     int
}

// index writes the lines of the record index, without looking whether they are there.
func (b *builder) index(c ledger.Changes) error {
	places := make([]place, len(c.Anchors))
	for i := range c.Anchors {
		a := &c.Anchors[i]
		places[i] = place{string(a.Office), binary.BigEndian.Uint64(a.Commitment[:8]), i}
	}
	slices.SortFunc(places, func(x, y place) int {
		if x.office != y.office {
			return strings.Compare(x.office, y.office)
		}
		if x.prefix != y.prefix {
			return cmp.Compare(x.prefix, y.prefix)
		}
		return bytes.Compare(c.Anchors[x.at].Commitment[:], c.Anchors[y.at].Commitment[:])
	})
	keys := make([]byte, 0, len(places)*maxAnchorKey)
	b.anchors = slices.Grow(b.anchors, len(places))
	for _, p := range places {
		a := &c.Anchors[p.at]
		start := len(keys)
		keys = appendAnchorKey(keys, a.Office, a.Commitment)
		key := keys[start:len(keys):len(keys)]
		var value [binary.MaxVarintLen64]byte
		if err := b.batch.Set(key, value[:binary.PutUvarint(value[:], uint64(a.Index))], nil); err != nil {
			return err
		}
		b.anchors = append(b.anchors, key)
	}
	return nil
}
