package receipt

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// First lines of the blocks of a bundle that are no receipts
// (docs/spec/redaction.md, docs/spec/erasure.md).
const (
	redactionTitle = "muniment redaction v1\n"
	reportTitle    = "muniment erasure report v1\n"
)

// HiddenStatus says why a run of a record is not disclosed, as far as it is shown.
type HiddenStatus string

// The statuses, the strongest first.
const (
	HiddenErased    HiddenStatus = "ERASED"               // a custodian reported that it erased it under a disposition
	HiddenLocked    HiddenStatus = "LOCKED FOR ERASURE"   // a disposition to erase it is final; nobody is shown to have done so
	HiddenWithheld  HiddenStatus = "WITHHELD"             // an office decided to withhold it; it may be disclosed another day
	HiddenUndecided HiddenStatus = "NO DECISION RECORDED" // nothing on the ledger says why
)

var hiddenRanks = map[HiddenStatus]int{HiddenErased: 0, HiddenLocked: 1, HiddenWithheld: 2, HiddenUndecided: 3}

// Decision is what the ledger shows about one redaction of a record.
type Decision struct {
	Status      HiddenStatus
	Redaction   commitment.Redaction
	Hash        [32]byte
	Entry       int64         // withholding, or proposal of the disposition; 0: none
	Disposition int64         // 0 with WITHHELD
	Offices     []record.Code // that decided, as far as receipts say so, ascending
	LedgerDay   string        // of the decision, or of the lock
	Claims      []string      // of those who reported the erasure, as "C1"
	Decided     []DecidedBy   // who decided it where, ascending by entry
	Unshown     int           // reports of the erasure whose text is not there
}

// DecidedBy is what one office signed of a decision: the withholding, the
// proposal of an erasure, or its approval.
type DecidedBy struct {
	Office    record.Code `json:"office"`
	Entry     int64       `json:"entry"`
	LedgerDay string      `json:"ledger_day"`
}

// HiddenRun is a run of leaves that a copy hides for one reason.
type HiddenRun struct {
	First       uint32        `json:"first"` // leaf
	Last        uint32        `json:"last"`
	Status      HiddenStatus  `json:"status"`
	Code        string        `json:"code,omitempty"` // exemption code; "-": it would betray what is hidden
	Authority   string        `json:"authority,omitempty"`
	Dated       string        `json:"dated,omitempty"` // date of the authority's file of codes
	Entry       int64         `json:"entry,omitempty"` // of the decision
	Disposition int64         `json:"disposition,omitempty"`
	Offices     []record.Code `json:"offices"`
	LedgerDay   string        `json:"ledger_day,omitempty"`
	Claims      []string      `json:"claims,omitempty"`
	Decided     []DecidedBy   `json:"decided_by,omitempty"`
	Unshown     int           `json:"reports_without_text,omitempty"`
}

// Shown is a leaf that a copy discloses although a decision hides it.
type Shown struct {
	First    uint32
	Last     uint32
	Decision Decision
}

// SplitBundle tells the blocks of a bundle apart by their first lines: receipts,
// redactions, erasure reports. What is none of the latter is taken for a receipt.
func SplitBundle(blocks [][]byte) (receipts, redactions, reports [][]byte) {
	for _, b := range blocks {
		switch {
		case bytes.HasPrefix(b, []byte(redactionTitle)):
			redactions = append(redactions, b)
		case bytes.HasPrefix(b, []byte(reportTitle)):
			reports = append(reports, b)
		default:
			receipts = append(receipts, b)
		}
	}
	return receipts, redactions, reports
}

// Decisions finds what verdicts that PASSED show about the redactions of a
// record, whose anchor is an entry. An error is a [*Refusal]: a redaction or a
// report is not the one that was decided or signed, or a decision is there
// without its redaction.
func Decisions(index int64, verdicts []Verdict, redactions, reports [][]byte) ([]Decision, error) {
	s := &decided{record: record.Index(index), verdicts: verdicts, named: map[[32]byte]bool{}}
	if err := s.readReports(reports); err != nil {
		return nil, err
	}
	for i, text := range redactions {
		r, err := commitment.ParseRedaction(text)
		if err != nil {
			return nil, refuse(RedactionContradicted, "redaction %d: %v", i+1, err)
		}
		hash, err := r.Hash()
		if err != nil {
			return nil, refuse(RedactionContradicted, "redaction %d: %v", i+1, err)
		}
		s.redactions = append(s.redactions, Decision{Status: HiddenUndecided, Redaction: r, Hash: hash})
	}
	for i, v := range verdicts {
		if err := s.decide(i, v); err != nil {
			return nil, err
		}
	}
	if err := s.unmatched(); err != nil {
		return nil, err
	}
	for i := range s.redactions {
		slices.Sort(s.redactions[i].Offices)
		s.redactions[i].Offices = slices.Compact(s.redactions[i].Offices)
		slices.SortFunc(s.redactions[i].Decided, func(a, b DecidedBy) int { return cmp.Compare(a.Entry, b.Entry) })
		s.redactions[i].Decided = slices.Compact(s.redactions[i].Decided)
	}
	slices.SortStableFunc(s.redactions, func(a, b Decision) int {
		return cmp.Or(cmp.Compare(hiddenRanks[a.Status], hiddenRanks[b.Status]), cmp.Compare(a.Entry, b.Entry))
	})
	return s.redactions, nil
}

// decided gathers what the parts of a bundle say together.
type decided struct {
	record     record.Index
	verdicts   []Verdict
	redactions []Decision
	reports    map[[32]byte]record.ErasureReport // by what a signed report names
	used       int                               // reports that a receipt names
	named      map[[32]byte]bool                 // hashes of redactions that a receipt names
	lacking    []int64                           // decisions whose redaction is not there
}

func (s *decided) readReports(texts [][]byte) error {
	s.reports = map[[32]byte]record.ErasureReport{}
	for i, text := range texts {
		r, err := record.ParseErasureReport(text)
		if err != nil {
			return refuse(ReportContradicted, "erasure report %d: %v", i+1, err)
		}
		s.reports[record.HashErasureReport(text)] = r
	}
	return nil
}

// decide takes up a verdict, if it is of a decision about the record.
func (s *decided) decide(i int, v Verdict) error {
	switch e := v.Entry.(type) {
	case record.WithholdingEntry:
		if e.Record != s.record {
			return refuse(OtherRecord, "receipt %d decides about record %d, the copy is of record %d", i+1, e.Record, s.record)
		}
		d := s.redactionOf(e.Redaction, v.Index)
		if d != nil && d.Status != HiddenErased && d.Status != HiddenLocked {
			if d.Entry == 0 {
				d.Status, d.Entry, d.LedgerDay = HiddenWithheld, v.Index, v.ledgerDay()
			}
			d.Offices = append(d.Offices, e.Office)
			d.Decided = append(d.Decided, DecidedBy{e.Office, v.Index, v.ledgerDay()})
		}
	case record.DispositionEntry:
		m, ok := v.message.(*record.ProposeDisposition)
		if !ok || m.Action != record.ActionRedact {
			return nil
		}
		if m.Records[0] != s.record {
			return refuse(OtherRecord, "receipt %d is about the erasure of parts of record %d, the copy is of record %d", i+1, m.Records[0], s.record)
		}
		return s.erasure(v, e, s.redactionOf(m.Redaction, v.Index))
	}
	return nil
}

// redactionOf finds the redaction that a decision names, and notes where it is
// not there.
func (s *decided) redactionOf(hash [32]byte, entry int64) *Decision {
	for i := range s.redactions {
		if s.redactions[i].Hash == hash {
			s.named[hash] = true
			return &s.redactions[i]
		}
	}
	s.lacking = append(s.lacking, entry)
	return nil
}

// erasure finds out how far a disposition has come that is to erase.
func (s *decided) erasure(proposal Verdict, e record.DispositionEntry, d *Decision) error {
	if d == nil {
		return nil
	}
	at := record.Index(proposal.Index)
	for _, v := range s.verdicts {
		item, ok := v.Entry.(record.ItemEntry)
		if !ok || item.Disposition != at || item.Record != s.record {
			continue
		}
		d.Status, d.Entry, d.Disposition, d.LedgerDay = HiddenLocked, proposal.Index, proposal.Index, v.ledgerDay()
		d.Decided = append(s.approvals(at, e.Hash), DecidedBy{e.Office, proposal.Index, proposal.ledgerDay()})
		d.Offices = nil
		for _, by := range d.Decided {
			d.Offices = append(d.Offices, by.Office)
		}
	}
	if d.Status != HiddenLocked {
		return nil // asked for, not final
	}
	for _, v := range s.verdicts {
		report, ok := v.Entry.(record.ReportEntry)
		if !ok || report.Disposition != at {
			continue
		}
		erased, claim, shown, err := s.erased(report, v)
		if err != nil {
			return err
		}
		if erased {
			d.Status = HiddenErased
			d.Claims = append(d.Claims, claim)
		}
		if erased && !shown {
			d.Unshown++
		}
	}
	return nil
}

// approvals lists the approvals of a disposition that are among the receipts.
func (s *decided) approvals(at record.Index, hash [32]byte) (by []DecidedBy) {
	for _, v := range s.verdicts {
		if e, ok := v.Entry.(record.AuthorizationEntry); ok && e.Disposition == at && e.Hash == hash {
			by = append(by, DecidedBy{e.Office, v.Index, v.ledgerDay()})
		}
	}
	return by
}

// erased tells whether a report says that the parts were erased, what it claims,
// and whether the text that it names is there, if it names one.
func (s *decided) erased(e record.ReportEntry, v Verdict) (erased bool, claim string, shown bool, err error) {
	m, ok := v.message.(*record.ReportErasure)
	if !ok || m.Outcome != record.OutcomeDone || slices.Contains(m.Preserved, s.record) {
		return false, "", false, nil
	}
	text, given := s.reports[m.Report]
	if given {
		s.used++
		at := slices.IndexFunc(text.Records, func(x record.RecordErasure) bool { return x.Record == s.record })
		switch {
		case text.Disposition != e.Disposition || text.Custodian != e.Custodian || text.Claim != m.Claim || at < 0:
			return false, "", false, refuse(ReportContradicted, "the erasure report that entry %d names says something else than was signed", v.Index)
		case text.Records[at].Outcome == record.RecordAbsent:
			return false, "", false, nil
		case text.Records[at].Outcome != record.RecordRedacted:
			return false, "", false, refuse(ReportContradicted, "the erasure report that entry %d names says that the record was %s", v.Index, text.Records[at].Outcome)
		}
	}
	shown = given || m.Report == [32]byte{}
	if m.Claim == 0 || e.Office != "" { // an office has no keyring, whatever it signs
		return true, "no claim", shown, nil
	}
	return true, m.Claim.String(), shown, nil
}

// unmatched refuses redactions and reports beside decisions and signed reports
// that name others: one of them was changed.
func (s *decided) unmatched() error {
	for i, d := range s.redactions {
		if len(s.lacking) > 0 && !s.named[d.Hash] {
			return refuse(RedactionContradicted, "redaction %d is not the one that entry %d decided: a mark, a code or the salt was changed", i+1, s.lacking[0])
		}
	}
	if len(s.lacking) > 0 {
		return refuse(PartMissing, "the redaction that entry %d decided is missing", s.lacking[0])
	}
	if s.used < len(s.reports) {
		return refuse(ReportContradicted, "an erasure report is not one that a receipt of the bundle names")
	}
	return nil
}

// ledgerDay is that of the block of the entry.
func (v Verdict) ledgerDay() string {
	if v.NotBefore == nil {
		return ""
	}
	return record.LedgerDay(v.NotBefore.Time.UnixNano()).String()
}

// HiddenRuns says of each run that a copy hides why it does, by decisions in the
// order of [Decisions]: the first that covers a leaf counts. Of the decisions on
// what the copy discloses it gives the runs too. An error is a [*Refusal]: a
// redaction names leaves that the record does not have.
func HiddenRuns(o commitment.Opened, decisions []Decision) (hidden []HiddenRun, shown []Shown, err error) {
	for _, d := range decisions {
		for _, m := range d.Redaction.Marks {
			if m.Last >= o.N {
				return nil, nil, refuse(RedactionContradicted, "the redaction of entry %d marks segment %d, the record has %d", d.Entry, m.Last, o.N)
			}
		}
	}
	hidden = []HiddenRun{}
	for _, h := range o.Hidden {
		hidden = append(hidden, joined(runsOf(h, decisions))...)
	}
	for _, d := range decisions {
		if d.Status != HiddenUndecided {
			shown = append(shown, disclosed(o, d)...)
		}
	}
	return hidden, shown, nil
}

// runsOf cuts a hidden run where the reason may change.
func runsOf(h commitment.Range, decisions []Decision) (runs []HiddenRun) {
	for first := uint64(h.First); first <= uint64(h.Last); {
		run, last := HiddenRun{Status: HiddenUndecided, Offices: []record.Code{}}, uint64(h.Last)
		for _, d := range decisions {
			marks := d.Redaction.Marks
			at, _ := slices.BinarySearchFunc(marks, first, func(m commitment.Mark, leaf uint64) int { return cmp.Compare(uint64(m.Last), leaf) })
			if at == len(marks) {
				continue
			}
			if m := marks[at]; uint64(m.First) <= first {
				last = min(last, uint64(m.Last))
				run = d.run(m)
				break
			}
			last = min(last, uint64(marks[at].First)-1) // up to there this one has no say
		}
		run.First, run.Last = uint32(first), uint32(last)
		runs = append(runs, run)
		first = last + 1
	}
	return runs
}

// joined puts runs together that a decision with no say has cut.
func joined(runs []HiddenRun) []HiddenRun {
	out := runs[:0]
	for _, r := range runs {
		if n := len(out) - 1; n >= 0 && uint64(out[n].Last)+1 == uint64(r.First) && out[n].Status == r.Status && out[n].Entry == r.Entry && out[n].Code == r.Code && out[n].Authority == r.Authority {
			out[n].Last = r.Last
			continue
		}
		out = append(out, r)
	}
	return out
}

// run is what a decision says of a mark.
func (d Decision) run(m commitment.Mark) HiddenRun {
	offices := d.Offices
	if offices == nil {
		offices = []record.Code{}
	}
	return HiddenRun{Status: d.Status, Code: m.Code, Authority: d.Redaction.Authority, Dated: d.Redaction.Dated,
		Entry: d.Entry, Disposition: d.Disposition, Offices: offices, LedgerDay: d.LedgerDay, Claims: d.Claims,
		Decided: d.Decided, Unshown: d.Unshown}
}

// disclosed lists what a copy discloses of the marks of a decision.
func disclosed(o commitment.Opened, d Decision) (shown []Shown) {
	for _, m := range d.Redaction.Marks {
		for first := uint64(m.First); first <= uint64(m.Last); {
			last := uint64(m.Last)
			at, _ := slices.BinarySearchFunc(o.Hidden, first, func(h commitment.Range, leaf uint64) int { return cmp.Compare(uint64(h.Last), leaf) })
			if at < len(o.Hidden) {
				if h := o.Hidden[at]; uint64(h.First) <= first {
					first = uint64(h.Last) + 1
					continue
				}
				last = min(last, uint64(o.Hidden[at].First)-1)
			}
			shown = append(shown, Shown{First: uint32(first), Last: uint32(last), Decision: d})
			first = last + 1
		}
	}
	return shown
}

// Segments names the leaves of a run, as "3" or "5-9".
func Segments(first, last uint32) string {
	if first == last {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// Words says on one line why a run is hidden.
func (r HiddenRun) Words() string {
	switch r.Status {
	case HiddenErased:
		text := fmt.Sprintf("ERASED under disposition %d, code %s%s, decided by %s, lock of ledger day %s; claim %s", r.Disposition, r.Code, r.authority(), codes(r.Offices), r.LedgerDay, join(r.Claims))
		if r.Unshown > 0 {
			text += "; text of the report not shown"
		}
		return text
	case HiddenLocked:
		return fmt.Sprintf("LOCKED FOR ERASURE under disposition %d, code %s%s, decided by %s, lock of ledger day %s", r.Disposition, r.Code, r.authority(), codes(r.Offices), r.LedgerDay)
	case HiddenWithheld:
		return fmt.Sprintf("WITHHELD by decision %s, code %s%s, ledger day %s", entriesOf(r.Decided), r.Code, r.authority(), r.LedgerDay)
	}
	if r.Code == "" {
		return "NO DECISION RECORDED"
	}
	return fmt.Sprintf("NO DECISION RECORDED; a redaction without one gives code %s%s", r.Code, r.authority())
}

func (r HiddenRun) authority() string {
	if r.Code == commitment.Betrays {
		return " (would betray what is hidden)"
	}
	return fmt.Sprintf(" of %s %s", r.Authority, r.Dated)
}

func join(words []string) string {
	text := ""
	for i, w := range slices.Compact(slices.Sorted(slices.Values(words))) {
		if i > 0 {
			text += ", "
		}
		text += w
	}
	return text
}

// Words says what a copy discloses although a decision hides it.
func (s Shown) Words() string {
	d := s.Decision
	switch d.Status {
	case HiddenErased:
		return fmt.Sprintf("disclosed here, and erased since under disposition %d: the copy was made before the erasure", d.Disposition)
	case HiddenLocked:
		return fmt.Sprintf("disclosed here, and to be erased under disposition %d", d.Disposition)
	}
	return fmt.Sprintf("disclosed here, and withheld by decision %s", entriesOf(d.Decided))
}

// entriesOf names each entry with its office.
func entriesOf(decided []DecidedBy) string {
	var parts []string
	for _, by := range decided {
		parts = append(parts, fmt.Sprintf("entry %d of %s", by.Entry, by.Office))
	}
	return strings.Join(parts, ", ")
}
