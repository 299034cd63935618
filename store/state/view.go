package state

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// view is the state after one block, for ever. It implements ledger.View.
//
// Entries, tiles and lines of the record index are only ever added, so a view reads them from Pebble and ignores what lies
// beyond its size. State values and nodes are overwritten: before a commit touches Pebble, it hangs what it is about to
// overwrite on the current view. So the views form a chain from old to new, and a reader finds the value of its own block
// at the first view from its own on that had to give the key up, or else in Pebble, or in the memory of what is in Pebble.
// Whoever holds an old view holds the chain from there on, and walks it in each read: views are for a request, not for
// keeping. The rest is garbage, and there is nothing to close.
type view struct {
	state *State
	tip   tip
	later atomic.Pointer[superseded]
}

// superseded is what one commit overwrites, and the view after that commit.
type superseded struct {
	values map[string][]byte // by key of the store; nil: there was none
	by     *view
}

func newView(s *State, t tip) *view { return &view{state: s, tip: t} }

func (v *view) Head() ledger.Head { return v.tip.head }

func (v *view) StateRoot() statetree.Hash { return v.tip.stateRoot }

func (v *view) Frontier() []record.Hash { return v.tip.frontier }

func (v *view) Value(key []byte) ([]byte, bool, error) { return v.read(stateKey(key)) }

func (v *view) Values(keys [][]byte) ([][]byte, error) {
	of := make([][]byte, len(keys))
	for i, key := range keys {
		of[i] = stateKey(key)
	}
	return v.readAll(of)
}

func (v *view) Nodes(paths []statetree.Path) ([][]byte, error) {
	of := make([][]byte, len(paths))
	for i, path := range paths {
		of[i] = nodeKey(path)
	}
	return v.readAll(of)
}

// read gives the value that a key had after the block of v.
func (v *view) read(key []byte) ([]byte, bool, error) {
	for {
		last, value, kept := v.kept(key)
		if kept {
			return value, value != nil, nil
		}
		value, found, err := v.state.newest(last, key)
		if err != nil {
			return nil, false, err
		}
		// The key may have been overwritten since last was reached; then the chain is longer, and the next round starts there.
		if last.later.Load() == nil {
			return value, found, nil
		}
		v = last
	}
}

// readAll gives the values that many keys, ascending, had after the block of v; nil where there was none. What a commit has
// overwritten before it was read here hangs on the chain by then.
func (v *view) readAll(keys [][]byte) ([][]byte, error) {
	values, err := v.state.getAll(keys)
	if err != nil || v.later.Load() == nil {
		return values, err
	}
	for i, key := range keys {
		if _, value, kept := v.kept(key); kept {
			values[i] = value
		}
	}
	return values, nil
}

// newest gives the value that a key has now, from memory or from Pebble, for a reader who has come to the view last.
func (s *State) newest(last *view, key []byte) ([]byte, bool, error) {
	if !remembered(key) {
		return s.get(key)
	}
	if value, known := s.memory.find(key); known {
		return value, value != nil, nil
	}
	value, found, err := s.get(key)
	if err != nil {
		return nil, false, err
	}
	s.memory.add(last, key, value)
	return value, found, nil
}

// kept looks for a key in the chain from v on. Without success it returns the view at the end of the chain.
func (v *view) kept(key []byte) (last *view, value []byte, ok bool) {
	for {
		later := v.later.Load()
		if later == nil {
			return v, nil, false
		}
		if value, ok := later.values[string(key)]; ok {
			return nil, value, true
		}
		v = later.by
	}
}

func (v *view) Entry(i record.Index) ([]byte, error) {
	if i < 0 || int64(i) >= v.tip.head.Size {
		return nil, fmt.Errorf("entry %d of %d: %w", i, v.tip.head.Size, ErrNotThere)
	}
	entry, found, err := v.state.get(entryKey(i))
	if err == nil && !found {
		err = fmt.Errorf("entry %d is missing: %w", i, ErrDamaged)
	}
	return entry, err
}

func (v *view) Entries(indexes []record.Index) ([][]byte, error) {
	keys := make([][]byte, len(indexes))
	for n, i := range indexes {
		if i < 0 || int64(i) >= v.tip.head.Size {
			return nil, fmt.Errorf("entry %d of %d: %w", i, v.tip.head.Size, ErrNotThere)
		}
		keys[n] = entryKey(i)
	}
	entries, err := v.state.getAll(keys)
	if err != nil {
		return nil, err
	}
	for n, entry := range entries {
		if entry == nil {
			return nil, fmt.Errorf("entry %d is missing: %w", indexes[n], ErrDamaged)
		}
	}
	return entries, nil
}

func (v *view) AnchorIndex(office record.Code, c record.Commitment) (record.Index, bool, error) {
	if len(office) > record.MaxCodeBytes {
		return 0, false, nil
	}
	var buffer [maxAnchorKey]byte
	key := appendAnchorKey(buffer[:0], office, c)
	if !v.state.filter.has(key) {
		return 0, false, nil
	}
	raw, found, err := v.state.get(key)
	if err != nil || !found {
		return 0, false, err
	}
	i, n := binary.Uvarint(raw)
	if n != len(raw) || i > 1<<62 {
		return 0, false, fmt.Errorf("record index of %s %x is malformed: %w", office, c, ErrDamaged)
	}
	if int64(i) >= v.tip.head.Size {
		return 0, false, nil // anchored after the block of this view
	}
	return record.Index(i), true, nil
}
