package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/muniment/muniment/app/record"
)

// errDamaged marks a state value that this package cannot have written.
var errDamaged = errors.New("state value is damaged")

// State values are deterministic CBOR arrays [1, ...] (RFC 8949 section 4.2.1)
// of unsigned integers, byte strings, text strings and arrays. This file writes
// and reads that much of CBOR, and no more.
const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
)

func appendHead(dst []byte, major byte, v uint64) []byte {
	major <<= 5
	switch {
	case v < 24:
		return append(dst, major|byte(v))
	case v < 1<<8:
		return append(dst, major|24, byte(v))
	case v < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(v))
	case v < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), v)
}

// newValue starts the array of a value with fields besides the version.
func newValue(fields int) []byte {
	return appendHead(appendHead(nil, majorArray, uint64(1+fields)), majorUint, 1)
}

func appendNumber[T ~int64 | ~int32](dst []byte, v T) []byte {
	return appendHead(dst, majorUint, uint64(v))
}

// appendDay writes a day, which may be before 1970, zigzag as in protobuf.
func appendDay(dst []byte, d record.Day) []byte {
	return appendHead(dst, majorUint, uint64(uint32(d<<1)^uint32(d>>31)))
}

func appendBytes(dst, v []byte) []byte {
	return append(appendHead(dst, majorBytes, uint64(len(v))), v...)
}

func appendCode(dst []byte, c record.Code) []byte {
	return append(appendHead(dst, majorText, uint64(len(c))), c...)
}

// appendIndexes writes a list of indexes.
func appendIndexes(dst []byte, list []record.Index) []byte {
	dst = appendHead(dst, majorArray, uint64(len(list)))
	for _, i := range list {
		dst = appendNumber(dst, i)
	}
	return dst
}

// appendCodes writes a list of codes.
func appendCodes(dst []byte, list []record.Code) []byte {
	dst = appendHead(dst, majorArray, uint64(len(list)))
	for _, c := range list {
		dst = appendCode(dst, c)
	}
	return dst
}

// appendFlag writes 1 for true, 0 for false.
func appendFlag(dst []byte, v bool) []byte {
	if v {
		return appendHead(dst, majorUint, 1)
	}
	return appendHead(dst, majorUint, 0)
}

// factValue is [1, index of the fact entry, fact].
func factValue(at record.Index, fact []byte) []byte {
	return appendBytes(appendNumber(newValue(2), at), fact)
}

// keyValue is [1, index of the fact entry that registered the key, fact, height
// of the suspension or 0, height from which its approvals are void or 0].
func keyValue(k KeyState) ([]byte, error) {
	fact, err := record.MarshalFact(&k.Key)
	if err != nil {
		return nil, err
	}
	b := appendBytes(appendNumber(newValue(4), k.Registered), fact)
	return appendNumber(appendNumber(b, k.Suspended), k.Since), nil
}

// keyIDsValue is [1, [key id, ...]], ascending.
func keyIDsValue(ids []record.KeyID) []byte {
	b := appendHead(newValue(1), majorArray, uint64(len(ids)))
	for _, id := range ids {
		b = appendBytes(b, id[:])
	}
	return b
}

// proposalValue is [1, office, fact, ledger day of the proposal, index of the
// fact entry once executed or 0, [[office, key id, height], ...]].
func proposalValue(p Proposal) ([]byte, error) {
	fact, err := record.MarshalFact(p.Fact)
	if err != nil {
		return nil, err
	}
	b := appendBytes(appendCode(newValue(5), p.Office), fact)
	b = appendNumber(appendNumber(b, p.Day), p.Executed)
	b = appendHead(b, majorArray, uint64(len(p.Approvals)))
	for _, a := range p.Approvals {
		b = appendCode(appendHead(b, majorArray, 3), a.Office)
		b = appendNumber(appendBytes(b, a.KeyID[:]), a.Height)
	}
	return b, nil
}

// nonceValue is [1, index of the transaction entry].
func nonceValue(at record.Index) []byte { return appendNumber(newValue(1), at) }

// valueReader takes a state value apart. After the first fault it yields zeros;
// end tells.
type valueReader struct {
	rest  []byte
	wrong bool
}

// open starts to read a value with fields besides the version.
func open(value []byte, fields int) *valueReader {
	r := &valueReader{rest: value}
	r.array(uint64(1 + fields))
	r.wrong = r.wrong || r.head(majorUint) != 1
	return r
}

// head reads the head of an item of the given major type in its shortest form.
func (r *valueReader) head(major byte) uint64 {
	if r.wrong || len(r.rest) == 0 || r.rest[0]>>5 != major {
		r.wrong = true
		return 0
	}
	v, size := uint64(r.rest[0]&31), 1
	if v >= 24 {
		size = 1 + 1<<(v-24) // 24, 25, 26, 27: 1, 2, 4, 8 bytes follow
		if v > 27 || len(r.rest) < size {
			r.wrong = true
			return 0
		}
		var wide [8]byte
		copy(wide[9-size:], r.rest[1:size])
		v = binary.BigEndian.Uint64(wide[:])
	}
	if len(appendHead(nil, major, v)) != size {
		r.wrong = true
		return 0
	}
	r.rest = r.rest[size:]
	return v
}

func (r *valueReader) array(n uint64) { r.wrong = r.head(majorArray) != n || r.wrong }

// list reads the head of an array whose items take at least itemBytes each.
func (r *valueReader) list(itemBytes int) int {
	n := r.head(majorArray)
	if n > uint64(len(r.rest)/itemBytes) {
		r.wrong = true
		return 0
	}
	return int(n)
}

func (r *valueReader) number() int64 {
	v := r.head(majorUint)
	if int64(v) < 0 {
		r.wrong = true
		return 0
	}
	return int64(v)
}

// small reads a number below 256.
func (r *valueReader) small() uint8 {
	v := r.number()
	r.wrong = r.wrong || v > math.MaxUint8
	return uint8(v)
}

func (r *valueReader) index() record.Index { return record.Index(r.number()) }

func (r *valueReader) indexes() []record.Index {
	n := r.list(1)
	if n == 0 {
		return nil
	}
	list := make([]record.Index, n)
	for i := range list {
		list[i] = r.index()
	}
	return list
}

func (r *valueReader) codes() []record.Code {
	n := r.list(1)
	if n == 0 {
		return nil
	}
	list := make([]record.Code, n)
	for i := range list {
		list[i] = r.code()
	}
	return list
}

func (r *valueReader) uint32() uint32 {
	v := r.number()
	r.wrong = r.wrong || v > math.MaxUint32
	return uint32(v)
}

func (r *valueReader) flag() bool {
	v := r.number()
	r.wrong = r.wrong || v > 1
	return v == 1
}

func (r *valueReader) day() record.Day {
	v := r.uint32()
	return record.Day(v>>1) ^ -record.Day(v&1)
}

func (r *valueReader) take(major byte) []byte {
	n := r.head(major)
	if n > uint64(len(r.rest)) {
		r.wrong = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *valueReader) bytes() []byte { return r.take(majorBytes) }

func (r *valueReader) code() record.Code { return record.Code(r.take(majorText)) }

// fixed reads a byte string of the length of dst.
func (r *valueReader) fixed(dst []byte) {
	b := r.bytes()
	r.wrong = r.wrong || len(b) != len(dst)
	copy(dst, b)
}

func (r *valueReader) keyID() (id record.KeyID) {
	r.fixed(id[:])
	return id
}

func (r *valueReader) hash() (h [32]byte) {
	b := r.bytes()
	r.wrong = r.wrong || len(b) != len(h)
	copy(h[:], b)
	return h
}

func (r *valueReader) fact() record.Fact {
	f, err := record.ParseFact(r.bytes())
	r.wrong = r.wrong || err != nil
	return f
}

// end tells whether the value was sound and is read to its end.
func (r *valueReader) end(key []byte) error {
	if r.wrong || len(r.rest) != 0 {
		return fmt.Errorf("read %q: %w", key, errDamaged)
	}
	return nil
}
