package commitment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// ErrCAR: the bytes are not a CARv1 file as this package writes it.
var ErrCAR = errors.New("malformed CAR file")

const maxBlock = 1 << 20 // bytes of a block; IPLD peers commonly refuse more

// carParts yields a CARv1 file piece by piece. Its one root is the first block. A
// block that comes twice is written once, where it comes first.
func carParts(blocks []block) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		header := carHeader(blocks[0].id)
		if !yield(append(binary.AppendUvarint(nil, uint64(len(header))), header...)) {
			return
		}
		written := make(map[cid]bool, len(blocks))
		for _, b := range blocks {
			if written[b.id] {
				continue
			}
			written[b.id] = true
			head := b.id.append(binary.AppendUvarint(nil, uint64(cidSize+len(b.data))))
			if !yield(head) || !yield(b.data) {
				return
			}
		}
	}
}

// carSize returns the length of the file.
func carSize(blocks []block) int {
	size := 0
	for part := range carParts(blocks) {
		size += len(part)
	}
	return size
}

// marshalCAR returns the file.
func marshalCAR(blocks []block) []byte {
	out := make([]byte, 0, carSize(blocks))
	for part := range carParts(blocks) {
		out = append(out, part...)
	}
	return out
}

// isCAR reports whether file is what marshalCAR would return.
func isCAR(file []byte, blocks []block) bool {
	for part := range carParts(blocks) {
		if !bytes.HasPrefix(file, part) {
			return false
		}
		file = file[len(part):]
	}
	return len(file) == 0
}

// carHeader is the DAG-CBOR map {roots: [link], version: 1}.
func carHeader(root cid) []byte {
	b := appendHead(nil, cborMap, 2)
	b = appendHead(appendText(b, "roots"), cborArray, 1)
	b = appendLink(b, root)
	return appendHead(appendText(b, "version"), cborUint, 1)
}

// carFile is a CAR file in memory. Blocks share the memory of the file.
type carFile struct {
	root   cid
	blocks map[cid][]byte
	size   int
}

// parseCAR reads a CAR file with one dag-cbor root and checks each block against
// its CID. Whether the blocks are the right ones in the right order is left to
// the caller, who writes them anew and compares.
func parseCAR(b []byte) (carFile, error) {
	header, rest, err := carSection(b)
	if err != nil {
		return carFile{}, err
	}
	r := cborReader{rest: header}
	if n := r.count(cborMap, 2); r.err == nil && n != 2 {
		r.fail("map of %d", n)
	}
	r.key("roots")
	if n := r.count(cborArray, 1); r.err == nil && n != 1 {
		r.fail("%d roots", n)
	}
	car := carFile{root: r.link(codecDagCBOR), blocks: make(map[cid][]byte), size: len(b)}
	r.key("version")
	if version := r.uint(1); r.err == nil && version != 1 {
		r.fail("version %d", version)
	}
	if err := r.end(); err != nil {
		return carFile{}, fmt.Errorf("%w: header: %w", ErrCAR, err)
	}
	for len(rest) > 0 {
		var section []byte
		if section, rest, err = carSection(rest); err != nil {
			return carFile{}, err
		}
		if len(section) < cidSize {
			return carFile{}, fmt.Errorf("%w: section of %d bytes", ErrCAR, len(section))
		}
		id, err := cidFromBytes(section[:cidSize])
		if err != nil {
			return carFile{}, fmt.Errorf("%w: %w", ErrCAR, err)
		}
		at := block{id, section[cidSize:]}
		if _, twice := car.blocks[id]; twice {
			return carFile{}, fmt.Errorf("%w: block %s comes twice", ErrCAR, id)
		}
		if !at.valid() {
			return carFile{}, fmt.Errorf("%w: block %s has other bytes than its CID names", ErrCAR, id)
		}
		car.blocks[id] = at.data
	}
	return car, nil
}

// carSection cuts one section, led by its length, from the front.
func carSection(b []byte) (section, rest []byte, err error) {
	length, width := minimalUvarint(b)
	if width == 0 || length == 0 || length > cidSize+maxBlock || length > uint64(len(b)-width) {
		return nil, nil, fmt.Errorf("%w: section of %d bytes where %d are left", ErrCAR, length, len(b))
	}
	end := width + int(length)
	return b[width:end:end], b[end:], nil
}

// minimalUvarint reads an unsigned varint in its shortest form. width is zero
// when there is none.
func minimalUvarint(b []byte) (value uint64, width int) {
	value, width = binary.Uvarint(b)
	if width <= 0 || width > 1 && b[width-1] == 0 {
		return 0, 0
	}
	return value, width
}

// data returns the bytes of a linked block.
func (c carFile) data(id cid) ([]byte, error) {
	b, ok := c.blocks[id]
	if !ok {
		return nil, fmt.Errorf("%w: block %s is missing", ErrCAR, id)
	}
	return b, nil
}
