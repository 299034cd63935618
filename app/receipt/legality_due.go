package receipt

import (
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// first1900 is 1900-01-01: older originals need the express approval of the
// administrator of public records.
const first1900 record.Day = -25567

// subject is a record about which facts are stated.
type subject struct {
	deed
	anchor record.AnchorEntry
	facts  retention.Facts
	filed  bool
}

// legalRule is a schedule rule that bound the record, or that such a rule refers to.
type legalRule struct {
	*record.ScheduleRule
	index    int64
	adopted  int64 // entry of the adoption
	schedule *record.Schedule
}

// citedFact is an event, a filing or a supersession.
type citedFact struct {
	deed
	what string
}

// judgement is what the rules say together.
type judgement struct {
	due     record.Day
	ripe    bool // the whole record could be destroyed
	review  bool
	notices []retention.Verdict // that ask for notice to the persons concerned
	why     []retention.Step
}

// subjectAt reads the anchor of a record.
func (c *legalCase) subjectAt(index record.Index, before int64) (*subject, error) {
	d, err := c.earlier(index, before)
	if err != nil {
		return nil, err
	}
	a, ok := d.entry.(record.AnchorEntry)
	if !ok {
		return nil, refuse(LockContradicted, "entry %d anchors no record", index)
	}
	undated := a.Flags&record.FlagUndated != 0
	return &subject{deed: d, anchor: a, facts: retention.Facts{Created: a.Day, Undated: undated}}, nil
}

// oneByOne tells whether the record is disposed of alone.
func (s *subject) oneByOne() bool { return s.facts.Undated || s.anchor.Day < first1900 }

// readRules reads the rules that the item cites, and their adoption.
func (c *legalCase) readRules() error {
	var others []legalRule
	for _, i := range c.item.Rules {
		rule, err := factAt[*record.ScheduleRule](c, int64(i), "a schedule rule")
		if err != nil {
			return err
		}
		adopted, err := c.source.Adoption(rule.Schedule, rule.Version)
		if err != nil {
			return err
		}
		schedule, err := factAt[*record.Schedule](c, adopted, "the adoption of a schedule")
		if err != nil {
			return err
		}
		if schedule.Code != rule.Schedule || schedule.Version != rule.Version || int64(i) >= adopted || adopted >= c.locked.index || schedule.Effective > c.lock.Day {
			return refuse(NoRule, "the rule of entry %d was not adopted and in force when the disposition was locked", i)
		}
		r := legalRule{rule, int64(i), adopted, schedule}
		if rule.Series == c.subject.anchor.Series {
			c.rules = append(c.rules, r)
		} else {
			others = append(others, r)
		}
	}
	if len(c.rules) == 0 {
		return refuse(NoRule, "the item cites no rule of series %s", c.subject.anchor.Series)
	}
	c.rules = append(c.rules, others...)
	return nil
}

// own lists the rules of the record's own series.
func (c *legalCase) own() []legalRule {
	n := slices.IndexFunc(c.rules, func(r legalRule) bool { return r.Series != c.subject.anchor.Series })
	if n < 0 {
		return c.rules
	}
	return c.rules[:n]
}

// readFacts reads what the item cites about the record, and about the file that
// it is part of.
func (c *legalCase) readFacts() error {
	deeds := make([]deed, len(c.item.Facts))
	for n, i := range c.item.Facts {
		d, err := c.earlier(i, c.locked.index)
		if err != nil {
			return err
		}
		if d.office != c.subject.anchor.Office {
			return refuse(LockContradicted, "entry %d is a fact stated by %s, the record is of %s", i, d.office, c.subject.anchor.Office)
		}
		deeds[n] = d
		m, files := d.message.(*record.FileRecords)
		if !files || m.File == 0 || !slices.Contains(m.Records, c.item.Record) {
			continue
		}
		if c.file, err = c.subjectAt(m.File, d.index); err != nil {
			return err
		}
	}
	for _, d := range deeds {
		about, err := c.state(c.subject, d)
		if err != nil {
			return err
		}
		if c.file != nil {
			alsoAbout, err := c.state(c.file, d)
			if err != nil {
				return err
			}
			about = about || alsoAbout
		}
		if !about {
			return refuse(LockContradicted, "entry %d is cited as a fact about record %d and does not name it", d.index, c.item.Record)
		}
	}
	return c.readAudit()
}

// state adds what a deed states about a record; it tells whether it states anything.
func (c *legalCase) state(s *subject, d deed) (bool, error) {
	about := record.Index(s.index)
	switch e := d.entry.(type) {
	case record.EventsEntry:
		if !slices.Contains(d.message.(*record.RecordEvents).Records, about) {
			return false, nil
		}
		s.facts.Events = append(s.facts.Events, retention.Fact{Event: e.Event, Day: e.Day})
		c.facts = append(c.facts, citedFact{d, e.Event.String() + " " + e.Day.String()})
	case record.SupersedeEntry:
		if e.Record != about {
			return false, nil
		}
		s.facts.Events = append(s.facts.Events, retention.Fact{Event: retention.Superseded, Day: d.day()})
		c.facts = append(c.facts, citedFact{d, "superseded " + d.day().String()})
	case record.FilingEntry:
		if !slices.Contains(d.message.(*record.FileRecords).Records, about) {
			return false, nil
		}
		if s.filed {
			return false, refuse(LockContradicted, "record %d is filed twice by what the item cites", about)
		}
		s.filed, s.facts.Series = true, string(e.Series)
		c.facts = append(c.facts, citedFact{d, filedAs(e)})
	default:
		return false, refuse(LockContradicted, "entry %d is cited as a fact about records and is none", d.index)
	}
	if s == c.file { // say of which record it is
		c.facts[len(c.facts)-1].what += ", of the file"
	}
	return true, nil
}

func filedAs(e record.FilingEntry) string {
	var d description
	if e.File == 0 {
		return "as series " + string(e.Series)
	}
	d.number("", int64(e.File))
	return "part of the file " + d[0].Value
}

// readAudit reads the audit that counted.
func (c *legalCase) readAudit() error {
	if c.item.Audit == 0 {
		return nil
	}
	d, err := c.earlier(c.item.Audit, c.locked.index)
	if err != nil {
		return err
	}
	e, ok := d.entry.(record.AuditEntry)
	if !ok || e.Department != c.subject.anchor.Office {
		return refuse(LockContradicted, "entry %d is no audit of %s", d.index, c.subject.anchor.Office)
	}
	auditor, err := c.withRoles(d, d.index)
	if err != nil {
		return err
	}
	if !auditor.has(record.RoleAuditor) {
		return refuse(WrongRole, "%s posted an audit and is no AUDITOR", d.office)
	}
	c.audited = &auditor
	c.subject.facts.Audits = []retention.Audit{{Through: e.Through, Posted: d.day()}}
	return nil
}

// judgeDue evaluates the rules on the day of the lock: the strictest counts.
func (c *legalCase) judgeDue() error {
	facts := c.subject.facts
	if c.file != nil {
		c.file.facts.Series, c.file.facts.Audits = string(c.file.anchor.Series), facts.Audits
		facts.File = &c.file.facts
	}
	strictest := retention.Verdict{}
	for _, rule := range c.own() {
		facts.FiscalStart = time.Month(rule.FiscalStart)
		if facts.File != nil {
			facts.File.FiscalStart = facts.FiscalStart
		}
		v := retention.Evaluate(rule.Rule, facts, c.lock.Day, c.lookup)
		c.judgement.why = append(c.judgement.why, v.Why...)
		c.judgement.review = c.judgement.review || v.Review
		if v.NoticeCount > 0 {
			c.judgement.notices = append(c.judgement.notices, v)
		}
		if v.Status > strictest.Status || v.Status == strictest.Status && v.Due > strictest.Due {
			strictest = v
		}
	}
	c.judgement.due = strictest.Due
	c.judgement.ripe = strictest.Status == retention.Due && !slices.ContainsFunc(c.own(), func(r legalRule) bool { return r.Action != record.ActionDestroy })
	early := c.asked.Action == record.ActionRedact && !c.judgement.ripe // with an approval more
	switch {
	case (early || !c.erases()) && c.item.Due != 0:
		return refuse(LockContradicted, "the item says that record %d was due on %s, yet %s waits for no day", c.item.Record, c.item.Due, c.asked.Action)
	case early || !c.erases():
		return nil
	case strictest.Status != retention.Due:
		return refuse(NotDue, "by the rules and facts that are cited, record %d was %s on %s, the day of the lock", c.item.Record, strictest.Status, c.lock.Day)
	case !c.judgement.ripe:
		return refuse(NotDue, "a rule that is cited has another final action for record %d than destruction", c.item.Record)
	case strictest.Due != c.item.Due:
		return refuse(NotDue, "by the rules and facts that are cited, record %d was due on %s; the item says %s", c.item.Record, due(strictest.Due), due(c.item.Due))
	}
	return nil
}

// erases tells whether the disposition destroys content: all of it, or parts.
func (c *legalCase) erases() bool {
	return c.asked.Action == record.ActionDestroy || c.asked.Action == record.ActionRedact
}

// lookup gives the rule of another series among those that are cited: the later
// of all.
func (c *legalCase) lookup(series string) (retention.Rule, bool) {
	later := retention.Rule{Kind: retention.Later}
	for _, r := range c.rules {
		if string(r.Series) == series {
			later.Rules = append(later.Rules, r.Rule)
		}
	}
	switch len(later.Rules) {
	case 0:
		return retention.Rule{}, false
	case 1:
		return later.Rules[0], true
	}
	return later, true
}
