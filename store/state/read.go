package state

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/record"
)

// Entries gives up to n entries from index from on, in order; fewer where the committed log ends. The caller bounds n: all are in memory at once.
func (s *State) Entries(from record.Index, n int) ([][]byte, error) {
	size := s.current.Load().tip.head.Size
	if from < 0 || int64(from) > size || n < 0 {
		return nil, fmt.Errorf("%d entries from %d of %d: %w", n, from, size, ErrNotThere)
	}
	end := from + record.Index(min(int64(n), size-int64(from)))
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: entryKey(from), UpperBound: entryKey(end)})
	if err != nil {
		return nil, fmt.Errorf("read entries from %d: %w", from, err)
	}
	entries := make([][]byte, 0, end-from)
	next := from
	for valid := it.First(); valid && string(it.Key()) == string(entryKey(next)); valid = it.Next() {
		entries = append(entries, append([]byte{}, it.Value()...))
		next++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("read entries from %d: %w", from, err)
	}
	if next != end {
		return nil, fmt.Errorf("entry %d is missing: %w", next, ErrDamaged)
	}
	return entries, nil
}
