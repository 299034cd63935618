package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
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
	if n, _, err := h.Pending(); n != 2 || err != nil {
		t.Errorf("%d pending, %v; want 2", n, err)
	}
	e := h.erase(t, d, r)
	if e.Destroyed != 1 || e.Redacted != 1 || e.Preserved != 0 || e.Rings != 2 || len(e.Waiting) != 0 {
		t.Errorf("erased %+v", e)
	}
	if n, _, err := h.Pending(); n != 0 || err != nil {
		t.Errorf("%d pending, %v; want none", n, err)
	}
	h.wantShut(t, "destroyed", one, Destroyed)
	h.wantOpen(t, "beside them", other)
	_, err := read(h.Custody, works, part.Ref, CaseWork)
	wantReason(t, "original of a redacted record", err, PartlyDestroyed)
	header, content := offer(minutes, "again")
	header.Expected = &one.Commitment
	_, err = h.Deposit(context.Background(), works, header, bytes.NewReader(content))
	wantReason(t, "deposit with another key", err, CommitmentMismatch)
	want := record.ErasureReport{
		Disposition: d, Custodian: keyID("custodian"), Claim: record.ClaimFiles, Device: "key file", Day: today,
		Records: []record.RecordErasure{{
			Record: one.index, Outcome: record.RecordErased, Released: 1,
			Releases: []record.Release{{Day: today, Office: "DPW", Kind: record.ReleaseRead, Whole: true}},
		}},
	}
	got := h.reportOn(t, d)
	want.Followed, want.Rings = got.Followed, got.Rings
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got.Rings) != 1 || got.Rings[0].From != 1 || got.Rings[0].Ended != 1 || got.Rings[0].Kept != 1 {
		t.Errorf("report %+v, want %+v", got, want)
	}
	if lock := h.disposition(t, d).Lock; got.Followed <= int64(lock) {
		t.Errorf("the last look was at entry %d, the lock is entry %d", got.Followed, lock)
	}
	if e := h.erase(t); e.Rings != 0 { // nothing is left to do
		t.Errorf("a second round rotates %d rings", e.Rings)
	}
}

func (h *house) disposition(t testing.TB, i record.Index) ledger.Disposition {
	t.Helper()
	d, _, err := ledger.DispositionOf(h.city.View(), i)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestHoldsPreserve: a hold that comes after the lock preserves what it covers,
// whether it comes before the round or in the middle of the rotation, when the
// ring has moved on already and its old key is not destroyed yet.
func TestHoldsPreserve(t *testing.T) {
	for name, when := range map[string]string{"before the round": "", "in the last look": ".epoch", "between copy and switch": "-2/"} {
		t.Run(name, func(t *testing.T) {
			var once sync.Once
			place := func() {}
			watch := false
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if watch && strings.Contains(op.Path, when) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					once.Do(func() { place() })
				}
				return nil
			}))
			c := &clock{}
			c.set(today)
			h := openHouse(t, fs, "house", newArchive(t), c)
			var all []kept
			for i := range 4 {
				all = append(all, h.keep(t, "DEMO-MINUTES", fmt.Sprint(minutes, i, "\n"), fmt.Sprint("title ", i)))
			}
			some := h.city.destroy(t, "DEMO-MINUTES", all[0], all[1])
			none := h.city.destroy(t, "DEMO-MINUTES", all[2])
			part := h.city.redact(t, "DEMO-MINUTES", all[3], h.file(t, all[3], 5))
			place = func() { h.city.hold(t, all[1], all[2], all[3]) }
			if when == "" {
				once.Do(place)
			}
			watch = when != ""
			e := h.erase(t, some, none, part)
			watch = false
			if e.Destroyed != 1 || e.Preserved != 3 || e.Redacted != 0 {
				t.Errorf("erased %+v", e)
			}
			h.wantShut(t, "without a hold", all[0], Destroyed)
			for _, k := range all[1:] {
				h.wantOpen(t, "under the hold", k)
			}
			if got := h.reportOn(t, some).Records; got[0].Outcome != record.RecordErased || got[1].Outcome != record.RecordPreserved {
				t.Errorf("report on some %+v", got)
			}
			if got := h.reportOn(t, none).Records; got[0].Outcome != record.RecordPreserved {
				t.Errorf("report on none %+v", got)
			}
			if got := h.reportOn(t, part).Records; got[0].Outcome != record.RecordPreserved {
				t.Errorf("report on parts %+v", got)
			}
		})
	}
}

// TestAttemptsGoWithTheRecord: erasing a record covers the other deposits of its
// bytes that came before the lock and were never anchored, in whatever ring. One
// that came later, or was anchored, lives on.
func TestAttemptsGoWithTheRecord(t *testing.T) {
	h := archiveHouse(t)
	one := h.keep(t, "DEMO-MINUTES", minutes, "title")
	alike := h.keep(t, "DEMO-PERMITS", minutes, "title alike")
	other := h.keep(t, "DEMO-PERMITS", minutes+"other\n", "title")
	attempt := func(series record.Code) kept {
		header, content := offer(minutes, "title again")
		header.Series = series
		return kept{Ref: Ref{"DPW", mustDeposit(t, h.Custody, works, header, content)}, content: minutes}
	}
	before, elsewhere := attempt("DEMO-MINUTES"), attempt("DEMO-PERMITS")
	if _, _, err := h.Search(context.Background(), works, Query{Text: "title", Limit: 5}); err != nil { // into memory
		t.Fatal(err)
	}
	d := h.city.destroy(t, "DEMO-MINUTES", one)
	after := attempt("DEMO-MINUTES")
	h.wantShut(t, "attempt before the lock", before, Locked)
	h.wantShut(t, "attempt elsewhere", elsewhere, Locked)
	h.wantOpen(t, "attempt after the lock", after)
	if e := h.erase(t, d); e.Rings != 2 {
		t.Errorf("erased %+v; want two rings rotated", e)
	}
	h.wantShut(t, "attempt before the lock", before, NotFound)
	h.wantShut(t, "attempt elsewhere", elsewhere, NotFound)
	for what, k := range map[string]kept{"attempt after the lock": after, "anchored alike": alike, "another content": other} {
		h.wantOpen(t, what, k)
	}
	if got := h.reportOn(t, d); got.Records[0].Attempts != 2 || got.Records[0].Alike != 1 || len(got.Rings) != 2 {
		t.Errorf("report %+v", got)
	}
	if n, err := h.Records(); n != 3 || err != nil {
		t.Errorf("%d records are left, %v; want 3", n, err)
	}
}

// TestAttemptThatIsAnchoredDuringTheRotation lives on.
func TestAttemptThatIsAnchoredDuringTheRotation(t *testing.T) {
	var once sync.Once
	anchor := func() {}
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRename && strings.Contains(op.Path, ".epoch") {
			once.Do(func() { anchor() })
		}
		return nil
	}))
	c := &clock{}
	c.set(today)
	h := openHouse(t, fs, "house", newArchive(t), c)
	once = sync.Once{} // the ring was made
	one := h.keep(t, "DEMO-MINUTES", minutes, "title")
	once = sync.Once{}
	header, content := offer(minutes, "title again")
	late := kept{Ref: Ref{"DPW", mustDeposit(t, h.Custody, works, header, content)}, content: minutes}
	d := h.city.destroy(t, "DEMO-MINUTES", one)
	anchor = func() {
		h.city.must(t, "DPW", &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: late.Commitment, Day: today}}})
	}
	h.erase(t, d)
	h.wantShut(t, "the record", one, Destroyed)
	h.wantOpen(t, "the attempt that was anchored", late)
	if got := h.reportOn(t, d).Records[0]; got.Attempts != 0 || got.Alike != 1 {
		t.Errorf("report %+v", got)
	}
}

// TestOneRotationForManyDispositions: what is locked in one ring goes with one key.
func TestOneRotationForManyDispositions(t *testing.T) {
	h := archiveHouse(t)
	var want []record.Index
	for i := range 3 {
		k := h.keep(t, "DEMO-MINUTES", fmt.Sprint(minutes, i), "title")
		want = append(want, h.city.destroy(t, "DEMO-MINUTES", k))
	}
	if e := h.erase(t, want...); e.Rings != 1 || e.Destroyed != 3 {
		t.Errorf("erased %+v; want one rotation", e)
	}
	if epoch, _ := h.rings.Epoch(keyring.RingID{Department: "DPW", Class: "DEMO-MINUTES"}); epoch != 2 {
		t.Errorf("the ring is in epoch %d, want 2", epoch)
	}
}

// TestRedactedRecordsLiveOn: what was erased is hidden in every copy, with all
// that would betray it, and the rest verifies against the same commitment; a
// further redaction takes more, and in the end the record can be destroyed.
func TestRedactedRecordsLiveOn(t *testing.T) {
	h := archiveHouse(t)
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	ctx := context.Background()
	copied := func(want string) {
		t.Helper()
		car, err := h.Copy(ctx, works, k.Ref, CaseWork, Extent{WithName: true})
		if err != nil {
			t.Fatal(err)
		}
		opened := verify(t, car, k.Commitment)
		if got := string(opened.Content()); got != want {
			t.Errorf("the copy discloses %q, want %q", got, want)
		}
		if fields, err := opened.Fields(); err != nil || len(fields) != 3 {
			t.Errorf("the copy discloses fields %v, %v", fields, err)
		}
	}
	without := func(text string, parts ...string) string {
		for _, p := range parts {
			text = strings.Replace(text, p, "", 1)
		}
		return text
	}
	first := h.city.redact(t, "DEMO-MINUTES", k, h.file(t, k, 5))
	h.erase(t, first)
	copied(without(minutes, "Present: five members.\n\n"))
	hash := h.file(t, k, 4, 6) // the text that is sealed under the layout key still opens
	second := h.city.redact(t, "DEMO-MINUTES", k, hash)
	h.erase(t, second)
	copied("Adjourned.\n")
	all := h.city.redact(t, "DEMO-MINUTES", k, h.file(t, k, 7))
	if e := h.erase(t, all); e.Redacted != 1 {
		t.Errorf("erasing the last content: %+v; want a redaction", e)
	}
	copied("")
	d := h.city.destroy(t, "DEMO-MINUTES", k)
	h.erase(t, d)
	h.wantShut(t, "destroyed after redactions", k, Destroyed)
	if got := h.reportOn(t, d).Records[0]; got.Released != 3 {
		t.Errorf("%d releases, want the 3 copies", got.Released)
	}
}

// TestErasureWaits lists why a disposition waits; nothing happens to its ring.
func TestErasureWaits(t *testing.T) {
	waits := func(t *testing.T, h *house, k kept, d record.Index, why string) {
		t.Helper()
		e, err := h.Erase(context.Background())
		if err != nil || len(e.Waiting) != 1 || e.Waiting[0].Disposition != d || !strings.Contains(e.Waiting[0].Why, why) || e.Rings != 0 {
			t.Errorf("erased %+v, %v; want waiting for %q", e, err, why)
		}
		h.wantShut(t, "waiting", k, Locked)
		if got := h.city.status(t, d); got != ledger.DispositionLocked {
			t.Errorf("disposition is %s", got)
		}
		if is, _, err := h.look(h.target(t, d)); is != live || err != nil {
			t.Errorf("the ring has condition %d, %v", is, err)
		}
	}
	t.Run("the custodian's clock is behind", func(t *testing.T) {
		h := archiveHouse(t)
		k := h.keep(t, "DEMO-MINUTES", minutes, "title")
		d := h.city.destroy(t, "DEMO-MINUTES", k)
		h.clock.set(today - 1)
		waits(t, h, k, d, "own clock says 2030-12-31")
		h.clock.set(today)
		h.erase(t, d)
	})
	t.Run("the last block is old", func(t *testing.T) {
		h := archiveHouse(t)
		k := h.keep(t, "DEMO-MINUTES", minutes, "title")
		d := h.city.destroy(t, "DEMO-MINUTES", k)
		h.clock.set(today + 1)
		waits(t, h, k, d, "a hold may have come since")
		h.clock.set(today)
		h.erase(t, d)
	})
	t.Run("frozen", func(t *testing.T) {
		h := archiveHouse(t)
		k := h.keep(t, "DEMO-MINUTES", minutes, "title")
		d := h.city.destroy(t, "DEMO-MINUTES", k)
		h.city.block(t, h.city.View().Head().Time+3600e9, "DPW", "DEMO-MINUTES", "CITY")
		waits(t, h, k, d, "frozen")
	})
	t.Run("not for what a hold preserves", func(t *testing.T) {
		h := archiveHouse(t)
		k, other := h.keep(t, "DEMO-MINUTES", minutes, "title"), h.keep(t, "DEMO-MINUTES", minutes+"other\n", "title")
		held, mixed := h.city.destroy(t, "DEMO-MINUTES", k), h.city.destroy(t, "DEMO-MINUTES", other)
		h.city.hold(t, k)
		h.city.block(t, h.city.View().Head().Time+3600e9, "DPW", "DEMO-MINUTES", "CITY")
		h.clock.set(today - 1)
		if e := h.erase(t, held); e.Preserved != 1 || e.Rings != 0 || len(e.Waiting) != 1 || e.Waiting[0].Disposition != mixed {
			t.Errorf("erased %+v", e)
		}
		h.wantOpen(t, "under the hold", k)
		h.wantShut(t, "waiting", other, Locked)
	})
	t.Run("the redaction is not filed", func(t *testing.T) {
		h := archiveHouse(t)
		k := h.keep(t, "DEMO-MINUTES", minutes, "title")
		text := marksText(t, k, 5)
		r, err := commitment.ParseRedaction(text)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := r.Hash()
		if err != nil {
			t.Fatal(err)
		}
		d := h.city.redact(t, "DEMO-MINUTES", k, hash)
		waits(t, h, k, d, "not filed")
		h.fileText(t, k, text) // filing gives nothing out: it is possible under the lock
		h.erase(t, d)
	})
	t.Run("the ledger is behind", func(t *testing.T) {
		h := archiveHouse(t)
		k := h.keep(t, "DEMO-MINUTES", minutes, "title")
		d := h.city.destroy(t, "DEMO-MINUTES", k)
		behind := true
		h.config.Behind = func() bool { return behind }
		e, err := h.Erase(context.Background())
		if err != nil || len(e.Waiting) != 1 || e.Rings != 0 {
			t.Errorf("erased %+v, %v", e, err)
		}
		behind = false
		h.erase(t, d)
	})
}

// target gives the only record of a disposition.
func (h *house) target(t testing.TB, d record.Index) *target {
	t.Helper()
	targets, err := h.targets(h.city.View(), ledger.Listed[ledger.Disposition]{Index: d, Value: h.disposition(t, d)})
	if err != nil || len(targets) != 1 {
		t.Fatal(len(targets), err)
	}
	return &targets[0]
}

// TestFreezeDuringTheRotation: a jump of the ledger's clock that shows in the last
// look undoes what was planned. The record stays shut, and nothing is reported.
func TestFreezeDuringTheRotation(t *testing.T) {
	var once sync.Once
	jump := func() {}
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRename && strings.Contains(op.Path, ".epoch") {
			once.Do(func() { jump() })
		}
		return nil
	}))
	c := &clock{}
	c.set(today)
	h := openHouse(t, fs, "house", newArchive(t), c)
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	once = sync.Once{}
	d := h.city.destroy(t, "DEMO-MINUTES", k)
	jump = func() { h.city.block(t, h.city.View().Head().Time+3600e9, "DPW", "DEMO-MINUTES", "CITY") }
	e, err := h.Erase(context.Background())
	if err != nil || e.Rings != 1 || e.Destroyed != 0 || len(e.Dispositions) != 0 || len(e.Waiting) != 1 {
		t.Errorf("erased %+v, %v", e, err)
	}
	if is, _, err := h.look(h.target(t, d)); is != live || err != nil {
		t.Errorf("the ring has condition %d, %v", is, err)
	}
	if applied, _ := h.rings.Erasures(keyring.RingID{Department: "DPW", Class: "DEMO-MINUTES"}); applied.Through > int64(h.disposition(t, d).Lock) {
		t.Errorf("the ring claims erasures through %d, the lock is entry %d", applied.Through, h.disposition(t, d).Lock)
	}
	h.wantShut(t, "frozen", k, Locked)
}

// TestReportIsTheSameUntilItIsTaken: a report that the ledger did not take is
// handed in again with the same text, after a restart too.
func TestReportIsTheSameUntilItIsTaken(t *testing.T) {
	fs, city, c := vfs.NewMem(), newArchive(t), &clock{}
	c.set(today)
	h := openHouse(t, fs, "house", city, c)
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	d := city.destroy(t, "DEMO-MINUTES", k)
	var seen [][32]byte
	h.config.Submit = func(_ context.Context, m *record.ReportErasure) error {
		seen = append(seen, m.Report)
		return errors.New("the node is busy")
	}
	e, err := h.Erase(context.Background())
	if err != nil || len(e.Dispositions) != 0 || e.Destroyed != 1 || len(e.Waiting) != 1 || !strings.Contains(e.Waiting[0].Why, "busy") {
		t.Errorf("erased %+v, %v", e, err)
	}
	h.wantShut(t, "unreported", k, Destroyed)
	h.close()
	c.set(today + 3)
	h = openHouse(t, fs, "house", city, c)
	h.config.Submit = func(ctx context.Context, m *record.ReportErasure) error {
		seen = append(seen, m.Report)
		return city.submit("custodian", m)
	}
	h.erase(t, d)
	text, _, err := h.ErasureReport(d)
	if want := record.HashErasureReport(text); err != nil || !slices.Equal(seen, [][32]byte{want, want}) {
		t.Errorf("reports %x, %v; want twice %x", seen, err, want)
	}
}

// TestForgottenDepositsEnd: an orphan that was swept is pending until its ring is
// rotated.
func TestForgottenDepositsEnd(t *testing.T) {
	h := archiveHouse(t)
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	header, content := offer(minutes+"orphan", "title")
	mustDeposit(t, h.Custody, works, header, content)
	h.city.pass(t, startOf(today+3))
	h.clock.set(today + 3)
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, _, err := h.Pending(); n != 1 || err != nil {
		t.Errorf("%d pending, %v; want the orphan", n, err)
	}
	if e := h.erase(t); e.Rings != 1 || e.Destroyed != 0 {
		t.Errorf("erased %+v", e)
	}
	if n, _, err := h.Pending(); n != 0 || err != nil {
		t.Errorf("%d pending, %v; want none", n, err)
	}
	h.wantOpen(t, "the record", k)
}

// TestRemainsAreNotReported: a copy of a ring's file that somebody left below the
// keyring's directory keeps the disposition open until it is removed.
func TestRemainsAreNotReported(t *testing.T) {
	fs, c := vfs.NewMem(), &clock{}
	c.set(today)
	h := openHouse(t, fs, "house", newArchive(t), c)
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	beside := h.keep(t, "DEMO-PERMITS", minutes+"beside\n", "title")
	d, elsewhere := h.city.destroy(t, "DEMO-MINUTES", k), h.city.destroy(t, "DEMO-PERMITS", beside)
	names, err := fs.List("house/rings/ring-DPW_DEMO-MINUTES-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			if ok, err := vfs.Clone(fs, fs, "house/rings/ring-DPW_DEMO-MINUTES-1/"+name, "house/rings/old-"+name); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
	for range 2 {
		e, err := h.Erase(context.Background())
		if err != nil || len(e.Dispositions) != 0 || len(e.Waiting) != 2 || !strings.Contains(e.Waiting[0].Why, "old-") {
			t.Errorf("erased %+v, %v", e, err)
		}
		if got := h.city.status(t, d); got != ledger.DispositionLocked {
			t.Errorf("disposition is %s", got)
		}
		h.wantShut(t, "unscanned", k, Locked)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			if err := fs.Remove("house/rings/old-" + name); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.erase(t, d, elsewhere)
}
