package record

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of transactions.
const (
	MaxItems         = 4096      // items in one AnchorRecords
	MaxItemBytes     = 112       // bytes of one AnchorItem
	MaxAnchorTxBytes = 512 << 10 // bytes of a transaction that anchors
	MaxBodyBytes     = 31 << 10  // bytes of any other body
)

// Flags of anchors.
const (
	FlagUndated = 1 // a record without a date; its Day is 0
	FlagBatch   = 2 // the batch of a ledger day; only AnchorBatch sets it
)

// Tx is a signed transaction as parsed. Raw and Body alias the input.
type Tx struct {
	Raw       []byte
	Body      []byte
	KeyID     KeyID
	Signature [64]byte
	Network   Network
	Nonce     Nonce
	NotAfter  Day
	Message   Message
}

// Message is what a transaction asks for.
type Message interface {
	messageNumber() protowire.Number
	appendMessage(b []byte) []byte
	visitMessage(f field) error
	checkMessage() error
}

// AnchorRecords anchors records of one series and one custody.
type AnchorRecords struct {
	Series  Code
	Custody Code // empty: external
	Items   []AnchorItem
}

// AnchorItem is one record to anchor.
type AnchorItem struct {
	Commitment Commitment
	Day        Day
	Flags      uint32
}

// SupersedeRecord states that the record at By replaces the one at Record.
type SupersedeRecord struct{ Record, By Index }

// ProposeChange puts a fact to the governing offices.
type ProposeChange struct{ Fact Fact }

// ApproveChange approves the proposal at an entry index, bound to its fact.
type ApproveChange struct {
	Proposal Index
	FactHash [32]byte
}

// SuspendKey stops a key at once; approvals by it at or after SinceHeight are void (0: none are).
type SuspendKey struct {
	KeyID       KeyID
	SinceHeight int64
}

// ParseTx reads a transaction of canonical form. It checks shape and size, not
// the signature and not the state of the ledger.
func ParseTx(raw []byte) (Tx, error) {
	if len(raw) > MaxAnchorTxBytes {
		return Tx{}, fmt.Errorf("transaction of %d bytes: %w: at most %d", len(raw), ErrTooLarge, MaxAnchorTxBytes)
	}
	tx := Tx{Raw: raw}
	err := eachField(raw, func(f field) error {
		switch f.number {
		case 1:
			tx.Body = f.bytes
			return nil
		case 2:
			return f.fixed(tx.KeyID[:])
		case 3:
			return f.fixed(tx.Signature[:])
		}
		return f.unknown()
	})
	if err != nil {
		return Tx{}, fmt.Errorf("transaction: %w", err)
	}
	again, err := AssembleTx(tx.Body, tx.KeyID, tx.Signature[:])
	if err != nil {
		return Tx{}, err
	}
	if !slices.Equal(again, raw) {
		return Tx{}, malformed("transaction is not canonical")
	}
	if err := tx.parseBody(); err != nil {
		return Tx{}, fmt.Errorf("transaction body: %w", err)
	}
	return tx, nil
}

func (t *Tx) parseBody() error {
	err := eachField(t.Body, func(f field) error {
		switch f.number {
		case 1:
			return f.fixed(t.Network[:])
		case 2:
			return f.fixed(t.Nonce[:])
		case 3:
			v, err := f.uint32()
			if v > math.MaxInt32 {
				return malformed("not-after day")
			}
			t.NotAfter = Day(v)
			return err
		}
		if t.Message != nil || f.kind != protowire.BytesType {
			return malformed("field %d", f.number)
		}
		m := newMessage(f.number)
		if m == nil {
			return f.unknown()
		}
		t.Message = m
		return eachField(f.bytes, m.visitMessage)
	})
	if err != nil {
		return err
	}
	if t.Message == nil {
		return malformed("no message")
	}
	again, err := NewBody(t.Network, t.Nonce, t.NotAfter, t.Message)
	if err != nil {
		return err
	}
	if !slices.Equal(again, t.Body) {
		return malformed("not canonical")
	}
	return nil
}

// ParseBody reads the body of a transaction and gives its message.
func ParseBody(body []byte) (Message, error) {
	tx := Tx{Body: body}
	if err := tx.parseBody(); err != nil {
		return nil, fmt.Errorf("transaction body: %w", err)
	}
	return tx.Message, nil
}

// newMessage gives an empty message for a field of the oneof, nil for an unknown one.
func newMessage(n protowire.Number) Message {
	switch n {
	case 16:
		return new(AnchorRecords)
	case 17:
		return new(SupersedeRecord)
	case 48:
		return new(ProposeChange)
	case 49:
		return new(ApproveChange)
	case 50:
		return new(SuspendKey)
	case 51:
		return new(AcknowledgeJump)
	}
	return newRetentionMessage(n)
}

// newRetentionMessage does so for facts about records, holds and dispositions.
func newRetentionMessage(n protowire.Number) Message {
	switch n {
	case 18:
		return new(AnchorBatch)
	case 19:
		return new(RecordEvents)
	case 20:
		return new(FileRecords)
	case 21:
		return new(PostAuditedThrough)
	case 24:
		return new(PlaceHold)
	case 25:
		return new(ExtendHold)
	case 26:
		return new(ResolveIssue)
	case 27:
		return new(ReleaseHold)
	case 32:
		return new(ProposeDisposition)
	case 33:
		return new(ApproveDisposition)
	case 34:
		return new(WithdrawDisposition)
	case 35:
		return new(RecordNotice)
	case 36:
		return new(LockDisposition)
	case 37:
		return new(ReportErasure)
	case 40:
		return new(Withhold)
	case 41:
		return new(LeaveCustody)
	}
	return nil
}

// BodyHash gives the SHA-256 of the body as received.
func (t Tx) BodyHash() [32]byte { return sha256.Sum256(t.Body) }

// SignedMessage gives the bytes that the signature covers.
func (t Tx) SignedMessage() []byte { return SignedMessage(t.BodyHash()) }

// SignedMessage gives "muniment/v1/tx\n" || bodyHash: what an office signs.
func SignedMessage(bodyHash [32]byte) []byte { return append([]byte(txDomain), bodyHash[:]...) }

// NewBody gives the canonical body of a message of sound shape.
func NewBody(network Network, nonce Nonce, notAfter Day, m Message) ([]byte, error) {
	if notAfter < 0 {
		return nil, malformed("not-after day %d", notAfter)
	}
	if err := m.checkMessage(); err != nil {
		return nil, err
	}
	_, anchors := m.(*AnchorRecords)
	message := m.appendMessage(nil)
	b := make([]byte, 0, len(message)+96)
	b = appendBytes(b, 1, network[:])
	b = appendBytes(b, 2, nonce[:])
	b = appendVarint(b, 3, uint64(notAfter))
	b = appendNested(b, m.messageNumber(), message)
	if limit := bodyLimit(anchors); len(b) > limit {
		return nil, fmt.Errorf("body of %d bytes: %w: at most %d", len(b), ErrTooLarge, limit)
	}
	return b, nil
}

// bodyLimit leaves room in a transaction for key id, signature and tags.
func bodyLimit(anchors bool) int {
	if anchors {
		return MaxAnchorTxBytes - 128
	}
	return MaxBodyBytes
}

// AssembleTx joins a body, the id of the signing key and its signature (64 bytes).
func AssembleTx(body []byte, id KeyID, signature []byte) ([]byte, error) {
	if len(signature) != ed25519.SignatureSize || len(body) == 0 {
		return nil, malformed("transaction: body or signature")
	}
	b := make([]byte, 0, len(body)+128)
	b = appendBytes(b, 1, body)
	b = appendBytes(b, 2, id[:])
	return appendBytes(b, 3, signature), nil
}

// Sign signs a body with an office's signing key and gives the transaction.
func Sign(key ed25519.PrivateKey, body []byte) ([]byte, error) {
	public := key.Public().(ed25519.PublicKey)
	return AssembleTx(body, KeyIDOf(public), ed25519.Sign(key, SignedMessage(sha256.Sum256(body))))
}

func (m *AnchorRecords) messageNumber() protowire.Number { return 16 }

func (m *AnchorRecords) appendMessage(b []byte) []byte {
	b = slices.Grow(b, 64+len(m.Items)*48)
	b = appendCode(b, 1, m.Series)
	b = appendCode(b, 2, m.Custody)
	var buf [64]byte
	for i := range m.Items {
		b = appendNested(b, 3, m.Items[i].appendTo(buf[:0]))
	}
	return b
}

func (it *AnchorItem) appendTo(b []byte) []byte {
	b = appendNested(b, 1, it.Commitment[:])
	b = appendVarint(b, 2, protowire.EncodeZigZag(int64(it.Day)))
	return appendVarint(b, 3, uint64(it.Flags))
}

func (m *AnchorRecords) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.code(&m.Series)
	case 2:
		return f.code(&m.Custody)
	case 3:
		if f.kind != protowire.BytesType || len(f.bytes) > MaxItemBytes || len(m.Items) == MaxItems {
			return malformed("items")
		}
		m.Items = append(m.Items, AnchorItem{})
		return eachField(f.bytes, m.Items[len(m.Items)-1].visit)
	}
	return f.unknown()
}

func (it *AnchorItem) visit(f field) (err error) {
	switch f.number {
	case 1:
		return f.fixed(it.Commitment[:])
	case 2:
		v, err := f.uint32()
		it.Day = Day(protowire.DecodeZigZag(uint64(v)))
		return err
	case 3:
		it.Flags, err = f.uint32()
		return err
	}
	return f.unknown()
}

func (m *AnchorRecords) checkMessage() error {
	if !m.Series.Valid() || m.Custody != "" && !m.Custody.Valid() || len(m.Items) == 0 || len(m.Items) > MaxItems {
		return malformed("anchors: series, custody or number of items")
	}
	for i := range m.Items {
		it := &m.Items[i]
		if it.Flags&^FlagUndated != 0 || it.Flags&FlagUndated != 0 && it.Day != 0 {
			return malformed("item %d: flags or day", i)
		}
	}
	return nil
}

func (m *SupersedeRecord) messageNumber() protowire.Number { return 17 }

func (m *SupersedeRecord) appendMessage(b []byte) []byte {
	return appendVarint(appendVarint(b, 1, uint64(m.Record)), 2, uint64(m.By))
}

func (m *SupersedeRecord) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.index(&m.Record)
	case 2:
		return f.index(&m.By)
	}
	return f.unknown()
}

func (m *SupersedeRecord) checkMessage() error {
	if m.Record < 0 || m.By <= m.Record {
		return malformed("supersession: the later record must have the higher index")
	}
	return nil
}

func (m *ProposeChange) messageNumber() protowire.Number { return 48 }

func (m *ProposeChange) appendMessage(b []byte) []byte {
	fact := appendNested(nil, m.Fact.number(), m.Fact.appendTo(nil))
	return appendNested(b, 1, fact)
}

func (m *ProposeChange) visitMessage(f field) (err error) {
	if f.number != 1 || f.kind != protowire.BytesType || m.Fact != nil {
		return malformed("proposal")
	}
	m.Fact, err = ParseFact(f.bytes)
	return err
}

func (m *ProposeChange) checkMessage() error {
	if m.Fact == nil {
		return malformed("proposal without a fact")
	}
	return m.Fact.check()
}

func (m *ApproveChange) messageNumber() protowire.Number { return 49 }

func (m *ApproveChange) appendMessage(b []byte) []byte {
	return appendBytes(appendVarint(b, 1, uint64(m.Proposal)), 2, m.FactHash[:])
}

func (m *ApproveChange) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.index(&m.Proposal)
	case 2:
		return f.fixed(m.FactHash[:])
	}
	return f.unknown()
}

func (m *ApproveChange) checkMessage() error {
	if m.Proposal <= 0 {
		return malformed("approval without a proposal")
	}
	return nil
}

func (m *SuspendKey) messageNumber() protowire.Number { return 50 }

func (m *SuspendKey) appendMessage(b []byte) []byte {
	return appendVarint(appendBytes(b, 1, m.KeyID[:]), 2, uint64(m.SinceHeight))
}

func (m *SuspendKey) visitMessage(f field) (err error) {
	switch f.number {
	case 1:
		return f.fixed(m.KeyID[:])
	case 2:
		m.SinceHeight, err = f.int63()
		return err
	}
	return f.unknown()
}

func (m *SuspendKey) checkMessage() error {
	if m.SinceHeight < 0 {
		return malformed("suspension height")
	}
	return nil
}

// PlacesHold tells, without parsing it whole, whether a transaction places or
// extends a hold. Bytes that are no transaction place none.
func PlacesHold(raw []byte) bool {
	_, ok := glance(raw, 24, 25)
	return ok
}

// Urgent tells, without parsing it whole, whether a transaction is one that no
// crowd may keep out: it places or extends a hold, or is a decision of governance.
func Urgent(raw []byte) bool {
	_, ok := glance(raw, 24, 25, 48, 49, 50)
	return ok
}

// Signer gives, without parsing it whole, the id of the key by which a
// transaction says that it is signed; zero where it says nothing.
func Signer(raw []byte) KeyID {
	id, _ := glance(raw)
	return id
}

// glance gives the key id of a transaction, and whether its message is one of
// those with the given numbers.
func glance(raw []byte, messages ...protowire.Number) (id KeyID, ok bool) {
	body := func(f field) error {
		ok = ok || slices.Contains(messages, f.number)
		return nil
	}
	err := eachField(raw, func(f field) error {
		switch {
		case f.number == 1 && f.kind == protowire.BytesType:
			return eachField(f.bytes, body)
		case f.number == 2:
			return f.fixed(id[:])
		}
		return nil
	})
	if err != nil {
		return KeyID{}, false
	}
	return id, ok
}
