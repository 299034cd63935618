package commitment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// This file is the part of DAG-CBOR that the package's few maps need: unsigned
// integers, byte and text strings, arrays, maps and links (tag 42). Writers
// produce, and readers accept, only the shortest form and definite lengths.

// CBOR major types, RFC 8949 section 3.1.
const (
	cborUint  = 0
	cborBytes = 2
	cborText  = 3
	cborArray = 4
	cborMap   = 5
	cborTag   = 6
)

const linkTag = 42 // DAG-CBOR: the content is a CID

var errCBOR = errors.New("not canonical DAG-CBOR")

// appendHead appends the head of an item: its major type and its argument.
func appendHead(dst []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n < 1<<8:
		return append(dst, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

func appendText(dst []byte, s string) []byte {
	return append(appendHead(dst, cborText, uint64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(appendHead(dst, cborBytes, uint64(len(b))), b...)
}

// appendLink appends tag 42 with the CID, behind the zero byte that stands for
// the identity multibase.
func appendLink(dst []byte, id cid) []byte {
	dst = appendHead(dst, cborTag, linkTag)
	dst = appendHead(dst, cborBytes, 1+cidSize)
	return id.append(append(dst, 0))
}

// cborReader reads items from the front of rest. The first fault sticks: later
// reads return zero values and err says what was wrong.
type cborReader struct {
	rest []byte
	err  error
}

func (r *cborReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %w", errCBOR, fmt.Errorf(format, args...))
	}
	r.rest = nil
}

// head reads an item's head and demands its major type.
func (r *cborReader) head(major byte) uint64 {
	if r.err != nil {
		return 0
	}
	if len(r.rest) == 0 {
		r.fail("unexpected end")
		return 0
	}
	first := r.rest[0]
	if first>>5 != major {
		r.fail("major type %d where %d belongs", first>>5, major)
		return 0
	}
	low := first & 31
	if low < 24 {
		r.rest = r.rest[1:]
		return uint64(low)
	}
	if low > 27 {
		r.fail("indefinite or reserved length")
		return 0
	}
	width := 1 << (low - 24)
	if len(r.rest) < 1+width {
		r.fail("unexpected end")
		return 0
	}
	var n uint64
	for _, b := range r.rest[1 : 1+width] {
		n = n<<8 | uint64(b)
	}
	if width == 1 && n < 24 || width > 1 && n>>(4*width) == 0 {
		r.fail("integer is not in its shortest form")
		return 0
	}
	r.rest = r.rest[1+width:]
	return n
}

// major returns the major type of the next item, without reading it.
func (r *cborReader) major() byte {
	if len(r.rest) == 0 {
		return 0xff
	}
	return r.rest[0] >> 5
}

// uint reads an unsigned integer of at most limit.
func (r *cborReader) uint(limit uint64) uint64 {
	n := r.head(cborUint)
	if n > limit {
		r.fail("integer %d is more than %d", n, limit)
		return 0
	}
	return n
}

// take reads n bytes of string content.
func (r *cborReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail("unexpected end")
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *cborReader) bytes() []byte { return r.take(r.head(cborBytes)) }

func (r *cborReader) text() string {
	b := r.take(r.head(cborText))
	if !utf8.Valid(b) {
		r.fail("text is not UTF-8")
		return ""
	}
	return string(b)
}

// key reads a map key and demands that it is the given one.
func (r *cborReader) key(want string) {
	if got := r.text(); r.err == nil && got != want {
		r.fail("key %q where %q belongs", got, want)
	}
}

// count reads the head of an array or map of at most limit members and fewer
// than there are bytes left, so that callers may allocate for them.
func (r *cborReader) count(major byte, limit int) int {
	n := r.head(major)
	if n > uint64(limit) || n > uint64(len(r.rest)) {
		r.fail("%d members are too many", n)
		return 0
	}
	return int(n)
}

// hash reads a byte string of exactly 32 bytes.
func (r *cborReader) hash() (h [32]byte) {
	b := r.bytes()
	if r.err == nil && len(b) != len(h) {
		r.fail("byte string of %d bytes where %d belong", len(b), len(h))
		return h
	}
	copy(h[:], b)
	return h
}

// link reads a link to a block of the given codec.
func (r *cborReader) link(codec byte) cid {
	if tag := r.head(cborTag); r.err == nil && tag != linkTag {
		r.fail("tag %d where a link belongs", tag)
	}
	b := r.bytes()
	if r.err != nil {
		return cid{}
	}
	if len(b) == 0 || b[0] != 0 {
		r.fail("link without identity multibase")
		return cid{}
	}
	id, err := cidFromBytes(b[1:])
	if err != nil {
		r.fail("link: %w", err)
		return cid{}
	}
	if id.codec != codec {
		r.fail("link to codec 0x%02x where 0x%02x belongs", id.codec, codec)
		return cid{}
	}
	return id
}

// end returns the first fault; bytes left over are one.
func (r *cborReader) end() error {
	if r.err == nil && len(r.rest) != 0 {
		r.fail("%d bytes follow the item", len(r.rest))
	}
	return r.err
}
