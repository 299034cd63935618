package state

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/muniment/muniment/app/record"
	"golang.org/x/mod/sumdb/tlog"
)

// Tiles are those of C2SP tlog-tiles: hash n of tile index at a level is the root of the 256^level entries from
// (256*index + n) * 256^level on.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	hashSize   = tlog.HashSize
	maxLevel   = 63 / tileHeight
)

// edge is the right border of the log tree: at each level the hashes that do not fill a tile yet (0 to 255, joined).
type edge struct {
	size   int64
	levels [][]byte
}

// readEdge reads the edge of a log of the given size.
func (s *State) readEdge(size int64) (edge, error) {
	e := edge{size: size}
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		count := size >> (tileHeight * level)
		var partial []byte
		if width := int(count % tileWidth); width > 0 {
			tile, err := s.storedTile(level, count/tileWidth, width)
			if err != nil {
				return edge{}, err
			}
			partial = tile
		}
		e.levels = append(e.levels, partial)
	}
	return e, nil
}

// append returns the edge after more leaf hashes, and passes each tile that changes to put: full ones in order, then the partial one.
// The edge itself stays as it is.
func (e edge) append(leaves []record.Hash, put func(level int, index int64, tile []byte) error) (edge, error) {
	after := edge{size: e.size + int64(len(leaves))}
	added := make([]byte, 0, len(leaves)*hashSize)
	for i := range leaves {
		added = append(added, leaves[i][:]...)
	}
	for level := 0; after.size>>(tileHeight*level) > 0; level++ {
		var partial []byte
		if level < len(e.levels) {
			partial = e.levels[level]
		}
		if len(added) == 0 {
			after.levels = append(after.levels, partial)
			continue
		}
		index := e.size >> (tileHeight * level) / tileWidth
		row := slices.Concat(partial, added)
		added = nil
		for ; len(row) >= tileWidth*hashSize; index++ {
			tile := row[:tileWidth*hashSize]
			row = row[len(tile):]
			if err := put(level, index, tile); err != nil {
				return edge{}, err
			}
			root := subtreeRoot(tile)
			added = append(added, root[:]...)
		}
		if len(row) > 0 {
			if err := put(level, index, row); err != nil {
				return edge{}, err
			}
		}
		after.levels = append(after.levels, slices.Clone(row)) // not the whole of what was added
	}
	return after, nil
}

// frontier gives the roots of the perfect subtrees of the log, largest first.
func (e edge) frontier() []record.Hash {
	var roots []record.Hash
	for _, row := range slices.Backward(e.levels) {
		for len(row) > 0 {
			size := 1 << (bits.Len(uint(len(row)/hashSize)) - 1) * hashSize
			roots = append(roots, subtreeRoot(row[:size]))
			row = row[size:]
		}
	}
	return roots
}

// subtreeRoot gives the root over 2^k joined hashes.
func subtreeRoot(row []byte) record.Hash {
	if len(row) == hashSize {
		return record.Hash(row)
	}
	return tlog.NodeHash(subtreeRoot(row[:len(row)/2]), subtreeRoot(row[len(row)/2:]))
}

// storedTile reads the first width hashes of a tile that the store must hold.
func (s *State) storedTile(level int, index int64, width int) ([]byte, error) {
	tile, found, err := s.get(tileKey(level, index))
	if err != nil {
		return nil, err
	}
	if !found || len(tile)%hashSize != 0 || len(tile) < width*hashSize || len(tile) > tileWidth*hashSize {
		return nil, fmt.Errorf("tile %d/%d has %d bytes, want %d hashes: %w", level, index, len(tile), width, ErrDamaged)
	}
	return tile[: width*hashSize : width*hashSize], nil
}

// Tile gives the first width hashes (1 to 256, 32 bytes each) of a tile. What lies beyond the last committed block is ErrNotThere.
func (s *State) Tile(level int, index int64, width int) ([]byte, error) {
	size := s.current.Load().tip.head.Size
	if level < 0 || level > maxLevel || index < 0 || width < 1 || width > tileWidth ||
		index > size/tileWidth || index*tileWidth+int64(width) > size>>(tileHeight*level) {
		return nil, fmt.Errorf("tile %d/%d of width %d in a log of %d: %w", level, index, width, size, ErrNotThere)
	}
	return s.storedTile(level, index, width)
}

// ReadHashes implements tlog.HashReader, so that tlog.ProveRecord and tlog.ProveTree work on the committed log.
func (s *State) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	size := s.current.Load().tip.head.Size
	count := tlog.StoredHashCount(size)
	hashes := make([]tlog.Hash, len(indexes))
	for i, stored := range indexes {
		if stored < 0 || stored >= count {
			return nil, fmt.Errorf("hash %d of %d: %w", stored, count, ErrNotThere)
		}
		height, n := tlog.SplitStoredHashIndex(stored)
		level, above := height/tileHeight, height%tileHeight
		index := n << above / tileWidth
		width := min(tileWidth, size>>(tileHeight*level)-index*tileWidth)
		p, err := s.pyramid(tilePlace{level, index, int(width)})
		if err != nil {
			return nil, err
		}
		hashes[i] = p[above][n-index*tileWidth>>above]
	}
	return hashes, nil
}
