package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Item is a record as a disposition sees it.
type Item struct {
	Index     record.Index
	Anchor    record.AnchorEntry
	Lifecycle Lifecycle
	Rules     []BindingRule // ascending by the entry that states them
	Verdict   retention.Verdict
	Notices   []Notice       // to the persons concerned, all of them are needed
	Holds     []HoldOn       // that stand, ascending
	Released  bool           // a hold that covered it was released
	Freed     record.Day     // ledger day of the last such release
	OneByOne  bool           // dated before 1900 or undated: disposed of alone, with the administrator's approval
	Audit     Posting        // that counted; the zero Posting where none did
	Followed  []record.Index // fact entries of the rules of other series that its own refer to
}

// Notice is how long before destruction a person must be told.
type Notice struct {
	Count uint32
	Unit  retention.Unit
}

// Standing is where a record stands on its way to disposition.
type Standing uint8

// The standings, by what stands in the way first.
const (
	StandingLocked    Standing = iota + 1 // under a disposition that is final
	StandingHeld                          // a hold stands
	StandingUnruled                       // no rule is in force
	StandingPermanent                     // a rule keeps it for good, or has another final action than destruction
	StandingWaiting                       // facts are missing
	StandingNotYet                        // the period ends on a known day
	StandingDue                           // disposition may be asked
)

var standingNames = [...]string{"", "LOCKED", "HELD", "NO_RULE", "PERMANENT", "WAITING", "NOT_YET", "DUE"}

// String gives the name of the standing, as "NOT_YET".
func (s Standing) String() string {
	if s < StandingLocked || s > StandingDue {
		return fmt.Sprintf("STANDING_%d", uint8(s))
	}
	return standingNames[s]
}

// Standing tells what stands first between the record and its destruction.
func (it *Item) Standing() Standing {
	switch {
	case it.Lifecycle.Disposition != 0:
		return StandingLocked
	case len(it.Holds) > 0:
		return StandingHeld
	case len(it.Rules) == 0:
		return StandingUnruled
	case it.Verdict.Status == retention.Never:
		return StandingPermanent
	case it.Verdict.Status == retention.Waiting:
		return StandingWaiting
	case it.Verdict.Status == retention.NotYet:
		return StandingNotYet
	case !it.mayGo():
		return StandingPermanent
	}
	return StandingDue
}

// mayGo tells whether destruction is the final action of every rule that binds
// the record. What a schedule wants transferred or kept is never destroyed.
func (it *Item) mayGo() bool {
	return !slices.ContainsFunc(it.Rules, func(r BindingRule) bool { return r.Action != record.ActionDestroy })
}

// Eligible gives the first day on which disposition of a record that is due, or
// will be, could be asked: when its period is over and the last of its holds was
// released (S4.10).
func (it *Item) Eligible() record.Day {
	if it.Released {
		return max(it.Verdict.Due, it.Freed)
	}
	return it.Verdict.Due
}

// destroyable tells whether the record's period is over and every rule wants it
// destroyed: the schedule itself asks for what an erasure does to it.
func (it *Item) destroyable() bool { return it.Verdict.Status == retention.Due && it.mayGo() }

// Approvals lists the roles whose approval an action on the record needs besides
// the department's, ascending. What is erased of a record is withheld from the
// public for good, which is the Clerk's and Counsel's to agree to; and ahead of
// the schedule nothing is destroyed without the administrator of the state.
func (it *Item) Approvals(action record.Action) []record.Role {
	var roles []record.Role
	if action == record.ActionRedact {
		roles = append(roles, record.RoleClerk, record.RoleCounsel)
		if !it.destroyable() {
			roles = append(roles, record.RoleStateRecords)
		}
	}
	for _, rule := range it.Rules {
		roles = append(roles, rule.Approvals...)
	}
	if it.Verdict.Review {
		roles = append(roles, record.RoleStateArchivist)
	}
	if it.OneByOne {
		roles = append(roles, record.RoleStateRecords)
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// first1900 is 1900-01-01: older originals need the administrator's express
// approval (Conn. Gen. Stat. 7-109).
const first1900 record.Day = -25567

// itemReader judges records on one ledger day and remembers what it read.
type itemReader struct {
	view    View
	today   record.Day
	explain bool
	rules   *ruleReader
	holds   *holdReader
	audits  map[record.Code][]Posting
	plain   map[plainItem]judged
}

// plainItem names records that nothing befell and that are judged alike.
type plainItem struct {
	series, office record.Code
	day            record.Day
	flags          uint32
	rules          *BindingRule // the first of those that bind
}

// judged is what rules say of a record.
type judged struct {
	verdict retention.Verdict
	notices []Notice
	audit   Posting

	followed []record.Index // see Item.Followed; as they were looked up
}

func newItemReader(v View, today record.Day) *itemReader {
	return &itemReader{
		view: v, today: today, rules: newRuleReader(v, today), holds: newHoldReader(v),
		audits: map[record.Code][]Posting{}, plain: map[plainItem]judged{},
	}
}

// item judges the record that entry i anchored.
func (r *itemReader) item(i record.Index) (Item, bool, error) {
	anchor, ok, err := AnchorOf(r.view, i)
	if err != nil || !ok {
		return Item{}, false, err
	}
	l, _, err := LifecycleOf(r.view, i)
	if err != nil {
		return Item{}, false, err
	}
	it, err := r.judge(i, anchor, l)
	return it, err == nil, err
}

// AnchorOf gives anchor entry i; ok is false where entry i is of another kind
// or not there yet.
func AnchorOf(v View, i record.Index) (record.AnchorEntry, bool, error) {
	if i < 0 || int64(i) >= v.Head().Size {
		return record.AnchorEntry{}, false, nil
	}
	e, err := entryOf(v, i)
	if err != nil {
		return record.AnchorEntry{}, false, err
	}
	anchor, ok := e.(record.AnchorEntry)
	return anchor, ok, nil
}

func (r *itemReader) judge(i record.Index, anchor record.AnchorEntry, l Lifecycle) (Item, error) {
	it := Item{Index: i, Anchor: anchor, Lifecycle: l}
	undated := anchor.Flags&record.FlagUndated != 0
	it.OneByOne = undated || anchor.Day < first1900
	holds, err := r.holds.on(i, anchor, l)
	if err != nil {
		return Item{}, err
	}
	it.Holds, it.Released, it.Freed = holds.standing, holds.released, holds.freed
	if it.Rules, err = r.rules.binding(anchor.Series, i); err != nil || len(it.Rules) == 0 {
		return it, err
	}
	plain := plainItem{series: anchor.Series, office: anchor.Office, day: anchor.Day, flags: anchor.Flags, rules: &it.Rules[0]}
	bare := l.Supersession == 0 && l.Filing == 0 && len(l.Events) == 0 && !r.explain && !refers(it.Rules)
	j, known := r.plain[plain]
	if !bare || !known {
		if j, err = r.apply(it); err != nil {
			return Item{}, err
		}
		if bare {
			r.plain[plain] = j
		}
	}
	it.Verdict, it.Notices, it.Audit, it.Followed = j.verdict, j.notices, j.audit, j.followed
	return it, nil
}

// apply evaluates the rules of a record: all must be satisfied.
func (r *itemReader) apply(it Item) (judged, error) {
	facts, err := r.facts(it.Index, it.Anchor, it.Lifecycle, true)
	if err != nil {
		return judged{}, err
	}
	var j judged
	if j.audit, err = r.audit(it, &facts); err != nil {
		return judged{}, err
	}
	if j.audit.Entry != 0 {
		facts.Audits = []retention.Audit{{Through: j.audit.Through, Posted: j.audit.Posted}}
		if facts.File != nil {
			facts.File.Audits = facts.Audits
		}
	}
	evaluate := retention.Judge
	if r.explain {
		evaluate = retention.Evaluate
	}
	for n, rule := range it.Rules {
		facts.FiscalStart = time.Month(rule.FiscalStart)
		if facts.File != nil {
			facts.File.FiscalStart = facts.FiscalStart
		}
		v := evaluate(rule.Rule, facts, r.today, r.rules.lookup(it.Index, &j.followed))
		if v.NoticeCount > 0 {
			j.notices = append(j.notices, Notice{Count: v.NoticeCount, Unit: v.NoticeUnit})
		}
		if n == 0 {
			j.verdict = v
			continue
		}
		j.verdict = stricter(j.verdict, v)
	}
	for _, rule := range it.Rules {
		if r.explain && rule.Action != record.ActionDestroy && j.verdict.Status != retention.Never {
			j.verdict.Why = append(j.verdict.Why, retention.Step{Text: "the schedule's final action is " + rule.Action.String() + ": never destroyed"})
		}
	}
	return j, r.rules.err
}

// stricter joins what two rules say: the later day, and whatever waits or is
// kept for good.
func stricter(a, b retention.Verdict) retention.Verdict {
	why := append(slices.Clip(a.Why), b.Why...)
	missing := append(slices.Clip(a.Missing), b.Missing...)
	review := a.Review || b.Review
	if b.Status > a.Status || b.Status == a.Status && b.Due > a.Due {
		a = b
	}
	a.Why, a.Missing, a.Review = why, missing, review
	return a
}

// facts collects what is known of a record, and of the file it is part of.
func (r *itemReader) facts(i record.Index, anchor record.AnchorEntry, l Lifecycle, withFile bool) (retention.Facts, error) {
	f := retention.Facts{Created: anchor.Day, Undated: anchor.Flags&record.FlagUndated != 0, Series: string(l.Series)}
	for _, e := range l.Events {
		f.Events = append(f.Events, retention.Fact{Event: e.Event, Day: e.Day})
	}
	if l.Supersession != 0 {
		f.Events = append(f.Events, retention.Fact{Event: retention.Superseded, Day: l.SupersededOn})
	}
	if l.File == 0 || !withFile {
		return f, nil
	}
	file, ok, err := AnchorOf(r.view, l.File)
	if err == nil && !ok {
		err = fmt.Errorf("read file of record %d: entry %d is no record: %w", i, l.File, errDamaged)
	}
	if err != nil {
		return retention.Facts{}, err
	}
	of, _, err := LifecycleOf(r.view, l.File)
	if err != nil {
		return retention.Facts{}, err
	}
	inner, err := r.facts(l.File, file, of, false)
	if err != nil {
		return retention.Facts{}, err
	}
	inner.Series = string(file.Series)
	f.File = &inner
	return f, nil
}

// audit gives the first posting that covers the fiscal year of a record and that
// of its file, whichever of its rules starts these years latest.
func (r *itemReader) audit(it Item, f *retention.Facts) (Posting, error) {
	var days []record.Day
	if !f.Undated {
		days = append(days, f.Created)
	}
	if f.File != nil && !f.File.Undated {
		days = append(days, f.File.Created)
	}
	if len(days) == 0 {
		return Posting{}, nil
	}
	postings, known := r.audits[it.Anchor.Office]
	if !known {
		var err error
		if postings, err = AuditsOf(r.view, it.Anchor.Office); err != nil {
			return Posting{}, err
		}
		r.audits[it.Anchor.Office] = postings
	}
	last := slices.Max(days) // no earlier day lies in a later year
	end := last
	for _, rule := range it.Rules {
		end = max(end, retention.EndOfYear(last, retention.FiscalYear, time.Month(rule.FiscalStart)))
	}
	for _, p := range postings {
		if p.Through >= end {
			return p, nil
		}
	}
	return Posting{}, nil
}

// cited lists the entries of the facts about a record, and of the file it is part of.
func (r *itemReader) cited(l Lifecycle) ([]record.Index, error) {
	cited := l.statements()
	if l.File != 0 {
		file, _, err := LifecycleOf(r.view, l.File)
		if err != nil {
			return nil, err
		}
		cited = append(cited, file.statements()...)
	}
	slices.Sort(cited)
	return slices.Compact(cited), nil
}

// statements lists the entries that state something about a record.
func (l *Lifecycle) statements() []record.Index {
	var cited []record.Index
	for _, e := range l.Events {
		cited = append(cited, e.Entry)
	}
	for _, i := range [...]record.Index{l.Supersession, l.Filing} {
		if i != 0 {
			cited = append(cited, i)
		}
	}
	return cited
}
