package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Snapshot is the state after one block, for those who list it: what a view
// gives one by one, it gives in order. It needs no closing. A loop over one of
// its lists holds a Pebble iterator, and with it disk space, until it ends.
type Snapshot struct{ view *view }

// Snapshot gives the state after the last committed block.
func (s *State) Snapshot() Snapshot { return Snapshot{s.current.Load()} }

// View gives the view of the same block.
func (n Snapshot) View() ledger.View { return n.view }

// Entries gives the entries from index from on, up to but not including to, in
// order. The bytes of a line are good until the next one.
func (n Snapshot) Entries(from, to record.Index) iter.Seq2[ledger.EntryLine, error] {
	return func(yield func(ledger.EntryLine, error) bool) {
		if size := n.view.tip.head.Size; from < 0 || from > to || int64(to) > size {
			yield(ledger.EntryLine{}, fmt.Errorf("list entries %d to %d of %d: %w", from, to, size, ErrNotThere))
			return
		}
		it, err := n.iterator(entryKey(from), entryKey(to))
		next := from
		for valid := err == nil && it.First(); valid && binary.BigEndian.Uint64(it.Key()[1:]) == uint64(next); valid = it.Next() {
			if !yield(ledger.EntryLine{Index: next, Entry: it.Value()}, nil) {
				it.Close() // nobody is left to be told
				return
			}
			next++
		}
		if err == nil {
			err = errors.Join(it.Error(), it.Close())
		}
		if err == nil && next != to {
			err = fmt.Errorf("entry %d is missing: %w", next, ErrDamaged)
		}
		if err != nil {
			yield(ledger.EntryLine{}, fmt.Errorf("list entries from %d: %w", from, err))
		}
	}
}

// Values gives the state values whose state keys start with prefix, ascending,
// as they were after the block of the snapshot. The bytes of a line are good
// until the next one.
func (n Snapshot) Values(prefix []byte) iter.Seq2[ledger.Value, error] {
	return func(yield func(ledger.Value, error) bool) {
		lower := stateKey(prefix)
		it, err := n.iterator(lower, after(lower))
		old := n.view.overwritten(string(lower)) // asked after the iterator was made: what it shows is the snapshot's, or is here
		for valid := err == nil && it.First(); err == nil && (valid || len(old) > 0); {
			if valid && (len(old) == 0 || string(it.Key()) < old[0].key) {
				if !yield(ledger.Value{Key: it.Key()[1:], Value: it.Value()}, nil) {
					it.Close()
					return
				}
				valid = it.Next()
				continue
			}
			if valid && string(it.Key()) == old[0].key {
				valid = it.Next()
			}
			was := old[0]
			if old = old[1:]; was.value == nil {
				continue // the snapshot did not have it yet
			}
			if !yield(ledger.Value{Key: []byte(was.key[1:]), Value: was.value}, nil) {
				it.Close()
				return
			}
		}
		if err == nil {
			err = errors.Join(it.Error(), it.Close())
		}
		if err != nil {
			yield(ledger.Value{}, fmt.Errorf("list state values: %w", err))
		}
	}
}

func (n Snapshot) iterator(lower, upper []byte) (*pebble.Iterator, error) {
	return n.view.state.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// replaced is a value that later commits have overwritten; nil: there was none.
type replaced struct {
	key   string // of the store
	value []byte
}

// overwritten lists what commits after v have overwritten until now, of the keys
// with a prefix, ascending, as it was after the block of v.
func (v *view) overwritten(prefix string) []replaced {
	values := map[string][]byte{}
	for later := v.later.Load(); later != nil; later = later.by.later.Load() {
		for key, value := range later.values {
			if _, known := values[key]; !known && strings.HasPrefix(key, prefix) {
				values[key] = value
			}
		}
	}
	list := make([]replaced, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, replaced{key, values[key]})
	}
	return list
}

// Values gives the state values whose state keys start with prefix, ascending,
// as they are now, copied.
func (s *State) Values(prefix []byte) iter.Seq2[ledger.Value, error] {
	return func(yield func(ledger.Value, error) bool) {
		for v, err := range s.Snapshot().Values(prefix) {
			if !yield(ledger.Value{Key: slices.Clone(v.Key), Value: slices.Clone(v.Value)}, err) {
				return
			}
		}
	}
}

// after gives the first key that does not start with prefix. State keys may hold
// any bytes, as ids of keys do: a last byte that cannot be raised is left out. The
// first one, which says what is stored, always can.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}
