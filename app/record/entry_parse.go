package record

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// ParseEntry reads the one canonical form of an entry.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) > MaxEntryBytes {
		return nil, fmt.Errorf("entry of %d bytes: %w", len(b), ErrTooLarge)
	}
	var values []cbor.RawMessage
	if err := decoding.Unmarshal(b, &values); err != nil {
		return nil, malformed("entry: %v", err)
	}
	r := reader{values: values}
	if version := r.number(); r.err == nil && version != 1 {
		return nil, malformed("entry of version %d", version)
	}
	e := r.entry(Kind(r.number()))
	if r.err != nil {
		return nil, r.err
	}
	if len(r.values) != 0 {
		return nil, malformed("entry of kind %d has %d fields too many", e.Kind(), len(r.values))
	}
	again, err := MarshalEntry(e)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, malformed("entry is not canonical")
	}
	return e, nil
}

// reader takes the fields of an entry in order and keeps the first error.
type reader struct {
	values []cbor.RawMessage
	err    error
}

func (r *reader) entry(k Kind) Entry {
	switch k {
	case KindGenesis:
		e := GenesisEntry{}
		r.fixed(e.Network[:])
		e.ChainID, e.Origin, e.Time = r.text(), r.text(), r.number()
		return e
	case KindFact:
		return FactEntry{Fact: r.bytes()}
	case KindBlock:
		e := BlockEntry{Height: r.number(), Time: r.number(), First: Index(r.number())}
		r.fixed(e.StateRoot[:])
		return e
	case KindTx:
		e := TxEntry{}
		r.fixed(e.KeyID[:])
		r.fixed(e.Signature[:])
		r.fixed(e.BodyHash[:])
		r.fixed(e.Nonce[:])
		e.NotAfter, e.Count, e.Body = Day(r.int32()), r.number(), r.bytes()
		return e
	case KindJump:
		return JumpEntry{Height: r.number(), Before: r.number(), After: r.number()}
	case KindAnchor:
		e := AnchorEntry{Office: r.code(), Series: r.code(), Custody: r.code()}
		r.fixed(e.Commitment[:])
		e.Day, e.Flags = Day(r.int32()), uint32(r.number())
		return e
	case KindSupersede:
		return SupersedeEntry{Office: r.code(), Record: Index(r.number()), By: Index(r.number())}
	case KindProposal:
		e := ProposalEntry{Office: r.code()}
		r.fixed(e.FactHash[:])
		return e
	case KindApproval:
		e := ApprovalEntry{Office: r.code(), Proposal: Index(r.number())}
		r.fixed(e.FactHash[:])
		return e
	case KindSuspension:
		e := SuspensionEntry{Office: r.code()}
		r.fixed(e.KeyID[:])
		e.SinceHeight = r.number()
		return e
	}
	return r.retentionEntry(k)
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// next decodes one field into dst.
func (r *reader) next(dst any) {
	if r.err != nil {
		return
	}
	if len(r.values) == 0 {
		r.fail(malformed("entry has too few fields"))
		return
	}
	if err := decoding.Unmarshal(r.values[0], dst); err != nil {
		r.fail(malformed("entry field: %v", err))
	}
	r.values = r.values[1:]
}

func (r *reader) number() (v int64) { r.next(&v); return v }
func (r *reader) int32() (v int32)  { r.next(&v); return v }
func (r *reader) text() (v string)  { r.next(&v); return v }
func (r *reader) code() Code        { return Code(r.text()) }
func (r *reader) bytes() (v []byte) { r.next(&v); return v }

func (r *reader) index() Index { return Index(r.number()) }

// indexes reads a list of at most MaxCited indexes.
func (r *reader) indexes() (list []Index) {
	r.next(&list)
	return list
}

func (r *reader) enum() uint8 {
	var v uint8
	r.next(&v)
	return v
}

func (r *reader) fixed(dst []byte) {
	b := r.bytes()
	if r.err == nil && len(b) != len(dst) {
		r.fail(malformed("entry field of %d bytes, not %d", len(b), len(dst)))
	}
	copy(dst, b)
}
