package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// checkLists compares the lists of a snapshot with what the chain remembers of
// its block. Between has it do something in the midst of each list.
func (c *chain) checkLists(t *testing.T, n Snapshot, between func()) {
	t.Helper()
	if got := n.View().Head(); got != c.head {
		t.Fatalf("head %+v, want %+v", got, c.head)
	}
	for _, from := range []int{0, 1, len(c.entries) / 2, len(c.entries)} {
		next := from
		for line, err := range n.Entries(record.Index(from), record.Index(len(c.entries))) {
			if err != nil || int(line.Index) != next || !bytes.Equal(line.Entry, c.entries[next]) {
				t.Fatalf("entry %d: %d %x, %v", next, line.Index, line.Entry, err)
			}
			if next++; next == from+3 {
				between()
			}
		}
		if next != len(c.entries) {
			t.Fatalf("entries from %d end at %d, want %d", from, next, len(c.entries))
		}
	}
	for _, prefix := range []string{"k", "key ", "key 1", "key 39", "none"} {
		var want []string
		for _, key := range slices.Sorted(maps.Keys(c.values)) {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		var got []string
		for v, err := range n.Values([]byte(prefix)) {
			if err != nil || !bytes.Equal(v.Value, c.values[string(v.Key)]) {
				t.Fatalf("value of %q: %x, %v, want %x", v.Key, v.Value, err, c.values[string(v.Key)])
			}
			if got = append(got, string(v.Key)); len(got) == 2 {
				between()
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("values with prefix %q: %q, want %q", prefix, got, want)
		}
	}
}

// TestSnapshotsNeverChange lists old snapshots while blocks are committed before,
// between and in the midst of the lists.
func TestSnapshotsNeverChange(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(70)
	commit(t, s, c.next())
	type moment struct {
		snapshot Snapshot
		chain    *chain
	}
	var moments []moment
	for range 24 {
		commit(t, s, c.next())
		moments = append(moments, moment{s.Snapshot(), c.snapshot()})
	}
	for _, m := range moments {
		m.chain.checkLists(t, m.snapshot, func() {})
	}
	for _, m := range moments {
		m.chain.checkLists(t, m.snapshot, func() { commit(t, s, c.next()) })
	}
	c.checkLists(t, s.Snapshot(), func() {})
}

// TestSnapshotSeesCommitOnItsWay: a commit has reached Pebble and is not current
// yet. A snapshot taken then is that of the block before.
func TestSnapshotSeesCommitOnItsWay(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(71)
	commit(t, s, c.next())
	before, current := c.snapshot(), s.current.Load()
	commit(t, s, c.block(c.randomContent(3, 3, 30)))
	s.current.Store(current) // as it is in the midst of Commit
	before.checkLists(t, s.Snapshot(), func() {})
}

// TestListsEndWhereTheyAreLeft: a loop that is left early asks for nothing more,
// and leaves no iterator behind, which closing the store would tell.
func TestListsEndWhereTheyAreLeft(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(72)
	commit(t, s, c.next(), c.next())
	n := s.Snapshot()
	commit(t, s, c.next(), c.next(), c.next()) // so that values come from Pebble and from the chain of views
	for stop := range 6 {
		left := 0
		for range n.Entries(0, 8) {
			if left++; left == stop {
				break
			}
		}
		if stop > 0 && left != stop {
			t.Errorf("%d entries were given, want %d", left, stop)
		}
		left = 0
		for range n.Values([]byte("key ")) {
			if left++; left == stop {
				break
			}
		}
		if stop > 0 && left != stop {
			t.Errorf("%d values were given, want %d", left, stop)
		}
	}
}

// TestListsTellWhatIsMissing: a gap in the log and a bound beyond its end.
func TestListsTellWhatIsMissing(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(73)
	commit(t, s, c.next())
	size := record.Index(c.head.Size)
	last := func(from, to record.Index) (n int, err error) {
		for line, e := range s.Snapshot().Entries(from, to) {
			if n, err = n+1, e; e != nil && line.Entry != nil {
				t.Errorf("an entry beside the error %v", e)
			}
		}
		return n, err
	}
	for _, bad := range [][2]record.Index{{-1, 1}, {0, size + 1}, {3, 2}, {size + 1, size + 1}} {
		if n, err := last(bad[0], bad[1]); n != 1 || !errors.Is(err, ErrNotThere) {
			t.Errorf("entries %d to %d: %d lines, %v", bad[0], bad[1], n, err)
		}
	}
	if n, err := last(size, size); n != 0 || err != nil {
		t.Errorf("no entries: %d lines, %v", n, err)
	}
	for _, gap := range []record.Index{0, 4, size - 1} {
		if err := db.Delete(entryKey(gap), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if n, err := last(0, size); n != int(gap)+1 || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprint(gap)) {
			t.Errorf("without entry %d: %d lines, %v", gap, n, err)
		}
		if err := db.Set(entryKey(gap), c.entries[gap], pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
}
