package record

import (
	"strings"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/muniment/muniment/app/retention"
)

// Limits of schedules.
const (
	MaxScheduleRules = 1024  // in one version
	maxNotice        = 36525 // days
	maxNoticeHeights = 1 << 20
)

// ScheduleRule is the retention rule of one series in one version of a
// schedule. It is in force once the version is adopted.
type ScheduleRule struct {
	Schedule      Code
	Version       uint32 // from 1
	Series        Code
	Rule          retention.Rule
	Action        Action // what becomes of the records in the end; ActionPermanent for permanent series
	Approvals     []Role // whose approval a disposition needs besides the department's, ascending
	NoticeDays    uint32 // between the last approval and the lock
	NoticeHeights uint32 // likewise
	FiscalStart   uint32 // month in which the fiscal year starts, 1 to 12
	Transitory    bool   // no approvals, no notice
	Batched       bool   // records are anchored by AnchorBatch alone
}

// Schedule adopts a version: the rules that were stated under it, all of them.
type Schedule struct {
	Code      Code
	Version   uint32
	State     bool // of the state: adopted only with the Public Records Administrator; local rules may not be shorter
	Effective Day  // first day in force, not before the ledger day of adoption
	Count     uint32
	Root      [32]byte // see ScheduleRoot
}

// Activation opens a series for a department: it carries what the five sign-offs are given to.
type Activation struct {
	Series      Code
	Office      Code // the requesting department
	Granularity Granularity
	Assessment  [32]byte // commitment of the privacy impact assessment
	Assessed    Day      // its date, before the activation
	Review      Day      // its next review: from the day after, no new anchors
	DataMap     [32]byte // commitment of the data map
}

// StandingAuthorization approves dispositions under named series of a
// department in advance, for at most a year.
type StandingAuthorization struct {
	Office      Code
	Series      []Code // ascending
	From, Until Day    // both included
}

// ScheduleRoot gives the RFC 6962 tree hash over the canonical bytes of the
// rules of a version, ascending by series.
func ScheduleRoot(rules [][]byte) (root [32]byte, err error) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			hashes[i] = stored[at]
		}
		return hashes, nil
	})
	for i, rule := range rules {
		hashes, err := tlog.StoredHashes(int64(i), rule, read)
		if err != nil {
			return [32]byte{}, err
		}
		stored = append(stored, hashes...)
	}
	return tlog.TreeHash(int64(len(rules)), read)
}

func (r *ScheduleRule) number() protowire.Number { return 8 }

func (r *ScheduleRule) appendTo(b []byte) []byte {
	b = appendVarint(appendCode(b, 1, r.Schedule), 2, uint64(r.Version))
	b = appendNested(appendCode(b, 3, r.Series), 4, appendRule(nil, &r.Rule))
	b = appendRoles(appendVarint(b, 5, uint64(r.Action)), 6, r.Approvals)
	b = appendVarint(appendVarint(b, 7, uint64(r.NoticeDays)), 8, uint64(r.NoticeHeights))
	b = appendVarint(b, 9, uint64(r.FiscalStart))
	return appendFlag(appendFlag(b, 10, r.Transitory), 11, r.Batched)
}

func (r *ScheduleRule) visit(f field) (err error) {
	switch f.number {
	case 1:
		return f.code(&r.Schedule)
	case 2:
		r.Version, err = f.uint32()
	case 3:
		return f.code(&r.Series)
	case 4:
		return f.rule(&r.Rule, 1)
	case 5:
		var v uint8
		v, err = f.enum()
		r.Action = Action(v)
	case 6:
		return f.roles(&r.Approvals)
	case 7:
		r.NoticeDays, err = f.uint32()
	case 8:
		r.NoticeHeights, err = f.uint32()
	case 9:
		r.FiscalStart, err = f.uint32()
	case 10:
		return f.flag(&r.Transitory)
	case 11:
		return f.flag(&r.Batched)
	default:
		return f.unknown()
	}
	return err
}

func (r *ScheduleRule) check() error {
	if !r.Schedule.Valid() || r.Version == 0 || !r.Series.Valid() || !r.Action.Valid() || r.Action == ActionRedact || !ascendingRoles(r.Approvals) {
		return malformed("schedule rule: schedule, version, series, action or approvals")
	}
	if err := r.Rule.Check(); err != nil {
		return malformed("schedule rule of %s: %v", r.Series, err)
	}
	if r.FiscalStart < 1 || r.FiscalStart > 12 || r.NoticeDays > maxNotice || r.NoticeHeights > maxNoticeHeights {
		return malformed("schedule rule of %s: the fiscal year starts in month 1 to 12, and the notice has at most %d days and %d heights", r.Series, maxNotice, maxNoticeHeights)
	}
	return r.checkSafeguards()
}

// checkSafeguards wants approvals and a notice period, but for transitory
// records and for demonstrations.
func (r *ScheduleRule) checkSafeguards() error {
	if r.Transitory != (len(r.Approvals) == 0) {
		return malformed("schedule rule of %s: transitory records need no approvals, and all others need one at least", r.Series)
	}
	quick := r.Transitory || r.Series.Demonstration()
	if r.NoticeHeights < 1 || !quick && (r.NoticeDays < 1 || r.NoticeHeights < 2) {
		return malformed("schedule rule of %s: the notice must be at least a day and two heights", r.Series)
	}
	return nil
}

// Demonstration tells whether a series is for trying things out: its code
// starts with "DEMO-". Such a series is no records schedule.
func (c Code) Demonstration() bool { return strings.HasPrefix(string(c), "DEMO-") }

func (s *Schedule) number() protowire.Number { return 9 }

func (s *Schedule) appendTo(b []byte) []byte {
	b = appendVarint(appendCode(b, 1, s.Code), 2, uint64(s.Version))
	b = appendDay(appendFlag(b, 3, s.State), 4, s.Effective)
	return appendBytes(appendVarint(b, 5, uint64(s.Count)), 6, s.Root[:])
}

func (s *Schedule) visit(f field) (err error) {
	switch f.number {
	case 1:
		return f.code(&s.Code)
	case 2:
		s.Version, err = f.uint32()
	case 3:
		return f.flag(&s.State)
	case 4:
		return f.day(&s.Effective)
	case 5:
		s.Count, err = f.uint32()
	case 6:
		return f.fixed(s.Root[:])
	default:
		return f.unknown()
	}
	return err
}

func (s *Schedule) check() error {
	if !s.Code.Valid() || s.Version == 0 || s.Count == 0 || s.Count > MaxScheduleRules {
		return malformed("schedule: code, version or number of rules")
	}
	return nil
}

func (a *Activation) number() protowire.Number { return 10 }

func (a *Activation) appendTo(b []byte) []byte {
	b = appendVarint(appendCode(appendCode(b, 1, a.Series), 2, a.Office), 3, uint64(a.Granularity))
	b = appendDay(appendDay(appendBytes(b, 4, a.Assessment[:]), 5, a.Assessed), 6, a.Review)
	return appendBytes(b, 7, a.DataMap[:])
}

func (a *Activation) visit(f field) error {
	switch f.number {
	case 1:
		return f.code(&a.Series)
	case 2:
		return f.code(&a.Office)
	case 3:
		v, err := f.enum()
		a.Granularity = Granularity(v)
		return err
	case 4:
		return f.fixed(a.Assessment[:])
	case 5:
		return f.day(&a.Assessed)
	case 6:
		return f.day(&a.Review)
	case 7:
		return f.fixed(a.DataMap[:])
	}
	return f.unknown()
}

func (a *Activation) check() error {
	if !a.Series.Valid() || !a.Office.Valid() || !a.Granularity.Valid() {
		return malformed("activation: series, office or granularity")
	}
	if a.Assessment == [32]byte{} || a.DataMap == [32]byte{} || a.Review <= a.Assessed {
		return malformed("activation: impact assessment, its review or data map")
	}
	return nil
}

func (s *StandingAuthorization) number() protowire.Number { return 11 }

func (s *StandingAuthorization) appendTo(b []byte) []byte {
	b = appendCodes(appendCode(b, 1, s.Office), 2, s.Series)
	return appendDay(appendDay(b, 3, s.From), 4, s.Until)
}

func (s *StandingAuthorization) visit(f field) error {
	switch f.number {
	case 1:
		return f.code(&s.Office)
	case 2:
		return f.codes(&s.Series)
	case 3:
		return f.day(&s.From)
	case 4:
		return f.day(&s.Until)
	}
	return f.unknown()
}

// check wants at most a year: 366 days, both ends included.
func (s *StandingAuthorization) check() error {
	if !s.Office.Valid() || len(s.Series) == 0 || !ascending(s.Series) {
		return malformed("standing authorization: office or series")
	}
	if s.From > s.Until || int64(s.Until)-int64(s.From) > 365 {
		return malformed("standing authorization: it is for at most a year")
	}
	return nil
}
