package vault

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRewriteDropsWhatNothingOpens: the segments of dead leaves leave packs and
// catalogue, all others stay as they were, and so does every pack without one.
func TestRewriteDropsWhatNothingOpens(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	defer v.Close()
	r, sealed := putAnchored(t, v, 1, 40, 64<<10) // packs of 3
	packs := func() (all [][]byte) {
		if err := v.each(packsOf(r.RID), nil, func(_, value []byte) error { all = append(all, bytes.Clone(value)); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := packs()
	dead := []int{1, 12, 13, 14, 39} // the catalogued leaf, a whole pack, the last one
	live := func(leaf uint32) bool { return !slices.Contains(dead, int(leaf)) }
	for range 2 { // doing it again changes nothing
		if err := v.Rewrite(r, live); err != nil {
			t.Fatal(err)
		}
		for leaf, got := range segmentsOf(t, v, r) {
			if want := sealed[leaf]; live(uint32(leaf)) != bytes.Equal(got, want) || !live(uint32(leaf)) && len(got) != 0 {
				t.Errorf("leaf %d: %d bytes", leaf, len(got))
			}
		}
		changed := 0
		for i, pack := range packs() {
			if !bytes.Equal(pack, before[i]) {
				changed++
			}
		}
		if changed != 3 {
			t.Errorf("%d packs changed, want 3", changed)
		}
		err := v.EachCatalogued("CLERK", func(_ RID, leaves []CatalogueLeaf) error {
			if len(leaves) != 0 {
				t.Errorf("catalogue keeps %d leaves", len(leaves))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestReclaimGivesSpaceBack buries and rewrites records on a real disk. Afterwards
// no file holds their sealed bytes, and those of the others are where they were.
func TestReclaimGivesSpaceBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	v, err := Open(dir, Options{Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { v.Close() }()
	var part Record
	var buried []Record
	gone, kept := map[string][]byte{}, map[string][]byte{}
	for i := byte(1); i <= 60; i++ {
		r, sealed := putAnchored(t, v, i, 20, 20<<10)
		switch {
		case i%3 == 0:
			buried, gone[string(i)+" buried"] = append(buried, r), sealed[2][100:140]
		case i == 10:
			part = r
			gone["rewritten"], kept["beside it"] = sealed[5][100:140], sealed[6][100:140]
		default:
			kept[string(i)] = sealed[2][100:140]
		}
	}
	// A store that is opened and closed has no log of an earlier process, and no file
	// that is still being deleted.
	restart := func() {
		t.Helper()
		for range 2 {
			if err = v.Close(); err == nil {
				v, err = Open(dir, Options{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	first, second := bytes.Repeat([]byte("old layout "), 9), bytes.Repeat([]byte("new layout "), 9)
	gone["layout"], kept["layout"] = first, second
	if err := v.SetLayout(part.RID, first); err != nil {
		t.Fatal(err)
	}
	restart()
	if err := errors.Join(v.SetLayout(part.RID, second), v.Bury(buried, nil), v.Rewrite(part, func(leaf uint32) bool { return leaf != 5 })); err != nil {
		t.Fatal(err)
	}
	before := dirSize(t, dir)
	if left := findAll(t, dir, gone); len(left) == 0 {
		t.Error("what was deleted is gone before the space is reclaimed: the search proves nothing")
	}
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	if err := v.Reclaim(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("paused: %v", err)
	}
	if n, err := v.Freed(); n != 21 || err != nil {
		t.Errorf("%d records have space to reclaim, %v; want 21", n, err)
	}
	if err := v.Reclaim(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, err := v.Freed(); n != 0 || err != nil {
		t.Errorf("%d records have space to reclaim, %v; want none", n, err)
	}
	restart()
	if after := dirSize(t, dir); after > before*8/10 {
		t.Errorf("%d bytes, then %d: a third was deleted", before, after)
	}
	if left := findAll(t, dir, gone); len(left) > 0 {
		t.Errorf("sealed bytes are left of %q", left)
	}
	if left := findAll(t, dir, kept); len(left) != len(kept) {
		t.Errorf("the search finds %d of %d records that live", len(left), len(kept))
	}
}

func dirSize(t *testing.T, dir string) (n int64) {
	t.Helper()
	eachFile(t, dir, func(data []byte) { n += int64(len(data)) })
	return n
}

// findAll gives the names of the needles that a file below dir holds.
func findAll(t *testing.T, dir string, needles map[string][]byte) (names []string) {
	t.Helper()
	eachFile(t, dir, func(data []byte) {
		for name, needle := range needles {
			if bytes.Contains(data, needle) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	})
	return names
}

func eachFile(t *testing.T, dir string, fn func(data []byte)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			return nil
		}
		fn(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReclaimWaitsForDeposits: space is given back when nobody has deposited for a
// while, or when that took too long.
func TestReclaimWaitsForDeposits(t *testing.T) {
	v, err := Open("vault", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if !v.quiet(time.Now()) {
		t.Error("nobody has deposited yet")
	}
	putAnchored(t, v, 1, 2, 100)
	kept := *v.kept.Load()
	if v.quiet(kept.Add(reclaimQuiet-1)) || !v.quiet(kept.Add(reclaimQuiet)) {
		t.Error("a deposit keeps a vault busy for another time than it should")
	}
	later := kept.Add(time.Hour)
	v.kept.Store(&later)
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	if err := v.awaitQuiet(stopped, later); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped while somebody deposits: %v", err)
	}
	if err := v.awaitQuiet(stopped, kept); err != nil {
		t.Errorf("patience is over: %v", err)
	}
}
