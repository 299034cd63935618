package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// TestS0_17_OnePostingMakesAllDue is step 7 of the acceptance story: records
// that wait for an audit become due by one transaction, which touches none of
// them, and those of a later year do not.
func TestS0_17_OnePostingMakesAllDue(t *testing.T) {
	a := foundArchive(t)
	var bills []record.Index
	for i := range 20 {
		bills = append(bills, a.anchor("CT-BILLS", fmt.Sprint(i), "2026-08-01"))
	}
	later := a.anchor("CT-BILLS", "later", "2027-07-01") // of the next fiscal year
	destroy := func(records ...record.Index) *record.ProposeDisposition {
		return &record.ProposeDisposition{Series: "CT-BILLS", Action: record.ActionDestroy, Records: records}
	}
	a.refused(ledger.CodeNotDue, true, "DPW", destroy(bills...))
	a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2027-06-29")})
	a.on("2031-01-02")
	a.refused(ledger.CodeNotDue, true, "DPW", destroy(bills...)) // a day short of the year
	a.must("AUDIT", &record.PostAuditedThrough{Department: "LIBRARY", Through: day("2028-06-30")})
	a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2027-06-30")})
	a.refused(ledger.CodeNotDue, true, "DPW", destroy(append(bills[:5:5], later)...))
	a.must("DPW", destroy(bills...))
	for _, i := range bills {
		if _, touched, err := ledger.LifecycleOf(a.view, i); touched || err != nil {
			t.Errorf("record %d was touched: %v", i, err)
		}
	}
}

// TestS0_17_LockedRecordsTakeNoFacts tries every statement about a locked record,
// and a file of it.
func TestS0_17_LockedRecordsTakeNoFacts(t *testing.T) {
	a := foundArchive(t)
	r, free := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("DEMO-MINUTES", "b", "2020-05-01")
	d, hash := a.propose("DEMO-MINUTES", r)
	closed := func(records ...record.Index) record.Message {
		return &record.RecordEvents{Event: retention.Closed, Day: day("2020-06-01"), Records: records}
	}
	a.must("DPW", closed(r)) // proposed is not locked
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	for _, m := range []record.Message{
		closed(r), closed(r, free),
		&record.RecordEvents{Event: retention.Terminated, Day: day("2020-06-01"), Records: []record.Index{r}},
		&record.FileRecords{Series: "CT-BILLS", Records: []record.Index{r}},
		&record.FileRecords{File: free, Records: []record.Index{r}},
		&record.FileRecords{File: r, Records: []record.Index{free}},
	} {
		a.refused(ledger.CodeAlreadyLocked, false, "DPW", m)
	}
	a.must("DPW", closed(free))
}

// TestS0_17_RecordsFollowARuledSeries files records under another series'
// rule, and corrects that.
func TestS0_17_RecordsFollowARuledSeries(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	file := func(series record.Code) record.Message {
		return &record.FileRecords{Series: series, Records: []record.Index{r}}
	}
	a.refused(ledger.CodeUnknownSeries, false, "DPW", file("CT-LEASES"))
	a.refused(ledger.CodeUnknownSeries, false, "DPW", file("DEMO-PERMITS")) // registered, and without a rule
	for _, series := range []record.Code{"CT-MAIL", "CT-BILLS"} {
		at := a.must("DPW", file(series))
		if l, ok, err := ledger.LifecycleOf(a.view, r); err != nil || !ok || l.Series != series || l.File != 0 || l.Filing != at {
			t.Errorf("filed under %s: %+v, %v", series, l, err)
		}
	}
}

// TestS0_17_LaterStatementsOnlyLengthen states random days for events of a
// record: what stands is the latest that was ever accepted, and nothing brings
// it back.
func TestS0_17_LaterStatementsOnlyLengthen(t *testing.T) {
	const seed = 12
	r := rand.New(rand.NewPCG(seed, seed))
	a := foundArchive(t)
	i := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	latest := map[retention.Event]record.Day{}
	codes := map[ledger.Code]int{}
	for range 200 {
		m := &record.RecordEvents{
			Event: pick(r, retention.Closed, retention.Terminated, retention.Left), Day: day("2028-12-20") + record.Day(r.IntN(750)), Records: []record.Index{i},
		}
		before, known := latest[m.Event]
		want := ledger.OK
		if m.Day > day(a.date) || known && m.Day <= before {
			want = ledger.CodeBadDay
		} else {
			latest[m.Event] = m.Day
		}
		got := a.do("DPW", m).Code
		codes[got]++
		if got != want {
			t.Fatalf("seed %d: %s on %s after %s: %s, want %s", seed, m.Event, date(m.Day), date(before), got, want)
		}
	}
	l, _, err := ledger.LifecycleOf(a.view, i)
	if err != nil || len(l.Events) != len(latest) {
		t.Fatalf("events = %+v, %v, want %v", l.Events, err, latest)
	}
	for n, e := range l.Events {
		if e.Day != latest[e.Event] || n > 0 && l.Events[n-1].Event >= e.Event {
			t.Errorf("events = %+v, want %v, ascending", l.Events, latest)
		}
	}
	if codes[ledger.OK] < 10 || codes[ledger.CodeBadDay] < 50 {
		t.Errorf("answers %v: that tries too little", codes)
	}
}

// TestS0_17_FilesMakeNoCircle merges random records into random others: from
// every record the way to its file, and on to the file of that, ends.
func TestS0_17_FilesMakeNoCircle(t *testing.T) {
	const seed = 11
	r := rand.New(rand.NewPCG(seed, seed))
	a := foundArchive(t)
	var records []record.Index
	for i := range 8 {
		records = append(records, a.anchor("DEMO-MINUTES", fmt.Sprint(i), "2020-05-01"))
	}
	codes := map[ledger.Code]int{}
	for range 150 {
		first := r.IntN(len(records))
		some := records[first : first+1+r.IntN(min(3, len(records)-first))]
		codes[a.do("DPW", &record.FileRecords{File: pick(r, records...), Records: some}).Code]++
		for _, i := range records {
			at, steps := i, 0
			for at != 0 {
				l, _, err := ledger.LifecycleOf(a.view, at)
				if err != nil {
					t.Fatal(err)
				}
				if steps++; steps > len(records) {
					t.Fatalf("seed %d: record %d is in a circle of files", seed, i)
				}
				at = l.File
			}
		}
	}
	if codes[ledger.OK] < 20 || codes[ledger.CodeWrongSeries] < 20 {
		t.Errorf("answers %v: that tries too little", codes)
	}
}

// TestEventsOfAWholeTransaction states an event of as many records as one
// transaction names.
func TestEventsOfAWholeTransaction(t *testing.T) {
	c, _ := start(t)
	m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
	event := &record.RecordEvents{Event: retention.Closed, Day: day("2030-12-31")}
	for i := range record.MaxRecords {
		m.Items = append(m.Items, record.AnchorItem{Commitment: commitment(fmt.Sprint(i)), Flags: record.FlagUndated})
		event.Records = append(event.Records, record.Index(c.view.Head().Size)+1+record.Index(i))
	}
	c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), m))
	changes, results := c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), event))
	if results[0].Code != ledger.OK || results[0].Count != 1 || len(changes.Values) != record.MaxRecords+1 {
		t.Errorf("an event of %d records: %+v, %d values", record.MaxRecords, results[0], len(changes.Values))
	}
}

// TestEventDaysAreAsExactAsTheActivation rounds as the activation of the
// series says, where genesis says nothing of the series.
func TestEventDaysAreAsExactAsTheActivation(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("CT-MAIL", "a", "2030-05-31")
	closed := func(when string) record.Message {
		return &record.RecordEvents{Event: retention.Closed, Day: day(when), Records: []record.Index{r}}
	}
	a.must("DPW", closed("2030-06-15"))
	a.decide(&record.Activation{
		Series: "CT-MAIL", Office: "DPW", Granularity: record.GranularityMonth, Assessment: commitment("assessment"),
		Assessed: day("2030-12-01"), Review: day("2040-01-01"), DataMap: commitment("data map"),
	}, "DPW", "IT", "COUNSEL", "CLERK", "BUYER")
	a.refused(ledger.CodeBadDay, false, "DPW", closed("2030-07-15"))
	a.must("DPW", closed("2030-07-31"))
	a.must("DPW", closed("2031-01-31")) // any day of this month
	a.refused(ledger.CodeBadDay, false, "DPW", closed("2031-02-28"))
}

// TestS0_3_WhoStatesFacts tries every statement as an office of every role; the
// messages of holds have tests of their own.
func TestS0_3_WhoStatesFacts(t *testing.T) {
	keepers, auditors := []record.Role{record.RoleDepartment, record.RoleLibraryCEO}, []record.Role{record.RoleAuditor}
	for _, role := range record.Roles() {
		c, _ := matrixCity(t, role, false)
		h := ledger.Header{Height: c.view.Head().Height + 1, Time: c.view.Head().Time}
		for _, test := range []struct {
			m   record.Message
			who []record.Role
		}{
			{&record.RecordEvents{Event: retention.Closed, Day: day("2030-12-31"), Records: []record.Index{1}}, keepers},
			{&record.FileRecords{File: 1, Records: []record.Index{2}}, keepers},
			{&record.FileRecords{Series: "DEMO-PLANS", Records: []record.Index{2}}, keepers},
			{&record.PostAuditedThrough{Department: "DPW", Through: day("2030-06-30")}, auditors},
		} {
			got := c.machine.Check(c.view, h, c.sign(t, "OFFICE", record.LedgerDay(h.Time), test.m))
			if want := !slices.Contains(test.who, role); (got == ledger.CodeWrongRole) != want {
				t.Errorf("%T by an office with role %s: %s, want WRONG_ROLE %t", test.m, role, got, want)
			}
		}
	}
}
