package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestS0_17_AuditOfTheFile merges a record into a file of a later year: the first
// audit covers the record and not the file, the second covers both.
func TestS0_17_AuditOfTheFile(t *testing.T) {
	a := foundArchive(t)
	a.adopt("LOCAL", false, stateRule("DEMO-MINUTES", "with the file of series CT-BILLS"))
	file, part := a.anchor("CT-BILLS", "file", "2027-05-01"), a.anchor("DEMO-MINUTES", "part", "2025-05-01")
	a.must("DPW", &record.FileRecords{File: file, Records: []record.Index{part}})
	propose := &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{part}}
	a.refused(ledger.CodeNotDue, true, "DPW", propose)
	a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2027-06-29")})
	a.refused(ledger.CodeNotDue, true, "DPW", propose)
	audit := a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2027-06-30")})
	d, hash := a.propose("DEMO-MINUTES", part)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	lock := a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	if e := a.entry(lock + 1).(record.ItemEntry); e.Audit != audit {
		t.Errorf("the item cites audit %d, want %d: %+v", e.Audit, audit, e)
	}
}
