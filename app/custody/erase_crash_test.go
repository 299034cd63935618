package custody

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestEveryCrashOfAnErasure cuts a round at each write to the disk, with the ledger
// as it stood then. After each crash: what is erased by its own report opens
// nowhere, nothing else is lost, and the next round ends as this one did.
func TestEveryCrashOfAnErasure(t *testing.T) {
	now, c, disk := newArchive(t), &clock{}, &crashes{mem: vfs.NewCrashableMem()}
	c.set(today)
	var ledgers []ledger.View
	disk.note = func() { ledgers = append(ledgers, now.View()) }
	h := openHouse(t, disk.fs(), "house", now, c)
	var all []kept
	for i := range 6 {
		series := record.Code("DEMO-MINUTES")
		if i == 5 {
			series = "DEMO-PERMITS"
		}
		all = append(all, h.keep(t, series, fmt.Sprint(minutes, i, "\n"), fmt.Sprint("title ", i)))
	}
	gone, part, held, beside, elsewhere := all[0], all[1], all[2], all[3:5], all[5]
	header, content := offer(gone.content, "title again")
	attempt := Ref{"DPW", mustDeposit(t, h.Custody, works, header, content)}
	want := []record.Index{
		now.destroy(t, "DEMO-MINUTES", gone, held), now.redact(t, "DEMO-MINUTES", part, h.file(t, part, 5)), now.destroy(t, "DEMO-PERMITS", elsewhere),
	}
	now.hold(t, held)
	disk.take(true)
	h.erase(t, want...)
	disk.take(false)
	disk.clones, disk.names = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{})), append(disk.names, "after all")
	ledgers = append(ledgers, now.View())
	h.close()
	undone, reported, preserved := 0, 0, 0
	for i, clone := range disk.clones {
		t.Run(fmt.Sprintf("%d %s", i, disk.names[i]), func(t *testing.T) {
			if wantLateHold(t, clone.CrashClone(vfs.CrashCloneCfg{}), ledgers[i], c, want[0], gone) {
				preserved++
			}
			then := &city{view: ledgers[i], nonces: 1 << 20}
			h := openHouse(t, clone, "house", then, c)
			if err := h.Reconcile(context.Background()); err != nil {
				t.Fatal(err)
			}
			for n, d := range want {
				got := h.disposition(t, d)
				if got.Status == ledger.DispositionComplete {
					reported++
					h.wantGone(t, d)
				} else if n == 0 {
					undone++
				}
			}
			h.wantUntouched(t, beside...)
			var left []record.Index
			for _, d := range want {
				if h.city.status(t, d) != ledger.DispositionComplete {
					left = append(left, d)
				}
			}
			h.erase(t, left...)
			for _, d := range want {
				h.wantGone(t, d)
			}
			h.wantUntouched(t, append(beside, held)...)
			h.wantShut(t, "destroyed", gone, Destroyed)
			h.wantShut(t, "destroyed elsewhere", elsewhere, Destroyed)
			h.wantShut(t, "attempt", kept{Ref: attempt}, NotFound)
			car, err := h.Copy(context.Background(), works, part.Ref, CaseWork, Extent{WithName: true})
			if err != nil {
				t.Fatal(err)
			}
			opened := verify(t, car, part.Commitment)
			if got := string(opened.Content()); strings.Contains(got, "five members") || !strings.Contains(got, "Adjourned") {
				t.Errorf("the copy of the redacted record discloses %q", got)
			}
			if got := h.reportOn(t, want[0]).Records; got[0].Outcome != record.RecordErased || got[0].Attempts != 1 || got[1].Outcome != record.RecordPreserved {
				t.Errorf("report %+v", got)
			}
			if n, quarantined, err := h.Pending(); n != 0 || len(quarantined) != 0 || err != nil {
				t.Errorf("%d pending, %v, %v; want nothing", n, quarantined, err)
			}
			h.close()
		})
	}
	if undone == 0 || reported == 0 || preserved == 0 || preserved == len(disk.clones) {
		t.Errorf("%d of %d crashes came before the first report, %d times something was reported, %d times a hold was in time: the test reached one side only",
			undone, len(disk.clones), reported, preserved)
	}
	disk.wantReached(t, "house/vault", "ring-DPW_DEMO-MINUTES-1", "ring-DPW_DEMO-MINUTES-2", "ring-DPW_DEMO-MINUTES.epoch",
		"ring-DPW_DEMO-MINUTES.journal", "ring-DPW_DEMO-MINUTES.report", "ring-DPW_DEMO-PERMITS.epoch")
}

// wantLateHold places a hold on a record after the crash. It is in time, or it is
// not: the report and the ring agree about that.
func wantLateHold(t *testing.T, fs vfs.FS, view ledger.View, c *clock, d record.Index, k kept) (inTime bool) {
	t.Helper()
	h := openHouse(t, fs, "house", &city{view: view, nonces: 1 << 20}, c)
	defer h.close()
	h.city.hold(t, k)
	if _, err := h.Erase(context.Background()); err != nil {
		t.Error(err)
	}
	h.wantGone(t, d)
	if h.reportOn(t, d).Records[0].Outcome == record.RecordErased {
		h.wantShut(t, "erased before the hold", k, Destroyed)
		return false
	}
	h.wantOpen(t, "preserved by the hold", k)
	return true
}

// wantGone demands that no state opens what a report says was erased.
func (h *house) wantGone(t *testing.T, d record.Index) {
	t.Helper()
	targets, err := h.targets(h.city.View(), ledger.Listed[ledger.Disposition]{Index: d, Value: h.disposition(t, d)})
	if err != nil {
		t.Fatal(err)
	}
	for n, r := range h.reportOn(t, d).Records {
		is, after, err := h.look(&targets[n])
		ok := map[record.ErasureOutcome][]condition{record.RecordErased: {erased}, record.RecordRedacted: {redacted}, record.RecordPreserved: {live, redacted}}
		if err != nil || after != nil && is != live || !slices.Contains(ok[r.Outcome], is) {
			t.Errorf("record %d is %s by the report of disposition %d, and its ring has condition %d, %v", r.Record, r.Outcome, d, is, err)
		}
		if id := targets[n].ring; h.rings.Unfinished(id) {
			t.Errorf("disposition %d is reported, and the rotation of ring %s is not finished", d, id)
		}
	}
}

func (h *house) wantUntouched(t *testing.T, all ...kept) {
	t.Helper()
	for _, k := range all {
		h.wantOpen(t, "beside the erasure", k)
	}
}
