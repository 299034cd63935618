package ledger_test

import (
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// approveAll has every office approve that a rule of the state asks for.
func (a *archive) approveAll(d record.Index, hash [32]byte) {
	a.t.Helper()
	for _, name := range []string{"CLERK", "CAO", "OPRA"} {
		a.must(name, &record.ApproveDisposition{Disposition: d, Hash: hash})
	}
}

// TestS4_9_EachStepIsRefusedBeforeItsTime takes a bill of the state's schedule
// all the way.
func TestS4_9_EachStepIsRefusedBeforeItsTime(t *testing.T) {
	a := foundArchive(t)
	old, young := a.anchor("CT-BILLS", "old", "2026-08-01"), a.anchor("CT-BILLS", "young", "2030-08-01")
	destroy := func(records ...record.Index) *record.ProposeDisposition {
		return &record.ProposeDisposition{Series: "CT-BILLS", Action: record.ActionDestroy, Records: records}
	}
	a.refused(ledger.CodeNotDue, true, "DPW", destroy(old)) // not audited yet
	a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2027-06-30")})
	if r := a.refused(ledger.CodeNotDue, true, "DPW", destroy(old, young)); r.Bad != 1 {
		t.Fatalf("the second record stands against it, not item %d", r.Bad)
	}
	d, hash := a.propose("CT-BILLS", old)
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	a.refused(ledger.CodeMissingApproval, true, "IT", lock)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("CAO", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeMissingApproval, true, "IT", lock)
	a.must("OPRA", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeNoticePeriod, true, "IT", lock)
	a.on("2031-01-02") // the day after the approval is the day of notice
	a.refused(ledger.CodeNoticePeriod, true, "IT", lock)
	a.on("2031-01-03")
	locked := a.must("IT", lock)
	e := a.entry(locked).(record.LockEntry)
	if len(e.Authorizations) != 3 || e.Count != 1 || e.Day != day("2031-01-03") {
		t.Fatalf("lock entry %+v", e)
	}
	item := a.entry(locked + 1).(record.ItemEntry)
	// The audit was posted on 1 January 2031; three years were over long before.
	if item.Record != old || item.Due != day("2031-01-01") || len(item.Rules) != 1 || item.Audit == 0 {
		t.Fatalf("item entry %+v", item)
	}
	a.refused(ledger.CodeDispositionClosed, false, "IT", lock)
	a.refused(ledger.CodeAlreadyLocked, false, "DPW", destroy(old))
}

// TestT06_NobodyActsTwice tries every office in every part.
func TestT06_NobodyActsTwice(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	propose := &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r}}
	for _, name := range []string{"CLERK", "IT", "AUDIT", "COUNSEL", "CAO", "OPRA", "OPS"} {
		a.refused(ledger.CodeWrongRole, false, name, propose)
	}
	a.refused(ledger.CodeWrongOffice, false, "LIBRARY", propose)
	d, hash := a.propose("DEMO-MINUTES", r)
	approve := &record.ApproveDisposition{Disposition: d, Hash: hash}
	a.refused(ledger.CodeSameOffice, false, "DPW", approve)
	for _, name := range []string{"IT", "AUDIT", "COUNSEL", "CAO", "LIBRARY", "OPS"} {
		a.refused(ledger.CodeWrongRole, false, name, approve)
	}
	a.refused(ledger.CodeWrongHash, false, "CLERK", &record.ApproveDisposition{Disposition: d})
	other, otherHash := a.propose("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "b", "2020-05-01"))
	a.refused(ledger.CodeWrongHash, false, "CLERK", &record.ApproveDisposition{Disposition: other, Hash: hash})
	a.must("CLERK", approve)
	a.refused(ledger.CodeAlreadyApproved, false, "CLERK", approve)
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	for _, name := range []string{"DPW", "CLERK", "AUDIT", "COUNSEL", "CAO", "OPRA", "LIBRARY"} {
		a.refused(ledger.CodeWrongRole, false, name, lock)
	}
	a.refused(ledger.CodeWrongHash, false, "OPS", &record.LockDisposition{Disposition: d, Hash: otherHash})
	a.refused(ledger.CodeUnknownDisposition, false, "OPS", &record.LockDisposition{Disposition: r, Hash: hash})
	a.must("OPS", lock)
	for _, name := range []string{"CLERK", "OPS", "LIBRARY"} {
		a.refused(ledger.CodeNoReportDue, false, name, &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	}
	a.refused(ledger.CodeNotLocked, false, "DPW", &record.ReportErasure{Disposition: other, Outcome: record.OutcomeDone})
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	a.refused(ledger.CodeAlreadyReported, false, "DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
}

// TestT06_RolesAreThoseOfTheLock takes the Clerk's role, and then the Clerk's
// key, between approval and lock.
func TestT06_RolesAreThoseOfTheLock(t *testing.T) {
	for name, f := range map[string]func(*archive){
		"role": func(a *archive) {
			a.decide(&record.Office{Code: "CLERK", Roles: []record.Role{record.RoleGovernor}, Status: record.StatusActive}, "IT", "COUNSEL")
		},
		"office": func(a *archive) {
			a.decide(&record.Office{Code: "CLERK", Roles: []record.Role{record.RoleClerk}, Status: record.StatusSuspended}, "IT", "COUNSEL")
		},
		"key since then": func(a *archive) {
			a.must("IT", &record.SuspendKey{KeyID: keyID("CLERK"), SinceHeight: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := foundArchive(t)
			d, hash := a.propose("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "a", "2020-05-01"))
			a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
			f(a)
			a.refused(ledger.CodeMissingApproval, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
		})
	}
	t.Run("key from now on", func(t *testing.T) {
		a := foundArchive(t)
		d, hash := a.propose("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "a", "2020-05-01"))
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		a.must("IT", &record.SuspendKey{KeyID: keyID("CLERK")})
		a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	})
}

// TestT06_WhoHoldsHasNoOtherPart lets the offices that placed and released a
// hold after the proposal try the other parts.
func TestT06_WhoHoldsHasNoOtherPart(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	before := a.hold("COUNSEL", r)
	a.must("COUNSEL", &record.ResolveIssue{Hold: before})
	a.must("CLERK", &record.ReleaseHold{Hold: before}) // came and went before: no part of it
	d, hash := a.propose("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	h := a.hold("COUNSEL", r)
	a.must("COUNSEL", &record.ResolveIssue{Hold: h})
	a.must("CLERK", &record.ReleaseHold{Hold: h})
	a.refused(ledger.CodeSameOffice, false, "OPS", lock)
	touched, err := ledger.NewInquiry(a.view).Touched(d, []record.Index{r, r})
	if want := []ledger.Touch{{Office: "COUNSEL", Hold: h}, {Office: "CLERK", Hold: h}}; err != nil || !slices.Equal(touched, want) {
		t.Errorf("touched: %v, %v; want %v", touched, err, want)
	}
}

// TestPRA_OneByOne wants old and undated records alone, with the administrator.
func TestPRA_OneByOne(t *testing.T) {
	a := foundArchive(t)
	old, young := a.anchor("DEMO-MINUTES", "old", "1899-12-31"), a.anchor("DEMO-MINUTES", "young", "1900-01-01")
	a.refused(ledger.CodeOneByOne, false, "DPW",
		&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{old, young}})
	undated := a.anchor("DEMO-MINUTES", "undated", "")
	a.refused(ledger.CodeNotDue, true, "DPW",
		&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{undated}})
	d, hash := a.propose("DEMO-MINUTES", old)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeMissingApproval, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	a.must("OPRA", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	d, hash = a.propose("DEMO-MINUTES", young)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
}

// TestStandingAuthorization stands for the approvals of a year, but not for the
// administrator's own, nor for notice, hold and period.
func TestStandingAuthorization(t *testing.T) {
	a := foundArchive(t)
	a.decide(&record.StandingAuthorization{Office: "DPW", Series: []record.Code{"CT-MAIL", "DEMO-MINUTES"}, From: day("2031-01-01"), Until: day("2031-12-31")},
		"DPW", "IT", "CLERK", "ARCHIVIST", "OPRA")
	standing := record.Index(a.view.Head().Size - 2)
	r, held := a.anchor("CT-MAIL", "a", "2020-05-01"), a.anchor("CT-MAIL", "b", "2020-05-01")
	propose := func(series record.Code, records ...record.Index) *record.ProposeDisposition {
		return &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Standing: standing, Records: records}
	}
	a.refused(ledger.CodeNotAuthorized, false, "DPW", propose("CT-BILLS", r))
	a.refused(ledger.CodeNotAuthorized, false, "LIBRARY", propose("CT-MAIL", r))
	a.hold("COUNSEL", held)
	a.refused(ledger.CodeHeld, true, "DPW", propose("CT-MAIL", r, held))
	d := a.must("DPW", propose("CT-MAIL", r))
	lock := &record.LockDisposition{Disposition: d, Hash: a.disposition(d).Hash}
	a.refused(ledger.CodeNoticePeriod, true, "OPS", lock)
	a.on("2031-01-03")
	at := a.must("OPS", lock)
	if e := a.entry(at).(record.LockEntry); e.Standing != standing || len(e.Authorizations) != 0 {
		t.Fatalf("lock entry %+v", e)
	}
	old := a.anchor("DEMO-MINUTES", "old", "1850-01-01")
	d = a.must("DPW", propose("DEMO-MINUTES", old))
	lock = &record.LockDisposition{Disposition: d, Hash: a.disposition(d).Hash}
	a.refused(ledger.CodeMissingApproval, true, "OPS", lock)
	a.must("OPRA", &record.ApproveDisposition{Disposition: d, Hash: lock.Hash})
	a.must("OPS", lock)
}

// TestTransferAndDesignation needs no expired period, and does not move what is held.
func TestTransferAndDesignation(t *testing.T) {
	a := foundArchive(t)
	r, held := a.anchor("CT-MINUTES", "a", "2030-05-01"), a.anchor("CT-MINUTES", "b", "2030-05-01")
	a.hold("COUNSEL", held)
	transfer := &record.ProposeDisposition{Series: "CT-MINUTES", Action: record.ActionTransfer, To: "LIBRARY", Records: []record.Index{r, held}}
	a.refused(ledger.CodeHeld, true, "DPW", transfer)
	transfer.Records, transfer.To = transfer.Records[:1], "NOBODY"
	a.refused(ledger.CodeUnknownOffice, false, "DPW", transfer)
	transfer.To = "LIBRARY"
	d := a.must("DPW", transfer)
	a.approveAll(d, a.disposition(d).Hash)
	a.on("2031-01-03")
	at := a.must("OPS", &record.LockDisposition{Disposition: d, Hash: a.disposition(d).Hash})
	if e := a.entry(at + 1).(record.ItemEntry); e.Due != 0 {
		t.Fatalf("item entry %+v", e)
	}
	for _, name := range []string{"DPW", "LIBRARY"} {
		a.must(name, &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	}
	if got := a.disposition(d); got.Status != ledger.DispositionComplete {
		t.Fatalf("after both reports: %+v", got)
	}
	young := a.anchor("CT-MAIL", "c", "2030-05-01")
	d = a.must("DPW", &record.ProposeDisposition{Series: "CT-MAIL", Action: record.ActionPermanent, Records: []record.Index{young}})
	a.approveAll(d, a.disposition(d).Hash)
	a.on("2031-01-05")
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: a.disposition(d).Hash})
	if got := a.disposition(d); got.Status != ledger.DispositionComplete {
		t.Fatalf("after the lock: %+v", got)
	}
	a.refused(ledger.CodeAlreadyLocked, false, "DPW",
		&record.ProposeDisposition{Series: "CT-MAIL", Action: record.ActionDestroy, Records: []record.Index{young}})
}

// TestT18_LateHold lets a hold come after the lock: it is taken, said to be
// late, and what is preserved lives on.
func TestT18_LateHold(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	d, hash := a.propose("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	h := a.hold("COUNSEL", r)
	if e := a.entry(h).(record.HoldEntry); e.Late != 1 {
		t.Fatalf("hold entry %+v", e)
	}
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomePreserved})
	a.refused(ledger.CodeHeld, true, "DPW",
		&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r}})
	if e := a.entry(a.hold("COUNSEL", r)).(record.HoldEntry); e.Late != 0 {
		t.Fatalf("hold entry after the report %+v", e)
	}
}

// TestRefusalIsAReceipt gives the first answer again, counts to the quota, and
// leaves nothing of the step that was refused.
func TestRefusalIsAReceipt(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2030-12-31")
	m := &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r}}
	tx := a.sign(t, "DPW", day(a.date)+2, m)
	if code := a.machine.Check(a.view, ledger.Header{Height: a.view.Head().Height + 1, Time: a.view.Head().Time}, tx); code != ledger.OK {
		t.Fatalf("check: %s, want it to be let in", code)
	}
	_, first := a.block(tx)
	size := a.view.Head().Size
	_, again := a.block(tx)
	if first[0].Code != ledger.CodeNotDue || first[0].Count != 1 || again[0].TxIndex != first[0].TxIndex ||
		again[0].Code != first[0].Code || a.view.Head().Size != size {
		t.Fatalf("%+v, again %+v, size %d and %d", first, again, size, a.view.Head().Size)
	}
	for n := 1; n < 1000; n++ {
		a.refused(ledger.CodeNotDue, true, "DPW", m)
	}
	a.refused(ledger.CodeQuota, false, "DPW", m)
	tx = a.sign(t, "DPW", day(a.date)+2, m)
	if code := a.machine.Check(a.view, ledger.Header{Height: a.view.Head().Height + 1, Time: a.view.Head().Time}, tx); code != ledger.CodeQuota {
		t.Fatalf("check beyond the quota: %s", code)
	}
	a.on("2031-01-02")
	a.refused(ledger.CodeNotDue, true, "DPW", m)
}

// TestApprovalsExpire lets half a year pass between approval and lock.
func TestApprovalsExpire(t *testing.T) {
	a := foundArchive(t)
	d, hash := a.propose("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "a", "2020-05-01"))
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.on("2031-07-01") // 181 days
	a.refused(ledger.CodeMissingApproval, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
}

// TestWithdrawnIsOver ends an open disposition.
func TestWithdrawnIsOver(t *testing.T) {
	a := foundArchive(t)
	d, hash := a.propose("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "a", "2020-05-01"))
	a.refused(ledger.CodeWrongOffice, false, "LIBRARY", &record.WithdrawDisposition{Disposition: d})
	a.must("CLERK", &record.WithdrawDisposition{Disposition: d})
	a.refused(ledger.CodeDispositionClosed, false, "CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeDispositionClosed, false, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	a.refused(ledger.CodeNotLocked, false, "DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
}

// TestNoticeToThePersonConcerned holds the lock up until notice was given and
// its time is over.
func TestNoticeToThePersonConcerned(t *testing.T) {
	a := foundArchive(t)
	a.adopt("DEMO2", false, stateRule("DEMO-PERMITS", "after 30 days of notice: 1 year after created"))
	r := a.anchor("DEMO-PERMITS", "a", "2020-05-31")
	d, hash := a.propose("DEMO-PERMITS", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	lock := &record.LockDisposition{Disposition: d, Hash: hash}
	a.refused(ledger.CodeNoticeMissing, true, "OPS", lock)
	a.refused(ledger.CodeWrongOffice, false, "CLERK", &record.RecordNotice{Disposition: d, Day: day("2031-01-01")})
	a.refused(ledger.CodeBadDay, false, "DPW", &record.RecordNotice{Disposition: d, Day: day("2031-01-02")})
	a.must("DPW", &record.RecordNotice{Disposition: d, Day: day("2030-12-02")}) // 30 days after it is 1 January
	a.refused(ledger.CodeNoticeMissing, true, "OPS", lock)
	a.on("2031-01-02")
	at := a.must("OPS", lock)
	if e := a.entry(at).(record.LockEntry); e.Notice == 0 {
		t.Fatalf("lock entry %+v", e)
	}
}

// TestWrongSeriesIsRefused wants one series in a disposition.
func TestWrongSeriesIsRefused(t *testing.T) {
	a := foundArchive(t)
	r, other := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("CT-MAIL", "b", "2020-05-01")
	refused := a.refused(ledger.CodeWrongSeries, false, "DPW",
		&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r, other}})
	if refused.Bad != 1 {
		t.Errorf("item %d, want 1", refused.Bad)
	}
}

// TestS4_10_EligibleFromTheRelease: a record whose period was over long before
// may be disposed of from the day on which its last hold was released.
func TestS4_10_EligibleFromTheRelease(t *testing.T) {
	a := foundArchive(t)
	r, free := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("DEMO-MINUTES", "b", "2020-05-01")
	h := a.hold("COUNSEL", r)
	a.on("2031-01-05")
	a.must("COUNSEL", &record.ResolveIssue{Hold: h})
	a.must("AUDIT", &record.ReleaseHold{Hold: h})
	q := ledger.NewInquiry(a.view)
	for i, want := range map[record.Index]string{r: "2031-01-05", free: "2021-05-02"} {
		it, _, err := q.Item(i)
		if err != nil || it.Standing() != ledger.StandingDue || it.Eligible() != day(want) {
			t.Errorf("record %d: %s, eligible from %s, %v; want %s", i, it.Standing(), it.Eligible(), err, want)
		}
	}
}

// TestI05_NoticeAcrossTheDayBoundary: an approval in the last seconds of a ledger
// day and a lock in the first ones of the next have no day between them.
func TestI05_NoticeAcrossTheDayBoundary(t *testing.T) {
	a := foundArchive(t)
	d, hash := a.propose("CT-MAIL", a.anchor("CT-MAIL", "a", "2020-05-01"))
	for a.view.Head().Time+60e9 < at("2031-01-02")-10e9 {
		a.apply(t, a.view.Head().Time+60e9)
	}
	late := a.view.Head().Time + 1e9
	for i, name := range []string{"CLERK", "CAO", "OPRA"} {
		_, r := a.apply(t, late+int64(i)*1e9, a.sign(t, name, day("2031-01-03"), &record.ApproveDisposition{Disposition: d, Hash: hash}))
		if r[0].Code != ledger.OK {
			t.Fatalf("approval by %s: %s", name, r[0].Code)
		}
	}
	a.apply(t, at("2031-01-02"))
	_, r := a.apply(t, at("2031-01-02")+1e9, a.sign(t, "OPS", day("2031-01-03"), &record.LockDisposition{Disposition: d, Hash: hash}))
	if r[0].Code != ledger.CodeNoticePeriod {
		t.Errorf("lock seconds after the last approval: %s, want %s", r[0].Code, ledger.CodeNoticePeriod)
	}
}
