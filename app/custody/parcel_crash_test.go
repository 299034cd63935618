package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// TestEveryCrashOfAParcel: whatever a crash cuts the keeping of a parcel at, the
// record is whole here or cannot be read, and the next parcel makes it whole. Once
// the parcel was acknowledged it is there.
func TestEveryCrashOfAParcel(t *testing.T) {
	city, clock, disk := newArchive(t, custodianNames[:2]...), &clock{}, &crashes{mem: vfs.NewCrashableMem()}
	clock.set(today)
	a := openHouseOf(t, custodianNames[0], vfs.NewMem(), "house", city, clock)
	b := openHouseOf(t, custodianNames[1], disk.fs(), "house", city, clock)
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	a.file(t, k, 5)
	parcel := a.parcel(t, b, k.Ref)
	disk.take(true)
	if err := b.receive(a, parcel); err != nil {
		t.Fatal(err)
	}
	acknowledged := disk.take(false)
	disk.clones, disk.names = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{})), append(disk.names, "after the acknowledgement")
	b.close()
	late := newArchive(t, custodianNames[:2]...)
	late.pass(t, startOf(today+5))
	whole, nothing := 0, 0
	for i, clone := range disk.clones {
		t.Run(fmt.Sprintf("%d %s", i, disk.names[i]), func(t *testing.T) {
			sweep := clone.CrashClone(vfs.CrashCloneCfg{})
			h := openHouseOf(t, custodianNames[1], clone, "house", city, clock)
			wantRings(t, h)
			if err := h.CatchUp(context.Background()); err != nil {
				t.Fatal(err)
			}
			held, err := h.Holds(k.Office, k.Commitment)
			if err != nil || i >= acknowledged && !held {
				t.Errorf("held %v, %v", held, err)
			}
			if held {
				whole++
				h.wantOpen(t, "after the crash", k)
			} else {
				nothing++
				_, err := read(h.Custody, works, k.Ref, CaseWork)
				wantReason(t, "read", err, NotFound)
				if got := h.held(t); len(got) != 0 {
					t.Errorf("held %v", got)
				}
			}
			for range 2 {
				if err := h.receive(a, parcel); err != nil {
					t.Fatal(err)
				}
			}
			h.wantOpen(t, "after another parcel", k)
			if got, want := h.held(t), a.held(t); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("held %v, want %v", got, want)
			}
			h.round(t)
			h.wantOpen(t, "after a round", k)
			h.close()
			if !held {
				wantNothingLeft(t, sweep, late, k)
			}
		})
	}
	if whole == 0 || nothing == 0 {
		t.Errorf("%d crashes kept the record and %d lost it: the test reached one side only", whole, nothing)
	}
	disk.wantReached(t, "house/vault", "house/rings/ring-DPW_DEMO-MINUTES-1", "ring-DPW_DEMO-MINUTES.epoch", "house/rings/office-DPW.key", "house/access-log")
}

// wantNothingLeft opens what a crash has left when the last day of the deposit is
// over, and wants it swept.
func wantNothingLeft(t *testing.T, fs vfs.FS, city *city, k kept) {
	t.Helper()
	c := &clock{}
	c.set(today + 5)
	h := openHouseOf(t, custodianNames[1], fs, "house", city, c)
	defer h.close()
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Records(); n != 0 || err != nil {
		t.Errorf("%d records are left, %v", n, err)
	}
	h.round(t)
	for _, id := range h.rings.Rings() {
		if rids, err := h.rings.RIDs(id); err != nil || len(rids) != 0 {
			t.Errorf("ring %s has %d states, %v", id, len(rids), err)
		}
	}
}

// TestEveryCrashOfANarrowerParcel: a crash leaves the state before or the narrower
// one, and the next parcel and the next round end the state before for good.
func TestEveryCrashOfANarrowerParcel(t *testing.T) {
	city, clock, disk := newArchive(t, custodianNames...), &clock{}, &crashes{mem: vfs.NewCrashableMem()}
	clock.set(today)
	city.setCustodians(t, custodianNames[:2], custodianNames[2])
	a := openHouseOf(t, custodianNames[0], vfs.NewMem(), "house", city, clock)
	b := openHouseOf(t, custodianNames[1], vfs.NewMem(), "house", city, clock)
	c := openHouseOf(t, custodianNames[2], disk.fs(), "house", city, clock)
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	redaction := a.file(t, k, 2, 5)
	send(t, a, b, k.Ref)
	city.redact(t, "DEMO-MINUTES", k, redaction)
	a.round(t)
	hold := city.hold(t, k)
	b.round(t)
	city.setCustodians(t, custodianNames)
	send(t, b, c, k.Ref)
	city.must(t, "COUNSEL", &record.ResolveIssue{Hold: hold})
	city.must(t, "CLERK", &record.ReleaseHold{Hold: hold})
	late := b.file(t, k, 6)
	send(t, b, a, k.Ref)
	parcel := a.parcel(t, c, k.Ref)
	c.wantOpen(t, "before the parcel", k)
	disk.take(true)
	if err := c.receive(a, parcel); err != nil {
		t.Fatal(err)
	}
	acknowledged := disk.take(false)
	disk.clones, disk.names = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{})), append(disk.names, "after the acknowledgement")
	c.close()
	wide, narrow := 0, 0
	for i, clone := range disk.clones {
		t.Run(fmt.Sprintf("%d %s", i, disk.names[i]), func(t *testing.T) {
			h := openHouseOf(t, custodianNames[2], clone, "house", city, clock)
			if got, err := read(h.Custody, works, k.Ref, CaseWork); err == nil && got == k.content && i < acknowledged {
				wide++
			} else {
				narrow++
				h.wantPart(t, "after the crash", k)
			}
			if err := h.receive(a, parcel); err != nil {
				t.Fatal(err)
			}
			h.wantPart(t, "after another parcel", k)
			h.round(t)
			h.wantPart(t, "after a round", k)
			if n, _, err := h.Pending(); n != 0 || err != nil {
				t.Errorf("%d pending, %v", n, err)
			}
			r, _, err := h.vault.Find(k.Office, k.Commitment)
			if err != nil {
				t.Fatal(err)
			}
			if hashes, err := h.vault.Redactions(r.RID); err != nil || len(hashes) != 2 || !bytes.Contains(slicesOf(hashes), late[:]) {
				t.Errorf("redactions %x, %v", hashes, err)
			}
			h.close()
		})
	}
	if wide == 0 || narrow < 2 {
		t.Errorf("%d crashes left it wide and %d narrow: the test reached one side only", wide, narrow)
	}
	disk.wantReached(t, "house/vault", "house/rings/ring-DPW_DEMO-MINUTES-1")
}

func slicesOf(hashes [][32]byte) (all []byte) {
	for _, h := range hashes {
		all = append(all, h[:]...)
	}
	return all
}

// TestWhatStopsBesideAParcel: what a disk refuses, and a reader that goes away, leave
// a custodian that can go on.
func TestWhatStopsBesideAParcel(t *testing.T) {
	s, k, whole, _ := parcels(t)
	a, b := s.houses[0], s.houses[1]
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out bytes.Buffer
	if err := a.SendParcel(ctx, keyID(b.name), k.Ref, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("send for nobody: %v", err)
	}
	if err := b.KeepParcel(ctx, keyID(a.name), "CITY", bytes.NewReader(whole)); !errors.Is(err, context.Canceled) {
		t.Errorf("keep for nobody: %v", err)
	}
	gone := errors.New("the connection is gone")
	if err := a.SendParcel(context.Background(), keyID(b.name), k.Ref, failing{gone}); !errors.Is(err, gone) {
		t.Errorf("send into nothing: %v", err)
	}
	if n, err := b.Records(); n != 0 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	if err := b.receive(a, whole); err != nil {
		t.Fatal(err)
	}
	b.wantOpen(t, "after all", k)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
