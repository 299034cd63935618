package model

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// oracle is what the entries of the log say, read in order. It shares no code
// with the ledger but the form of entries and messages, and keeps the law in
// its own words.
type oracle struct {
	offices map[record.Code]record.Office
	signers map[record.KeyID]signer
	rules   map[record.Code]*record.ScheduleRule
	records map[record.Index]held
	holds   map[record.Index]hold
	cases   map[record.Index]*dossier // dispositions
	// decisions about parts of a record, ascending
	decisions map[record.Index][]record.Index
	frozen    bool     // the clock leapt, and nobody explained it
	wrong     []string // what was against the law in the last block
}

// signer is a registered key.
type signer struct {
	office record.Code
	active bool
	since  int64 // its approvals from this height on are void; 0: none
}

// held is a record and where it is kept.
type held struct {
	office, series record.Code
	created        record.Day
	custody        record.Code
}

// hold stands until it is released.
type hold struct {
	kind       record.HoldKind
	office     record.Code
	records    []record.Index // that it lists
	department record.Code    // that it covers whole
	closed     bool
	closer     record.Code  // that closed the action
	released   record.Index // entry; 0: it stands
	by         record.Code
	placed     record.Index
}

// dossier is all that was signed about one disposition.
type dossier struct {
	office    record.Code
	key       record.KeyID   // that signed the proposal
	records   []record.Index // that are not free again
	parts     bool           // of its record are erased, not the whole
	hash      [32]byte
	day       record.Day
	height    int64
	approvals []approval
	over      bool // withdrawn or locked
	locked    bool
	due       []reporter // that have not reported yet
}

type approval struct {
	office record.Code
	key    record.KeyID
	day    record.Day
	height int64
	entry  record.Index
}

// reporter is an office or a custodian.
type reporter struct {
	office    record.Code
	custodian record.KeyID
}

func newOracle(s setting) *oracle {
	o := &oracle{
		offices: map[record.Code]record.Office{}, signers: map[record.KeyID]signer{}, rules: map[record.Code]*record.ScheduleRule{},
		records: map[record.Index]held{}, holds: map[record.Index]hold{}, cases: map[record.Index]*dossier{},
		decisions: map[record.Index][]record.Index{},
	}
	for _, r := range s.rules {
		o.rules[r.Series] = r
	}
	return o
}

// page is one block of the log on its way through the oracle.
type page struct {
	*oracle
	height int64
	today  record.Day
	at     record.Index // of the entry that is read
	tx     record.TxEntry
	body   record.Message
	office record.Code // that signed; empty: a custodian
	acted  bool        // the block has carried out something besides holds
}

// after reads a block and gives what the log says then.
func (o *oracle) after(c ledger.Changes) (*oracle, error) {
	if len(c.Entries) == 0 {
		return o, nil
	}
	next := &oracle{
		offices: maps.Clone(o.offices), signers: maps.Clone(o.signers), rules: o.rules,
		records: maps.Clone(o.records), holds: maps.Clone(o.holds), cases: make(map[record.Index]*dossier, len(o.cases)),
		decisions: maps.Clone(o.decisions), frozen: o.frozen,
	}
	for i, d := range o.cases {
		clone := *d
		clone.approvals, clone.due = slices.Clone(d.approvals), slices.Clone(d.due)
		next.cases[i] = &clone
	}
	entries := make([]record.Entry, len(c.Entries))
	for i, raw := range c.Entries {
		var err error
		if entries[i], err = record.ParseEntry(raw); err != nil {
			return nil, err
		}
	}
	last, ok := entries[len(entries)-1].(record.BlockEntry)
	if !ok {
		return nil, fmt.Errorf("block %d does not end with its entry", c.Height)
	}
	// The day begins at noon in Greenwich, when it has come everywhere.
	noon := time.Unix(0, last.Time).UTC().Add(-12 * time.Hour)
	p := &page{oracle: next, height: last.Height, today: record.Day(noon.Unix() / 86400)}
	for i, e := range entries {
		p.at = record.Index(c.FirstIndex) + record.Index(i)
		if err := p.read(e); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// accuse notes what is against the law.
func (p *page) accuse(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf("entry %d: ", p.at)+fmt.Sprintf(format, args...))
}

// unless accuses unless something is so.
func (p *page) unless(so bool, format string, args ...any) {
	if !so {
		p.accuse(format, args...)
	}
}

func (p *page) read(e record.Entry) (err error) {
	switch e := e.(type) {
	case record.TxEntry:
		return p.readTx(e)
	case record.FactEntry:
		return p.readFact(e)
	case record.AnchorEntry:
		p.records[p.at] = held{office: e.Office, series: e.Series, created: e.Day, custody: e.Custody}
	case record.JumpEntry:
		p.frozen = p.frozen || time.Duration(e.After-e.Before) >= leap
	case record.SuspensionEntry:
		s := p.signers[e.KeyID]
		s.active, s.since = false, e.SinceHeight
		p.signers[e.KeyID] = s
	case record.HoldEntry:
		p.readHold(e)
	case record.ResolutionEntry:
		h := p.holds[e.Hold]
		h.closed, h.closer = true, p.office // these holds have no issues but the action
		p.holds[e.Hold] = h
	case record.ReleaseEntry:
		h, known := p.holds[e.Hold]
		p.unless(known && h.closed && h.released == 0 && h.office != p.office && h.closer != p.office, "hold %d must not be released by %s", e.Hold, p.office)
		h.released, h.by = p.at, p.office
		p.holds[e.Hold] = h
	default:
		p.readDisposition(e)
	}
	return nil
}

func (p *page) readTx(e record.TxEntry) (err error) {
	p.tx, p.body = e, nil
	if len(e.Body) > 0 {
		if p.body, err = record.ParseBody(e.Body); err != nil {
			return err
		}
	}
	p.office = p.signers[e.KeyID].office
	_, holds := p.body.(*record.PlaceHold)
	p.unless(!holds || !p.acted, "a hold stands behind another act of its block")
	p.acted = p.acted || !holds
	return nil
}

func (p *page) readFact(e record.FactEntry) error {
	f, err := record.ParseFact(e.Fact)
	switch f := f.(type) {
	case *record.Office:
		p.offices[f.Code] = *f
	case *record.Key:
		p.signers[f.ID()] = signer{office: f.Office, active: f.Status == record.StatusActive}
	}
	return err
}

// readHold notes a hold and counts again for which locks it is late.
func (p *page) readHold(e record.HoldEntry) {
	scope := p.body.(*record.PlaceHold).Scope
	h := hold{kind: e.HoldKind, office: p.office, records: scope.Records, department: scope.Department, placed: p.at}
	late := int64(0)
	for _, d := range p.cases {
		reached := h.department == d.office
		for _, i := range d.records {
			reached = reached || h.covers(i, p.records[i])
		}
		if d.locked && len(d.due) > 0 && reached {
			late++
		}
	}
	p.unless(e.Late == late, "the hold is late for %d, not for %d", late, e.Late)
	p.holds[p.at] = h
}

func (h *hold) covers(i record.Index, r held) bool {
	return h.department == r.office || slices.Contains(h.records, i)
}

// free accuses records that must not be disposed of today, whole or in parts.
func (p *page) free(records []record.Index, parts bool) {
	for _, i := range records {
		r := p.records[i]
		for at, h := range p.holds {
			p.unless(!h.covers(i, r) || h.released != 0, "record %d is under hold %d", i, at)
		}
		p.unless(parts || p.today > p.lastDay(r), "record %d is kept until day %d, and this is day %d", i, p.lastDay(r), p.today)
		for at, d := range p.cases {
			p.unless(!d.locked || !slices.Contains(d.records, i), "record %d is locked under %d", i, at)
		}
	}
}

// lastDay gives the last day of the period of a record.
func (p *page) lastDay(r held) record.Day {
	return r.created + record.Day(p.rules[r.series].Rule.Count)
}

// decide notes a decision about parts of a record.
func (p *page) decide(i, entry record.Index) {
	all := append(slices.Clone(p.decisions[i]), entry)
	slices.Sort(all)
	p.decisions[i] = all
}
