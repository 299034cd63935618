package state

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/record"
)

// Up to how many keys getAll looks up one by one, and how many are worth a goroutine of their own, of which there are few.
const (
	searched   = 4
	readerKeys = 256
	maxReaders = 4
)

// getAll returns copies of the values of many keys, ascending; nil where there is none.
func (s *State) getAll(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	readers := max(1, min(len(keys)/readerKeys, runtime.GOMAXPROCS(0), maxReaders))
	errs := make([]error, readers)
	read := func(n int) {
		from, to := len(keys)*n/readers, len(keys)*(n+1)/readers
		errs[n] = s.getSome(keys[from:to], values[from:to])
	}
	var others sync.WaitGroup
	for n := 1; n < readers; n++ {
		others.Go(func() { read(n) })
	}
	read(0)
	others.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return values, nil
}

// getSome does so in one go. An iterator goes through the keys: a search for each would ask the filters of all tables, and
// those have no room in the cache.
func (s *State) getSome(keys, values [][]byte) error {
	if len(keys) <= searched {
		for i, key := range keys {
			var err error
			if values[i], _, err = s.get(key); err != nil {
				return err
			}
		}
		return nil
	}
	last := keys[len(keys)-1]
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: keys[0], UpperBound: append(last[:len(last):len(last)], 0)})
	if err != nil {
		return fmt.Errorf("read %d keys from %.8x on: %w", len(keys), keys[0], err)
	}
	for i, key := range keys {
		if !it.SeekGE(key) {
			break
		}
		if bytes.Equal(it.Key(), key) {
			values[i] = append(make([]byte, 0, len(it.Value())), it.Value()...)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("read %d keys from %.8x on: %w", len(keys), keys[0], err)
	}
	return nil
}

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
