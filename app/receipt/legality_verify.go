package receipt

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// Legality is an account of why one record could be locked for disposition.
type Legality struct {
	Record     int64       `json:"record"` // its anchor entry
	Commitment string      `json:"commitment"`
	Office     record.Code `json:"office"`
	Series     record.Code `json:"series"`
	Date       string      `json:"date"` // of the record, or "undated"
	Anchored   Deed        `json:"anchored"`

	Disposition int64  `json:"disposition"` // entry of the proposal
	Action      string `json:"action"`
	Records     int64  `json:"records"`             // of the disposition
	Redaction   string `json:"redaction,omitempty"` // hash of what is erased, in hex; REDACT only

	Rules  []LegalRule `json:"rules"`
	Facts  []LegalFact `json:"facts"`
	Due    string      `json:"due,omitempty"` // first day on which destruction could be asked; DESTROY, and REDACT of a record that was due
	Why    []string    `json:"why"`           // the judgement in plain words, indented
	Locked Deed        `json:"locked"`

	Proposed  Deed   `json:"proposed"`
	Approvals []Deed `json:"approvals"`
	Standing  string `json:"standing,omitempty"` // authorization in advance, in words
	Notice    *Deed  `json:"notice,omitempty"`   // to the persons concerned
	Notified  string `json:"notified,omitempty"` // the day that the notice states
}

// Deed is an act of an office.
type Deed struct {
	Entry     int64       `json:"entry"`
	Office    record.Code `json:"office"`
	Roles     []string    `json:"roles,omitempty"` // where they count
	LedgerDay string      `json:"ledger_day"`
	Time      time.Time   `json:"time"` // of its block
	Height    int64       `json:"height"`
}

// LegalRule is a schedule rule.
type LegalRule struct {
	Entry     int64       `json:"entry"`
	Schedule  record.Code `json:"schedule"`
	Version   uint32      `json:"version"`
	Adopted   int64       `json:"adopted"` // entry of the adoption
	Effective string      `json:"effective"`
	Series    record.Code `json:"series"`
	Rule      string      `json:"rule"`
	Approvals []string    `json:"approvals"`
}

// LegalFact is something that was stated about the record.
type LegalFact struct {
	Deed
	What string `json:"what"`
}

// HoldsNotProven is what a legality file alone leaves open. Proofs of the state
// after the lock show it (docs/spec/legality.md).
const HoldsNotProven = "that no hold stood, and that no office with a part in the disposition placed or released one: " +
	"consensus says so by writing the item, a replay of the log proves it"

// reportsSayIt is what a legality file leaves to a certificate.
const reportsSayIt = "what was done under the lock: reports say that, and have receipts of their own"

// VerifyLegality judges a legality file against a network file, as
// docs/spec/legality.md says. Like [VerifyWith] it takes a consistency proof,
// needed for closed eras alone.
func VerifyLegality(n Network, text []byte, toPin tlog.TreeProof) (Verdict, error) {
	v := newVerdict(n)
	return v.conclude(v.legality(n, text, toPin))
}

func (v *Verdict) legality(n Network, text []byte, toPin tlog.TreeProof) error {
	r, standing, err := n.checkTree(legalityForm, text, toPin)
	if err != nil {
		return err
	}
	h, err := holdEntries(r)
	if err != nil {
		return err
	}
	used := map[int64][]byte{}
	c, err := judgeLegality(n.ID, h.source().recorded(used), r.Index)
	if err != nil {
		return err
	}
	for _, at := range h.indexes {
		if _, ok := used[at]; !ok {
			return refuse(PartUnexpected, "entry %d has no place in this legality file", at)
		}
	}
	if err := checkClocks(c.locked.block.Time, standing); err != nil {
		return err
	}
	block, err := h.source().Block(r.Index)
	if err != nil {
		return err
	}
	v.tree(standing)
	v.entry(c.item, r.Index, r.Entry)
	v.block(c.locked.block, block)
	v.Legality = c.account()
	v.lawful(c, len(r.Leaves))
	return nil
}

// lawful says what was shown, and what was not.
func (v *Verdict) lawful(c *legalCase, leaves int) {
	v.proven("%d further entries of the same tree were checked: each is there, and every act is signed by the office that it names", leaves)
	switch {
	case c.erases() && c.judgement.ripe:
		v.proven("by the rules and facts cited, the record was due on %s; the lock is of ledger day %s", due(c.judgement.due), c.lock.Day)
	case c.asked.Action == record.ActionRedact:
		v.proven("by the rules and facts cited, the record was not due: Public Records Administrator, Clerk and Counsel approved the erasure of parts of it ahead of the schedule")
	default:
		v.proven("%s waits for no day", c.asked.Action)
	}
	if len(c.approvals) == 1 {
		v.proven("1 office approved the very proposal that was locked, and it had no other part in it")
	} else {
		v.proven("%d offices approved the very proposal that was locked, and none had another part in it", len(c.approvals))
	}
	if c.authorized {
		v.proven("a standing authorization held for the series on the day of the lock; it stands for the approvals that the rules ask for")
	} else {
		v.proven("each role whose approval the rules ask for is filled by an office of its own")
	}
	v.proven("between the last approval and the lock lay the days and heights that the rules want")
	if len(c.judgement.notices) > 0 {
		v.proven("the department stated that the persons concerned were told, as long before as the rules want")
	}
	if c.subject.message == nil {
		v.notProven("that the signed batch of %d items anchored this record: that is the cosigners' word, a replay of the log rebuilds the batch", c.subject.tx.Count)
	}
	v.notProven("%s", HoldsNotProven)
	v.notProven("that the rules cited are all that bound, were adopted as they read, and that no further fact was stated: likewise")
	v.notProven("that the offices had their roles still, that no key was suspended, and that the clock was not in doubt: likewise")
	v.notProven("%s", reportsSayIt)
}

// account tells the case.
func (c *legalCase) account() *Legality {
	a := c.subject.anchor
	l := &Legality{
		Record: c.subject.index, Commitment: hex.EncodeToString(a.Commitment[:]), Office: a.Office, Series: a.Series, Date: date(a.Day, a.Flags),
		Anchored: c.subject.tell(), Disposition: c.proposed.index, Action: c.asked.Action.String(), Records: c.lock.Count,
		Rules: []LegalRule{}, Facts: []LegalFact{}, Why: []string{}, Locked: c.locked.tell(), Proposed: c.proposed.tell(), Approvals: []Deed{},
	}
	if c.erases() && c.judgement.ripe {
		l.Due = due(c.judgement.due)
	}
	if c.asked.Action == record.ActionRedact {
		l.Redaction = hex.EncodeToString(c.asked.Redaction[:])
	}
	for _, r := range c.rules {
		l.Rules = append(l.Rules, LegalRule{Entry: r.index, Schedule: r.Schedule, Version: r.Version, Adopted: r.adopted,
			Effective: r.schedule.Effective.String(), Series: r.Series, Rule: r.Rule.String(), Approvals: roleNames(r.Approvals)})
	}
	for _, f := range c.facts {
		l.Facts = append(l.Facts, LegalFact{f.tell(), f.what})
	}
	if c.audited != nil {
		l.Facts = append(l.Facts, LegalFact{c.audited.tell(), "audited through " + c.subject.facts.Audits[0].Through.String()})
	}
	for _, step := range c.judgement.why {
		l.Why = append(l.Why, strings.Repeat("  ", step.Depth)+step.Text)
	}
	for _, s := range c.approvals {
		l.Approvals = append(l.Approvals, s.tell())
	}
	if c.standing != nil {
		l.Standing = fmt.Sprintf("entry %d, %s", c.lock.Standing, describeSchedule(c.standing))
	}
	if c.notice != nil {
		told := c.notice.tell()
		l.Notice, l.Notified = &told, c.notice.entry.(record.NoticeEntry).Day.String()
	}
	return l
}

func (d deed) tell() Deed {
	return Deed{Entry: d.index, Office: d.office, LedgerDay: d.day().String(), Time: time.Unix(0, d.block.Time).UTC(), Height: d.block.Height}
}

func (s signatory) tell() Deed {
	d := s.deed.tell()
	d.Roles = roleNames(s.roles)
	return d
}

func roleNames(roles []record.Role) []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.String()
	}
	return names
}

// write renders the account for people.
func (l *Legality) write(line func(name, format string, args ...any)) {
	line("record", "%d of %s, series %s, %s, commitment %s", l.Record, l.Office, l.Series, dated(l.Date), l.Commitment)
	line("  anchored", "%s", l.Anchored.text())
	line("disposition", "%d, %s of %s", l.Disposition, l.Action, counted(l.Records, "record"))
	if l.Redaction != "" {
		line("  redaction", "%s", l.Redaction)
	}
	for _, r := range l.Rules {
		line("rule", "%s: %s", r.Series, r.Rule)
		line("  stated", "entry %d, version %d of schedule %s, adopted by entry %d, in force from %s", r.Entry, r.Version, r.Schedule, r.Adopted, r.Effective)
		line("  approvals", "%s", orNone(r.Approvals))
	}
	for _, f := range l.Facts {
		line("fact", "%s, %s", f.What, f.text())
	}
	for _, s := range l.Why {
		line("judged", "%s", s)
	}
	if l.Due != "" {
		line("due", "%s", l.Due)
	}
	line("proposed", "%s", l.Proposed.text())
	for _, d := range l.Approvals {
		line("approved", "%s", d.text())
	}
	if l.Standing != "" {
		line("authorized", "%s", l.Standing)
	}
	if l.Notice != nil {
		line("notice", "%s, %s", l.Notified, l.Notice.text())
	}
	line("locked", "%s", l.Locked.text())
}

func dated(date string) string {
	if date == "undated" {
		return date
	}
	return "dated " + date
}

func (d Deed) text() string {
	roles := ""
	if len(d.Roles) > 0 {
		roles = " (" + strings.Join(d.Roles, ", ") + ")"
	}
	return fmt.Sprintf("by %s%s at %s, ledger day %s, height %d, entry %d", d.Office, roles, d.Time.Format(time.RFC3339), d.LedgerDay, d.Height, d.Entry)
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
