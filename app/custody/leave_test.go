package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

func (s *shared) departed(t testing.TB, h *house) bool {
	t.Helper()
	_, is, err := ledger.DepartureOf(s.View(), "CITY", keyID(h.name))
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// TestACustodianLeaves: it hands everything over, keeps nothing, and takes nothing
// more; the others go on, and can take it in again.
func TestACustodianLeaves(t *testing.T) {
	s := newShared(t, 2)
	a, b := s.houses[0], s.houses[1]
	one, other := a.keep(t, "DEMO-MINUTES", minutes, "title"), a.keep(t, "DEMO-PERMITS", minutes+"more\n", "title")
	send(t, a, b, one.Ref)
	a.file(t, one, 5)
	ctx := context.Background()
	asked := 0
	departure, err := a.Leave(ctx, "CITY", func(ctx context.Context) error {
		asked++
		header, content := offer(minutes+"late\n", "late")
		_, err := a.Deposit(ctx, works, header, bytes.NewReader(content))
		wantReason(t, "deposit while it leaves", err, UnknownCustody)
		wantReason(t, "parcel while it leaves", a.receive(b, b.parcel(t, a, one.Ref)), UnknownCustody)
		_, err = a.FileRedaction(ctx, works, one.Ref, marksText(t, one, 6))
		wantReason(t, "redaction while it leaves", err, UnknownCustody)
		_, err = a.Leave(ctx, "CITY", func(context.Context) error { return nil })
		wantReason(t, "leave twice", err, UnknownCustody)
		a.wantOpen(t, "while it leaves", one)
		if refused := s.replicate(t); len(refused) != 0 {
			t.Errorf("refused %v", refused)
		}
		if got, want := fmt.Sprint(b.held(t)), fmt.Sprint(a.held(t)); got != want {
			t.Errorf("the other one holds %s, want %s", got, want)
		}
		return nil
	})
	if err != nil || departure != record.DepartureHandedOver || asked != 1 || !s.departed(t, a) {
		t.Fatalf("%s, %v, asked %d times, departed %v", departure, err, asked, s.departed(t, a))
	}
	for _, k := range []kept{one, other} {
		b.wantOpen(t, "handed over", k)
		_, err := read(a.Custody, works, k.Ref, CaseWork)
		wantReason(t, "read where it was", err, NotFound)
		a.wantClosed(t, "handed over", k)
	}
	if n, err := a.Records(); n != 0 || err != nil {
		t.Errorf("%d records are left, %v", n, err)
	}
	for _, id := range a.rings.Rings() {
		if epoch, _ := a.rings.Epoch(id); epoch != 2 {
			t.Errorf("ring %s has epoch %d, want 2", id, epoch)
		}
		if n, err := a.rings.Pending(id); n != 0 || err != nil {
			t.Errorf("ring %s has %d states to forget, %v", id, n, err)
		}
	}
	_, err = a.deposited(t, minutes+"after\n")
	wantReason(t, "deposit after it", err, UnknownCustody)
	wantReason(t, "parcel after it", a.receive(b, b.blindParcel(t, one.Ref)), UnknownCustody)
	var out bytes.Buffer
	wantReason(t, "send to who has left", b.SendParcel(ctx, keyID(a.name), one.Ref, &out), Denied)
	_, err = a.Leave(ctx, "CITY", func(context.Context) error { return nil })
	wantReason(t, "leave again", err, UnknownCustody)
	if !strings.Contains(err.Error(), "this node has left it already: an office takes it out with muniment custody set CITY --remove ") {
		t.Errorf("who leaves again is told %v", err)
	}
	// Dispositions are the others' affair from now on; and it can come back.
	s.setCustodians(t, custodianNames[1:2])
	b.erase(t, s.destroy(t, "DEMO-PERMITS", other))
	s.setCustodians(t, custodianNames[:2])
	if refused := s.replicate(t); len(refused) != 0 {
		t.Errorf("refused %v", refused)
	}
	a.wantOpen(t, "in the set again", one)
	a.wantClosed(t, "in the set again", other)
	s.restart(t, 0).wantOpen(t, "after a restart", one)
}

// TestNobodyLeavesTooEarly names what a custodian has to do before.
func TestNobodyLeavesTooEarly(t *testing.T) {
	s := newShared(t, 2)
	a, b := s.houses[0], s.houses[1]
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	s.replicate(t)
	ctx, safe := context.Background(), func(context.Context) error { return nil }
	leave := func(h *house, safe func(context.Context) error) error {
		t.Helper()
		d, err := h.Leave(ctx, "CITY", safe)
		if d != 0 {
			t.Errorf("left: %s", d)
		}
		return err
	}
	none := errOf(a.Leave(ctx, "NONE", safe))
	if wantReason(t, "no such set", none, UnknownCustody); !strings.Contains(none.Error(), "this node is not in it: nothing is to be done") {
		t.Errorf("who leaves no set is told %v", none)
	}
	if _, err := a.deposited(t, "waits for its anchor"); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "a deposit waits", leave(a, safe), Busy)
	d := s.destroy(t, "DEMO-MINUTES", k)
	wantReason(t, "a report is due", leave(b, safe), Locked)
	lacking := errors.New("the others lack something")
	s.hold(t, k)
	a.round(t)
	b.round(t)
	if got := s.status(t, d); got != ledger.DispositionComplete {
		t.Fatal(got)
	}
	if err := leave(b, func(context.Context) error { return lacking }); !errors.Is(err, lacking) {
		t.Errorf("the others lack something: %v", err)
	}
	b.wantOpen(t, "it stays", k)
	refused := errors.New("the ledger refuses")
	b.config.Depart = func(context.Context, *record.LeaveCustody) error { return refused }
	if err := leave(b, safe); !errors.Is(err, refused) {
		t.Errorf("the ledger refuses: %v", err)
	}
	if s.replicate(t); s.departed(t, b) {
		t.Error("it has left")
	}
	b.wantOpen(t, "filled again", k)
	b.config.Depart = nil
	if err := leave(b, safe); err == nil {
		t.Error("it leaves though nobody submits that")
	}
	// The last one stays while its records live.
	s.setCustodians(t, custodianNames[:1], custodianNames[1])
	a.clock.set(today + 3)
	s.pass(t, startOf(today+3))
	if err := a.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "the only one", leave(a, safe), Denied)
	a.wantOpen(t, "it stays", k)
}

func errOf(_ record.Departure, err error) error { return err }

// TestTheLastCustodianLeaves when nothing of the set lives.
func TestTheLastCustodianLeaves(t *testing.T) {
	s := newShared(t, 1)
	a := s.houses[0]
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	d := s.destroy(t, "DEMO-MINUTES", k)
	a.erase(t, d)
	departure, err := a.Leave(context.Background(), "CITY", func(context.Context) error { t.Error("there are no others"); return nil })
	if err != nil || departure != record.DepartureDestroyed {
		t.Fatalf("%s, %v", departure, err)
	}
	a.wantShut(t, "destroyed", k, Destroyed)
	if got := a.reportOn(t, d).Records[0]; got.Outcome != record.RecordErased {
		t.Errorf("the report is gone: %+v", got)
	}
}

// TestNothingIsLeftWhereACustodianWas searches every file of its rings, its vault and
// its access log: for content and titles, for all secrets, and for the sealed bytes.
func TestNothingIsLeftWhereACustodianWas(t *testing.T) {
	s := &shared{city: newArchive(t, custodianNames[:2]...), clock: &clock{}}
	s.clock.set(today)
	dir := t.TempDir()
	b := openHouseOf(t, custodianNames[1], vfs.NewMem(), "house", s.city, s.clock)
	a := openHouseOf(t, custodianNames[0], vfs.Default, dir, s.city, s.clock)
	header, content := offer("canary-19fe of the first paragraph\n\ncanary-19fe of the second paragraph\n", "title with canary-19fe")
	k := a.keepAs(t, "DEMO-MINUTES", header, content)
	send(t, a, b, k.Ref)
	r, _, err := a.vault.Find("DPW", k.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := a.state(r)
	if err != nil {
		t.Fatal(err)
	}
	needles := map[string][]byte{"content": []byte("canary-19fe"), "record key": header.Key[:], "layout key": secret.layout[:]}
	for leaf, x := range secret.state.Secrets() {
		needles[fmt.Sprint("sealing key ", leaf)], needles[fmt.Sprint("salt ", leaf)] = x.Enc[:], x.Salt[:]
	}
	sealed := map[string][]byte{}
	if err := a.vault.EachSealed(r, func(leaf uint32, s []byte) error {
		sealed[fmt.Sprint("sealed ", leaf)] = bytes.Clone(s[:40])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found := search(t, dir, sealed); len(found) != len(sealed) {
		t.Errorf("the search finds %d of %d sealed segments before", len(found), len(sealed))
	}
	if _, err := a.Leave(context.Background(), "CITY", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := a.Reclaim(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // which leaves no log of an earlier process
		a.close()
		a = openHouseOf(t, custodianNames[0], vfs.Default, dir, s.city, s.clock)
	}
	defer a.close()
	for _, one := range []map[string][]byte{needles, sealed} {
		if found := search(t, dir, one); len(found) != 0 {
			t.Errorf("found after it has left: %v", found)
		}
	}
	b.wantOpen(t, "handed over", k)
}

// TestLeftHomesStayLeft: the home of a custodian that has left a set, as it was
// before, gives nothing out, sends nothing, and forgets it in its first round.
func TestLeftHomesStayLeft(t *testing.T) {
	s := &shared{city: newArchive(t, custodianNames[:2]...), clock: &clock{}}
	s.clock.set(today)
	mem := vfs.NewCrashableMem()
	a, b := openHouseOf(t, custodianNames[0], mem, "house", s.city, s.clock), openHouseOf(t, custodianNames[1], vfs.NewMem(), "house", s.city, s.clock)
	s.houses = []*house{a, b}
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	s.replicate(t)
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	if _, err := a.Leave(context.Background(), "CITY", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	a.close()
	a = openHouseOf(t, custodianNames[0], before, "house", s.city, s.clock)
	_, err := read(a.Custody, works, k.Ref, CaseWork)
	wantReason(t, "read", err, UnknownCustody)
	var out bytes.Buffer
	err = a.SendParcel(context.Background(), keyID(b.name), k.Ref, &out)
	if wantReason(t, "send", err, UnknownCustody); out.Len() != 0 {
		t.Errorf("%d bytes were sent", out.Len())
	}
	if e := a.round(t); e.Rings != 1 {
		t.Errorf("erased %+v; want one ring rotated", e)
	}
	if _, err = read(a.Custody, works, k.Ref, CaseWork); err == nil || !strings.Contains(err.Error(), "no content") {
		t.Errorf("read after a round: %v", err)
	}
	a.wantClosed(t, "after a round", k)
	b.wantOpen(t, "at the other one", k)
}

// TestEveryCrashOfALeave: after a crash the custodian has left, or it is one of the
// set, has all that it had or gets it back, and can leave.
func TestEveryCrashOfALeave(t *testing.T) {
	s, disk := &shared{city: newArchive(t, custodianNames[:2]...), clock: &clock{}}, &crashes{mem: vfs.NewCrashableMem()}
	s.clock.set(today)
	a, b := openHouseOf(t, custodianNames[0], disk.fs(), "house", s.city, s.clock), openHouseOf(t, custodianNames[1], vfs.NewMem(), "house", s.city, s.clock)
	s.houses = []*house{a, b}
	all := []kept{a.keep(t, "DEMO-MINUTES", minutes, "title"), a.keep(t, "DEMO-PERMITS", minutes+"more\n", "title")}
	s.replicate(t)
	stays := s.View()
	disk.take(true)
	if _, err := a.Leave(context.Background(), "CITY", func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	disk.take(false)
	a.close()
	whole, empty := 0, 0
	for i, clone := range disk.clones {
		t.Run(fmt.Sprintf("%d %s", i, disk.names[i]), func(t *testing.T) {
			world := &shared{city: &city{view: stays, nonces: 1 << 20}, clock: s.clock}
			h := openHouseOf(t, custodianNames[0], clone, "house", world.city, world.clock)
			defer h.close()
			b.config.View = world.View
			world.houses = []*house{h, b}
			h.round(t)
			switch len(h.held(t)) {
			case len(all):
				whole++
			case 0:
				empty++
			}
			world.replicate(t)
			for _, k := range all {
				h.wantOpen(t, "after the crash", k)
			}
			if _, err := h.Leave(context.Background(), "CITY", func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			for _, k := range all {
				h.wantClosed(t, "left", k)
				b.wantOpen(t, "at the other one", k)
			}
		})
	}
	if whole == 0 || empty == 0 {
		t.Errorf("%d crashes left all and %d nothing: the test reached one side only", whole, empty)
	}
}

// TestNobodyLeavesWithWhatOthersLack: what is not compared with the others, since it
// is shut here, or since the states of keys are no part of what is compared, keeps a
// custodian in its set; and so does a set that changed while it handed over.
func TestNobodyLeavesWithWhatOthersLack(t *testing.T) {
	safe := func(context.Context) error { return nil }
	leave := func(t *testing.T, h *house, why Reason, k kept) {
		t.Helper()
		wantReason(t, "leave", errOf(h.Leave(context.Background(), "CITY", safe)), why)
		h.wantOpen(t, "it stays", k)
	}
	t.Run("in quarantine", func(t *testing.T) {
		s := newShared(t, 2)
		a := s.houses[0]
		gone, beside := a.keep(t, "DEMO-MINUTES", minutes, "title"), a.keep(t, "DEMO-MINUTES", minutes+"beside\n", "title")
		send(t, a, s.houses[1], gone.Ref)
		s.setCustodians(t, custodianNames[1:2], custodianNames[0])
		s.houses[1].erase(t, s.destroy(t, "DEMO-MINUTES", gone))
		s.setCustodians(t, custodianNames[:2])
		a = s.restart(t, 0)
		wantReason(t, "leave", errOf(a.Leave(context.Background(), "CITY", safe)), Quarantined)
		a.erase(t)
		a.wantOpen(t, "it stays", beside)
	})
	t.Run("redacted elsewhere, under a hold here", func(t *testing.T) {
		s := newShared(t, 2)
		a, b := s.houses[0], s.houses[1]
		k := a.keep(t, "DEMO-MINUTES", minutes, "title")
		redaction := a.file(t, k, 5)
		s.replicate(t)
		s.redact(t, "DEMO-MINUTES", k, redaction)
		a.round(t)
		hold := s.hold(t, k)
		b.round(t)
		leave(t, b, Locked, k)
		s.must(t, "COUNSEL", &record.ResolveIssue{Hold: hold})
		s.must(t, "CLERK", &record.ReleaseHold{Hold: hold})
		if _, err := b.Leave(context.Background(), "CITY", safe); err != nil {
			t.Errorf("leave when the hold is released: %v", err)
		}
		a.wantPart(t, "at the other one", k)
	})
	t.Run("the others went meanwhile", func(t *testing.T) {
		s := newShared(t, 2)
		a := s.houses[0]
		k := a.keep(t, "DEMO-MINUTES", minutes, "title")
		wantReason(t, "leave", errOf(a.Leave(context.Background(), "CITY", func(context.Context) error {
			s.setCustodians(t, custodianNames[:1], custodianNames[1])
			return nil
		})), Busy)
		a.wantOpen(t, "it stays", k)
	})
}
