package receipt

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Results of a disposition for one record, as a certificate states them.
const (
	Destroyed  = "DESTROYED"  // every custodian that had it has destroyed it
	Redacted   = "REDACTED"   // likewise the parts that were to be erased
	Preserved  = "PRESERVED"  // a hold that came after the lock kept it, at one custodian at least
	Absent     = "ABSENT"     // nobody who reported had anything of it
	Incomplete = "INCOMPLETE" // a report is due, or the text of one is not there
)

// Certificate is an account of what became of a record under a disposition.
type Certificate struct {
	Result      string      `json:"result"`
	Record      int64       `json:"record"`
	CID         string      `json:"cid"`
	Department  record.Code `json:"department"`
	Series      record.Code `json:"series"`
	Date        string      `json:"date"`
	Disposition int64       `json:"disposition"`
	Action      string      `json:"action"`
	Reports     []Reporter  `json:"reports"`
	Height      int64       `json:"height"` // of the block after which no report was due
	Time        string      `json:"time"`   // of that block
}

// Reporter is one of those who had to report.
type Reporter struct {
	Office    record.Code `json:"office,omitempty"`    // empty: a custodian
	Custodian string      `json:"custodian,omitempty"` // key id in hex
	Entry     int64       `json:"entry"`               // of the report; 0: it is due
	LedgerDay string      `json:"ledger_day,omitempty"`
	Outcome   string      `json:"outcome,omitempty"` // for the record: erased, redacted, preserved, absent
	Claim     string      `json:"claim,omitempty"`   // in words
	Released  int64       `json:"released"`          // copies that were given out before; known from a report text
	HasText   bool        `json:"has_text"`
}

// certificateCase is a certificate as it is read.
type certificateCase struct {
	legality    *Legality
	commitment  string // CID
	held        *Held
	disposition ledger.Disposition
	state       record.BlockEntry // after which its state is proven
	reports     []reported        // of all who had to, in the order of the state
}

// reported is one of those who had to report, and what was said.
type reported struct {
	ledger.Report
	deed    deed                  // the act; without Entry there is none
	said    *record.ReportErasure // its signed body
	text    *record.ErasureReport // nil: none was given, or it is not at hand
	about   record.RecordErasure  // of the text, the record's own
	outcome record.ErasureOutcome // for the record
}

// readCertificate judges whether the parts of a certificate belong together. It
// does not look at signatures of trees, nor at proofs of inclusion and of state.
// An error is a [*Refusal].
func readCertificate(network record.Network, p Parts) (*certificateCase, error) {
	c := &certificateCase{}
	item, err := c.readLock(network, p)
	if err != nil {
		return nil, err
	}
	if err := c.readState(p.State, item); err != nil {
		return nil, err
	}
	given := p.Reports
	for _, due := range c.disposition.Reports {
		r := reported{Report: due}
		if due.Entry != 0 {
			if len(given) == 0 {
				return nil, refuse(PartMissing, "the receipt of report entry %d is missing", due.Entry)
			}
			if err := c.readReport(network, &r, given[0]); err != nil {
				return nil, err
			}
			given = given[1:]
		}
		c.reports = append(c.reports, r)
	}
	if len(given) > 0 {
		return nil, refuse(PartUnexpected, "a report is there that the state of the disposition does not know")
	}
	return c, nil
}

// readLock judges the legality file and the proof of holds.
func (c *certificateCase) readLock(network record.Network, p Parts) (item int64, err error) {
	r, err := ParseLegality(p.Legality)
	if err != nil {
		return 0, refuse(Malformed, "%v", err)
	}
	h, err := holdEntries(r)
	if err != nil {
		return 0, err
	}
	legal, err := judgeLegality(network, h.source(), r.Index)
	if err != nil {
		return 0, err
	}
	if !legal.erases() {
		return 0, refuse(Malformed, "under disposition %d, a %s, nothing is destroyed", legal.proposed.index, legal.asked.Action)
	}
	if c.held, err = readHeld(p.Holds); err != nil {
		return 0, err
	}
	c.legality, c.commitment = legal.account(), commitment.Commitment(legal.subject.anchor.Commitment).CID()
	return r.Index, judgeLawful(r.Index, c.legality, c.held)
}

// readState finds out who had to report, and who did.
func (c *certificateCase) readState(text []byte, item int64) error {
	s, err := ParseState(text)
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	l := c.legality
	at := record.Index(l.Disposition)
	if string(s.Key) != string(ledger.StateKeyDisposition(at)) || s.Value == nil {
		return refuse(OtherRecord, "the state is not that of disposition %d", at)
	}
	if s.Checkpoint.Size <= item {
		return refuse(Malformed, "the state of the disposition is that of %d entries, before the lock was there", s.Checkpoint.Size)
	}
	if c.state, err = blockOf(s); err != nil {
		return err
	}
	d, err := ledger.ParseDisposition(at, s.Value)
	if err != nil {
		return refuse(Malformed, "the state of disposition %d: %v", at, err)
	}
	if d.Lock != record.Index(l.Locked.Entry) || d.Office != l.Proposed.Office || d.Series != l.Series || d.Action.String() != l.Action {
		return refuse(LockContradicted, "the state of disposition %d is that of another one than was locked by entry %d", at, l.Locked.Entry)
	}
	if len(d.Reports) > maxReporters {
		return refuse(Malformed, "%d reports, at most %d", len(d.Reports), maxReporters)
	}
	c.disposition = d
	return nil
}

// readReport reads what one of those who had to report has said.
func (c *certificateCase) readReport(network record.Network, r *reported, part ReportPart) error {
	given, err := Parse(part.Receipt)
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	entry, err := parseEntry(given.Entry, given.Index)
	if err != nil {
		return err
	}
	e, ok := entry.(record.ReportEntry)
	if !ok || given.Index != int64(r.Entry) || e.Office != r.Office || e.Custodian != r.Custodian || e.Disposition != record.Index(c.legality.Disposition) {
		return refuse(OtherRecord, "entry %d is not the report %s on disposition %d at entry %d", given.Index, r.who(), c.legality.Disposition, r.Report.Entry)
	}
	p, err := sortParts(entry, given.Index, given.Leaves)
	if err != nil {
		return err
	}
	m, err := p.checkBody(network, entry, given.Index)
	if err != nil {
		return err
	}
	r.deed = deed{index: given.Index, entry: entry, message: m, office: e.Office, tx: *p.tx, txIndex: p.txIndex, block: *p.block}
	r.said = m.(*record.ReportErasure) // checkBody compared it with the entry
	preserved := r.said.Outcome == record.OutcomePreserved || slices.Contains(r.said.Preserved, record.Index(c.legality.Record))
	switch {
	case preserved:
		r.outcome = record.RecordPreserved
	case c.disposition.Action == record.ActionRedact:
		r.outcome = record.RecordRedacted
	default:
		r.outcome = record.RecordErased
	}
	if part.Text == nil {
		return nil
	}
	return c.readText(r, part.Text)
}

// readText compares the text of a report with what was signed.
func (c *certificateCase) readText(r *reported, text []byte) error {
	refuseText := func(format string, args ...any) error {
		return refuse(ReportContradicted, "report %s: %s", r.who(), fmt.Sprintf(format, args...))
	}
	if sha256.Sum256(text) != r.said.Report {
		return refuseText("the text is not the one whose hash was signed")
	}
	parsed, err := record.ParseErasureReport(text)
	if err != nil {
		return refuseText("%v", err)
	}
	l, index := c.legality, record.Index(c.legality.Record)
	at := slices.IndexFunc(parsed.Records, func(e record.RecordErasure) bool { return e.Record == index })
	switch {
	case parsed.Disposition != record.Index(l.Disposition) || parsed.Custodian != r.Custodian:
		return refuseText("its text is about another disposition, or of another custodian")
	case r.said.Outcome == record.OutcomeDone && parsed.Claim != r.said.Claim:
		return refuseText("its text claims %s, what was signed %s", parsed.Claim, r.said.Claim)
	case parsed.Followed <= l.Locked.Entry:
		return refuseText("it had followed the log to entry %d only, before the lock", parsed.Followed)
	case at < 0:
		return refuseText("its text does not name record %d", index)
	}
	about := parsed.Records[at]
	if about.Outcome != r.outcome && (about.Outcome != record.RecordAbsent || r.outcome == record.RecordPreserved) {
		return refuseText("by its text record %d was %s, by what was signed %s", index, about.Outcome, r.outcome)
	}
	r.text, r.about, r.outcome = &parsed, about, about.Outcome
	return nil
}

// who says whose report it is.
func (r *reported) who() string {
	if r.Office != "" {
		return "of " + string(r.Office)
	}
	return fmt.Sprintf("of custodian %x", r.Custodian)
}

// lacksText tells whether a report has a text that is not at hand. An office's
// own text is its own affair.
func (r *reported) lacksText() bool {
	return r.Report.Entry != 0 && r.Office == "" && r.text == nil && r.said.Report != [32]byte{}
}

// complete tells whether nothing is missing. An error is a [*Refusal].
func (c *certificateCase) complete() error {
	var due, lack []string
	for i := range c.reports {
		switch r := &c.reports[i]; {
		case r.Report.Entry == 0:
			due = append(due, strings.TrimPrefix(r.who(), "of "))
		case r.lacksText():
			lack = append(lack, r.who())
		}
	}
	switch {
	case len(due) > 0:
		return refuse(ReportsDue, "NOT COMPLETE: pending at %s", strings.Join(due, ", "))
	case len(lack) > 0:
		return refuse(PartMissing, "NOT COMPLETE: the text of the report %s is missing", strings.Join(lack, ", "))
	}
	return nil
}

// result says what became of the record.
func (c *certificateCase) result() string {
	done := false
	if c.complete() != nil {
		return Incomplete
	}
	for _, r := range c.reports {
		if r.outcome == record.RecordPreserved {
			return Preserved
		}
		done = done || r.outcome != record.RecordAbsent
	}
	switch {
	case !done:
		return Absent
	case c.disposition.Action == record.ActionRedact:
		return Redacted
	}
	return Destroyed
}

// account tells the case.
func (c *certificateCase) account() *Certificate {
	l := c.legality
	a := &Certificate{
		Result: c.result(), Record: l.Record, CID: c.commitment, Department: l.Office, Series: l.Series, Date: l.Date,
		Disposition: l.Disposition, Action: l.Action, Reports: []Reporter{}, Height: c.state.Height, Time: clock(c.state.Time),
	}
	for i := range c.reports {
		a.Reports = append(a.Reports, c.reports[i].tell())
	}
	return a
}

func (r *reported) tell() Reporter {
	t := Reporter{Office: r.Office, Entry: int64(r.Report.Entry), HasText: r.text != nil}
	if r.Office == "" {
		t.Custodian = fmt.Sprintf("%x", r.Custodian)
	}
	if r.Report.Entry != 0 {
		t.LedgerDay, t.Outcome, t.Released = r.deed.day().String(), r.outcome.String(), r.about.Released
	}
	if r.claims() {
		t.Claim = r.claim().Says()
	}
	return t
}

// claims tells whether the report claims that something was erased.
func (r *reported) claims() bool {
	return r.outcome == record.RecordErased || r.outcome == record.RecordRedacted
}

// claim is what a custodian claims about keys. An office that keeps content itself
// has no keyring, whatever it signs.
func (r *reported) claim() record.Claim {
	if r.Office != "" {
		return 0
	}
	return r.said.Claim
}

// write renders the account for people.
func (a *Certificate) write(line func(name, format string, args ...any)) {
	line("certificate", "%s: record %d of %s, series %s, %s", a.Result, a.Record, a.Department, a.Series, dated(a.Date))
	line("  commitment", "%s", a.CID)
	line("disposition", "%d, %s", a.Disposition, a.Action)
	for _, r := range a.Reports {
		who := string(r.Office)
		if who == "" {
			who = "custodian " + r.Custodian
		}
		line("reported", "%s by %s on ledger day %s, entry %d", r.Outcome, who, r.LedgerDay, r.Entry)
		if r.HasText {
			line("  given out", "%s before", counted(r.Released, "time"))
		}
		if r.Claim != "" {
			line("  claim", "%s", r.Claim)
		}
	}
}
