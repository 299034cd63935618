package custody

import (
	"testing"

	"github.com/muniment/muniment/app/record"
)

// TestLockedRecordsAreShut: from its lock on nothing of a record is given out;
// what is beside it stays open.
func TestLockedRecordsAreShut(t *testing.T) {
	h := archiveHouse(t)
	one, other := h.keep(t, "DEMO-MINUTES", minutes, "first title"), h.keep(t, "DEMO-MINUTES", minutes+"more\n", "second title")
	part := h.keep(t, "DEMO-PERMITS", minutes+"parts\n", "third title")
	h.wantOpen(t, "before the lock", one)
	d := h.city.destroy(t, "DEMO-MINUTES", one)
	h.wantShut(t, "locked to be destroyed", one, Locked)
	r := h.city.redact(t, "DEMO-PERMITS", part, h.file(t, part, 5))
	h.wantShut(t, "locked to be redacted", part, Locked)
	h.wantOpen(t, "beside them", other)
	h.erase(t, d, r)
	h.wantShut(t, "destroyed", one, Destroyed)
	h.wantOpen(t, "beside them", other)
	_, err := read(h.Custody, works, part.Ref, CaseWork)
	wantReason(t, "original of a redacted record", err, PartlyDestroyed)
	if rep := h.reportOn(t, d); len(rep.Records) != 1 || rep.Records[0].Outcome != record.RecordErased || rep.Records[0].Released != 1 || len(rep.Rings) != 1 {
		t.Errorf("report %+v", rep)
	}
	if rep := h.reportOn(t, r); rep.Records[0].Outcome != record.RecordRedacted || rep.Records[0].Released != 0 {
		t.Errorf("report %+v", rep)
	}
}
