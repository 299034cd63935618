package ledger

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// draft is the block in progress: the view after the transactions so far. Its
// tree and its frontier are still those of the last block.
type draft struct {
	View
	head    Head // Size grows with the entries
	first   int64
	entries [][]byte
	values  map[string][]byte
	anchors []Anchor
	index   map[anchorKey]record.Index
}

// itemBytes is about what an item of AnchorRecords takes in a transaction:
// commitment 34, day 4, the two bytes before it.
const itemBytes = 40

// newDraft begins a block on a view. Room is made for the anchors of batches
// that fill so many bytes.
func newDraft(v View, bytes int) *draft {
	head, room := v.Head(), bytes/itemBytes
	return &draft{
		View: v, head: head, first: head.Size, values: map[string][]byte{}, index: make(map[anchorKey]record.Index, room),
		entries: make([][]byte, 0, room), anchors: make([]Anchor, 0, room),
	}
}

func (d *draft) Head() Head { return d.head }

func (d *draft) Value(key []byte) ([]byte, bool, error) {
	if value, ok := d.values[string(key)]; ok {
		return value, true, nil
	}
	return d.View.Value(key)
}

func (d *draft) Values(keys [][]byte) ([][]byte, error) {
	return through(keys, func(key []byte) ([]byte, bool) {
		value, ok := d.values[string(key)]
		return value, ok
	}, d.View.Values)
}

func (d *draft) Entry(i record.Index) ([]byte, error) {
	if at := int64(i) - d.first; at >= 0 && at < int64(len(d.entries)) {
		return d.entries[at], nil
	}
	return d.View.Entry(i)
}

func (d *draft) Entries(indexes []record.Index) ([][]byte, error) {
	return through(indexes, func(i record.Index) ([]byte, bool) {
		at := int64(i) - d.first
		if at < 0 || at >= int64(len(d.entries)) {
			return nil, false
		}
		return d.entries[at], true
	}, d.View.Entries)
}

func (d *draft) AnchorIndex(office record.Code, c record.Commitment) (record.Index, bool, error) {
	if i, ok := d.index[anchorKey{office, c}]; ok {
		return i, true, nil
	}
	return d.View.AnchorIndex(office, c)
}

// add appends an entry of any kind.
func (d *draft) add(e record.Entry) error {
	raw, err := record.MarshalEntry(e)
	if err != nil {
		return fmt.Errorf("append entry %d: %w", d.head.Size, err)
	}
	d.append(raw)
	return nil
}

func (d *draft) append(raw []byte) {
	d.entries = append(d.entries, raw)
	d.head.Size++
}

func (d *draft) set(values []Value) {
	for _, v := range values {
		d.values[string(v.Key)] = v.Value
	}
}

// carryOut does what an accepted transaction asks for.
func (d *draft) carryOut(a *act) error {
	entry := record.TxEntry{
		KeyID: a.tx.KeyID, Signature: a.tx.Signature, BodyHash: a.bodyHash, Nonce: a.tx.Nonce, NotAfter: a.tx.NotAfter,
	}
	if m, ok := a.tx.Message.(*record.AnchorRecords); ok {
		entry.Count = int64(len(m.Items))
		if err := d.add(entry); err != nil {
			return err
		}
		d.addAnchors(a.office.Code, m)
		d.set(a.values)
		return nil
	}
	entry.Count, entry.Body = int64(len(a.items)), a.tx.Body
	if err := d.add(entry); err != nil {
		return err
	}
	for _, item := range a.items {
		if err := d.add(item); err != nil {
			return err
		}
	}
	d.set(a.values)
	for _, anchor := range a.anchors {
		d.anchors = append(d.anchors, anchor)
		d.index[anchorKey{anchor.Office, anchor.Commitment}] = anchor.Index
	}
	return nil
}

// anchorEntryBytes is above the length of an anchor entry: head and version 3,
// three codes of 17, commitment 34, day 5, flags 1.
const anchorEntryBytes = 3 + 3*17 + 34 + 5 + 1

// addAnchors appends the entries of a batch. This is the hot path: one
// allocation for all entries.
func (d *draft) addAnchors(office record.Code, m *record.AnchorRecords) {
	arena := make([]byte, 0, len(m.Items)*anchorEntryBytes)
	e := record.AnchorEntry{Office: office, Series: m.Series, Custody: m.Custody}
	d.entries = slices.Grow(d.entries, len(m.Items))
	d.anchors = slices.Grow(d.anchors, len(m.Items))
	for i := range m.Items {
		it := &m.Items[i]
		e.Commitment, e.Day, e.Flags = it.Commitment, it.Day, it.Flags
		start := len(arena)
		arena = record.AppendAnchorEntry(arena, e)
		at := record.Index(d.head.Size)
		d.append(arena[start:len(arena):len(arena)])
		d.anchors = append(d.anchors, Anchor{Office: office, Commitment: it.Commitment, Index: at})
		d.index[anchorKey{office, it.Commitment}] = at
	}
}

// close ends the block and gives its changes.
func (d *draft) close(height, time int64) (Changes, error) {
	d.head.Height, d.head.Time = height, time
	c := Changes{
		Height: height, Time: time, FirstIndex: d.first, Size: d.head.Size,
		Frontier: d.View.Frontier(), StateRoot: d.View.StateRoot(), Head: d.head,
	}
	if len(d.entries) > 0 {
		if err := d.seal(&c); err != nil {
			return Changes{}, err
		}
	}
	c.Root = LogRoot(c.Frontier)
	c.Checkpoint = record.CheckpointBody(d.head.Origin, c.Size, c.Root)
	c.AppHash = record.AppHash(c.Checkpoint)
	c.Head.AppHash = c.AppHash
	return c, nil
}

// seal brings state and log up to date and closes the block with its entry.
func (d *draft) seal(c *Changes) error {
	var err error
	if c.Values = d.sorted(); len(c.Values) > 0 {
		writes := make([]statetree.Write, len(c.Values))
		for i, v := range c.Values {
			writes[i] = statetree.Write{Key: statetree.KeyOf(v.Key), Value: v.Value}
		}
		slices.SortFunc(writes, func(a, b statetree.Write) int { return bytes.Compare(a.Key[:], b.Key[:]) })
		if c.StateRoot, c.Nodes, err = statetree.Update(d.View, c.StateRoot, writes); err != nil {
			return fmt.Errorf("update the state of block %d: %w", c.Height, err)
		}
	}
	if err := d.add(record.BlockEntry{Height: c.Height, Time: c.Time, First: record.Index(c.FirstIndex), StateRoot: c.StateRoot}); err != nil {
		return err
	}
	c.Entries, c.Anchors, c.Size, c.Head.Size = d.entries, d.anchors, d.head.Size, d.head.Size
	c.LeafHashes = make([]record.Hash, len(c.Entries))
	for i, raw := range c.Entries {
		c.LeafHashes[i] = record.LeafHash(raw)
	}
	c.Frontier = AppendLeaves(c.Frontier, c.FirstIndex, c.LeafHashes)
	return nil
}

// sorted gives the values that were set, ascending by key.
func (d *draft) sorted() []Value {
	values := make([]Value, 0, len(d.values))
	for _, key := range slices.Sorted(maps.Keys(d.values)) {
		values = append(values, Value{Key: []byte(key), Value: d.values[key]})
	}
	return values
}
