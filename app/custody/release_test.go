package custody

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// releases gives what the register says of a record.
func releases(t testing.TB, v *vault.Vault, ref Ref) []record.Release {
	t.Helper()
	r, ok, err := v.Find(ref.Office, ref.Commitment)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	count, last, err := v.Releases(r.RID, 1<<20)
	if err != nil || int64(len(last)) != count {
		t.Fatal(count, len(last), err)
	}
	return last
}

// TestEveryReleaseIsRegistered: who was given what, in which form, whole or in
// part; and nothing for what gives out no content, or was refused.
func TestEveryReleaseIsRegistered(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes")
	ref := h.kept(t, works, header, content)
	asks := []commitment.Ask{{Selector: "paragraphs 3", Code: "X"}}
	if _, err := h.PlanRedaction(ctx, works, ref, CaseWork, asks); err != nil {
		t.Fatal(err)
	}
	hash := mustFile(t, h.Custody, works, ref, redactionText(t, mark(3, 3, "-"), mark(6, 6, "X")))
	for what, do := range map[string]func() error{
		"segments":   func() error { _, err := h.Segments(ctx, works, ref, CaseWork); return err },
		"search":     func() error { _, _, err := h.Search(ctx, works, Query{Text: "minutes", Limit: 5}); return err },
		"redactions": func() error { _, err := h.Redactions(ctx, works, ref); return err },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := read(h.Custody, counsel, ref, CaseWork)
	wantReason(t, "read", err, Denied)
	_, err = h.Copy(ctx, works, ref, CaseWork, Extent{Hide: []string{"paragraphs 9"}})
	wantReason(t, "copy", err, NoSuchSegment)
	_, err = h.Evidence(ctx, works, ref, CaseWork, Extent{}, receipts(""))
	wantReason(t, "evidence with an empty receipt", err, TooLarge)
	broken := errors.New("no receipt")
	if _, err = h.Evidence(ctx, works, ref, CaseWork, Extent{}, func([][32]byte) ([][]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if got := releases(t, h.vault, ref); got != nil {
		t.Fatalf("registered before anything was given out: %+v", got)
	}

	want := []record.Release{{Day: today, Office: "COUNSEL", Kind: record.ReleaseRead, Whole: true}}
	if _, err := read(h.Custody, counsel, ref, Legal); err != nil {
		t.Fatal(err)
	}
	given := func(office record.Code, kind record.ReleaseKind, whole bool, car []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, record.Release{Day: today, Office: office, Kind: kind, Whole: whole, Digest: sha256.Sum256(car)})
	}
	car, err := h.Copy(ctx, clerk, ref, PublicRequest, Extent{})
	given("CLERK", record.ReleaseCopy, true, car, err) // without its title: the content is whole
	car, err = h.Copy(ctx, works, ref, CaseWork, Extent{WithName: true, Hide: []string{"paragraphs 1"}})
	given("DPW", record.ReleaseCopy, false, car, err)
	car, err = h.Evidence(ctx, works, ref, CaseWork, Extent{WithName: true}, receipts("one"))
	given("DPW", record.ReleaseEvidence, true, car, err)
	car, err = h.Evidence(ctx, works, ref, CaseWork, Extent{Redactions: [][32]byte{hash}}, receipts("one"))
	given("DPW", record.ReleaseEvidence, false, car, err)
	h.punctures(t, ref, commitment.Range{First: 3, Last: 3}, commitment.Range{First: 6, Last: 6})
	h.clock.set(today + 1)
	_, err = read(h.Custody, works, ref, CaseWork)
	wantReason(t, "read", err, PartlyDestroyed)
	car, err = h.Copy(ctx, works, ref, CaseWork, Extent{})
	given("DPW", record.ReleaseCopy, false, car, err)
	want[len(want)-1].Day++
	if got := releases(t, h.vault, ref); !slices.Equal(got, want) {
		t.Errorf("registered\n%+v, want\n%+v", got, want)
	}
}

// TestReleasesAreCounted: whoever comes at once, each that is given out is in the
// register once.
func TestReleasesAreCounted(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes")
	refs := []Ref{h.kept(t, clerk, header, content)}
	header, content = offer(minutes, "More minutes")
	refs = append(refs, h.kept(t, clerk, header, content))
	const each = 40
	var mu sync.Mutex
	given := map[Ref]map[[32]byte]int{refs[0]: {}, refs[1]: {}}
	var wg sync.WaitGroup
	for i := range each * len(refs) * 3 {
		ref := refs[i%2]
		wg.Go(func() {
			var car []byte
			var err error
			switch i / 2 % 3 {
			case 0:
				_, err = read(h.Custody, clerk, ref, CaseWork)
			case 1:
				car, err = h.Copy(ctx, clerk, ref, CaseWork, Extent{Hide: []string{fmt.Sprintf("paragraphs %d", 1+i%4)}})
			case 2:
				car, err = h.Evidence(ctx, clerk, ref, CaseWork, Extent{}, receipts(fmt.Sprint("receipt ", i)))
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			digest := [32]byte{}
			if car != nil {
				digest = sha256.Sum256(car)
			}
			given[ref][digest]++
		})
	}
	wg.Wait()
	for ref, want := range given {
		got := map[[32]byte]int{}
		all := releases(t, h.vault, ref)
		for _, x := range all {
			got[x.Digest]++
		}
		if len(all) != 3*each || len(got) != len(want) {
			t.Errorf("%d releases of %d copies, want %d of %d", len(all), len(got), 3*each, len(want))
		}
		for digest, n := range want {
			if got[digest] != n {
				t.Errorf("copy %x: registered %d times, given out %d times", digest[:4], got[digest], n)
			}
		}
	}
}

// TestReleaseIsOnDiskBeforeContentLeaves looks at the disk as a crash would leave
// it at every write of a read, a copy and evidence, and when the first byte comes
// out: none leaves before its release is there.
func TestReleaseIsOnDiskBeforeContentLeaves(t *testing.T) {
	ctx := context.Background()
	for what, give := range map[string]func(h *house, ref Ref, leaves func()) error{
		"read": func(h *house, ref Ref, leaves func()) error {
			return h.Read(ctx, clerk, ref, CaseWork, writerFunc(func(p []byte) (int, error) { leaves(); return len(p), nil }))
		},
		"copy": func(h *house, ref Ref, leaves func()) error {
			_, err := h.Copy(ctx, clerk, ref, CaseWork, Extent{})
			leaves()
			return err
		},
		"evidence": func(h *house, ref Ref, leaves func()) error {
			_, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{}, receipts("one"))
			leaves()
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			ledger, clock, disk := newCity(t), &clock{}, &crashes{mem: vfs.NewCrashableMem()}
			clock.set(today)
			h := openHouse(t, disk.fs(), "house", ledger, clock)
			header, content := offer(minutes, "Minutes")
			ref := h.kept(t, clerk, header, content)
			lines := h.AccessHead().Size
			left := -1 // clones that were taken before the first byte left
			disk.take(true)
			err := give(h, ref, func() {
				if left < 0 {
					left = disk.take(false)
					disk.clones = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{}))
				}
			})
			if err != nil || left < 0 {
				t.Fatal(left, err)
			}
			for i, clone := range disk.clones {
				after := openHouse(t, clone, "house", ledger, clock)
				n, logged := len(releases(t, after.vault, ref)), after.AccessHead().Size-lines
				if n > 1 || logged > 1 || i >= left && (n != 1 || logged != 1) {
					t.Errorf("crash %d of %d: %d releases, %d lines", i, left, n, logged)
				}
				after.close()
			}
			disk.names = append(disk.names, "")
			disk.wantReached(t, "house/vault", "house/access-log")
		})
	}
}

// TestNoReleaseWithoutALine: where the access log cannot be written, nothing is
// given out and nothing is registered.
func TestNoReleaseWithoutALine(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes")
	ref := h.kept(t, clerk, header, content)
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	wantReason(t, "read", h.Read(ctx, clerk, ref, CaseWork, &out), AuditUnavailable)
	car, err := h.Copy(ctx, clerk, ref, CaseWork, Extent{})
	wantReason(t, "copy", err, AuditUnavailable)
	evidence, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{}, receipts())
	wantReason(t, "evidence", err, AuditUnavailable)
	_, err = h.FileRedaction(ctx, clerk, ref, redactionText(t, mark(3, 3, "-"), mark(6, 6, "X")))
	wantReason(t, "file", err, AuditUnavailable)
	if n := out.Len() + len(car) + len(evidence); n != 0 {
		t.Errorf("%d bytes left", n)
	}
	if got := releases(t, h.vault, ref); got != nil {
		t.Errorf("registered %+v", got)
	}
	hashes, err := h.vault.Redactions(must(h.vault.Find(ref.Office, ref.Commitment)).RID)
	if err != nil || hashes != nil {
		t.Errorf("filed %x, %v", hashes, err)
	}
}

func must(r vault.Record, ok bool, err error) vault.Record {
	if !ok || err != nil {
		panic(fmt.Sprint(ok, err))
	}
	return r
}

// TestSettling: whoever waits for the requests that have come, waits for these,
// and for none that comes later.
func TestSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o gate
		o.settle() // nobody has come
		first, second := o.enter(), o.enter()
		settled := make(chan struct{})
		go func() { o.settle(); close(settled) }()
		is := func() bool {
			synctest.Wait()
			select {
			case <-settled:
				return true
			default:
				return false
			}
		}
		if is() {
			t.Error("settled while two are under way")
		}
		later := o.enter()
		if first(); is() {
			t.Error("settled while one is under way")
		}
		if second(); !is() {
			t.Error("not settled when both have left")
		}
		later()
		o.settle()
	})
}

// TestReportsTellOfWhatWasUnderWay: what was let out in the moment of its lock is
// among the releases of the report, for which the erasure waits.
func TestReportsTellOfWhatWasUnderWay(t *testing.T) {
	h, ctx := archiveHouse(t), context.Background()
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	var d record.Index
	var armed atomic.Bool
	erased, waits := make(chan error, 1), false
	h.config.View = func() ledger.View {
		before := h.city.View()
		if !armed.CompareAndSwap(true, false) {
			return before
		}
		d = h.city.destroy(t, "DEMO-MINUTES", k)
		go func() { _, err := h.Erase(ctx); erased <- err }()
		for begin := time.Now(); !waits && time.Since(begin) < 10*time.Second; runtime.Gosched() {
			h.releases.mu.Lock()
			waits = h.releases.now == nil
			h.releases.mu.Unlock()
		}
		return before
	}
	car, err := h.Evidence(ctx, works, k.Ref, CaseWork, Extent{}, func([][32]byte) ([][]byte, error) {
		armed.Store(true) // the next look at the ledger is that of the release
		return [][]byte{[]byte("a receipt")}, nil
	})
	if err := errors.Join(err, <-erased); err != nil {
		t.Fatal(err)
	}
	if !waits {
		t.Error("the erasure did not wait for what was under way")
	}
	want := record.Release{Day: today, Office: "DPW", Kind: record.ReleaseEvidence, Whole: true, Digest: sha256.Sum256(car)}
	if got := h.reportOn(t, d).Records[0]; got.Outcome != record.RecordErased || !slices.Equal(got.Releases, []record.Release{want}) {
		t.Errorf("reported %+v", got)
	}
	h.wantShut(t, "destroyed", k, Destroyed)
}

// TestWhatIsLockedMeanwhileStays: a copy that was prepared when its record was
// locked is not given out, and not registered.
func TestWhatIsLockedMeanwhileStays(t *testing.T) {
	h, ctx := archiveHouse(t), context.Background()
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	var d record.Index
	car, err := h.Evidence(ctx, works, k.Ref, CaseWork, Extent{}, func([][32]byte) ([][]byte, error) {
		d = h.city.destroy(t, "DEMO-MINUTES", k)
		return [][]byte{[]byte("a receipt")}, nil
	})
	wantReason(t, "evidence", err, Locked)
	if car != nil {
		t.Errorf("%d bytes were given out", len(car))
	}
	if lines := strings.Join(logLines(t, h.fs), "\n"); !strings.Contains(lines, " evidence ") || !strings.Contains(lines, " barred ") {
		t.Errorf("no line of the refusal in\n%s", lines)
	}
	h.erase(t, d)
	if got := h.reportOn(t, d).Records[0]; got.Released != 0 {
		t.Errorf("reported %+v", got)
	}
}
