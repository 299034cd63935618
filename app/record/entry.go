package record

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxEntryBytes is the size of the largest entry.
const MaxEntryBytes = 32 << 10

// Kind numbers the kinds of entries. See docs/spec/entry.md.
type Kind uint8

// The kinds.
const (
	KindGenesis        Kind = 1
	KindFact           Kind = 2
	KindBlock          Kind = 3
	KindTx             Kind = 4
	KindJump           Kind = 5
	KindMisbehavior    Kind = 6
	KindAnchor         Kind = 16
	KindSupersede      Kind = 17
	KindEvents         Kind = 19
	KindFiling         Kind = 20
	KindAudit          Kind = 21
	KindHold           Kind = 24
	KindExtension      Kind = 25
	KindResolution     Kind = 26
	KindRelease        Kind = 27
	KindDisposition    Kind = 32
	KindAuthorization  Kind = 33
	KindWithdrawal     Kind = 34
	KindNotice         Kind = 35
	KindLock           Kind = 36
	KindReport         Kind = 37
	KindItem           Kind = 38
	KindRefusal        Kind = 39
	KindWithholding    Kind = 40
	KindDeparture      Kind = 41
	KindProposal       Kind = 48
	KindApproval       Kind = 49
	KindSuspension     Kind = 50
	KindAcknowledgment Kind = 51
)

// KindOf reads the kind of a well-formed entry without parsing it; 0 for bytes
// that are too short.
func KindOf(entry []byte) Kind {
	switch {
	case len(entry) > 3 && entry[2] == 24: // a kind above 23 takes a byte more
		return Kind(entry[3])
	case len(entry) > 2:
		return Kind(entry[2])
	}
	return 0
}

// Entry is one line of the log.
type Entry interface {
	Kind() Kind
	check() error
	fields() []any // what follows version and kind
}

// GenesisEntry opens the log.
type GenesisEntry struct {
	Network Network
	ChainID string // printable ASCII, 1 to 50 bytes
	Origin  string // printable ASCII without space or plus, 1 to 200 bytes
	Time    int64  // Unix nanoseconds
}

// FactEntry states a governed fact: at genesis, or when a change executes.
type FactEntry struct {
	Fact []byte // canonical Fact
}

// BlockEntry closes every block that has entries.
type BlockEntry struct {
	Height    int64
	Time      int64 // Unix nanoseconds
	First     Index // of the block's entries; 0 in the block of height 0
	StateRoot [32]byte
}

// TxEntry precedes the Count entries that a transaction caused.
type TxEntry struct {
	KeyID     KeyID
	Signature [64]byte
	BodyHash  [32]byte
	Nonce     Nonce
	NotAfter  Day
	Count     int64
	Body      []byte // empty for AnchorRecords, whose entries rebuild it
}

// JumpEntry records a step of block time that was longer than allowed.
type JumpEntry struct {
	Height        int64
	Before, After int64 // Unix nanoseconds
}

// AnchorEntry is one anchored record.
type AnchorEntry struct {
	Office     Code
	Series     Code
	Custody    Code // empty: external
	Commitment Commitment
	Day        Day
	Flags      uint32
}

// SupersedeEntry states that the record at By replaces the one at Record.
type SupersedeEntry struct {
	Office     Code
	Record, By Index
}

// ProposalEntry opens a proposed change.
type ProposalEntry struct {
	Office   Code
	FactHash [32]byte
}

// ApprovalEntry approves a proposed change.
type ApprovalEntry struct {
	Office   Code
	Proposal Index
	FactHash [32]byte
}

// SuspensionEntry stops a key.
type SuspensionEntry struct {
	Office      Code
	KeyID       KeyID
	SinceHeight int64
}

// Kind tells the kind of the entry; likewise below.
func (GenesisEntry) Kind() Kind    { return KindGenesis }
func (FactEntry) Kind() Kind       { return KindFact }       // Kind is KindFact
func (BlockEntry) Kind() Kind      { return KindBlock }      // Kind is KindBlock
func (TxEntry) Kind() Kind         { return KindTx }         // Kind is KindTx
func (JumpEntry) Kind() Kind       { return KindJump }       // Kind is KindJump
func (AnchorEntry) Kind() Kind     { return KindAnchor }     // Kind is KindAnchor
func (SupersedeEntry) Kind() Kind  { return KindSupersede }  // Kind is KindSupersede
func (ProposalEntry) Kind() Kind   { return KindProposal }   // Kind is KindProposal
func (ApprovalEntry) Kind() Kind   { return KindApproval }   // Kind is KindApproval
func (SuspensionEntry) Kind() Kind { return KindSuspension } // Kind is KindSuspension

func (e GenesisEntry) fields() []any { return []any{e.Network, e.ChainID, e.Origin, e.Time} }
func (e FactEntry) fields() []any    { return []any{e.Fact} }
func (e BlockEntry) fields() []any   { return []any{e.Height, e.Time, e.First, e.StateRoot} }
func (e TxEntry) fields() []any {
	return []any{e.KeyID, e.Signature, e.BodyHash, e.Nonce, e.NotAfter, e.Count, notNil(e.Body)}
}
func (e JumpEntry) fields() []any { return []any{e.Height, e.Before, e.After} }
func (e AnchorEntry) fields() []any {
	return []any{e.Office, e.Series, e.Custody, e.Commitment, e.Day, e.Flags}
}
func (e SupersedeEntry) fields() []any  { return []any{e.Office, e.Record, e.By} }
func (e ProposalEntry) fields() []any   { return []any{e.Office, e.FactHash} }
func (e ApprovalEntry) fields() []any   { return []any{e.Office, e.Proposal, e.FactHash} }
func (e SuspensionEntry) fields() []any { return []any{e.Office, e.KeyID, e.SinceHeight} }

func (e GenesisEntry) check() error {
	if !printable(e.ChainID, 50, "") || !printable(e.Origin, 200, " +") || e.Time < 0 {
		return malformed("genesis entry: chain id, origin or time")
	}
	return nil
}

func (e FactEntry) check() error {
	_, err := ParseFact(e.Fact)
	return err
}

func (e BlockEntry) check() error {
	return notNegative("block entry", e.Height, e.Time, int64(e.First))
}

func (e TxEntry) check() error {
	if len(e.Body) > MaxBodyBytes {
		return ErrTooLarge
	}
	return notNegative("transaction entry", int64(e.NotAfter), e.Count)
}

func (e JumpEntry) check() error { return notNegative("jump entry", e.Height, e.Before, e.After) }

func (e AnchorEntry) check() error {
	flags := e.Flags
	if flags == FlagBatch { // a batch is dated
		flags = 0
	}
	m := AnchorRecords{Series: e.Series, Custody: e.Custody, Items: []AnchorItem{{Commitment: e.Commitment, Day: e.Day, Flags: flags}}}
	if !e.Office.Valid() {
		return malformed("anchor entry: office")
	}
	return m.checkMessage()
}

func (e SupersedeEntry) check() error {
	if !e.Office.Valid() {
		return malformed("supersession entry: office")
	}
	return (&SupersedeRecord{Record: e.Record, By: e.By}).checkMessage()
}

func (e ProposalEntry) check() error { return validOffice(e.Office) }

func (e ApprovalEntry) check() error {
	if e.Proposal < 0 {
		return malformed("approval entry: proposal")
	}
	return validOffice(e.Office)
}

func (e SuspensionEntry) check() error {
	if e.SinceHeight < 0 {
		return malformed("suspension entry: height")
	}
	return validOffice(e.Office)
}

func validOffice(c Code) error {
	if !c.Valid() {
		return malformed("entry: office")
	}
	return nil
}

func notNegative(what string, values ...int64) error {
	for _, v := range values {
		if v < 0 {
			return malformed("%s: negative number", what)
		}
	}
	return nil
}

func printable(s string, limit int, without string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || bytes.IndexByte([]byte(without), s[i]) >= 0 {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= limit
}

// encoding writes RFC 8949 section 4.2.1 (core deterministic) only.
var encoding = must(cbor.CoreDetEncOptions().EncMode())

// decoding bounds what is read; ParseEntry re-encodes and compares besides.
var decoding = must(cbor.DecOptions{
	MaxArrayElements: MaxCited, MaxMapPairs: 16, MaxNestedLevels: 4,
	IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic("record: " + err.Error()) // the options are constants
	}
	return v
}

// MarshalEntry gives the bytes of an entry of sound shape.
func MarshalEntry(e Entry) ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if e, ok := e.(AnchorEntry); ok {
		return AppendAnchorEntry(nil, e), nil
	}
	values := append([]any{1, e.Kind()}, e.fields()...)
	b, err := encoding.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	if len(b) > MaxEntryBytes {
		return nil, fmt.Errorf("entry of %d bytes: %w", len(b), ErrTooLarge)
	}
	return b, nil
}

// notNil makes an absent byte string the empty one, not null.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// AppendAnchorEntry appends the bytes of an anchor entry whose fields are
// sound. It is the hot path: no reflection, no allocation but dst's.
func AppendAnchorEntry(dst []byte, e AnchorEntry) []byte {
	dst = append(dst, 0x88, 0x01, byte(KindAnchor)) // array(8), version 1
	dst = appendText(dst, e.Office)
	dst = appendText(dst, e.Series)
	dst = appendText(dst, e.Custody)
	dst = append(dst, 0x58, 32)
	dst = append(dst, e.Commitment[:]...)
	if e.Day >= 0 {
		dst = appendHead(dst, 0, uint64(e.Day))
	} else {
		dst = appendHead(dst, 1, uint64(-1-int64(e.Day)))
	}
	return appendHead(dst, 0, uint64(e.Flags))
}

func appendText(dst []byte, c Code) []byte {
	return append(appendHead(dst, 3, uint64(len(c))), c...)
}

// appendHead writes the head of a CBOR item below 2^32 in its shortest form.
func appendHead(dst []byte, major byte, v uint64) []byte {
	major <<= 5
	switch {
	case v < 24:
		return append(dst, major|byte(v))
	case v < 1<<8:
		return append(dst, major|24, byte(v))
	case v < 1<<16:
		return append(dst, major|25, byte(v>>8), byte(v))
	default:
		return append(dst, major|26, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
}

// LeafHash gives the RFC 6962 leaf hash of an entry: SHA-256(0x00 || entry).
func LeafHash(entry []byte) Hash { return tlog.RecordHash(entry) }
