package record

import (
	"crypto/sha256"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fact is one governed fact: what genesis lists and what an executed change
// states. Its methods give the shape rules; whether a fact may be stated is
// the business of package ledger.
type Fact interface {
	number() protowire.Number
	appendTo(b []byte) []byte
	visit(f field) error
	check() error
}

// Parameters are the limits that consensus applies.
type Parameters struct {
	AnchorDays   uint32 // not-after is at most this many days ahead for anchors
	OtherDays    uint32 // and this many for every other message
	ProposalDays uint32 // a proposal can be approved for this many ledger days
	JumpSeconds  uint32 // a longer step of block time is recorded as a jump
}

// Office is a registered party: a department, the clerk, an auditor.
type Office struct {
	Code   Code
	Roles  []Role // ascending, each once
	Status Status
}

// Key is one Ed25519 key of an office, registered once, for one use.
type Key struct {
	Office    Code
	Use       KeyUse
	PublicKey [32]byte
	Status    Status
}

// ID gives the key's id.
func (k *Key) ID() KeyID { return KeyIDOf(k.PublicKey[:]) }

// Governance names who decides one subject.
type Governance struct {
	Subject   Subject
	Offices   []Code // ascending, each once
	Threshold uint32 // approvals needed
	Required  []Code // offices whose approval is always needed, ascending
}

// CustodianSet is a set of custodians that keep content together.
type CustodianSet struct {
	Code       Code
	Custodians []KeyID // ids of custodian keys, ascending
	Lost       []KeyID // that left the set without a report of their own, as the offices state; ascending
}

// Series is a record series under which records may be anchored.
type Series struct {
	Code        Code
	Granularity Granularity
	Departments []Code // offices that may anchor, ascending; empty: every department
	Status      Status
}

// Node is a member's machine with its Ed25519 public keys. A later fact of the
// same node key changes the other keys or the power, or removes the node.
type Node struct {
	NodeKey      [32]byte
	ValidatorKey [32]byte
	CosignerKey  [32]byte
	LogKey       [32]byte
	CustodianKey [32]byte // zero where the node keeps no content
	Power        uint32   // 10 for a validator
	Removed      bool     // the node leaves; its keys are those that it has, its power is 0
	Replaces     KeyID    // id of the node key in whose place this one comes; zero: none
}

// MarshalFact gives the canonical bytes of a fact of sound shape.
func MarshalFact(f Fact) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return appendNested(nil, f.number(), f.appendTo(nil)), nil
}

// ParseFact reads canonical bytes of at most MaxBodyBytes.
func ParseFact(b []byte) (Fact, error) {
	if len(b) > MaxBodyBytes {
		return nil, ErrTooLarge
	}
	var fact Fact
	err := eachField(b, func(f field) error {
		if fact != nil || f.kind != protowire.BytesType {
			return malformed("fact")
		}
		switch f.number {
		case 1:
			fact = new(Parameters)
		case 2:
			fact = new(Office)
		case 3:
			fact = new(Key)
		case 4:
			fact = new(Governance)
		case 5:
			fact = new(CustodianSet)
		case 6:
			fact = new(Series)
		case 7:
			fact = new(Node)
		case 8:
			fact = new(ScheduleRule)
		case 9:
			fact = new(Schedule)
		case 10:
			fact = new(Activation)
		case 11:
			fact = new(StandingAuthorization)
		case 12:
			fact = new(Witnesses)
		case 13:
			fact = new(Upgrade)
		default:
			return f.unknown()
		}
		return eachField(f.bytes, fact.visit)
	})
	if err != nil {
		return nil, err
	}
	if fact == nil {
		return nil, malformed("no fact")
	}
	again, err := MarshalFact(fact)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(again, b) {
		return nil, malformed("fact is not canonical")
	}
	return fact, nil
}

// FactHash gives the SHA-256 of a fact's canonical bytes: what approvals bind.
func FactHash(f Fact) ([32]byte, error) {
	b, err := MarshalFact(f)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(b), nil
}

func (p *Parameters) number() protowire.Number { return 1 }

func (p *Parameters) appendTo(b []byte) []byte {
	b = appendVarint(b, 1, uint64(p.AnchorDays))
	b = appendVarint(b, 2, uint64(p.OtherDays))
	b = appendVarint(b, 3, uint64(p.ProposalDays))
	return appendVarint(b, 4, uint64(p.JumpSeconds))
}

func (p *Parameters) visit(f field) error {
	v, err := f.uint32()
	if err != nil {
		return err
	}
	switch f.number {
	case 1:
		p.AnchorDays = v
	case 2:
		p.OtherDays = v
	case 3:
		p.ProposalDays = v
	case 4:
		p.JumpSeconds = v
	default:
		return f.unknown()
	}
	return nil
}

func (p *Parameters) check() error {
	const century = 36525
	for _, days := range [...]uint32{p.AnchorDays, p.OtherDays, p.ProposalDays} {
		if days == 0 || days > century {
			return malformed("parameters: days are not 1 to %d", century)
		}
	}
	if p.JumpSeconds == 0 || p.JumpSeconds > math.MaxInt32 {
		return malformed("parameters: jump seconds are not 1 to %d", math.MaxInt32)
	}
	return nil
}

func (o *Office) number() protowire.Number { return 2 }

func (o *Office) appendTo(b []byte) []byte {
	b = appendCode(b, 1, o.Code)
	b = appendRoles(b, 2, o.Roles)
	return appendVarint(b, 3, uint64(o.Status))
}

func (o *Office) visit(f field) (err error) {
	switch f.number {
	case 1:
		return f.code(&o.Code)
	case 2:
		return f.roles(&o.Roles)
	case 3:
		v, err := f.enum()
		o.Status = Status(v)
		return err
	}
	return f.unknown()
}

func (o *Office) check() error {
	if !ascendingRoles(o.Roles) {
		return malformed("office: roles are unknown or do not ascend")
	}
	if !o.Code.Valid() || len(o.Roles) == 0 || o.Status != StatusActive && o.Status != StatusSuspended {
		return malformed("office: code, roles or status")
	}
	return nil
}

func (k *Key) number() protowire.Number { return 3 }

func (k *Key) appendTo(b []byte) []byte {
	b = appendCode(b, 1, k.Office)
	b = appendVarint(b, 2, uint64(k.Use))
	b = appendBytes(b, 3, k.PublicKey[:])
	return appendVarint(b, 4, uint64(k.Status))
}

func (k *Key) visit(f field) error {
	switch f.number {
	case 1:
		return f.code(&k.Office)
	case 2:
		v, err := f.enum()
		k.Use = KeyUse(v)
		return err
	case 3:
		return f.fixed(k.PublicKey[:])
	case 4:
		v, err := f.enum()
		k.Status = Status(v)
		return err
	}
	return f.unknown()
}

func (k *Key) check() error {
	if !k.Office.Valid() || !k.Use.Valid() || k.PublicKey == [32]byte{} || k.Status != StatusActive && k.Status != StatusSuspended {
		return malformed("key: office, use, public key or status")
	}
	return nil
}

func (g *Governance) number() protowire.Number { return 4 }

func (g *Governance) appendTo(b []byte) []byte {
	b = appendVarint(b, 1, uint64(g.Subject))
	b = appendCodes(b, 2, g.Offices)
	b = appendVarint(b, 3, uint64(g.Threshold))
	return appendCodes(b, 4, g.Required)
}

func (g *Governance) visit(f field) (err error) {
	switch f.number {
	case 1:
		v, err := f.enum()
		g.Subject = Subject(v)
		return err
	case 2:
		return f.codes(&g.Offices)
	case 3:
		g.Threshold, err = f.uint32()
		return err
	case 4:
		return f.codes(&g.Required)
	}
	return f.unknown()
}

func (g *Governance) check() error {
	if !g.Subject.Valid() || len(g.Offices) == 0 || g.Threshold == 0 || int64(g.Threshold) > int64(len(g.Offices)) {
		return malformed("governance: subject, offices or threshold")
	}
	if !ascending(g.Offices) || !ascending(g.Required) {
		return malformed("governance: codes do not ascend")
	}
	for _, c := range g.Required {
		if _, ok := slices.BinarySearch(g.Offices, c); !ok {
			return malformed("governance: required office %s does not govern", c)
		}
	}
	return nil
}

func ascending(codes []Code) bool {
	for i, c := range codes {
		if !c.Valid() || i > 0 && codes[i-1] >= c {
			return false
		}
	}
	return true
}

func ascendingIDs(ids []KeyID) bool {
	for i, id := range ids {
		if i > 0 && slices.Compare(ids[i-1][:], id[:]) >= 0 {
			return false
		}
	}
	return true
}

func (s *CustodianSet) number() protowire.Number { return 5 }

func (s *CustodianSet) appendTo(b []byte) []byte {
	b = appendCode(b, 1, s.Code)
	for _, id := range s.Custodians {
		b = appendBytes(b, 2, id[:])
	}
	for _, id := range s.Lost {
		b = appendBytes(b, 3, id[:])
	}
	return b
}

func (s *CustodianSet) visit(f field) error {
	switch f.number {
	case 1:
		return f.code(&s.Code)
	case 2, 3:
		var id KeyID
		if err := f.fixed(id[:]); err != nil {
			return err
		}
		if f.number == 2 {
			s.Custodians = append(s.Custodians, id)
		} else {
			s.Lost = append(s.Lost, id)
		}
		return nil
	}
	return f.unknown()
}

func (s *CustodianSet) check() error {
	if !s.Code.Valid() || len(s.Custodians) == 0 {
		return malformed("custodian set: code or custodians")
	}
	if !ascendingIDs(s.Custodians) || !ascendingIDs(s.Lost) {
		return malformed("custodian set: ids do not ascend")
	}
	for _, id := range s.Lost {
		if slices.Contains(s.Custodians, id) {
			return malformed("custodian set: a custodian that is lost is in the set")
		}
	}
	return nil
}

func (s *Series) number() protowire.Number { return 6 }

func (s *Series) appendTo(b []byte) []byte {
	b = appendCode(b, 1, s.Code)
	b = appendVarint(b, 2, uint64(s.Granularity))
	b = appendCodes(b, 3, s.Departments)
	return appendVarint(b, 4, uint64(s.Status))
}

func (s *Series) visit(f field) error {
	switch f.number {
	case 1:
		return f.code(&s.Code)
	case 2:
		v, err := f.enum()
		s.Granularity = Granularity(v)
		return err
	case 3:
		return f.codes(&s.Departments)
	case 4:
		v, err := f.enum()
		s.Status = Status(v)
		return err
	}
	return f.unknown()
}

func (s *Series) check() error {
	if !s.Code.Valid() || !s.Granularity.Valid() || s.Status != StatusActive && s.Status != StatusInactive || !ascending(s.Departments) {
		return malformed("series: code, granularity, departments or status")
	}
	return nil
}

func (n *Node) number() protowire.Number { return 7 }

func (n *Node) appendTo(b []byte) []byte {
	for i, key := range n.keys() {
		if *key != [32]byte{} {
			b = appendBytes(b, protowire.Number(i+1), key[:])
		}
	}
	b = appendVarint(b, 6, uint64(n.Power))
	if n.Removed {
		b = appendVarint(b, 7, 1)
	}
	if n.Replaces != (KeyID{}) {
		b = appendBytes(b, 8, n.Replaces[:])
	}
	return b
}

func (n *Node) keys() [5]*[32]byte {
	return [5]*[32]byte{&n.NodeKey, &n.ValidatorKey, &n.CosignerKey, &n.LogKey, &n.CustodianKey}
}

func (n *Node) visit(f field) (err error) {
	switch {
	case f.number >= 1 && f.number <= 5:
		return f.fixed(n.keys()[f.number-1][:])
	case f.number == 6:
		n.Power, err = f.uint32()
		return err
	case f.number == 7:
		return f.flag(&n.Removed)
	case f.number == 8:
		return f.fixed(n.Replaces[:])
	}
	return f.unknown()
}

// check wants every key but the custodian's, no key twice, and a power that
// CometBFT's integer median can work with: 10 or more (0: not a validator).
// A node that leaves has no power and replaces none.
func (n *Node) check() error {
	keys := n.keys()
	for i, key := range keys {
		if *key == [32]byte{} && i < 4 {
			return malformed("node: key %d is missing", i+1)
		}
		for _, other := range keys[:i] {
			if *key == *other {
				return malformed("node: one key has two uses")
			}
		}
	}
	if n.Power != 0 && (n.Power < 10 || n.Power > 1000) {
		return malformed("node: power is not 0 or 10 to 1000")
	}
	if n.Removed && (n.Power != 0 || n.Replaces != (KeyID{})) || n.Replaces == KeyIDOf(n.NodeKey[:]) {
		return malformed("node: a node that is removed has power or replaces one, or it replaces itself")
	}
	return nil
}
