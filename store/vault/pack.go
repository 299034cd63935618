package vault

import (
	"encoding/binary"
	"fmt"
)

const (
	packTarget = 256 << 10 // a pack is closed before it grows beyond this
	packHeader = 8         // first leaf u32, count u32
)

// A packer collects consecutive sealed segments. A pack is: first leaf u32, count
// u32, then per segment the end of its bytes u32, counted from the end of this
// table, then the bytes. A segment larger than a pack stands alone.
//
// The segments are not copied before the pack is written.
type packer struct {
	first    uint32
	segments [][]byte
	bytes    int // of all segments
}

// fits tells whether a segment can be added without growing beyond the target.
func (p *packer) fits(sealed []byte) bool {
	return len(p.segments) == 0 || p.size()+4+len(sealed) <= packTarget
}

func (p *packer) add(sealed []byte) {
	p.segments = append(p.segments, sealed)
	p.bytes += len(sealed)
}

// size is the length of what write writes.
func (p *packer) size() int { return packHeader + 4*len(p.segments) + p.bytes }

// write encodes the pack into b, which has size bytes, and begins the next one.
func (p *packer) write(b []byte) {
	binary.BigEndian.PutUint32(b, p.first)
	binary.BigEndian.PutUint32(b[4:], uint32(len(p.segments)))
	table, body, end := b[packHeader:], b[packHeader+4*len(p.segments):], 0
	for i, sealed := range p.segments {
		end += copy(body[end:], sealed)
		binary.BigEndian.PutUint32(table[4*i:], uint32(end))
	}
	p.first += uint32(len(p.segments))
	p.segments, p.bytes = p.segments[:0], 0
}

// eachInPack calls fn for each segment of a pack, whose first leaf must be the
// given one, and returns the leaf that follows.
func eachInPack(pack []byte, first uint32, fn func(leaf uint32, sealed []byte) error) (uint32, error) {
	if len(pack) < packHeader || binary.BigEndian.Uint32(pack) != first {
		return 0, fmt.Errorf("%w: pack of leaf %d", ErrDamaged, first)
	}
	count := binary.BigEndian.Uint32(pack[4:])
	if count == 0 || uint64(count)*4 > uint64(len(pack)-packHeader) {
		return 0, fmt.Errorf("%w: pack of leaf %d counts %d segments", ErrDamaged, first, count)
	}
	table, body := pack[packHeader:packHeader+4*count], pack[packHeader+4*count:]
	start := uint32(0)
	for i := range count {
		end := binary.BigEndian.Uint32(table[4*i:])
		if end < start || uint64(end) > uint64(len(body)) || i == count-1 && uint64(end) != uint64(len(body)) {
			return 0, fmt.Errorf("%w: segment %d ends at %d of %d", ErrDamaged, first+i, end, len(body))
		}
		if err := fn(first+i, body[start:end:end]); err != nil {
			return 0, err
		}
		start = end
	}
	return first + count, nil
}
