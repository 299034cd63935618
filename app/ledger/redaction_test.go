package ledger_test

import (
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
