package custody

import (
	"context"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// restored is a house of which parts are as they were before an erasure.
type restored struct {
	*house
	gone, part, beside, elsewhere kept
	destruction, redaction        record.Index
	lost, before, after           *vfs.MemFS // before the redaction was filed, before and after the erasure
	clock                         *clock
	file                          []byte
}

// newRestored destroys a record and redacts another one of a ring, in which a
// third lives on.
func newRestored(t *testing.T) *restored {
	t.Helper()
	mem, r := vfs.NewCrashableMem(), &restored{clock: &clock{}}
	r.clock.set(today)
	r.house = openHouse(t, mem, "house", newArchive(t), r.clock)
	r.gone, r.part = r.keep(t, "DEMO-MINUTES", minutes, "title"), r.keep(t, "DEMO-MINUTES", minutes+"part\n", "title")
	r.beside, r.elsewhere = r.keep(t, "DEMO-MINUTES", minutes+"beside\n", "title"), r.keep(t, "DEMO-PERMITS", minutes, "title")
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	r.file = marksText(t, r.part, 5)
	r.redaction = r.city.redact(t, "DEMO-MINUTES", r.part, r.fileText(t, r.part, r.file))
	r.destruction = r.city.destroy(t, "DEMO-MINUTES", r.gone)
	r.before = mem.CrashClone(vfs.CrashCloneCfg{})
	r.erase(t, r.redaction, r.destruction)
	r.house.close()
	r.after = mem.CrashClone(vfs.CrashCloneCfg{})
	r.lost = before
	return r
}

// put opens the house with the parts of before in the place of those of after.
func (r *restored) put(t *testing.T, before *vfs.MemFS, parts ...string) *house {
	t.Helper()
	fs := r.after.CrashClone(vfs.CrashCloneCfg{})
	for _, part := range parts {
		if err := fs.RemoveAll("house/" + part); err != nil {
			t.Fatal(err)
		}
		if ok, err := vfs.Clone(before, fs, "house/"+part, "house/"+part); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	return openHouse(t, fs, "house", r.city, r.clock)
}

// wantErased wants everything as it was after the erasure.
func (r *restored) wantErased(t *testing.T, h *house) {
	t.Helper()
	h.wantShut(t, "destroyed", r.gone, Destroyed)
	h.wantOpen(t, "beside it", r.beside)
	h.wantOpen(t, "in another ring", r.elsewhere)
	car, err := h.Copy(context.Background(), works, r.part.Ref, CaseWork, Extent{WithName: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(verify(t, car, r.part.Commitment).Content()); strings.Contains(got, "five members") || !strings.Contains(got, "Adjourned") {
		t.Errorf("the copy discloses %q", got)
	}
	for d, want := range map[record.Index]condition{r.destruction: erased, r.redaction: redacted} {
		if is, _, err := h.look(h.target(t, d)); is != want || err != nil {
			t.Errorf("disposition %d: the ring has condition %d, %v; want %d", d, is, err, want)
		}
	}
	if n, quarantined, err := h.Pending(); n != 0 || len(quarantined) != 0 || err != nil {
		t.Errorf("%d pending, %v, %v; want nothing", n, quarantined, err)
	}
}

// TestRestoredRingsStayShutUntilErasedAgain puts old rings, an old vault and both
// under the ledger of today. What was erased is never readable; a ring that has it
// again gives nothing out until it was erased again, and everything else does.
func TestRestoredRingsStayShutUntilErasedAgain(t *testing.T) {
	r := newRestored(t)
	for name, c := range map[string]struct {
		parts []string
		old   bool // the ring is
	}{
		"nothing":          {nil, false},
		"rings":            {[]string{"rings"}, true},
		"vault":            {[]string{"vault"}, false},
		"vault and rings":  {[]string{"vault", "rings"}, true},
		"all, the log too": {[]string{"vault", "rings", "access-log"}, true},
		"the access log":   {[]string{"access-log"}, false},
	} {
		for _, reconciled := range []bool{true, false} { // or the first read comes before
			t.Run(name, func(t *testing.T) {
				h := r.put(t, r.before, c.parts...)
				if reconciled {
					if err := h.Reconcile(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				h.wantShut(t, "destroyed", r.gone, Destroyed)
				h.wantOpen(t, "in another ring", r.elsewhere)
				if c.old {
					h.wantShut(t, "redacted", r.part, Quarantined)
					h.wantShut(t, "beside them", r.beside, Quarantined)
					if n, quarantined, err := h.Pending(); n != 1 || len(quarantined) != 1 || quarantined[0] != "ring DPW_DEMO-MINUTES" || err != nil {
						t.Errorf("%d pending, %v, %v", n, quarantined, err)
					}
				} else {
					h.wantOpen(t, "beside them", r.beside)
				}
				rings := uint32(0)
				if c.old {
					rings = 1
				}
				if e := h.erase(t); e.Rings != rings || e.Destroyed+e.Redacted+e.Preserved != 0 {
					t.Errorf("erased %+v; want %d rings rotated and nothing reported again", e, rings)
				}
				r.wantErased(t, h)
				if _, ok, err := h.vault.Find("DPW", r.gone.Commitment); ok || err != nil {
					t.Errorf("what was destroyed is in the vault: %v, %v", ok, err)
				}
				if e := h.erase(t); e.Rings != 0 {
					t.Errorf("a second round rotates %d rings", e.Rings)
				}
				h.close()
			})
		}
	}
}

// TestLostRedactionKeepsOneRecordShut: where the vault has lost the redaction too,
// nobody can erase the parts again. That record stays shut until the redaction is
// filed again; the rest of the ring goes free.
func TestLostRedactionKeepsOneRecordShut(t *testing.T) {
	r := newRestored(t)
	h := r.put(t, r.lost, "vault", "rings")
	h.wantShut(t, "redacted", r.part, Quarantined)
	h.wantShut(t, "beside it", r.beside, Quarantined)
	h.erase(t)
	h.wantShut(t, "redacted", r.part, Quarantined)
	h.wantOpen(t, "beside it", r.beside)
	h.wantShut(t, "destroyed", r.gone, Destroyed)
	_, err := h.Copy(context.Background(), works, r.part.Ref, CaseWork, Extent{})
	if err == nil || !strings.Contains(err.Error(), "file the redaction again") {
		t.Errorf("refused with %v", err)
	}
	h.close()
	h = r.put(t, r.lost, "vault", "rings")
	h.erase(t)
	h.fileText(t, r.part, r.file)
	if e := h.erase(t); e.Rings != 1 {
		t.Errorf("erased %+v", e)
	}
	r.wantErased(t, h)
}

// TestNothingIsReadWhileTheLedgerIsBehind: an old ring under an old ledger, as
// after a restore of everything. When the ledger has caught up, the first read
// already knows what it brought.
func TestNothingIsReadWhileTheLedgerIsBehind(t *testing.T) {
	r := newRestored(t)
	today := r.city.View()
	h := r.put(t, r.before, "vault", "rings")
	behind := true
	h.config.Behind = func() bool { return behind }
	h.city.view = newArchive(t).View() // it has neither record, lock nor report
	if err := h.Reconcile(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []kept{r.gone, r.part, r.beside, r.elsewhere} {
		h.wantShut(t, "behind", k, Behind)
	}
	h.city.view = today
	behind = false
	h.wantShut(t, "destroyed", r.gone, Destroyed)
	h.wantShut(t, "redacted", r.part, Quarantined)
	h.wantOpen(t, "in another ring", r.elsewhere)
	h.erase(t)
	r.wantErased(t, h)
}

// TestRingRestoredBeforeTheReport: the report was written and not yet taken when an
// old ring came back. It is handed in only after all was erased again.
func TestRingRestoredBeforeTheReport(t *testing.T) {
	mem, c, city := vfs.NewCrashableMem(), &clock{}, newArchive(t)
	c.set(today)
	h := openHouse(t, mem, "house", city, c)
	k, beside := h.keep(t, "DEMO-MINUTES", minutes, "title"), h.keep(t, "DEMO-MINUTES", minutes+"beside\n", "title")
	d := city.destroy(t, "DEMO-MINUTES", k)
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	h.config.Submit = nil
	h.erase(t)
	h.close()
	fs := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := fs.RemoveAll("house/rings"); err != nil {
		t.Fatal(err)
	}
	if ok, err := vfs.Clone(before, fs, "house/rings", "house/rings"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	h = openHouse(t, fs, "house", city, c)
	h.wantShut(t, "erased", k, Destroyed)
	h.wantShut(t, "beside it", beside, Quarantined)
	if e := h.erase(t, d); e.Rings != 1 {
		t.Errorf("erased %+v", e)
	}
	h.wantOpen(t, "beside it", beside)
	if is, _, err := h.look(h.target(t, d)); is != erased || err != nil {
		t.Errorf("the ring has condition %d, %v", is, err)
	}
}

// TestLostRedactionIsNotPreserved: a ring has lost the redaction of a record that
// is, in the same round, alike to one that is destroyed, or itself locked and then
// held. Neither brings the erased parts back.
func TestLostRedactionIsNotPreserved(t *testing.T) {
	for _, held := range []bool{false, true} {
		mem, c, city := vfs.NewCrashableMem(), &clock{}, newArchive(t)
		c.set(today)
		h := openHouse(t, mem, "house", city, c)
		k, alike := h.keep(t, "DEMO-MINUTES", minutes, "title"), h.keep(t, "DEMO-MINUTES", minutes, "title alike")
		redaction := city.redact(t, "DEMO-MINUTES", k, h.file(t, k, 5))
		before := mem.CrashClone(vfs.CrashCloneCfg{})
		h.erase(t, redaction)
		h.close()
		victim := alike
		if held {
			victim = k
		}
		d := city.destroy(t, "DEMO-MINUTES", victim)
		if held {
			city.hold(t, k)
		}
		fs := mem.CrashClone(vfs.CrashCloneCfg{})
		if err := fs.RemoveAll("house/rings"); err != nil {
			t.Fatal(err)
		}
		if ok, err := vfs.Clone(before, fs, "house/rings", "house/rings"); !ok || err != nil {
			t.Fatal(ok, err)
		}
		h = openHouse(t, fs, "house", city, c)
		h.erase(t, d)
		if is, _, err := h.look(h.target(t, redaction)); is != redacted || err != nil {
			t.Errorf("held %v: the ring has condition %d of the redacted record, %v", held, is, err)
		}
		want := record.RecordErased
		if held {
			want = record.RecordPreserved
		}
		if got := h.reportOn(t, d).Records[0].Outcome; got != want {
			t.Errorf("held %v: the record to be destroyed is %s, want %s", held, got, want)
		}
		car, err := h.Copy(context.Background(), works, k.Ref, CaseWork, Extent{})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(verify(t, car, k.Commitment).Content()); strings.Contains(got, "five members") || !strings.Contains(got, "Adjourned") {
			t.Errorf("held %v: the copy discloses %q", held, got)
		}
		h.close()
	}
}
