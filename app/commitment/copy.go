package commitment

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCopy: a copy cannot be made, or one that was read is malformed or does not
// prove what it discloses.
var ErrCopy = errors.New("redacted copy")

const chunkSize = 256 << 10 // bytes of a raw block of content or lengths

// Copy discloses some leaves of a record and proves them against the record's
// commitment. Of the others it holds hashes only: neither content, length nor
// kind. It does not say whether they are withheld or destroyed.
type Copy struct {
	manifest Manifest
	hid      []node   // largest subtrees without a disclosed leaf: their hashes
	opn      []node   // largest subtrees without a hidden leaf: their seeds
	lens     [][]byte // per disclosed leaf: u8 kind, uvarint length; in chunks
	data     [][]byte // payloads of the disclosed leaves, end to end; in chunks
}

// NewCopy makes a copy that hides the given leaves, all that Redact adds for
// content, and every leaf that is punctured or whose payload is gone: nil, and
// not padding. The file name is hidden only if the caller asks for it through
// Redact. Leaves are the hashes from Commit; each disclosed segment is checked
// against its own, and their root against the manifest.
func NewCopy(m Manifest, leaves [][32]byte, s State, segments []Segment, hide []Range) (Copy, error) {
	if m.N == 0 || m.N > MaxLeaves || uint64(len(leaves)) != uint64(m.N) || len(segments) != len(leaves) || s.n != m.N {
		return Copy{}, fmt.Errorf("%w: %d leaves, %d hashes, %d segments, %s", ErrCopy, m.N, len(leaves), len(segments), s)
	}
	if treeRoot(leaves) != m.Root {
		return Copy{}, fmt.Errorf("%w: leaf hashes do not have the manifest's root", ErrCopy)
	}
	hide = append(s.Hidden(), hide...)
	for i, segment := range segments {
		if segment.Payload == nil && segment.Kind != Padding {
			hide = append(hide, Range{uint32(i), uint32(i)})
		}
	}
	hide = Redact(segments, hide, true)
	disclosed := s.without(hide)
	c := Copy{manifest: m, opn: disclosed.seeds}
	c.hid = appendCover(nil, depth(m.N), 0, leaves, complement(hide, m.N))
	var lens, data []byte
	h := newLeafHasher()
	for i, secret := range disclosed.Secrets() {
		segment := segments[i]
		if err := segment.check(); err != nil {
			return Copy{}, fmt.Errorf("%w: leaf %d: %w", ErrCopy, i, err)
		}
		if h.leaf(i, segment.Kind, secret.Salt, segment.Payload) != leaves[i] {
			return Copy{}, fmt.Errorf("%w: leaf %d does not have its hash", ErrCopy, i)
		}
		lens = binary.AppendUvarint(append(lens, byte(segment.Kind)), uint64(len(segment.Payload)))
		data = append(data, segment.Payload...)
	}
	c.data = chunks(data)
	if c.lens = chunks(lens); len(c.lens) == 0 {
		c.lens = [][]byte{{}}
	}
	if err := c.checkSize(carSize(c.blocks())); err != nil {
		return Copy{}, err
	}
	return c, nil
}

// appendCover appends the largest subtrees of (level, index) that hold none of
// the given leaves (sorted, merged), with their hashes.
func appendCover(nodes []node, level uint8, index uint32, leaves [][32]byte, without []Range) []node {
	d := node{level: level, index: index}
	first, end := d.first(), min(d.end(), uint64(len(leaves)))
	if first >= end {
		return nodes
	}
	without = within(without, first, end)
	if len(without) == 0 {
		d.value = treeRoot(leaves[first:end])
		return append(nodes, d)
	}
	if uint64(without[0].First) <= first && uint64(without[0].Last) >= end-1 {
		return nodes
	}
	nodes = appendCover(nodes, level-1, 2*index, leaves, without)
	return appendCover(nodes, level-1, 2*index+1, leaves, without)
}

// chunks cuts b into pieces of chunkSize; the last is what remains.
func chunks(b []byte) [][]byte {
	var out [][]byte
	for len(b) > 0 {
		n := min(chunkSize, len(b))
		out = append(out, b[:n:n])
		b = b[n:]
	}
	return out
}

// Manifest returns the manifest that the copy carries. Only Verify says whether
// it belongs to a commitment.
func (c Copy) Manifest() Manifest { return c.manifest }

// Hidden returns the leaves that the copy hides, sorted and merged.
func (c Copy) Hidden() []Range { return State{n: c.manifest.N, seeds: c.opn}.Hidden() }

// CID returns the copy's own name, which Marshal makes the root of its CAR file.
func (c Copy) CID() string { return newBlock(codecDagCBOR, c.block()).id.String() }

// Marshal encodes the copy as a CARv1 file.
func (c Copy) Marshal() []byte { return marshalCAR(c.blocks()) }

// checkSize holds what a copy declares within bounds set by its file of size
// bytes. Chunks that repeat are stored once, so that without it a small file
// could stand for a large record and exhaust its reader. Real copies stay far
// below, unless almost all of their content repeats every 256 KiB.
func (c Copy) checkSize(size int) error {
	leaves := uint64(c.manifest.N)
	for _, r := range c.Hidden() {
		leaves -= uint64(r.Last) - uint64(r.First) + 1
	}
	if limit := uint64(1<<16 + size/2); leaves > limit {
		return fmt.Errorf("%w: %d leaves disclosed by a file of %d bytes, at most %d can be", ErrCopy, leaves, size, limit)
	}
	content := uint64(0)
	for _, chunk := range c.data {
		content += uint64(len(chunk))
	}
	if limit := uint64(64<<20) + 64*uint64(size); content > limit {
		return fmt.Errorf("%w: %d bytes disclosed by a file of %d bytes, at most %d can be", ErrCopy, content, size, limit)
	}
	lengths := uint64(0)
	for _, chunk := range c.lens {
		lengths += uint64(len(chunk))
	}
	if lengths < 2*leaves || lengths > 4*leaves { // a kind and one to three bytes of length
		return fmt.Errorf("%w: %d bytes of lengths for %d disclosed leaves", ErrCopy, lengths, leaves)
	}
	return nil
}
