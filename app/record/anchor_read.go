package record

import (
	"bytes"
	"math"
)

// AnchorReader reads the anchor entries of a log one after the other, for those
// who read millions: without reflection, and equal codes share their memory. The
// zero AnchorReader is ready for use.
type AnchorReader struct {
	Entry AnchorEntry // that was read last; zero after an error
	codes map[string]Code
	rest  []byte
	wrong bool
}

// mostCodes bounds what a reader remembers, whatever it reads.
const mostCodes = 1 << 12

// Read reads the one canonical form of an anchor entry, the same that ParseEntry
// accepts, and keeps nothing of b. The error wraps ErrMalformed.
func (r *AnchorReader) Read(b []byte) error {
	head, isAnchor := bytes.CutPrefix(b, []byte{0x88, 0x01, byte(KindAnchor)}) // array(8), version 1
	r.rest, r.wrong = head, !isAnchor
	e := &r.Entry
	e.Office, e.Series, e.Custody = r.code(e.Office), r.code(e.Series), r.code(e.Custody)
	r.commitment(&e.Commitment)
	e.Day, e.Flags = r.day(), r.flags()
	if r.wrong || len(r.rest) > 0 || e.Office == "" || e.Series == "" || e.Flags&FlagUndated != 0 && e.Day != 0 {
		*e = AnchorEntry{}
		return malformed("anchor entry")
	}
	return nil
}

// code reads a text string that is empty or a code. Where it is the code before,
// it stays that.
func (r *AnchorReader) code(before Code) Code {
	if r.wrong || len(r.rest) == 0 {
		r.wrong = true
		return ""
	}
	n := int(r.rest[0] - 0x60) // text(n): a code is short enough for a head of one byte
	if r.rest[0] < 0x60 || n > MaxCodeBytes || len(r.rest) <= n {
		r.wrong = true
		return ""
	}
	text := r.rest[1 : 1+n]
	r.rest = r.rest[1+n:]
	if string(text) == string(before) {
		return before
	}
	if known, ok := r.codes[string(text)]; ok {
		return known
	}
	c := Code(text)
	if n > 0 && !c.Valid() {
		r.wrong = true
		return ""
	}
	if r.codes == nil || len(r.codes) == mostCodes {
		r.codes = map[string]Code{}
	}
	r.codes[string(c)] = c
	return c
}

func (r *AnchorReader) commitment(dst *Commitment) {
	const head = 2 // bytes(32)
	if r.wrong || len(r.rest) < head+len(dst) || r.rest[0] != 0x58 || r.rest[1] != byte(len(dst)) {
		r.wrong = true
		return
	}
	copy(dst[:], r.rest[head:])
	r.rest = r.rest[head+len(dst):]
}

func (r *AnchorReader) day() Day {
	major, v := r.head()
	if major > 1 || v > math.MaxInt32 {
		r.wrong = true
		return 0
	}
	if major == 1 {
		return Day(-1 - int64(v))
	}
	return Day(v)
}

func (r *AnchorReader) flags() uint32 {
	major, v := r.head()
	if major != 0 || v > FlagBatch {
		r.wrong = true
		return 0
	}
	return v
}

// head reads the head of a CBOR item below 2^32 in its shortest form.
func (r *AnchorReader) head() (major byte, v uint32) {
	if r.wrong || len(r.rest) == 0 {
		r.wrong = true
		return 0, 0
	}
	first := r.rest[0]
	major, v = first>>5, uint32(first&31)
	if v < 24 {
		r.rest = r.rest[1:]
		return major, v
	}
	size := 1 << (v - 24) // 24, 25, 26: 1, 2, 4 bytes follow
	if v > 26 || len(r.rest) <= size {
		r.wrong = true
		return 0, 0
	}
	least := [...]uint32{24, 1 << 8, 1 << 16}[v-24]
	v = 0
	for _, b := range r.rest[1 : 1+size] {
		v = v<<8 | uint32(b)
	}
	r.wrong = v < least
	r.rest = r.rest[1+size:]
	return major, v
}
