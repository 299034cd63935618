package ledger_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// redact proposes the erasure of parts of a record of DPW and gives the
// disposition and its hash.
func (a *archive) redact(series record.Code, i record.Index) (record.Index, [32]byte) {
	a.t.Helper()
	at := a.must("DPW", &record.ProposeDisposition{
		Series: series, Action: record.ActionRedact, Records: []record.Index{i}, Redaction: commitment("parts"),
	})
	return at, a.disposition(at).Hash
}

// lockRedaction locks a redaction of a record of DEMO-MINUTES that is due.
func (a *archive) lockRedaction(i record.Index) record.Index {
	a.t.Helper()
	d, hash := a.redact("DEMO-MINUTES", i)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	return d
}

func (a *archive) lifecycle(i record.Index) ledger.Lifecycle {
	a.t.Helper()
	l, _, err := ledger.LifecycleOf(a.view, i)
	if err != nil {
		a.t.Fatal(err)
	}
	return l
}

func TestS4_9_HoldStopsApprovedRedaction(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	d, hash := a.redact("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash})
	h := a.hold("AUDIT", r)
	refused := a.refused(ledger.CodeHeld, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	if e := a.entry(refused.TxIndex + 1).(record.RefusalEntry); e.Record != r || e.Hold != h || e.Disposition != d {
		t.Fatalf("refusal entry %+v", e)
	}
	a.refused(ledger.CodeHeld, true, "DPW", &record.ProposeDisposition{
		Series: "DEMO-MINUTES", Action: record.ActionRedact, Records: []record.Index{r}, Redaction: commitment("parts"),
	})
	a.must("AUDIT", &record.ResolveIssue{Hold: h})
	a.must("CAO", &record.ReleaseHold{Hold: h})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
}

// TestWithholdingsAreBounded fills the list of decisions of a record. That is in
// nobody's way who wants to erase.
func TestWithholdingsAreBounded(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	locked := a.anchor("DEMO-MINUTES", "b", "2020-05-01")
	d := a.lockRedaction(locked)
	for _, i := range []record.Index{r, locked} {
		for range 64 {
			a.must("COUNSEL", &record.Withhold{Record: i, Redaction: commitment("parts")})
		}
		a.refused(ledger.CodeTooManyDecisions, false, "CLERK", &record.Withhold{Record: i, Redaction: commitment("other parts")})
	}
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	if l := a.lifecycle(locked); len(l.Decisions) != 65 || l.Decisions[0] != d || l.Disposition != 0 {
		t.Errorf("after the erasure: %d decisions, the first %d, locked under %d", len(l.Decisions), l.Decisions[0], l.Disposition)
	}
	last := a.lockRedaction(r)
	a.must("DPW", &record.ReportErasure{Disposition: last, Outcome: record.OutcomeDone})
	if l := a.lifecycle(r); len(l.Decisions) != 65 || l.Decisions[64] != last || l.Disposition != 0 {
		t.Errorf("after the erasure: %d decisions, locked under %d", len(l.Decisions), l.Disposition)
	}
}

// otherNode is a second node, with a custodian of its own.
func otherNode() *record.Node {
	return &record.Node{
		NodeKey: publicKey("other"), ValidatorKey: publicKey("other/validator"), CosignerKey: publicKey("other/cosigner"),
		LogKey: publicKey("other/log"), CustodianKey: publicKey("other/custodian"), Power: 10,
	}
}

// bothCustodians is a set of the custodians of both nodes.
func bothCustodians(code record.Code) *record.CustodianSet {
	ids := []record.KeyID{keyID("node/custodian"), keyID("other/custodian")}
	slices.SortFunc(ids, func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) })
	return &record.CustodianSet{Code: code, Custodians: ids}
}

func (a *archive) erasureOf(i record.Index) (record.Index, record.Action) {
	a.t.Helper()
	d, action, ok, err := ledger.ErasureOf(a.view, i)
	if err != nil || ok != (d != 0) {
		a.t.Fatalf("erasure of %d: %d, %t, %v", i, d, ok, err)
	}
	return d, action
}

func (a *archive) stands(i record.Index) ledger.Standing {
	a.t.Helper()
	it, ok, err := ledger.NewInquiry(a.view).Item(i)
	if err != nil || !ok {
		a.t.Fatalf("record %d: %t, %v", i, ok, err)
	}
	return it.Standing()
}

// redacting proposes the erasure of parts of records.
func redacting(series record.Code, records ...record.Index) *record.ProposeDisposition {
	return &record.ProposeDisposition{Series: series, Action: record.ActionRedact, Records: records, Redaction: commitment("parts")}
}

// TestS0_17_RedactionOfADueRecord takes a redaction all the way: while it is
// locked nothing of the record is readable or free, afterwards the rest of it is.
func TestS0_17_RedactionOfADueRecord(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	destroy := &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r}}
	d, hash := a.redact("DEMO-MINUTES", r)
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeMissingApproval, true, "OPS", lock) // Counsel's
	a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash})
	other := a.must("DPW", destroy) // another disposition of the same record
	at := a.must("OPS", lock)
	item := a.entry(at + 1).(record.ItemEntry)
	if item.Record != r || item.Disposition != d || item.Due != day("2021-05-02") || len(item.Rules) != 1 {
		t.Errorf("item entry %+v", item)
	}
	if got := a.entry(at).(record.LockEntry); len(got.Authorizations) != 2 || got.Count != 1 {
		t.Errorf("lock entry %+v", got)
	}
	if under, action := a.erasureOf(r); under != d || action != record.ActionRedact || a.stands(r) != ledger.StandingLocked {
		t.Errorf("while it is locked: under %d, %s, %s", under, action, a.stands(r))
	}
	a.refused(ledger.CodeAlreadyLocked, false, "DPW", redacting("DEMO-MINUTES", r))
	a.refused(ledger.CodeAlreadyLocked, false, "DPW", destroy)
	a.must("CLERK", &record.ApproveDisposition{Disposition: other, Hash: a.disposition(other).Hash})
	a.refused(ledger.CodeAlreadyLocked, false, "OPS", &record.LockDisposition{Disposition: other, Hash: a.disposition(other).Hash})
	a.refused(ledger.CodeAlreadyLocked, false, "DPW", &record.FileRecords{Series: "CT-MAIL", Records: []record.Index{r}})

	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone, Claim: record.ClaimFiles})
	if got := a.disposition(d); got.Status != ledger.DispositionComplete || got.Redaction != commitment("parts") {
		t.Errorf("after the report: %+v", got)
	}
	if l := a.lifecycle(r); l.Disposition != 0 || !slices.Equal(l.Decisions, []record.Index{d}) {
		t.Errorf("lifecycle after the report: %+v", l)
	}
	if under, _ := a.erasureOf(r); under != 0 || a.stands(r) != ledger.StandingDue {
		t.Errorf("after the report: under %d, %s", under, a.stands(r))
	}
	if item, ok, err := ledger.ItemUnder(a.view, a.disposition(d), r); err != nil || !ok || item != at+1 {
		t.Errorf("item entry after the report: %d, %t, %v, want %d", item, ok, err, at+1)
	}
	if _, ok, err := ledger.ItemUnder(a.view, a.disposition(d), r+1); err != nil || ok {
		t.Errorf("item entry of what is no part of it: %t, %v", ok, err)
	}
	a.must("DPW", &record.FileRecords{Series: "CT-MAIL", Records: []record.Index{r}})
	second := a.lockRedaction(r) // more of it
	a.must("DPW", &record.ReportErasure{Disposition: second, Outcome: record.OutcomeDone})
	if l := a.lifecycle(r); !slices.Equal(l.Decisions, []record.Index{d, second}) {
		t.Errorf("after the second: %+v", l)
	}
	a.must("OPS", &record.LockDisposition{Disposition: other, Hash: a.disposition(other).Hash})
	a.must("DPW", &record.ReportErasure{Disposition: other, Outcome: record.OutcomeDone})
	if under, action := a.erasureOf(r); under != other || action != record.ActionDestroy || a.stands(r) != ledger.StandingLocked {
		t.Errorf("after its destruction: under %d, %s, %s", under, action, a.stands(r))
	}
	replayed, err := a.machine.Replay(logOf(a.log(t)), nil)
	if err != nil || replayed.View.StateRoot() != a.view.StateRoot() || len(replayed.Locks) != 3 {
		t.Errorf("the replay of it: %+v, %v", replayed, err)
	}
}

// TestPRA_NothingIsErasedAheadOfTheSchedule: before a record is due under a rule
// that wants it destroyed, the administrator of the state has to agree.
func TestPRA_NothingIsErasedAheadOfTheSchedule(t *testing.T) {
	a := foundArchive(t)
	archival := stateRule("DEMO-PLANS", "1 year after created")
	archival.Action = record.ActionTransfer
	a.adopt("DEMO2", false, stateRule("DEMO-OPEN", "1 year after closed"), stateRule("DEMO-PERMITS", "permanent"), archival)
	a.activate("DEMO-OPEN", "DPW")
	for _, c := range []struct{ series, date, what string }{
		{"DEMO-MINUTES", "2030-12-31", "the period is not over"},
		{"DEMO-PLANS", "2020-12-31", "the schedule wants it transferred"},
		{"DEMO-PERMITS", "2020-12-31", "it is permanent"},
		{"DEMO-OPEN", "2020-12-31", "its case is open"},
		{"DEMO-MINUTES", "", "it is undated"},
	} {
		r := a.anchor(record.Code(c.series), c.what, c.date)
		d, hash := a.redact(record.Code(c.series), r)
		lock := &record.LockDisposition{Disposition: d, Hash: hash}
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash})
		a.refused(ledger.CodeMissingApproval, true, "OPS", lock)
		a.must("OPRA", &record.ApproveDisposition{Disposition: d, Hash: hash})
		at := a.must("OPS", lock)
		if item := a.entry(at + 1).(record.ItemEntry); item.Due != 0 || len(item.Rules) != 1 {
			t.Errorf("%s: item entry %+v", c.what, item)
		}
	}
	// What counts is the day of the lock.
	r := a.anchor("DEMO-MINUTES", "due tomorrow", "2030-01-01")
	d, hash := a.redact("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeMissingApproval, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	a.on("2031-01-02")
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
}

// TestT06_NobodyRedactsAlone tries every office in every part of a redaction.
func TestT06_NobodyRedactsAlone(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	for _, name := range []string{"CLERK", "IT", "AUDIT", "COUNSEL", "CAO", "OPRA", "OPS"} {
		a.refused(ledger.CodeWrongRole, false, name, redacting("DEMO-MINUTES", r))
	}
	a.refused(ledger.CodeWrongOffice, false, "LIBRARY", redacting("DEMO-MINUTES", r))
	a.refused(ledger.CodeWrongSeries, false, "DPW", redacting("CT-MAIL", r))
	a.refused(ledger.CodeUnknownRecord, false, "DPW", redacting("DEMO-MINUTES", r-1))
	a.refused(ledger.CodeNoRule, false, "DPW", redacting("DEMO-PLANS", a.anchor("DEMO-PLANS", "b", "2020-12-31")))
	d, hash := a.redact("DEMO-MINUTES", r)
	approve := &record.ApproveDisposition{Disposition: d, Hash: hash}
	a.refused(ledger.CodeSameOffice, false, "DPW", approve)
	for _, name := range []string{"IT", "AUDIT", "CAO", "LIBRARY", "OPS"} {
		a.refused(ledger.CodeWrongRole, false, name, approve)
	}
	a.must("COUNSEL", approve)
	a.refused(ledger.CodeAlreadyApproved, false, "COUNSEL", approve)
	// An office that is Clerk and Counsel fills one of the two parts.
	a.decide(&record.Office{Code: "COUNSEL", Roles: []record.Role{record.RoleClerk, record.RoleCounsel, record.RoleGovernor}, Status: record.StatusActive}, "IT", "CLERK")
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	a.refused(ledger.CodeMissingApproval, true, "OPS", lock)
	a.must("CLERK", approve)
	for _, name := range []string{"DPW", "CLERK", "AUDIT", "COUNSEL", "CAO", "OPRA", "LIBRARY"} {
		a.refused(ledger.CodeWrongRole, false, name, lock)
	}
	a.must("OPS", lock)
	for _, name := range []string{"CLERK", "OPS", "COUNSEL", "node/custodian"} {
		a.refused(ledger.CodeNoReportDue, false, name, &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	}
	a.refused(ledger.CodeUnknownRecord, false, "DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone, Preserved: []record.Index{r + 1}})
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
}

// TestRedactionKeepsTheNoticeOfItsRule: no part of a bill of the state's schedule
// goes sooner after the last approval than the whole.
func TestRedactionKeepsTheNoticeOfItsRule(t *testing.T) {
	a := foundArchive(t)
	d, hash := a.redact("CT-MAIL", a.anchor("CT-MAIL", "a", "2020-05-01"))
	a.approveAll(d, hash)
	a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash})
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	a.refused(ledger.CodeNoticePeriod, true, "IT", lock)
	a.on("2031-01-03")
	a.must("IT", lock)
}

// TestT18_HoldAfterTheLockOfARedaction is late; what is preserved is unlocked, and
// no decision about it was carried out.
func TestT18_HoldAfterTheLockOfARedaction(t *testing.T) {
	for name, report := range map[string]func(r record.Index) *record.ReportErasure{
		"all preserved": func(record.Index) *record.ReportErasure {
			return &record.ReportErasure{Outcome: record.OutcomePreserved}
		},
		"listed": func(r record.Index) *record.ReportErasure {
			return &record.ReportErasure{Outcome: record.OutcomeDone, Preserved: []record.Index{r}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := foundArchive(t)
			r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
			d := a.lockRedaction(r)
			h := a.hold("AUDIT", r)
			if e := a.entry(h).(record.HoldEntry); e.Late != 1 {
				t.Errorf("hold entry %+v", e)
			}
			m := report(r)
			m.Disposition = d
			a.must("DPW", m)
			if l := a.lifecycle(r); l.Disposition != 0 || len(l.Decisions) != 0 || a.stands(r) != ledger.StandingHeld {
				t.Errorf("after the report: %+v, %s", l, a.stands(r))
			}
			if got := a.disposition(d); got.Status != ledger.DispositionComplete {
				t.Errorf("after the report: %s", got.Status)
			}
			if e := a.entry(a.hold("AUDIT", r)).(record.HoldEntry); e.Late != 0 {
				t.Errorf("a hold after the report: %+v", e)
			}
		})
	}
}

// TestCustodiansReportOnRedactions: both report; if one has erased, that is a
// decision about the record, whatever the other found and in whichever order.
func TestCustodiansReportOnRedactions(t *testing.T) {
	const erased, preserved = record.OutcomeDone, record.OutcomePreserved
	for _, c := range []struct {
		first, second record.Outcome
		decided       bool
	}{{erased, erased, true}, {erased, preserved, true}, {preserved, erased, true}, {preserved, preserved, false}} {
		a := foundArchive(t, otherNode(), bothCustodians("TWO"))
		r := a.must("DPW", &record.AnchorRecords{
			Series: "DEMO-MINUTES", Custody: "TWO", Items: []record.AnchorItem{{Commitment: commitment("a"), Day: day("2020-05-01")}},
		})
		d := a.lockRedaction(r)
		a.refused(ledger.CodeNoReportDue, false, "DPW", &record.ReportErasure{Disposition: d, Outcome: erased})
		claim := func(o record.Outcome) *record.ReportErasure {
			m := &record.ReportErasure{Disposition: d, Outcome: o}
			if o == erased {
				m.Claim, m.Report = record.ClaimKey, commitment("report")
			}
			return m
		}
		at := a.must("other/custodian", claim(c.first))
		if said, err := ledger.ReportedIn(a.view, at); err != nil || said.Disposition != d || said.Outcome != c.first || (said.Claim == record.ClaimKey) != (c.first == erased) {
			t.Errorf("the first report says %+v, %v", said, err)
		}
		if l := a.lifecycle(r); (l.Disposition == 0) != (c.first == preserved) || len(l.Decisions) != 0 {
			t.Errorf("%s, then %s: after the first report %+v", c.first, c.second, l)
		}
		if got := a.disposition(d); got.Status != ledger.DispositionLocked {
			t.Errorf("after the first report: %s", got.Status)
		}
		a.must("node/custodian", claim(c.second))
		if l := a.lifecycle(r); l.Disposition != 0 || slices.Contains(l.Decisions, d) != c.decided || len(l.Decisions) > 1 {
			t.Errorf("%s, then %s: after both %+v", c.first, c.second, l)
		}
		if got := a.disposition(d); got.Status != ledger.DispositionComplete || len(locks(t, a)) != 0 {
			t.Errorf("after both reports: %s, locks %d", got.Status, locks(t, a))
		}
	}
}

// TestErasuresAreListedByTheirLocks: all dispositions that destroy content, in
// the order of their locks, from any entry on.
func TestErasuresAreListedByTheirLocks(t *testing.T) {
	a := foundArchive(t)
	if all, err := ledger.Erasures(a.view, 0); err != nil || all != nil {
		t.Errorf("before the first: %v, %v", all, err)
	}
	first, second := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("DEMO-MINUTES", "b", "2020-05-01")
	moved := a.anchor("DEMO-MINUTES", "c", "2020-05-01")
	earlier, hash := a.propose("DEMO-MINUTES", first) // proposed before, locked after
	a.must("CLERK", &record.ApproveDisposition{Disposition: earlier, Hash: hash})
	a.propose("DEMO-MINUTES", second) // never locked
	redaction := a.lockRedaction(second)
	transfer := a.must("DPW", &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionTransfer, To: "LIBRARY", Records: []record.Index{moved}})
	a.must("CLERK", &record.ApproveDisposition{Disposition: transfer, Hash: a.disposition(transfer).Hash})
	a.must("OPS", &record.LockDisposition{Disposition: transfer, Hash: a.disposition(transfer).Hash})
	if under, _ := a.erasureOf(moved); under != 0 || a.stands(moved) != ledger.StandingLocked {
		t.Errorf("what is transferred is to be erased under %d", under)
	}
	a.must("DPW", &record.ReportErasure{Disposition: redaction, Outcome: record.OutcomeDone})
	a.must("OPS", &record.LockDisposition{Disposition: earlier, Hash: hash})
	locks := []record.Index{a.disposition(redaction).Lock, a.disposition(earlier).Lock}
	for _, c := range []struct {
		since record.Index
		want  []record.Index
	}{
		{0, []record.Index{redaction, earlier}}, {locks[0], []record.Index{redaction, earlier}}, {locks[0] + 1, []record.Index{earlier}},
		{locks[1], []record.Index{earlier}}, {locks[1] + 1, nil},
	} {
		all, err := ledger.Erasures(a.view, c.since)
		var got []record.Index
		for _, d := range all {
			if got = append(got, d.Index); d.Value.Lock != a.disposition(d.Index).Lock || len(d.Value.Reports) != 1 {
				t.Errorf("disposition %d is listed as %+v", d.Index, d.Value)
			}
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("since entry %d: %d, %v, want %d", c.since, got, err, c.want)
		}
	}
	// A chain that does not descend is damage, not a walk without end.
	key := ledger.StateKeyErasures()
	for _, at := range []record.Index{transfer + 1, first} {
		if all, err := ledger.Erasures(lied{View: a.view, key: key, value: slices.Concat([]byte{0x82, 0x01}, number(uint64(at)))}, 0); err == nil || all != nil {
			t.Errorf("a chain that begins at %d: %v, %v", at, all, err)
		}
	}
}

// TestWithholdingBindsNobody: who may withhold, of which records, and that
// nothing else changes by it.
func TestWithholdingBindsNobody(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	library := a.must("LIBRARY", &record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: commitment("l"), Day: day("2030-01-01")}}})
	parts, others := commitment("parts"), commitment("other parts")
	for _, name := range []string{"IT", "AUDIT", "CAO", "OPRA", "OPS", "ARCHIVIST"} {
		a.refused(ledger.CodeWrongRole, false, name, &record.Withhold{Record: r, Redaction: parts})
	}
	a.refused(ledger.CodeWrongOffice, false, "LIBRARY", &record.Withhold{Record: r, Redaction: parts})
	a.refused(ledger.CodeWrongOffice, false, "DPW", &record.Withhold{Record: library, Redaction: parts})
	for _, i := range []record.Index{r - 1, r + 1, 1 << 40} {
		a.refused(ledger.CodeUnknownRecord, false, "COUNSEL", &record.Withhold{Record: i, Redaction: parts})
	}
	a.hold("AUDIT", r)
	want := []ledger.Decision{
		{Entry: a.must("DPW", &record.Withhold{Record: r, Redaction: parts}), Redaction: parts, Office: "DPW", Day: day("2031-01-01")},
		{Entry: a.must("COUNSEL", &record.Withhold{Record: r, Redaction: parts}), Redaction: parts, Office: "COUNSEL", Day: day("2031-01-01")},
	}
	if a.stands(r) != ledger.StandingHeld {
		t.Errorf("a record of which parts are withheld: %s", a.stands(r))
	}
	a.on("2031-01-02")
	want = append(want, ledger.Decision{Entry: a.must("CLERK", &record.Withhold{Record: r, Redaction: others}), Redaction: others, Office: "CLERK", Day: day("2031-01-02")})
	if got, err := ledger.DecisionsOn(a.view, r); err != nil || !slices.Equal(got, want) {
		t.Errorf("decisions %+v, %v, want %+v", got, err, want)
	}
	if got, err := ledger.DecisionsOn(a.view, library); err != nil || got != nil {
		t.Errorf("decisions about another record: %v, %v", got, err)
	}
	young := a.anchor("DEMO-MINUTES", "b", "2020-05-01")
	d := a.lockRedaction(young)
	withheld := a.must("CLERK", &record.Withhold{Record: young, Redaction: others})
	a.on("2031-01-03")
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	want = []ledger.Decision{
		{Entry: d, Erased: true, Redaction: parts, Office: "DPW", Day: day("2031-01-02")}, // of the lock
		{Entry: withheld, Redaction: others, Office: "CLERK", Day: day("2031-01-02")},
	}
	if got, err := ledger.DecisionsOn(a.view, young); err != nil || !slices.Equal(got, want) {
		t.Errorf("decisions %+v, %v, want %+v", got, err, want)
	}
}
