package custody

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestErasedContentIsNotDepositedAgain: a vault that has lost a record takes the
// same deposit again, but not of what was destroyed, of what parts were erased, or
// of what is locked.
func TestErasedContentIsNotDepositedAgain(t *testing.T) {
	mem, c := vfs.NewCrashableMem(), &clock{}
	c.set(today)
	h := openHouse(t, mem, "house", newArchive(t), c)
	var all [4]kept
	var headers [4]Header
	for i := range all {
		header, content := offer(fmt.Sprint(minutes, i, "\n"), "title")
		all[i], headers[i] = h.keepAs(t, "DEMO-MINUTES", header, content), header
	}
	h.erase(t, h.city.destroy(t, "DEMO-MINUTES", all[0]))
	h.erase(t, h.city.redact(t, "DEMO-MINUTES", all[1], h.file(t, all[1], 5)))
	h.city.destroy(t, "DEMO-MINUTES", all[2])
	h.close()
	fs := mem.CrashClone(vfs.CrashCloneCfg{})
	if err := fs.RemoveAll("house/vault"); err != nil {
		t.Fatal(err)
	}
	h = openHouse(t, fs, "house", h.city, c)
	if err := h.Reconcile(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []Reason{Destroyed, PartlyDestroyed, Locked} {
		_, err := h.Deposit(context.Background(), works, headers[i], strings.NewReader(all[i].content))
		wantReason(t, fmt.Sprint("deposit ", i), err, want)
		if _, ok, err := h.vault.Find("DPW", all[i].Commitment); ok || err != nil {
			t.Errorf("deposit %d is in the vault: %v, %v", i, ok, err)
		}
	}
	mustDeposit(t, h.Custody, works, headers[3], []byte(all[3].content))
	h.wantOpen(t, "what lives on", all[3])
}

// TestAnchorOfAnotherSeries: a deposit for one series was anchored as a record of
// another. It is that record's content, and is erased with it.
func TestAnchorOfAnotherSeries(t *testing.T) {
	mem, clock := vfs.NewCrashableMem(), &clock{}
	clock.set(today)
	h := openHouse(t, mem, "house", newArchive(t), clock)
	h.keep(t, "DEMO-MINUTES", minutes+"beside\n", "title")
	header, content := offer(minutes, "title")
	header.Series = "DEMO-PERMITS"
	c := mustDeposit(t, h.Custody, works, header, content)
	at := h.city.must(t, "DPW", &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: c, Day: today - 1000}}})
	k := kept{Ref{"DPW", c}, at, minutes}
	h.wantOpen(t, "before the lock", k)
	r, _, err := h.vault.Find("DPW", c)
	if err != nil {
		t.Fatal(err)
	}
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	d := h.city.destroy(t, "DEMO-MINUTES", k)
	h.wantShut(t, "locked", k, Locked)
	h.erase(t, d)
	h.wantShut(t, "destroyed", k, Destroyed)
	if got := h.reportOn(t, d); got.Records[0].Outcome != record.RecordErased || len(got.Rings) != 1 || got.Rings[0].Class != "DEMO-PERMITS" {
		t.Errorf("report %+v", got)
	}
	_, _, err = h.state(r)
	wantReason(t, "state", err, Destroyed)
	h = h.withOld(t, mem, before, "rings")
	if _, ok, err := h.state(r); !ok || err != nil {
		t.Fatal("the old ring does not open it", err)
	}
	h.wantShut(t, "destroyed", k, Destroyed)
	h.erase(t)
	_, _, err = h.state(r)
	wantReason(t, "state of a restored ring", err, Destroyed)
}

// TestWhatIsLockedWhileItIsListedStays: labels tell of the content too.
func TestWhatIsLockedWhileItIsListedStays(t *testing.T) {
	h, ctx := archiveHouse(t), context.Background()
	ask := []commitment.Ask{{Selector: `text "budget"`, Code: "CT-1-210-b-2"}}
	for name, list := range map[string]func(kept) (int, error){
		"segments": func(k kept) (int, error) { s, err := h.Segments(ctx, works, k.Ref, CaseWork); return len(s), err },
		"plan": func(k kept) (int, error) {
			m, err := h.PlanRedaction(ctx, works, k.Ref, CaseWork, ask)
			return len(m), err
		},
		"filed": func(k kept) (int, error) { f, err := h.Redactions(ctx, works, k.Ref); return len(f), err },
	} {
		k := h.keep(t, "DEMO-MINUTES", minutes+name+"\n", "title")
		h.file(t, k, 5)
		if n, err := list(k); n == 0 || err != nil {
			t.Errorf("%s before the lock: %d, %v", name, n, err)
		}
		looks := 0
		h.config.View = func() ledger.View {
			view := h.city.View()
			if looks++; looks == 1 { // that before the answer is prepared
				h.city.destroy(t, "DEMO-MINUTES", k)
			}
			return view
		}
		n, err := list(k)
		h.config.View = h.city.View
		if wantReason(t, name, err, Locked); n != 0 {
			t.Errorf("%s: %d were given out", name, n)
		}
	}
}

// fingerprintsOf gives the fingerprint that each value of a code would give the
// content, with the office's key.
func (h *house) fingerprintsOf(t *testing.T, text, value string) map[[32]byte]string {
	t.Helper()
	key, err := h.rings.OfficeKey("DPW")
	if err != nil {
		t.Fatal(err)
	}
	all := map[[32]byte]string{}
	for code := range 10_000 {
		guess := fmt.Sprintf("%04d", code)
		l, err := commitment.Arrange(commitment.Text, []byte(strings.Replace(text, value, guess, 1)), nil)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, key[:])
		for _, s := range l.Segments {
			if s.Kind == commitment.Digest {
				mac.Write(s.Payload)
			}
		}
		all[[32]byte(mac.Sum(nil))] = guess
	}
	return all
}

// fits lists the guesses whose fingerprints are anywhere in some bytes.
func fits(all map[[32]byte]string, raw []byte) (found []string) {
	for i := 0; i+32 <= len(raw); i++ {
		if guess, ok := all[[32]byte(raw[i:])]; ok {
			found = append(found, guess)
		}
	}
	return found
}

// everything gives each key and value of a copy of the vault, and its files.
func everything(t *testing.T, dir string) (raw []byte) {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, FormatMajorVersion: pebble.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	iterator, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := iterator.First(); ok; ok = iterator.Next() {
		raw = append(append(raw, iterator.Key()...), iterator.Value()...)
	}
	if err := errors.Join(iterator.Error(), iterator.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := os.ReadFile(path)
		raw = append(raw, file...)
		return err
	})
	if err != nil || len(raw) == 0 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	return raw
}

// TestFingerprintTellsNoGuess tries all values of what was erased, with the office's
// key that lives on, against copies of the vault from before and after the erasure
// and against what the ring has: with the ring's state from before one fits, and
// without it none.
func TestFingerprintTellsNoGuess(t *testing.T) {
	for _, action := range []record.Action{record.ActionDestroy, record.ActionRedact} {
		t.Run(action.String(), func(t *testing.T) {
			const text, value = "one\n\nthe code is 4711\n\nthree\n", "4711"
			c := &clock{}
			c.set(today)
			dir := t.TempDir()
			h := openHouse(t, vfs.Default, filepath.Join(dir, "house"), newArchive(t), c)
			k := h.keep(t, "DEMO-MINUTES", text, "title")
			header, content := offer(text, "title")
			mustDeposit(t, h.Custody, works, header, content) // an attempt
			guesses := h.fingerprintsOf(t, text, value)
			r, _, err := h.vault.Find("DPW", k.Commitment)
			if err != nil {
				t.Fatal(err)
			}
			before, _, err := h.rings.State(ringOf(r), r.RID)
			if err != nil {
				t.Fatal(err)
			}
			if got := fits(guesses, before); len(got) != 1 || got[0] != value {
				t.Fatalf("with the state %v fit: the guesses prove nothing", got)
			}
			old, later := filepath.Join(dir, "old"), filepath.Join(dir, "later")
			if err := h.vault.Checkpoint(old); err != nil {
				t.Fatal(err)
			}
			var d record.Index
			if action == record.ActionDestroy {
				d = h.city.destroy(t, "DEMO-MINUTES", k)
			} else {
				d = h.city.redact(t, "DEMO-MINUTES", k, h.file(t, k, 5))
			}
			h.erase(t, d)
			if err := h.vault.Checkpoint(later); err != nil {
				t.Fatal(err)
			}
			after, _, err := h.rings.State(ringOf(r), r.RID)
			if (err == nil) != (action == record.ActionRedact) {
				t.Fatal(err)
			}
			for what, raw := range map[string][]byte{"the vault before": everything(t, old), "the vault after": everything(t, later), "the ring": after} {
				if got := fits(guesses, raw); len(got) != 0 {
					t.Errorf("after the erasure %v fit in %s", got, what)
				}
			}
			if got, err := h.findContent("DPW", [32]byte(before[33:])); err != nil || len(got) != 0 {
				t.Errorf("memory has %x, %v", got, err)
			}
		})
	}
}

// TestRedactionsTakeTurns: states that do not fit into one rotation together wait
// for the next round.
func TestRedactionsTakeTurns(t *testing.T) {
	defer func(was int) { maxPlan = was }(maxPlan)
	maxPlan = 1
	h := archiveHouse(t)
	var all []record.Index
	for i := range 3 {
		k := h.keep(t, "DEMO-MINUTES", fmt.Sprint(minutes, i, "\n"), "title")
		all = append(all, h.city.redact(t, "DEMO-MINUTES", k, h.file(t, k, 5)))
	}
	destroyed := h.city.destroy(t, "DEMO-MINUTES", h.keep(t, "DEMO-MINUTES", minutes, "title"))
	for i, want := range [][]record.Index{{all[0], destroyed}, {all[1]}, {all[2]}} {
		if e := h.erase(t, want...); e.Rings != 1 || len(e.Waiting) != 2-i {
			t.Errorf("round %d: erased %+v", i, e)
		}
	}
}

// slow is a reader that lets something happen after the first bytes.
type slow struct {
	bytes.Buffer
	meanwhile func()
}

func (s *slow) Write(b []byte) (int, error) {
	if s.meanwhile != nil {
		s.meanwhile()
		s.meanwhile = nil
	}
	return s.Buffer.Write(b)
}

// TestSlowReaderStopsAtTheLock: who began to read before the lock, and takes his
// time, does not read on what is locked or was erased meanwhile.
func TestSlowReaderStopsAtTheLock(t *testing.T) {
	defer func(was time.Duration) { lookAgain = was }(lookAgain)
	lookAgain = 0
	h := archiveHouse(t)
	for want, erases := range map[Reason]bool{Locked: false, Destroyed: true} {
		k := h.keep(t, "DEMO-MINUTES", fmt.Sprint(minutes, want, "\n"), "title")
		reader := &slow{meanwhile: func() {
			if d := h.city.destroy(t, "DEMO-MINUTES", k); erases {
				if _, err := h.Erase(context.Background()); err != nil {
					t.Error(d, err)
				}
			}
		}}
		err := h.Read(context.Background(), works, k.Ref, CaseWork, reader)
		wantReason(t, "slow reader", err, want)
		if got := reader.String(); got == "" || got == k.content || !strings.HasPrefix(k.content, got) {
			t.Errorf("%s: read %q", want, got)
		}
	}
}
