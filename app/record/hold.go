package record

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// HoldKind is why disposition is suspended.
type HoldKind uint8

// The kinds of holds (S0.19, S1.13). A sealed hold does not say which it is.
const (
	HoldLitigation HoldKind = iota + 1
	HoldAnticipated
	HoldAdministrativeReview
	HoldAudit
	HoldInvestigation
	HoldFOIRequest
	HoldPreservationOrder
	HoldInjunction
	HoldOtherAuthority
	HoldAdviceRequested // interim, until counsel answers
	HoldSealed
)

var holdKindNames = []string{"LITIGATION", "ANTICIPATED", "ADMINISTRATIVE_REVIEW", "AUDIT", "INVESTIGATION", "FOI_REQUEST",
	"PRESERVATION_ORDER", "INJUNCTION", "OTHER_AUTHORITY", "ADVICE_REQUESTED", "SEALED"}

// Valid tells whether k is a known kind.
func (k HoldKind) Valid() bool { return k >= HoldLitigation && k <= HoldSealed }

// String gives the name of the kind, as "FOI_REQUEST".
func (k HoldKind) String() string { return nameOf(uint8(k), "HOLD", holdKindNames...) }

// HoldKinds lists every kind, ascending.
func HoldKinds() []HoldKind {
	all := make([]HoldKind, len(holdKindNames))
	for i := range all {
		all[i] = HoldKind(i + 1)
	}
	return all
}

// MaxIssues is how many issues one hold may have.
const MaxIssues = 1024

// Scope is what a hold covers: listed records, or whatever a department, a
// series of it, or the city has now and will have, within a range of days where
// one is given. Exactly one of Records, Department and City is set; the zero
// Scope covers nothing.
type Scope struct {
	Records    []Index // ascending
	Department Code
	Series     Code // of the department; empty: all its series
	City       bool
	Dated      bool // From and To bound the days of the records; undated records are covered
	From, To   Day
}

// Empty tells whether the scope covers nothing.
func (s *Scope) Empty() bool { return len(s.Records) == 0 && s.Department == "" && !s.City }

// PlaceHold suspends disposition.
type PlaceHold struct {
	Kind   HoldKind
	Matter [32]byte // salted commitment of the matter, fresh for each hold
	Issues uint32   // open issues, numbered from 1
	Scope  Scope
}

// ExtendHold widens a hold or adds issues to it.
type ExtendHold struct {
	Hold   Index
	Issues uint32 // further issues
	Scope  Scope  // further scope; may be empty
}

// ResolveIssue closes an issue of a hold; issue 0 is the action itself.
type ResolveIssue struct {
	Hold  Index
	Issue uint32
}

// ReleaseHold ends a hold whose action and issues are all closed.
type ReleaseHold struct{ Hold Index }

func (s *Scope) appendTo(b []byte) []byte {
	b = appendIndexes(b, 1, s.Records)
	b = appendCode(b, 2, s.Department)
	b = appendCode(b, 3, s.Series)
	b = appendFlag(b, 4, s.City)
	b = appendFlag(b, 5, s.Dated)
	return appendDay(appendDay(b, 6, s.From), 7, s.To)
}

func (s *Scope) visit(f field) error {
	switch f.number {
	case 1:
		return f.indexes(&s.Records)
	case 2:
		return f.code(&s.Department)
	case 3:
		return f.code(&s.Series)
	case 4:
		return f.flag(&s.City)
	case 5:
		return f.flag(&s.Dated)
	case 6:
		return f.day(&s.From)
	case 7:
		return f.day(&s.To)
	}
	return f.unknown()
}

func (s *Scope) check() error {
	named := 0
	for _, set := range [...]bool{len(s.Records) > 0, s.Department != "", s.City} {
		if set {
			named++
		}
	}
	switch {
	case named > 1:
		return malformed("scope: name records, a department or the city, and one of them alone")
	case s.Department != "" && !s.Department.Valid(), s.Series != "" && (s.Department == "" || !s.Series.Valid()):
		return malformed("scope: department or series")
	case s.Dated && (s.From > s.To || s.Department == "" && !s.City), !s.Dated && (s.From != 0 || s.To != 0):
		return malformed("scope: days")
	case !ascendingIndexes(s.Records):
		return malformed("scope: records do not ascend")
	}
	return nil
}

func (m *PlaceHold) messageNumber() protowire.Number { return 24 }

func (m *PlaceHold) appendMessage(b []byte) []byte {
	b = appendBytes(appendVarint(b, 1, uint64(m.Kind)), 2, m.Matter[:])
	return appendNested(appendVarint(b, 3, uint64(m.Issues)), 4, m.Scope.appendTo(nil))
}

func (m *PlaceHold) visitMessage(f field) (err error) {
	switch f.number {
	case 1:
		v, err := f.enum()
		m.Kind = HoldKind(v)
		return err
	case 2:
		return f.fixed(m.Matter[:])
	case 3:
		m.Issues, err = f.uint32()
		return err
	case 4:
		return f.scope(&m.Scope)
	}
	return f.unknown()
}

func (f field) scope(s *Scope) error {
	if f.kind != protowire.BytesType {
		return malformed("scope")
	}
	return eachField(f.bytes, s.visit)
}

func (m *PlaceHold) checkMessage() error {
	if !m.Kind.Valid() || m.Matter == [32]byte{} || m.Issues > MaxIssues || m.Scope.Empty() {
		return malformed("hold: kind, matter, issues or scope")
	}
	return m.Scope.check()
}

func (m *ExtendHold) messageNumber() protowire.Number { return 25 }

func (m *ExtendHold) appendMessage(b []byte) []byte {
	b = appendVarint(appendVarint(b, 1, uint64(m.Hold)), 2, uint64(m.Issues))
	if m.Scope.Empty() {
		return b
	}
	return appendNested(b, 3, m.Scope.appendTo(nil))
}

func (m *ExtendHold) visitMessage(f field) (err error) {
	switch f.number {
	case 1:
		return f.index(&m.Hold)
	case 2:
		m.Issues, err = f.uint32()
		return err
	case 3:
		return f.scope(&m.Scope)
	}
	return f.unknown()
}

func (m *ExtendHold) checkMessage() error {
	if m.Hold <= 0 || m.Issues > MaxIssues || m.Issues == 0 && m.Scope.Empty() {
		return malformed("extension: hold, issues or scope")
	}
	return m.Scope.check()
}

func (m *ResolveIssue) messageNumber() protowire.Number { return 26 }

func (m *ResolveIssue) appendMessage(b []byte) []byte {
	return appendVarint(appendVarint(b, 1, uint64(m.Hold)), 2, uint64(m.Issue))
}

func (m *ResolveIssue) visitMessage(f field) (err error) {
	switch f.number {
	case 1:
		return f.index(&m.Hold)
	case 2:
		m.Issue, err = f.uint32()
		return err
	}
	return f.unknown()
}

func (m *ResolveIssue) checkMessage() error {
	if m.Hold <= 0 || m.Issue > MaxIssues {
		return malformed("resolution: hold or issue")
	}
	return nil
}

func (m *ReleaseHold) messageNumber() protowire.Number { return 27 }

func (m *ReleaseHold) appendMessage(b []byte) []byte { return appendVarint(b, 1, uint64(m.Hold)) }

func (m *ReleaseHold) visitMessage(f field) error {
	if f.number == 1 {
		return f.index(&m.Hold)
	}
	return f.unknown()
}

func (m *ReleaseHold) checkMessage() error {
	if m.Hold <= 0 {
		return malformed("release: hold")
	}
	return nil
}
