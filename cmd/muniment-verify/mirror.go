package main

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	rules "github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// errEarly says that a mirror does not have all entries of its tree.
var errEarly = errors.New("the mirror ends early")

// What a mirror's files may have.
const (
	maxCheckpointBytes = 64 << 10
	maxTileBytes       = torchwood.TileWidth * (2 + 1<<16)
	entriesLevel       = -1 // how torchwood numbers tiles of entries
)

// mirror is a copy of a log in a folder, in the form of C2SP tlog-tiles, as
// muniment log mirror or another program for such logs makes it.
type mirror struct{ dir string }

func (m mirror) checkpoint() ([]byte, error) {
	return readFile(filepath.Join(m.dir, "checkpoint"), maxCheckpointBytes)
}

// tile reads a tile of the tree of a size: the partial one of that size, or the
// whole one where the mirror has got so far. The width is that of the file.
func (m mirror) tile(level int, n, size int64) (data []byte, width int, err error) {
	widths := []int{torchwood.TileWidth}
	if partial := size - n*torchwood.TileWidth; partial < torchwood.TileWidth {
		widths = []int{int(partial), torchwood.TileWidth}
	}
	for _, width = range widths {
		path := torchwood.TilePath(tlog.Tile{H: torchwood.TileHeight, L: level, N: n, W: width})
		data, err = readFile(filepath.Join(m.dir, filepath.FromSlash(path)), maxTileBytes)
		if !errors.Is(err, fs.ErrNotExist) {
			return data, width, err
		}
	}
	return nil, 0, err
}

// entries yields the entries of the tree of a size, in order. An error ends it.
func (m mirror) entries(size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for at := int64(0); at < size; {
			bundle, width, err := m.tile(entriesLevel, at/torchwood.TileWidth, size)
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("%w: it has %d of %d entries", errEarly, at, size)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			end := min(size, at+int64(width))
			for ; at < end; at++ {
				var entry []byte
				if entry, bundle, err = torchwood.ReadTileEntry(bundle); err != nil {
					yield(nil, fmt.Errorf("%w: entry %d of %d is not whole", errEarly, at, size))
					return
				}
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

// root computes the root of the tree of a size over the entries.
func (m mirror) root(size int64) (record.Hash, error) {
	var t tree
	for entry, err := range m.entries(size) {
		if err != nil {
			return record.Hash{}, err
		}
		t.push(record.LeafHash(entry))
	}
	return t.root(), nil
}

// stranger finds the first entry that is not in the tree of a size and root, by
// the hash tiles. It gives -1 where these are not there or not of that tree.
func (m mirror) stranger(size int64, root record.Hash) (int64, error) {
	var t tree
	var hashes []byte
	at, found := int64(0), int64(-1)
	for entry, err := range m.entries(size) {
		if err != nil {
			return -1, err
		}
		if at%torchwood.TileWidth == 0 {
			hashes, _, err = m.tile(0, at/torchwood.TileWidth, size)
		}
		if err != nil || len(hashes) < tlog.HashSize {
			return -1, nil
		}
		hash := record.Hash(hashes[:tlog.HashSize])
		if hashes = hashes[tlog.HashSize:]; found < 0 && hash != record.LeafHash(entry) {
			found = at
		}
		t.push(hash)
		at++
	}
	if t.root() != root {
		return -1, nil
	}
	return found, nil
}

// tree computes the root of a log as its leaves come.
type tree struct {
	size     int64 // leaves in frontier
	frontier []record.Hash
	leaves   []record.Hash // that are not in it yet
}

func (t *tree) push(leaf record.Hash) {
	if t.leaves = append(t.leaves, leaf); len(t.leaves) == torchwood.TileWidth {
		t.flush()
	}
}

func (t *tree) flush() {
	t.frontier = rules.AppendLeaves(t.frontier, t.size, t.leaves)
	t.size, t.leaves = t.size+int64(len(t.leaves)), t.leaves[:0]
}

// root gives the root of a tree that is not empty.
func (t *tree) root() record.Hash {
	t.flush()
	return rules.LogRoot(t.frontier)
}
