package state

import (
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// pyramid is a tile with the hashes above it: pyramid[r][i] is the root over the 2^r hashes of the tile from i<<r on.
type pyramid [tileHeight][]tlog.Hash

func newPyramid(tile []byte) *pyramid {
	var p pyramid
	row := make([]tlog.Hash, len(tile)/hashSize)
	for i := range row {
		row[i] = tlog.Hash(tile[i*hashSize:])
	}
	for r := range p {
		p[r] = row
		above := make([]tlog.Hash, len(row)/2)
		for i := range above {
			above[i] = tlog.NodeHash(row[2*i], row[2*i+1])
		}
		row = above
	}
	return &p
}

// pyramids remembers pyramids that were used lately, since building one costs far more than a read: 255 hashes. All proofs share the
// upper ones, and the receipts of one block share nearly all. A pyramid of one width never changes, so nothing is ever invalid.
type pyramids struct {
	mu     sync.Mutex
	recent map[tilePlace]*pyramid // at most pyramidsKept
	before map[tilePlace]*pyramid // what recent was when it was full
}

// tilePlace names a tile of one width.
type tilePlace struct {
	level int
	index int64
	width int
}

// pyramidsKept bounds the memory of a store to twice 512 pyramids of 16 KiB.
const pyramidsKept = 512

func (c *pyramids) find(at tilePlace) *pyramid {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.recent[at]; p != nil {
		return p
	}
	p := c.before[at]
	if p != nil {
		c.keep(at, p)
	}
	return p
}

func (c *pyramids) add(at tilePlace, p *pyramid) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(at, p)
}

// keep needs the lock.
func (c *pyramids) keep(at tilePlace, p *pyramid) {
	if c.recent == nil || len(c.recent) >= pyramidsKept {
		c.before, c.recent = c.recent, make(map[tilePlace]*pyramid, pyramidsKept)
	}
	c.recent[at] = p
}

// pyramid gives the pyramid of a tile that the store must hold.
func (s *State) pyramid(at tilePlace) (*pyramid, error) {
	if p := s.pyramids.find(at); p != nil {
		return p, nil
	}
	tile, err := s.storedTile(at.level, at.index, at.width)
	if err != nil {
		return nil, err
	}
	p := newPyramid(tile)
	s.pyramids.add(at, p)
	return p, nil
}
