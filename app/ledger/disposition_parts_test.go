package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestT06_TheProposalCountsAtTheLock takes the department's role, its office and
// its key between proposal and lock: the proposal is the approval of its head,
// also where a standing authorization stands for all others.
func TestT06_TheProposalCountsAtTheLock(t *testing.T) {
	department := func(status record.Status, role record.Role) func(*archive) {
		return func(a *archive) {
			a.decide(&record.Office{Code: "DPW", Roles: []record.Role{role}, Status: status}, "IT", "COUNSEL")
		}
	}
	for _, standing := range []bool{false, true} {
		for _, test := range []struct {
			name   string
			befall func(*archive)
			want   ledger.Code
		}{
			{"role", department(record.StatusActive, record.RoleProcurement), ledger.CodeMissingApproval},
			{"office", department(record.StatusSuspended, record.RoleDepartment), ledger.CodeMissingApproval},
			{"key since then", func(a *archive) { a.must("IT", &record.SuspendKey{KeyID: keyID("DPW"), SinceHeight: 1}) }, ledger.CodeMissingApproval},
			{"key from now on", func(a *archive) { a.must("IT", &record.SuspendKey{KeyID: keyID("DPW")}) }, ledger.OK},
			{"head of the library", department(record.StatusActive, record.RoleLibraryCEO), ledger.OK},
		} {
			name := test.name
			if standing {
				name += ", authorized in advance"
			}
			t.Run(name, func(t *testing.T) {
				a := foundArchive(t)
				m := &record.ProposeDisposition{
					Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{a.anchor("DEMO-MINUTES", "a", "2020-05-01")},
				}
				if standing {
					a.decide(&record.StandingAuthorization{
						Office: "DPW", Series: []record.Code{"DEMO-MINUTES"}, From: day("2031-01-01"), Until: day("2031-12-31"),
					}, "DPW", "IT", "CLERK", "ARCHIVIST", "OPRA")
					m.Standing = record.Index(a.view.Head().Size - 2)
				}
				d := a.must("DPW", m)
				lock := &record.LockDisposition{Disposition: d, Hash: a.disposition(d).Hash}
				if !standing {
					a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: lock.Hash})
				}
				test.befall(a)
				if test.want == ledger.OK {
					a.must("OPS", lock)
				} else {
					a.refused(test.want, true, "OPS", lock)
				}
			})
		}
	}
}

// TestT06_TakingOverIsAPart lets the office that is to take records over, and so
// to report, try the other parts, and has it suspended before the lock.
func TestT06_TakingOverIsAPart(t *testing.T) {
	propose := func(a *archive, to record.Code) (record.Index, [32]byte) {
		d := a.must("DPW", &record.ProposeDisposition{
			Series: "DEMO-MINUTES", Action: record.ActionTransfer, To: to, Records: []record.Index{a.anchor("DEMO-MINUTES", "a", "2020-05-01")},
		})
		return d, a.disposition(d).Hash
	}
	t.Run("approves", func(t *testing.T) {
		a := foundArchive(t)
		d, hash := propose(a, "CLERK")
		a.refused(ledger.CodeSameOffice, false, "CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	})
	t.Run("locks", func(t *testing.T) {
		a := foundArchive(t)
		d, hash := propose(a, "OPS")
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		a.refused(ledger.CodeSameOffice, false, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
		a.must("IT", &record.LockDisposition{Disposition: d, Hash: hash})
		a.must("OPS", &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone})
	})
	t.Run("holds", func(t *testing.T) {
		a := foundArchive(t)
		d, hash := propose(a, "COUNSEL")
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		h := a.must("COUNSEL", &record.PlaceHold{Kind: record.HoldAudit, Matter: commitment("matter"), Scope: record.Scope{Department: "DPW"}})
		a.must("COUNSEL", &record.ResolveIssue{Hold: h})
		a.must("AUDIT", &record.ReleaseHold{Hold: h})
		a.refused(ledger.CodeSameOffice, false, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	})
	t.Run("is suspended", func(t *testing.T) {
		a := foundArchive(t)
		d, hash := propose(a, "LIBRARY")
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		library := func(status record.Status) {
			a.decide(&record.Office{Code: "LIBRARY", Roles: []record.Role{record.RoleDepartment}, Status: status}, "IT", "COUNSEL")
		}
		library(record.StatusSuspended)
		a.refused(ledger.CodeUnknownOffice, false, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
		library(record.StatusActive)
		a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	})
}

// TestRefusalNamesNothingUnknown: a refusal puts the signed proposal on the
// chain for good, so what is refused in that way names registered codes and
// records alone.
func TestRefusalNamesNothingUnknown(t *testing.T) {
	a := foundArchive(t)
	r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	a.hold("COUNSEL", r)
	propose := func(series record.Code, records ...record.Index) *record.ProposeDisposition {
		return &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: records}
	}
	try := func() {
		t.Helper()
		a.refused(ledger.CodeWrongSeries, false, "DPW", propose("J.DOE", r))
		a.refused(ledger.CodeUnknownRecord, false, "DPW", propose("DEMO-MINUTES", 987_65_4321))
		if r := a.refused(ledger.CodeUnknownRecord, false, "DPW", propose("DEMO-MINUTES", r, 987_65_4321)); r.Bad != 1 {
			t.Fatalf("item %d stands against it, want 1", r.Bad)
		}
	}
	try()
	a.refused(ledger.CodeHeld, true, "DPW", propose("DEMO-MINUTES", r))
	a.second += 3600 // the clock leaps
	a.block()
	try()
	a.refused(ledger.CodeFrozen, true, "DPW", propose("DEMO-MINUTES", r))
}

// TestS0_17_FinalActionOfTheSchedule: what a schedule wants transferred or kept in
// the end is never destroyed, however long its period has been over.
func TestS0_17_FinalActionOfTheSchedule(t *testing.T) {
	for _, action := range []record.Action{record.ActionTransfer, record.ActionPermanent} {
		a := foundArchive(t)
		rule := stateRule("DEMO-MINUTES", "1 year after created")
		rule.Action = action
		a.adopt("LOCAL", false, rule)
		r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
		a.refused(ledger.CodeNotDue, true, "DPW",
			&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r}})
		it, _, err := ledger.NewInquiry(a.view).Explain(r)
		if err != nil || it.Standing() != ledger.StandingPermanent || len(it.Verdict.Why) == 0 {
			t.Fatalf("%s: it stands %s, %v, %v", action, it.Standing(), it.Verdict.Why, err)
		}
		last := it.Verdict.Why[len(it.Verdict.Why)-1].Text
		if want := "the schedule's final action is " + action.String() + ": never destroyed"; last != want {
			t.Errorf("explained as %q, want %q", last, want)
		}
		d := a.must("DPW", &record.ProposeDisposition{
			Series: "DEMO-MINUTES", Action: record.ActionTransfer, To: "LIBRARY", Records: []record.Index{r},
		})
		hash := a.disposition(d).Hash
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	}
}
