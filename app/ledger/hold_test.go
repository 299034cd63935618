package ledger_test

import (
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// placed gives a hold of a kind on a scope.
func placed(kind record.HoldKind, issues uint32, s record.Scope) *record.PlaceHold {
	return &record.PlaceHold{Kind: kind, Matter: commitment("matter"), Issues: issues, Scope: s}
}

func listing(records ...record.Index) record.Scope { return record.Scope{Records: records} }

// destroys proposes to destroy records of DEMO-MINUTES, kept for a year.
func destroys(records ...record.Index) *record.ProposeDisposition {
	return &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: records}
}

// TestS0_19_EachHoldKindBlocksDisposition places and releases a hold of every
// kind, on the record, its series, its department and the city in turn.
func TestS0_19_EachHoldKindBlocksDisposition(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	scopes := []record.Scope{
		listing(r), {Department: "DPW", Series: "DEMO-MINUTES"}, {Department: "DPW"}, {City: true},
		{Department: "DPW", Dated: true, From: day("2020-05-01"), To: day("2020-05-01")},
	}
	for n, kind := range record.HoldKinds() {
		h := a.must("COUNSEL", placed(kind, 0, scopes[n%len(scopes)]))
		e := a.entry(a.refused(ledger.CodeHeld, true, "DPW", destroys(r)).TxIndex + 1).(record.RefusalEntry)
		if e.Record != r || e.Hold != h {
			t.Errorf("%s: the refusal names record %d and hold %d, want %d and %d", kind, e.Record, e.Hold, r, h)
		}
		a.must("COUNSEL", &record.ResolveIssue{Hold: h})
		a.must("AUDIT", &record.ReleaseHold{Hold: h})
	}
	a.must("DPW", destroys(r)) // what blocked it were the holds, and nothing else
}

// TestS0_19_WhoMayHold tries every kind as an office of every role.
func TestS0_19_WhoMayHold(t *testing.T) {
	holders := []record.Role{
		record.RoleCounsel, record.RoleClerk, record.RoleAuditor, record.RoleChiefAdmin, record.RoleStateRecords,
		record.RoleStateArchivist, record.RoleLibraryCEO, record.RoleGovernor,
	}
	for _, role := range record.Roles() {
		c, _ := matrixCity(t, role, false)
		for _, kind := range record.HoldKinds() {
			want := ledger.CodeWrongRole
			if slices.Contains(holders, role) || role == record.RoleDepartment && kind == record.HoldAdviceRequested {
				want = ledger.OK
			}
			h := ledger.Header{Height: c.view.Head().Height + 1, Time: c.view.Head().Time}
			raw := c.sign(t, "OFFICE", record.LedgerDay(h.Time), placed(kind, 1, record.Scope{Department: "OFFICE"}))
			if got := c.machine.Check(c.view, h, raw); got != want {
				t.Errorf("%s by an office with role %s: %s, want %s", kind, role, got, want)
			}
		}
	}
}

// TestS0_19_WhoMayRelease tries every role on a hold that is closed.
func TestS0_19_WhoMayRelease(t *testing.T) {
	releasers := []record.Role{
		record.RoleCounsel, record.RoleAuditor, record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords,
	}
	for _, role := range record.Roles() {
		c, _ := matrixCity(t, role, false)
		today := record.LedgerDay(c.view.Head().Time)
		_, results := c.apply(t, c.view.Head().Time, c.sign(t, "COUNSEL", today, placed(record.HoldAudit, 0, record.Scope{City: true})))
		hold := results[0].TxIndex + 1
		c.apply(t, c.view.Head().Time, c.sign(t, "CLERK", today, &record.ResolveIssue{Hold: hold}))
		want := ledger.CodeWrongRole
		if slices.Contains(releasers, role) {
			want = ledger.OK
		}
		h := ledger.Header{Height: c.view.Head().Height + 1, Time: c.view.Head().Time}
		if got := c.machine.Check(c.view, h, c.sign(t, "OFFICE", today, &record.ReleaseHold{Hold: hold})); got != want {
			t.Errorf("a release by an office with role %s: %s, want %s", role, got, want)
		}
	}
}

// TestS1_13_AdviceIsAskedAboutOnesOwn lets a department hold its own records, and
// nobody else's.
func TestS1_13_AdviceIsAskedAboutOnesOwn(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	other := a.must("LIBRARY", &record.AnchorRecords{Series: "DEMO-PLANS", Items: []record.AnchorItem{{Commitment: commitment("b"), Day: day("2029-12-31")}}})
	for _, s := range []record.Scope{{City: true}, {Department: "LIBRARY"}, listing(r, other)} {
		a.refused(ledger.CodeWrongOffice, false, "DPW", placed(record.HoldAdviceRequested, 0, s))
	}
	h := a.must("DPW", placed(record.HoldAdviceRequested, 0, record.Scope{Department: "DPW"}))
	a.refused(ledger.CodeWrongOffice, false, "DPW", &record.ExtendHold{Hold: h, Scope: listing(other)})
	a.must("DPW", &record.ExtendHold{Hold: h, Issues: 1})
}

// TestS4_10_NobodyEndsAHoldAlone wants another office for the release than those
// that closed the action and the issues.
func TestS4_10_NobodyEndsAHoldAlone(t *testing.T) {
	a := foundArchive(t)
	h := a.must("AUDIT", placed(record.HoldAudit, 1, listing(a.anchor("DEMO-MINUTES", "a", "2020-05-01"))))
	a.must("COUNSEL", &record.ResolveIssue{Hold: h})
	a.must("CLERK", &record.ResolveIssue{Hold: h, Issue: 1})
	for _, name := range []string{"AUDIT", "COUNSEL", "CLERK"} {
		a.refused(ledger.CodeSameOffice, false, name, &record.ReleaseHold{Hold: h})
	}
	a.must("CAO", &record.ReleaseHold{Hold: h})
}

// TestS1_13_AdviceRequestedSuspendsUntilCounselAnswers has a department in doubt.
func TestS1_13_AdviceRequestedSuspendsUntilCounselAnswers(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	a.refused(ledger.CodeWrongRole, false, "DPW", placed(record.HoldLitigation, 0, listing(r)))
	h := a.must("DPW", placed(record.HoldAdviceRequested, 0, listing(r)))
	a.refused(ledger.CodeHeld, true, "DPW", destroys(r))
	a.refused(ledger.CodeWrongRole, false, "DPW", &record.ReleaseHold{Hold: h})
	a.refused(ledger.CodeOpenIssues, false, "COUNSEL", &record.ReleaseHold{Hold: h})
	a.must("DPW", &record.ResolveIssue{Hold: h}) // the answer has come
	a.refused(ledger.CodeHeld, true, "DPW", destroys(r))
	a.must("COUNSEL", &record.ReleaseHold{Hold: h})
	a.must("DPW", destroys(r))
}

// TestS4_9_HoldExtendedBetweenApprovalAndLock is step 11 of the acceptance story.
func TestS4_9_HoldExtendedBetweenApprovalAndLock(t *testing.T) {
	a := foundArchive(t)
	r, other := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("DEMO-MINUTES", "b", "2020-05-01")
	h := a.must("COUNSEL", placed(record.HoldAnticipated, 2, listing(other)))
	d, hash := a.propose("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	extension := a.must("COUNSEL", &record.ExtendHold{Hold: h, Scope: listing(r)})
	e := a.entry(a.refused(ledger.CodeHeld, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash}).TxIndex + 1).(record.RefusalEntry)
	if e.Record != r || e.Hold != h {
		t.Errorf("the refusal names record %d and hold %d, want %d and %d", e.Record, e.Hold, r, h)
	}
	held, err := ledger.HoldsOn(a.view, r)
	want := ledger.HoldOn{Hold: h, Office: "COUNSEL", Kind: record.HoldAnticipated, Since: extension, Brought: "COUNSEL"}
	if err != nil || len(held) != 1 || held[0] != want {
		t.Errorf("holds on the record = %+v, %v, want %+v", held, err, want)
	}
}

// TestS4_10_ReleaseNeedsEveryIssue is step 19 of the acceptance story: a
// release with an open issue is refused, and the record may be destroyed from
// the later of the end of its period and the release.
func TestS4_10_ReleaseNeedsEveryIssue(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2030-01-10") // due 11 January 2031
	young := a.anchor("DEMO-MINUTES", "b", "2030-06-01")
	h := a.must("COUNSEL", placed(record.HoldAnticipated, 2, record.Scope{Department: "DPW", Series: "DEMO-MINUTES"}))
	release := &record.ReleaseHold{Hold: h}
	for _, issue := range []uint32{0, 1} {
		a.refused(ledger.CodeOpenIssues, false, "CLERK", release)
		a.must("COUNSEL", &record.ResolveIssue{Hold: h, Issue: issue})
	}
	a.refused(ledger.CodeOpenIssues, false, "CLERK", release) // the second issue is open
	a.refused(ledger.CodeIssueResolved, false, "COUNSEL", &record.ResolveIssue{Hold: h, Issue: 1})
	a.refused(ledger.CodeUnknownIssue, false, "COUNSEL", &record.ResolveIssue{Hold: h, Issue: 3})
	a.on("2031-01-15")
	a.refused(ledger.CodeHeld, true, "DPW", destroys(r))
	a.must("COUNSEL", &record.ResolveIssue{Hold: h, Issue: 2})
	a.refused(ledger.CodeSameOffice, false, "COUNSEL", release)
	a.must("CLERK", release)
	a.refused(ledger.CodeHoldReleased, false, "CLERK", release)
	a.refused(ledger.CodeNotDue, true, "DPW", destroys(young)) // a release makes nothing due
	a.must("DPW", destroys(r))
}

// TestS4_10_TwoHoldsAreReleasedOneByOne: each of many holds stands for itself.
func TestS4_10_TwoHoldsAreReleasedOneByOne(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	first := a.must("COUNSEL", placed(record.HoldLitigation, 0, listing(r)))
	second := a.must("AUDIT", placed(record.HoldAudit, 0, record.Scope{Department: "DPW"}))
	for _, h := range []struct {
		hold       record.Index
		by, frees  string
		stillBound bool
	}{{first, "COUNSEL", "AUDIT", true}, {second, "CLERK", "COUNSEL", false}} {
		a.must(h.by, &record.ResolveIssue{Hold: h.hold})
		a.must(h.frees, &record.ReleaseHold{Hold: h.hold})
		if h.stillBound {
			a.refused(ledger.CodeHeld, true, "DPW", destroys(r))
		}
	}
	a.must("DPW", destroys(r))
}

// TestS4_11_AnticipatedHoldOutlastsRetention places a hold long before the
// period ends; the end of the period does not end it.
func TestS4_11_AnticipatedHoldOutlastsRetention(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2030-01-10")
	a.refused(ledger.CodeNotDue, true, "DPW", destroys(r))
	h := a.must("COUNSEL", placed(record.HoldAnticipated, 0, listing(r)))
	a.refused(ledger.CodeHeld, true, "DPW", destroys(r))
	a.on("2031-01-20")
	a.refused(ledger.CodeHeld, true, "DPW", destroys(r))
	a.must("COUNSEL", &record.ResolveIssue{Hold: h})
	a.must("CLERK", &record.ReleaseHold{Hold: h})
	a.must("DPW", destroys(r))
}

// TestT18_HoldsComeFirstInABlock gives a lock, and behind it in the same block
// a hold, or an extension: whoever makes the block cannot put the lock before.
func TestT18_HoldsComeFirstInABlock(t *testing.T) {
	for _, extends := range []bool{false, true} {
		a := foundArchive(t)
		r, other := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("DEMO-MINUTES", "b", "2020-05-01")
		earlier := a.must("COUNSEL", placed(record.HoldLitigation, 0, listing(other)))
		d, hash := a.propose("DEMO-MINUTES", r)
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		var hold record.Message = placed(record.HoldLitigation, 0, record.Scope{City: true})
		if extends {
			hold = &record.ExtendHold{Hold: earlier, Scope: listing(r)}
		}
		until := day(a.date)
		_, results := a.block(
			a.sign(t, "OPS", until, &record.LockDisposition{Disposition: d, Hash: hash}),
			a.sign(t, "COUNSEL", until, hold))
		if results[0].Code != ledger.CodeHeld || results[1].Code != ledger.OK || results[1].TxIndex > results[0].TxIndex {
			t.Errorf("lock and hold in one block: %+v, want HELD and OK, the hold first", results)
		}
	}
}

// TestT18_LateCountsWhatItReaches places holds of every scope beside two locked
// dispositions: those that reach one say so, and none is refused.
func TestT18_LateCountsWhatItReaches(t *testing.T) {
	a := foundArchive(t)
	var locked []record.Index
	for _, name := range []string{"a", "b"} {
		r := a.anchor("DEMO-MINUTES", name, "2020-05-01")
		d, hash := a.propose("DEMO-MINUTES", r)
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
		locked = append(locked, r)
	}
	free := a.anchor("DEMO-MINUTES", "c", "2020-05-01")
	tests := []struct {
		name  string
		scope record.Scope
		late  int64
	}{
		{"a record that is free", listing(free), 0},
		{"one that is locked", listing(locked[0]), 1},
		{"both and the free one", listing(locked[0], locked[1], free), 2},
		{"their series", record.Scope{Department: "DPW", Series: "DEMO-MINUTES"}, 2},
		{"another series", record.Scope{Department: "DPW", Series: "DEMO-PERMITS"}, 0},
		{"their department", record.Scope{Department: "DPW"}, 2},
		{"their department, other days", record.Scope{Department: "DPW", Dated: true, From: 1, To: 2}, 2},
		{"another department", record.Scope{Department: "LIBRARY"}, 0},
		{"the city", record.Scope{City: true}, 2},
	}
	extended := a.must("COUNSEL", placed(record.HoldLitigation, 0, listing(free)))
	for _, test := range tests {
		e := a.entry(a.must("COUNSEL", placed(record.HoldLitigation, 0, test.scope))).(record.HoldEntry)
		x := a.entry(a.must("COUNSEL", &record.ExtendHold{Hold: extended, Scope: test.scope})).(record.ExtensionEntry)
		if e.Late != test.late || x.Late != test.late {
			t.Errorf("%s: late for %d, as an extension for %d, want %d", test.name, e.Late, x.Late, test.late)
		}
	}
	if x := a.entry(a.must("COUNSEL", &record.ExtendHold{Hold: extended, Issues: 1})).(record.ExtensionEntry); x.Late != 0 {
		t.Errorf("an extension without scope is late for %d", x.Late)
	}
}

// TestT18_NoStateRefusesAHold places the same hold on a record in every state
// that a disposition leaves it in, and during a freeze.
func TestT18_NoStateRefusesAHold(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	hold := func(when string) record.Index {
		i := a.must("COUNSEL", placed(record.HoldPreservationOrder, 1, listing(r)))
		if held, err := ledger.HoldsOn(a.view, r); err != nil || held[len(held)-1].Hold != i {
			t.Errorf("%s: holds = %+v, %v", when, held, err)
		}
		return i
	}
	end := func(i record.Index) {
		a.must("COUNSEL", &record.ResolveIssue{Hold: i})
		a.must("COUNSEL", &record.ResolveIssue{Hold: i, Issue: 1})
		a.must("AUDIT", &record.ReleaseHold{Hold: i})
	}
	end(hold("anchored"))
	d, hash := a.propose("DEMO-MINUTES", r)
	end(hold("proposed"))
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	hold("locked")
	hold("locked and held")
	a.must("DPW", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	hold("destroyed")
	a.apply(t, a.view.Head().Time+3600e9)
	a.second += 3600
	if _, frozen, err := ledger.FreezeOf(a.view); !frozen || err != nil {
		t.Fatalf("a step of an hour does not freeze: %v", err)
	}
	hold("frozen")
}
