package record

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed marks bytes that are not the one canonical encoding of anything.
var ErrMalformed = errors.New("malformed")

// ErrTooLarge marks input over a limit of this package.
var ErrTooLarge = errors.New("too large")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrMalformed)
}

// field is one protobuf field as read: a varint or a length-delimited value.
type field struct {
	number protowire.Number
	kind   protowire.Type
	varint uint64
	bytes  []byte
}

// eachField reads b field by field. It accepts more than the canonical form
// (order, repeats): callers re-encode and compare.
func eachField(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed("field tag")
		}
		b = b[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			return malformed("field %d has wire type %d", number, kind)
		}
		if n < 0 {
			return malformed("field %d is cut short", number)
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func (f field) unknown() error { return malformed("unknown field %d", f.number) }

// fixed copies a byte string of exactly len(dst) bytes.
func (f field) fixed(dst []byte) error {
	if f.kind != protowire.BytesType || len(f.bytes) != len(dst) {
		return malformed("field %d is not %d bytes", f.number, len(dst))
	}
	copy(dst, f.bytes)
	return nil
}

func (f field) code(dst *Code) error {
	c := Code(f.bytes)
	if f.kind != protowire.BytesType || !c.Valid() {
		return malformed("field %d is not a registered code", f.number)
	}
	*dst = c
	return nil
}

func (f field) codes(dst *[]Code) error {
	var c Code
	if err := f.code(&c); err != nil {
		return err
	}
	if n := len(*dst); n > 0 && (*dst)[n-1] >= c {
		return malformed("field %d does not ascend", f.number)
	}
	*dst = append(*dst, c)
	return nil
}

func (f field) uint32() (uint32, error) {
	if f.kind != protowire.VarintType || f.varint > math.MaxUint32 {
		return 0, malformed("field %d is not a 32-bit number", f.number)
	}
	return uint32(f.varint), nil
}

func (f field) index(dst *Index) error {
	v, err := f.int63()
	*dst = Index(v)
	return err
}

func (f field) int63() (int64, error) {
	if f.kind != protowire.VarintType || f.varint > math.MaxInt64 {
		return 0, malformed("field %d is not a 63-bit number", f.number)
	}
	return int64(f.varint), nil
}

func (f field) enum() (uint8, error) {
	if f.kind != protowire.VarintType || f.varint == 0 || f.varint > math.MaxUint8 {
		return 0, malformed("field %d is not a known value", f.number)
	}
	return uint8(f.varint), nil
}

func appendVarint(b []byte, number protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendNested(b, number, v)
}

// appendNested writes a message field, which is present even when empty.
func appendNested(b []byte, number protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}

func appendCode(b []byte, number protowire.Number, c Code) []byte {
	if c == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), string(c))
}

func appendCodes(b []byte, number protowire.Number, codes []Code) []byte {
	for _, c := range codes {
		b = appendCode(b, number, c)
	}
	return b
}
