package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
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
	if err := b.finish(); err != nil {
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
	leaves  []record.Hash
	anchors [][]byte // keys of the new lines of the record index
	grown   bool     // some block had entries

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
	b.grown = true
	b.tip = tip{head: c.Head, stateRoot: c.StateRoot, frontier: slices.Clone(c.Frontier), anchors: b.tip.anchors + int64(len(c.Anchors))}
	b.leaves = append(b.leaves, c.LeafHashes...)
	for i, entry := range c.Entries {
		at := record.Index(c.FirstIndex + int64(i))
		if err := b.entry(at, entry); err != nil {
			return err
		}
		if err := b.landmark(at, entry); err != nil {
			return err
		}
	}
	if err := b.values(c.Values); err != nil {
		return err
	}
	if err := b.nodes(c.Nodes); err != nil {
		return err
	}
	return b.index(c.Anchors)
}

// follows checks that the changes follow the block before, and agree with themselves.
func (b *builder) follows(c ledger.Changes) error {
	before := b.tip.head
	empty := len(c.Entries) == 0
	switch {
	case b.fresh && !b.grown && (c.Height != 0 || empty):
		return fmt.Errorf("height %d before genesis: %w", c.Height, ErrNotNext)
	case (!b.fresh || b.grown) && c.Height != before.Height+1:
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

func (b *builder) entry(i record.Index, entry []byte) error {
	op := b.batch.SetDeferred(1+8, len(entry))
	op.Key[0] = prefixEntry
	binary.BigEndian.PutUint64(op.Key[1:], uint64(i))
	copy(op.Value, entry)
	return op.Finish()
}

// values sets state values. What they were before is read here, in one go.
func (b *builder) values(values []ledger.Value) error {
	keys := make([][]byte, len(values))
	for i, v := range values {
		keys[i] = stateKey(v.Key)
	}
	was := make([][]byte, len(keys))
	if !b.fresh {
		var err error
		if was, err = b.state.getAll(keys); err != nil {
			return err
		}
	}
	for i, v := range values {
		if err := b.overwrite(keys[i], v.Value, was[i]); err != nil {
			return err
		}
	}
	return nil
}

// nodes writes the nodes that changed in the order of their keys, which spares Pebble searching.
func (b *builder) nodes(nodes []statetree.NodeWrite) error {
	keys := make([][]byte, len(nodes))
	order := make([]int, len(nodes))
	for i, n := range nodes {
		keys[i], order[i] = nodeKey(n.Path), i
	}
	slices.SortFunc(order, func(x, y int) int { return bytes.Compare(keys[x], keys[y]) })
	for _, i := range order {
		if err := b.overwrite(keys[i], nodes[i].Node, nodes[i].Was); err != nil {
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

// index writes the lines of the record index in the order of their keys, without looking whether they are there.
func (b *builder) index(anchors []ledger.Anchor) error {
	sorted := slices.Clone(anchors)
	slices.SortFunc(sorted, func(x, y ledger.Anchor) int {
		if x.Office != y.Office {
			return bytes.Compare([]byte(x.Office), []byte(y.Office))
		}
		return bytes.Compare(x.Commitment[:], y.Commitment[:])
	})
	keys := make([]byte, 0, len(sorted)*maxAnchorKey)
	for _, a := range sorted {
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

// finish adds the tiles and where the ledger stands.
func (b *builder) finish() error {
	if b.fresh {
		if err := b.batch.Set([]byte{prefixFormat}, binary.AppendUvarint(nil, format), nil); err != nil {
			return err
		}
	}
	if err := b.batch.Set([]byte{prefixBlock}, blockValue(b.tip.head.Height, b.tip.head.Time), nil); err != nil {
		return err
	}
	if !b.grown {
		return nil
	}
	var err error
	b.edge, err = b.edge.append(b.leaves, func(level int, index int64, tile []byte) error {
		return b.batch.Set(tileKey(level, index), tile, nil)
	})
	if err != nil {
		return err
	}
	if !slices.Equal(b.edge.frontier(), b.tip.frontier) {
		return fmt.Errorf("the leaf hashes give another frontier: %w", ErrNotNext)
	}
	if _, err := parseTip(blockValue(b.tip.head.Height, b.tip.head.Time), b.tip.headValue()); err != nil {
		return err
	}
	return b.batch.Set([]byte{prefixHead}, b.tip.headValue(), nil)
}
