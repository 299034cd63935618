package record

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// MaxRecords is how many records one transaction may name.
const MaxRecords = 4096

// appendIndexes writes ascending indexes as a packed list: the first as it is,
// each other as its distance from the one before.
func appendIndexes(b []byte, number protowire.Number, indexes []Index) []byte {
	if len(indexes) == 0 {
		return b
	}
	packed := make([]byte, 0, len(indexes)*3)
	before := Index(0)
	for _, i := range indexes {
		packed = protowire.AppendVarint(packed, uint64(i-before))
		before = i
	}
	return appendBytes(b, number, packed)
}

// indexes reads what appendIndexes writes.
func (f field) indexes(dst *[]Index) error {
	if f.kind != protowire.BytesType || len(*dst) > 0 {
		return malformed("field %d is not one packed list", f.number)
	}
	before := Index(0)
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 || len(*dst) == MaxRecords || v > 1<<62-uint64(before) {
			return malformed("field %d is not a list of at most %d indexes", f.number, MaxRecords)
		}
		before += Index(v)
		*dst, b = append(*dst, before), b[n:]
	}
	return nil
}

// ascendingIndexes tells whether each index is above the one before, and none
// is that of the genesis entry.
func ascendingIndexes(indexes []Index) bool {
	before := Index(0)
	for _, i := range indexes {
		if i <= before || i > 1<<62 {
			return false
		}
		before = i
	}
	return len(indexes) <= MaxRecords
}

// appendDay writes a day that may be before 1970.
func appendDay(b []byte, number protowire.Number, d Day) []byte {
	return appendVarint(b, number, protowire.EncodeZigZag(int64(d)))
}

func (f field) day(dst *Day) error {
	v, err := f.uint32()
	*dst = Day(protowire.DecodeZigZag(uint64(v)))
	return err
}

// appendFlag writes a bool.
func appendFlag(b []byte, number protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendVarint(b, number, 1)
}

func (f field) flag(dst *bool) error {
	v, err := f.uint32()
	if err == nil && v != 1 {
		err = malformed("field %d is neither present nor absent", f.number)
	}
	*dst = err == nil
	return err
}

// appendRoles writes ascending roles; each is below 128, so it takes one byte.
func appendRoles(b []byte, number protowire.Number, roles []Role) []byte {
	packed := make([]byte, len(roles))
	for i, r := range roles {
		packed[i] = byte(r)
	}
	return appendBytes(b, number, packed)
}

func (f field) roles(dst *[]Role) error {
	if f.kind != protowire.BytesType {
		return malformed("roles are not packed")
	}
	for _, r := range f.bytes {
		*dst = append(*dst, Role(r))
	}
	return nil
}

func ascendingRoles(roles []Role) bool {
	for i, r := range roles {
		if !r.Valid() || i > 0 && roles[i-1] >= r {
			return false
		}
	}
	return true
}
