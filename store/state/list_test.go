package state

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Lists of every length that the readers divide, with keys that are there and keys that are not.
func TestManyKeysAreReadInTheirOrder(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	var keys, want [][]byte
	for i := range maxReaders*readerKeys + 3 {
		key := fmt.Appendf(nil, "s%05d", i)
		keys, want = append(keys, key), append(want, nil)
		if i%3 == 0 {
			continue
		}
		want[i] = fmt.Appendf(nil, "%d", i)
		if err := db.Set(key, want[i], pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if i == 500 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range []int{0, 1, searched, searched + 1, readerKeys, 2*readerKeys - 1, 2 * readerKeys, len(keys)} {
		for _, from := range []int{0, len(keys) - n} {
			got, err := s.getAll(keys[from : from+n])
			if err != nil || len(got) != n {
				t.Fatalf("%d keys: %d values, %v", n, len(got), err)
			}
			for i, value := range got {
				if !bytes.Equal(value, want[from+i]) || (value == nil) != (want[from+i] == nil) {
					t.Fatalf("%d keys from %d on: value %d is %q, want %q", n, from, i, value, want[from+i])
				}
			}
		}
	}
}

func TestListsOfEntriesAreWhole(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s, c := openState(t, db), newChain(76)
	commit(t, s, c.next())
	old := s.View()
	size := record.Index(old.Head().Size)
	commit(t, s, c.block(c.randomContent(20, 1, 1)))
	for _, list := range [][]record.Index{{-1, 0}, {0, size}, {0, 1, 2, 3, 4, 5, size}} {
		if got, err := old.Entries(list); !errors.Is(err, ErrNotThere) || got != nil {
			t.Errorf("entries %v of %d: %d, %v, want %v", list, size, len(got), err, ErrNotThere)
		}
	}
	if err := db.Delete(entryKey(3), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]record.Index{{3}, {0, 1, 2, 3, 4, 5}} {
		if got, err := old.Entries(list); !errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("entries %v without entry 3: %d, %v, want %v", list, len(got), err, ErrDamaged)
		}
	}
}

// Two blocks in one commit: an old view shows what was there before both, though the second one overwrites the first.
func TestOldViewsSkipWhatWasNeverCommitted(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s, c := openState(t, db), newChain(77)
	commit(t, s, c.next())
	for range 5 {
		old, then := s.View(), c.snapshot()
		var blocks []ledger.Changes
		for range 2 {
			k := c.randomContent(3, 1, 30)
			blocks = append(blocks, c.block(k))
			c.remember(k)
		}
		commit(t, s, blocks...)
		then.check(t, old)
		c.check(t, s.View())
	}
}
