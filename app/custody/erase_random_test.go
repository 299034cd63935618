package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// world is a custodian to which everything happens: deposits, locks, holds, rounds
// of erasing that a crash cuts at any write, and old stores that are put back.
type world struct {
	*house
	t       *testing.T
	chance  *rand.Rand
	disk    *crashes
	clock   *clock
	records []*life
	backups []backup
	log     []string // what happened, for who reads a failure
}

// life is a record and what must be true of it.
type life struct {
	kept
	series    record.Code
	texts     map[[32]byte][]byte // redactions
	redacted  []uint32            // leaves that a report calls erased
	destroyed bool                // a report says so
	lost      bool                // a store was put back that never had it
}

// backup is the disk and the records that were on it.
type backup struct {
	fs    *vfs.MemFS
	count int
}

// TestRandomErasures walks through many such worlds. At every point nothing of a
// record that is locked or reported as erased is given out; what a report calls
// erased opens nowhere; and when the dust has settled, everything else is whole.
func TestRandomErasures(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &world{t: t, chance: rand.New(rand.NewPCG(seed, 4)), clock: &clock{}}
			w.clock.set(today)
			w.open(vfs.NewCrashableMem(), newArchive(t))
			steps := []func(){w.deposit, w.deposit, w.destroy, w.redact, w.holdSome, w.round, w.round, w.crash, w.crash, w.backUp, w.restore, w.reopen}
			for range 30 {
				steps[w.chance.IntN(len(steps))]()
				w.check()
			}
			w.settle()
			w.house.close()
			if t.Failed() {
				t.Log(strings.Join(w.log, "; "))
			}
		})
	}
}

func (w *world) open(mem *vfs.MemFS, city *city) {
	w.disk = &crashes{mem: mem}
	w.house = openHouse(w.t, w.disk.fs(), "house", city, w.clock)
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

// pick gives records that are neither locked nor lost, of one series.
func (w *world) pick(most int) (picked []*life) {
	for _, i := range w.chance.Perm(len(w.records)) {
		r := w.records[i]
		_, _, locked, err := ledger.ErasureOf(w.city.View(), r.index)
		if err != nil {
			w.t.Fatal(err)
		}
		holds, err := ledger.HoldsOn(w.city.View(), r.index)
		if err != nil {
			w.t.Fatal(err)
		}
		if !locked && !r.lost && len(holds) == 0 && len(picked) < most && (len(picked) == 0 || picked[0].series == r.series) {
			picked = append(picked, r)
		}
	}
	return picked
}

func (w *world) deposit() {
	series := []record.Code{"DEMO-MINUTES", "DEMO-PERMITS"}[w.chance.IntN(2)]
	content := fmt.Sprint(minutes, w.chance.IntN(4), "\n") // some are alike
	k := w.keep(w.t, series, content, fmt.Sprint("title ", len(w.records)))
	w.records = append(w.records, &life{kept: k, series: series, texts: map[[32]byte][]byte{}})
	w.note("deposit %d", k.index)
}

func (w *world) destroy() {
	if picked := w.pick(1 + w.chance.IntN(3)); len(picked) > 0 {
		var all []kept
		for _, r := range picked {
			all = append(all, r.kept)
		}
		w.note("destroy %d... under %d", all[0].index, w.city.destroy(w.t, picked[0].series, all...))
	}
}

func (w *world) redact() {
	for _, r := range w.pick(1) {
		text := marksText(w.t, r.kept, 4+uint32(w.chance.IntN(4)))
		hash, err := w.FileRedaction(context.Background(), works, r.Ref, text)
		if reason, _ := ReasonOf(err); err != nil && reason != Behind {
			w.t.Errorf("file redaction of %d: %v", r.index, err)
			continue
		}
		r.texts[hash] = text
		w.note("redact %d under %d", r.index, w.city.redact(w.t, r.series, r.kept, hash))
	}
}

func (w *world) holdSome() {
	if len(w.records) > 0 && w.chance.IntN(3) == 0 {
		r := w.records[w.chance.IntN(len(w.records))]
		w.note("hold %d on %d", w.city.hold(w.t, r.kept), r.index)
	}
}

func (w *world) round() {
	if _, err := w.Erase(context.Background()); err != nil {
		w.t.Errorf("round: %v", err)
	}
	w.note("round")
}

// crash cuts a round at one of its writes. The ledger stands as it stood then.
func (w *world) crash() {
	view, at, writes := w.city.View(), 1+w.chance.IntN(60), 0
	if w.chance.IntN(4) == 0 {
		at = 1 + w.chance.IntN(400)
	}
	var fs *vfs.MemFS
	mem, city := w.disk.mem, w.city
	w.disk.each = func() {
		if writes++; writes == at {
			fs, view = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.chance.IntN(2) * 50, RNG: w.chance}), city.View()
		}
	}
	w.disk.take(true)
	if _, err := w.Erase(context.Background()); err != nil {
		w.t.Errorf("round: %v", err)
	}
	w.disk.take(false)
	if fs == nil {
		fs, view = mem.CrashClone(vfs.CrashCloneCfg{}), city.View()
	}
	w.house.close()
	w.note("crash at write %d of %d", at, writes)
	w.open(fs, cityAt(view, city.nonces))
}

func cityAt(view ledger.View, nonces int) *city { return &city{view: view, nonces: nonces + 1000} }

func (w *world) backUp() {
	w.backups = append(w.backups, backup{w.disk.mem.CrashClone(vfs.CrashCloneCfg{}), len(w.records)})
	w.note("backup %d", len(w.backups)-1)
}

// restore puts stores of a backup in the place of those of today.
func (w *world) restore() {
	if len(w.backups) == 0 {
		return
	}
	n := w.chance.IntN(len(w.backups))
	b, parts := w.backups[n], [][]string{{"rings"}, {"vault"}, {"rings", "vault"}}[w.chance.IntN(3)]
	w.house.close()
	fs := w.disk.mem.CrashClone(vfs.CrashCloneCfg{})
	for _, part := range parts {
		if err := fs.RemoveAll("house/" + part); err != nil {
			w.t.Fatal(err)
		}
		if ok, err := vfs.Clone(b.fs, fs, "house/"+part, "house/"+part, vfs.CloneSync); !ok || err != nil {
			w.t.Fatal(ok, err)
		}
	}
	if dir, err := fs.OpenDir("house"); err != nil {
		w.t.Fatal(err)
	} else if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range w.records[b.count:] {
		r.lost = true
	}
	w.note("restore %v of backup %d", parts, n)
	w.open(fs, cityAt(w.city.View(), w.city.nonces))
}

func (w *world) reopen() {
	w.house.close()
	w.note("restart")
	w.open(w.disk.mem.CrashClone(vfs.CrashCloneCfg{}), cityAt(w.city.View(), w.city.nonces))
}

// learn takes over what reports on the ledger say.
func (w *world) learn() {
	all, err := ledger.Erasures(w.city.View(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range all {
		if !w.reported(d.Value) {
			continue
		}
		m, err := w.submitted(w.city.View(), d.Value)
		if err != nil {
			w.t.Fatal(err)
		}
		targets, err := w.targets(w.city.View(), d)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, t := range targets {
			i := slices.IndexFunc(w.records, func(r *life) bool { return r.index == t.index })
			if m.Outcome == record.OutcomePreserved || slices.Contains(m.Preserved, t.index) {
				continue
			}
			r := w.records[i]
			if t.action == record.ActionDestroy {
				r.destroyed = true
				continue
			}
			text := r.texts[t.redaction]
			for leaf := uint32(4); leaf < 8; leaf++ {
				if bytes.Contains(text, fmt.Appendf(nil, "mark %d-%d CT", leaf, leaf)) && !slices.Contains(r.redacted, leaf) {
					r.redacted = append(r.redacted, leaf)
				}
			}
		}
	}
}

var paragraphs = map[uint32]string{4: "Council meeting", 5: "five members", 6: "budget", 7: "Adjourned"}

// check asks for everything.
func (w *world) check() {
	w.t.Helper()
	w.learn()
	for _, r := range w.records {
		_, _, locked, err := ledger.ErasureOf(w.city.View(), r.index)
		if err != nil {
			w.t.Fatal(err)
		}
		got, readErr := read(w.Custody, works, r.Ref, CaseWork)
		car, copyErr := w.Copy(context.Background(), works, r.Ref, CaseWork, Extent{WithName: true})
		reason, _ := ReasonOf(copyErr)
		switch {
		case (locked || r.destroyed) && len(got)+len(car) > 0:
			w.t.Errorf("record %d is given out: locked %v, destroyed %v", r.index, locked, r.destroyed)
		case len(r.redacted) > 0 && got != "":
			w.t.Errorf("the original of record %d, which was redacted, is given out", r.index)
		case copyErr == nil:
			content := string(verify(w.t, car, r.Commitment).Content())
			for _, leaf := range r.redacted {
				if strings.Contains(content, paragraphs[leaf]) {
					w.t.Errorf("the copy of record %d discloses erased leaf %d", r.index, leaf)
				}
			}
			if len(r.redacted) == 0 && (readErr != nil || got != r.content) {
				w.t.Errorf("record %d: read %q, %v", r.index, got, readErr)
			}
		case !slices.Contains([]Reason{Locked, Destroyed, Quarantined, NotFound}, reason):
			w.t.Errorf("record %d: %v", r.index, copyErr)
		}
	}
}

// settle runs rounds until nothing is left to do, and wants everything in its
// final place.
func (w *world) settle() {
	w.t.Helper()
	for range 3 {
		for _, r := range w.records {
			for _, text := range r.texts { // a vault that was put back may lack it
				if _, err := w.FileRedaction(context.Background(), works, r.Ref, text); err != nil {
					if reason, _ := ReasonOf(err); reason == "" || reason == Damaged {
						w.t.Errorf("file again: %v", err)
					}
				}
			}
		}
		w.round()
	}
	w.check()
	if n, quarantined, err := w.Pending(); n != 0 || len(quarantined) != 0 || err != nil {
		e, _ := w.Erase(context.Background())
		w.t.Errorf("%d pending, %v, %v; %+v", n, quarantined, err, e)
	}
	for _, r := range w.records {
		found, ok, err := w.vault.Find("DPW", r.Commitment)
		if err != nil {
			w.t.Fatal(err)
		}
		switch {
		case r.destroyed && ok && !r.lost:
			w.t.Errorf("record %d was destroyed and is in the vault", r.index)
		case r.destroyed, r.lost:
		case !ok:
			w.t.Errorf("record %d lives and is not in the vault", r.index)
		default:
			s, ok, err := w.state(found)
			if err != nil || !ok {
				w.t.Errorf("record %d lives and has no state: %v", r.index, err)
				continue
			}
			for leaf := uint32(4); leaf < 8; leaf++ {
				if s.state.Live(leaf) == slices.Contains(r.redacted, leaf) {
					w.t.Errorf("record %d, leaf %d: live %v, erased leaves %v", r.index, leaf, s.state.Live(leaf), r.redacted)
				}
			}
			if _, err := w.Copy(context.Background(), works, r.Ref, CaseWork, Extent{}); err != nil {
				w.t.Errorf("record %d lives: %v", r.index, err)
			}
		}
	}
}
