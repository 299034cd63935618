package state

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/muniment/muniment/app/record"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

// tiledLog commits blocks until the log has a third level of tiles.
func tiledLog(t *testing.T) (*State, *chain) {
	db := openDB(t, testOptions(vfs.NewMem()))
	t.Cleanup(func() { closeDB(t, db) })
	s := openState(t, db)
	c := newChain(20)
	commit(t, s, c.next())
	for c.head.Size < 256*256+700 {
		k := c.randomContent(c.random.IntN(5000), 1, 0)
		commit(t, s, c.block(k))
		c.remember(k)
	}
	return s, c
}

func TestProofsFromTiles(t *testing.T) {
	s, c := tiledLog(t)
	size, root := c.head.Size, rootOf(t, c.entries)
	if got, err := tlog.TreeHash(size, s); err != nil || got != root {
		t.Fatalf("tree hash %v, %v, want %v", got, err, root)
	}
	for _, n := range []int64{0, 1, 255, 256, 257, 65535, 65536, 65537, size - 2, size - 1} {
		p, err := tlog.ProveRecord(size, n, s)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, size, root, n, record.LeafHash(c.entries[n])); err != nil {
			t.Errorf("entry %d: %v", n, err)
		}
		hashes := make([][]byte, len(p))
		for i := range p {
			hashes[i] = p[i][:]
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(c.entries[n])
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(n), uint64(size), leaf, hashes, root[:]); err != nil {
			t.Errorf("entry %d by transparency-dev/merkle: %v", n, err)
		}
	}
	for _, n := range []int64{1, 2, 255, 256, 300, 65536, 65537, size - 1, size} {
		p, err := tlog.ProveTree(size, n, s)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(p, size, root, n, rootOf(t, c.entries[:n])); err != nil {
			t.Errorf("tree of %d: %v", n, err)
		}
	}
}

// rootOf computes a root with transparency-dev/merkle.
func rootOf(t *testing.T, entries [][]byte) tlog.Hash {
	t.Helper()
	log := logTree.NewEmptyRange(0)
	for _, e := range entries {
		if err := log.Append(rfc6962.DefaultHasher.HashLeaf(e), nil); err != nil {
			t.Fatal(err)
		}
	}
	root, err := log.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Hash(root)
}

// Every hash that the log has at its size is there, and equals that of a store of hashes kept by x/mod; later ones are refused.
func TestEveryStoredHash(t *testing.T) {
	s, c := tiledLog(t)
	var want []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, want[i])
		}
		return out, nil
	})
	for i, e := range c.entries {
		more, err := tlog.StoredHashes(int64(i), e, reader)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, more...)
	}
	indexes := make([]int64, len(want))
	for i := range indexes {
		indexes[i] = int64(i)
	}
	got, err := s.ReadHashes(indexes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("hash %d: %v, want %v", i, got[i], want[i])
		}
	}
	for i := int64(len(want)); i < int64(len(want))+20; i++ {
		if level, n := tlog.SplitStoredHashIndex(i); (n+1)<<level <= c.head.Size {
			continue
		}
		if _, err := s.ReadHashes([]int64{i}); !errors.Is(err, ErrNotThere) {
			t.Fatalf("hash %d beyond the log: got %v, want %v", i, err, ErrNotThere)
		}
	}
	for _, i := range []int64{-1, math.MinInt64, math.MaxInt64, math.MaxInt64 - 1} {
		if _, err := s.ReadHashes([]int64{i}); !errors.Is(err, ErrNotThere) {
			t.Fatalf("hash %d: got %v, want %v", i, err, ErrNotThere)
		}
	}
}

func TestTilesAreThoseOfTheLog(t *testing.T) {
	s, c := tiledLog(t)
	size := c.head.Size
	for _, tile := range tlog.NewTiles(tileHeight, 0, size) {
		got, err := s.Tile(tile.L, tile.N, tile.W)
		if err != nil {
			t.Fatal(err)
		}
		want, err := tlog.ReadTileData(tile, s)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("tile %s: other bytes, %v", tile.Path(), err)
		}
	}
	last, width := size/256, int(size%256)
	whole, err := s.Tile(0, last, width)
	if err != nil {
		t.Fatal(err)
	}
	part, err := s.Tile(0, last, 1)
	if err != nil || !bytes.Equal(part, whole[:32]) {
		t.Fatalf("an earlier width of a tile: %x, %v, want %x", part, err, whole[:32])
	}
	for _, bad := range []struct {
		level int
		index int64
		width int
	}{
		{0, last, width + 1}, {0, last, 0}, {0, last, -1}, {0, 0, 257}, {0, last + 1, 1}, {0, -1, 1}, {-1, 0, 1}, {3, 0, 1}, {8, 0, 1}, {64, 0, 1},
		{0, math.MaxInt64, 1}, {0, math.MaxInt64 / 256, 256},
	} {
		if _, err := s.Tile(bad.level, bad.index, bad.width); !errors.Is(err, ErrNotThere) {
			t.Errorf("tile %v: got %v, want %v", bad, err, ErrNotThere)
		}
	}
}

func TestEntriesInOrder(t *testing.T) {
	s, c := tiledLog(t)
	size := record.Index(c.head.Size)
	for _, test := range []struct {
		from record.Index
		n    int
		want int
	}{{0, 0, 0}, {0, 1, 1}, {250, 10, 10}, {size - 3, 3, 3}, {size - 3, 100, 3}, {size - 3, math.MaxInt, 3}, {size, 5, 0}} {
		got, err := s.Entries(test.from, test.n)
		if err != nil || len(got) != test.want {
			t.Fatalf("%d entries from %d: got %d, %v, want %d", test.n, test.from, len(got), err, test.want)
		}
		for i, e := range got {
			if !bytes.Equal(e, c.entries[int(test.from)+i]) {
				t.Fatalf("entry %d: other bytes", int(test.from)+i)
			}
		}
	}
	for _, from := range []record.Index{-1, size + 1} {
		if _, err := s.Entries(from, 1); !errors.Is(err, ErrNotThere) {
			t.Errorf("entries from %d: got %v, want %v", from, err, ErrNotThere)
		}
	}
}
