package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// archive is the demonstration city with the offices that a disposition needs,
// and a ledger day.
type archive struct {
	*city
	t      testing.TB
	second int64
	date   string
}

// foundArchive founds it, with schedule CT of the state in force since
// 2031-01-01: CT-MINUTES is permanent, CT-BILLS is kept three years or until
// audited, CT-MAIL two years; and demonstration schedule DEMO for DEMO-MINUTES,
// a year. Further facts are stated at genesis.
func foundArchive(t testing.TB, further ...record.Fact) *archive {
	t.Helper()
	facts := demoFacts()
	facts.Facts = append(facts.Facts, further...)
	for _, o := range []struct {
		code record.Code
		role record.Role
	}{
		{"CAO", record.RoleChiefAdmin}, {"OPRA", record.RoleStateRecords}, {"ARCHIVIST", record.RoleStateArchivist},
		{"BUYER", record.RoleProcurement}, {"OPS", record.RoleOperator},
	} {
		facts.Facts = append(facts.Facts,
			&record.Office{Code: o.code, Roles: []record.Role{o.role}, Status: record.StatusActive},
			signingKey(o.code, string(o.code)))
	}
	a := &archive{city: found(t, facts), t: t, date: "2031-01-01"}
	a.adopt("CT", true,
		stateRule("CT-BILLS", "later of (3 years after created, until audited)"),
		stateRule("CT-MAIL", "2 years after created"),
		stateRule("CT-MINUTES", "permanent"))
	a.adopt("DEMO", false, stateRule("DEMO-MINUTES", "1 year after created"))
	for _, series := range []record.Code{"CT-BILLS", "CT-MAIL", "CT-MINUTES"} {
		a.activate(series, "DPW")
	}
	return a
}

// stateRule gives a schedule rule in the form of the state's, and of the
// demonstration's for its series.
func stateRule(series record.Code, text string) *record.ScheduleRule {
	r, err := retention.Parse(text)
	if err != nil {
		panic(err)
	}
	f := &record.ScheduleRule{
		Series: series, Rule: r, Action: record.ActionDestroy, FiscalStart: 7, NoticeDays: 1, NoticeHeights: 2,
		Approvals: []record.Role{record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords},
	}
	if series.Demonstration() {
		f.NoticeDays, f.NoticeHeights, f.Approvals = 0, 1, []record.Role{record.RoleClerk}
	}
	return f
}

// do carries out one transaction a second after the last block, on the day of
// the archive, and gives its result.
func (a *archive) do(name string, m record.Message) ledger.Result {
	a.t.Helper()
	_, results := a.block(a.sign(a.t, name, day(a.date)+2, m))
	return results[0]
}

// must is do for what has to be accepted; it gives the index of the first item.
func (a *archive) must(name string, m record.Message) record.Index {
	a.t.Helper()
	r := a.do(name, m)
	if r.Code != ledger.OK {
		a.t.Fatalf("%T by %s: %s", m, name, r.Code)
	}
	return r.TxIndex + 1
}

// refused wants a code, and a refusal entry exactly where recorded is set.
func (a *archive) refused(code ledger.Code, recorded bool, name string, m record.Message) ledger.Result {
	a.t.Helper()
	r := a.do(name, m)
	if r.Code != code || (r.Count == 1) != recorded {
		a.t.Fatalf("%T by %s: %s with %d entries, want %s, recorded %t", m, name, r.Code, r.Count, code, recorded)
	}
	return r
}

func (a *archive) block(txs ...[]byte) (ledger.Changes, []ledger.Result) {
	a.t.Helper()
	a.second++
	return a.apply(a.t, at(a.date)+a.second*1e9, txs...)
}

// on moves the ledger to a day without a jump: an hour's steps would freeze
// dispositions, so the clock is wound in steps that are ordinary.
func (a *archive) on(date string) {
	a.t.Helper()
	for end := at(date); a.view.Head().Time+60e9 < end; {
		a.apply(a.t, a.view.Head().Time+60e9)
	}
	a.date, a.second = date, 0
}

func (a *archive) adopt(schedule record.Code, state bool, rules ...*record.ScheduleRule) {
	a.t.Helper()
	var facts [][]byte
	for _, r := range rules {
		r.Schedule, r.Version = schedule, 1
		fact, err := record.MarshalFact(r)
		if err != nil {
			a.t.Fatal(err)
		}
		facts = append(facts, fact)
		a.must("CLERK", &record.ProposeChange{Fact: r})
	}
	root, err := record.ScheduleRoot(facts)
	if err != nil {
		a.t.Fatal(err)
	}
	s := &record.Schedule{Code: schedule, Version: 1, State: state, Effective: day("2031-01-01"), Count: uint32(len(rules)), Root: root}
	by := []string{"COUNSEL"}
	if state {
		by = append(by, "OPRA")
	}
	a.decide(s, "CLERK", by...)
}

func (a *archive) activate(series, office record.Code) {
	a.t.Helper()
	a.decide(&record.Activation{
		Series: series, Office: office, Granularity: record.GranularityDay, Assessment: commitment("assessment"),
		Assessed: day("2030-12-01"), Review: day("2040-01-01"), DataMap: commitment("data map"),
	}, string(office), "IT", "COUNSEL", "CLERK", "BUYER")
}

// decide proposes a fact and has others approve it.
func (a *archive) decide(f record.Fact, by string, others ...string) {
	a.t.Helper()
	proposal := a.must(by, &record.ProposeChange{Fact: f})
	hash, err := record.FactHash(f)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, name := range others {
		a.must(name, &record.ApproveChange{Proposal: proposal, FactHash: hash})
	}
	if p, _, err := ledger.ProposalOf(a.view, proposal); err != nil || p.Executed == 0 {
		a.t.Fatalf("proposal of %T was not executed: %v", f, err)
	}
}

// anchor anchors one record of DPW and gives its index.
func (a *archive) anchor(series record.Code, name, date string) record.Index {
	a.t.Helper()
	it := record.AnchorItem{Commitment: commitment(name), Flags: record.FlagUndated}
	if date != "" {
		it.Day, it.Flags = day(date), 0
	}
	return a.must("DPW", &record.AnchorRecords{Series: series, Items: []record.AnchorItem{it}})
}

// propose proposes the destruction of records and gives the disposition and its hash.
func (a *archive) propose(series record.Code, records ...record.Index) (record.Index, [32]byte) {
	a.t.Helper()
	at := a.must("DPW", &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: records})
	return at, a.disposition(at).Hash
}

func (a *archive) disposition(at record.Index) ledger.Disposition {
	a.t.Helper()
	d, known, err := ledger.DispositionOf(a.view, at)
	if err != nil || !known {
		a.t.Fatalf("disposition %d: known %t, %v", at, known, err)
	}
	return d
}

// hold places a hold on records and gives its index.
func (a *archive) hold(name string, records ...record.Index) record.Index {
	a.t.Helper()
	return a.must(name, &record.PlaceHold{Kind: record.HoldAnticipated, Matter: commitment("matter"), Scope: record.Scope{Records: records}})
}

func TestS4_9_HoldStopsApprovedDisposition(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	d, hash := a.propose("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	h := a.hold("COUNSEL", r)
	refused := a.refused(ledger.CodeHeld, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	e := a.entry(refused.TxIndex + 1).(record.RefusalEntry)
	if e.Record != r || e.Hold != h || e.Disposition != d || ledger.Code(e.Code) != ledger.CodeHeld {
		t.Fatalf("refusal entry %+v", e)
	}
	a.must("COUNSEL", &record.ResolveIssue{Hold: h})
	a.must("AUDIT", &record.ReleaseHold{Hold: h})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	if got := a.disposition(d); got.Status != ledger.DispositionLocked || len(got.Reports) != 1 || got.Reports[0].Office != "DPW" {
		t.Fatalf("after the lock: %+v", got)
	}
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	if got := a.disposition(d); got.Status != ledger.DispositionComplete {
		t.Fatalf("after the report: %+v", got)
	}
}

func (a *archive) entry(i record.Index) record.Entry {
	a.t.Helper()
	raw, err := a.view.Entry(i)
	if err != nil {
		a.t.Fatal(err)
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return e
}
