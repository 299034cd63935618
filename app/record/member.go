package record

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// MaxWitnesses is how many witnesses a network has at most.
const MaxWitnesses = 32

// Witnesses are all cosigners outside the network.
type Witnesses struct {
	Witnesses []Witness // ascending by code
	Threshold uint32    // how many make a quorum; 0 without witnesses
}

// Witness is a cosigner outside the network.
type Witness struct {
	Code      Code
	PublicKey [32]byte // Ed25519
	NameHash  [32]byte // SHA-256 of its name in signatures, which stays off-chain
}

// Upgrade changes the version of the rules at a height.
type Upgrade struct {
	Version uint32 // one more than the version in force
	Height  int64  // of the first block that is judged by it
}

// Departure is how a custodian left a set.
type Departure uint8

// The departures.
const (
	DepartureHandedOver Departure = iota + 1 // every record is with the other custodians of the set
	DepartureDestroyed                       // it had no record of the set that lives
)

// Valid tells whether d is a known departure.
func (d Departure) Valid() bool { return d == DepartureHandedOver || d == DepartureDestroyed }

// String gives the name of the departure, as "HANDED_OVER".
func (d Departure) String() string { return nameOf(uint8(d), "DEPARTURE", "HANDED_OVER", "DESTROYED") }

// LeaveCustody states that a custodian keeps nothing of a set any more. It is
// signed with the node's custodian key.
type LeaveCustody struct {
	Set       Code
	Departure Departure
}

// DepartureEntry states that a custodian keeps nothing of a set any more.
type DepartureEntry struct {
	Custodian KeyID
	Set       Code
	Departure Departure
}

// MisbehaviorEntry records that a validator signed two things of which it may
// sign one, as the engine's evidence shows. It stands before the transactions of
// its block, and belongs to none.
type MisbehaviorEntry struct {
	Validator KeyID // id of its validator key
	Height    int64 // at which it did
}

// Kind tells the kind of the entry; likewise below.
func (DepartureEntry) Kind() Kind   { return KindDeparture }
func (MisbehaviorEntry) Kind() Kind { return KindMisbehavior } // Kind is KindMisbehavior

func (e DepartureEntry) fields() []any   { return []any{e.Custodian, e.Set, e.Departure} }
func (e MisbehaviorEntry) fields() []any { return []any{e.Validator, e.Height} }

func (e DepartureEntry) check() error {
	return (&LeaveCustody{Set: e.Set, Departure: e.Departure}).checkMessage()
}

func (e MisbehaviorEntry) check() error { return notNegative("misbehavior entry", e.Height) }

// memberEntry reads the kinds of this file.
func (r *reader) memberEntry(k Kind) Entry {
	switch k {
	case KindDeparture:
		e := DepartureEntry{}
		r.fixed(e.Custodian[:])
		e.Set, e.Departure = r.code(), Departure(r.enum())
		return e
	case KindMisbehavior:
		e := MisbehaviorEntry{}
		r.fixed(e.Validator[:])
		e.Height = r.number()
		return e
	}
	r.fail(malformed("entry of unknown kind %d", k))
	return nil
}

func (m *LeaveCustody) messageNumber() protowire.Number { return 41 }

func (m *LeaveCustody) appendMessage(b []byte) []byte {
	return appendVarint(appendCode(b, 1, m.Set), 2, uint64(m.Departure))
}

func (m *LeaveCustody) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.code(&m.Set)
	case 2:
		v, err := f.enum()
		m.Departure = Departure(v)
		return err
	}
	return f.unknown()
}

func (m *LeaveCustody) checkMessage() error {
	if !m.Set.Valid() || !m.Departure.Valid() {
		return malformed("departure: set or kind")
	}
	return nil
}

func (w *Witnesses) number() protowire.Number { return 12 }

func (w *Witnesses) appendTo(b []byte) []byte {
	for _, x := range w.Witnesses {
		one := appendBytes(appendBytes(appendCode(nil, 1, x.Code), 2, x.PublicKey[:]), 3, x.NameHash[:])
		b = appendNested(b, 1, one)
	}
	return appendVarint(b, 2, uint64(w.Threshold))
}

func (w *Witnesses) visit(f field) (err error) {
	switch f.number {
	case 1:
		if f.kind != protowire.BytesType || len(w.Witnesses) == MaxWitnesses {
			return malformed("witnesses")
		}
		w.Witnesses = append(w.Witnesses, Witness{})
		return eachField(f.bytes, w.Witnesses[len(w.Witnesses)-1].visit)
	case 2:
		w.Threshold, err = f.uint32()
		return err
	}
	return f.unknown()
}

func (w *Witness) visit(f field) error {
	switch f.number {
	case 1:
		return f.code(&w.Code)
	case 2:
		return f.fixed(w.PublicKey[:])
	case 3:
		return f.fixed(w.NameHash[:])
	}
	return f.unknown()
}

func (w *Witnesses) check() error {
	n := len(w.Witnesses)
	if n > MaxWitnesses || int64(w.Threshold) > int64(n) || (w.Threshold == 0) != (n == 0) {
		return malformed("witnesses: number or threshold")
	}
	for i, x := range w.Witnesses {
		if !x.Code.Valid() || i > 0 && w.Witnesses[i-1].Code >= x.Code || x.PublicKey == [32]byte{} {
			return malformed("witnesses: code or key, or they do not ascend")
		}
		if slices.ContainsFunc(w.Witnesses[:i], func(y Witness) bool { return y.PublicKey == x.PublicKey || y.NameHash == x.NameHash }) {
			return malformed("witnesses: one key or one name is there twice")
		}
	}
	return nil
}

func (u *Upgrade) number() protowire.Number { return 13 }

func (u *Upgrade) appendTo(b []byte) []byte {
	return appendVarint(appendVarint(b, 1, uint64(u.Version)), 2, uint64(u.Height))
}

func (u *Upgrade) visit(f field) (err error) {
	switch f.number {
	case 1:
		u.Version, err = f.uint32()
		return err
	case 2:
		u.Height, err = f.int63()
		return err
	}
	return f.unknown()
}

func (u *Upgrade) check() error {
	if u.Version < 2 || u.Version > math.MaxUint16 || u.Height < 2 {
		return malformed("upgrade: version or height")
	}
	return nil
}
