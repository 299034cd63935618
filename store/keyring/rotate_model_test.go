package keyring

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// ringModel is what a ring must answer.
type ringModel struct {
	wants map[RID]want
	epoch uint64 // 0: no ring
	ended int    // states of this epoch that are no more
	last  int64  // erasures that are applied

	plan *planModel // of a rotation that waits for its last look
}

// planModel is a plan that is carried out, up to its last look.
type planModel struct {
	before  map[RID]want // of the records that it changes and nobody has changed since
	kept    map[RID]bool // preserved by a look
	through int64
	ended   int
}

// machine is a keyring of two rings on a disk that keeps what was synced.
type machine struct {
	root  Root
	mem   *vfs.MemFS
	k     *Keyring
	rings map[RingID]*ringModel

	mu      sync.Mutex
	crashAt int        // operation of the disk before which the clone is taken; 0: none
	clone   *vfs.MemFS // taken
}

var modelRIDs = []RID{{0}, {1}, {2}, {128}, {129}, {255}}

// TestAgainstAModel does everything in any order on few records, with restarts and
// crashes in between and in the middle of rotations.
func TestAgainstAModel(t *testing.T) {
	root := testRoot(t)
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{root: root, mem: vfs.NewCrashableMem(), rings: map[RingID]*ringModel{
			minutes: {wants: map[RID]want{}}, permits: {wants: map[RID]want{}},
		}}
		m.open(t)
		defer func() { m.k.Close() }()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			id := rapid.SampledFrom([]RingID{minutes, permits}).Draw(t, "ring")
			r := rapid.SampledFrom(modelRIDs).Draw(t, "record")
			switch op := rapid.SampledFrom([]string{"put", "put", "put", "forget", "rotate", "rotate", "resume", "reopen", "crash"}).Draw(t, "op"); op {
			case "rotate":
				m.rotate(t, id)
			case "resume":
				m.resume(t, id)
			case "reopen":
				if err := m.k.Close(); err != nil {
					t.Fatal(err)
				}
				m.open(t)
			case "crash":
				m.restart(t, m.mem.CrashClone(vfs.CrashCloneCfg{}))
			default:
				m.write(t, op, id, r, rapid.StringN(1, 20, -1).Draw(t, "state"))
			}
			m.check(t)
		}
	})
}

func (m *machine) open(t *rapid.T) {
	fs := errorfs.Wrap(m.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && m.crashAt > 0 {
			if m.crashAt--; m.crashAt == 0 {
				m.clone = m.mem.CrashClone(vfs.CrashCloneCfg{})
			}
		}
		return nil
	}))
	k, err := Open("rings", m.root, Options{FS: fs, Fatal: func(err error) { t.Fatalf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	m.k = k
}

// restart goes on with another disk, and takes over what it says of rotations.
func (m *machine) restart(t *rapid.T, disk *vfs.MemFS) {
	if err := m.k.Close(); err != nil {
		t.Fatal(err)
	}
	m.mem = disk
	m.open(t)
}

func (m *machine) write(t *rapid.T, op string, id RingID, r RID, state string) {
	g := m.rings[id]
	was := g.wants[r]
	after, refusal, err := was, error(nil), error(nil)
	switch op {
	case "put":
		if g.plan != nil && g.plan.before[r].state != "" && was.state == "" {
			return // rids are not used again
		}
		err = m.k.Put(id, r, []byte(state))
		if after = (want{state: state}); was.state != "" {
			refusal = ErrExists
		}
		g.epoch = max(g.epoch, 1)
	case "forget":
		err = m.k.Forget(id, r)
		after = want{}
	}
	if was.destroyed {
		refusal = ErrDestroyed
	}
	if !errors.Is(err, refusal) {
		t.Fatalf("%s of %x, %+v: %v, want %v", op, r[0], was, err, refusal)
	}
	if refusal == nil {
		if g.wants[r] = after; was.state != "" {
			g.ended++
		}
	}
}

// rotate draws a plan for records that have a state, and how far it comes.
func (m *machine) rotate(t *rapid.T, id RingID) {
	g := m.rings[id]
	p := Plan{Erasures: Erasures{Through: g.last + rapid.Int64Range(0, 2).Draw(t, "more entries")}}
	after := maps.Clone(g.wants)
	next := &planModel{before: map[RID]want{}, kept: map[RID]bool{}, through: p.Erasures.Through, ended: g.ended}
	for _, r := range modelRIDs {
		if g.wants[r].state == "" {
			continue
		}
		switch rapid.SampledFrom([]string{"keep", "destroy", "puncture"}).Draw(t, "change") {
		case "destroy":
			p.Changes = append(p.Changes, Change{RID: r})
			after[r] = want{destroyed: true}
			next.before[r] = g.wants[r]
		case "puncture":
			punctured := g.wants[r].state + " less"
			p.Changes = append(p.Changes, Change{r, []byte(punctured)})
			after[r] = want{state: punctured}
			next.before[r] = g.wants[r]
		}
	}
	next.ended += len(p.Changes)
	if g.epoch == 0 || g.plan != nil {
		refusal := map[bool]error{true: ErrAbsent, false: ErrUnfinished}[g.epoch == 0]
		if _, err := m.k.Rotate(id, p); !errors.Is(err, refusal) {
			t.Fatalf("rotation: %v, want %v", err, refusal)
		}
		return
	}
	old := *g
	g.epoch, g.wants, g.ended, g.plan = g.epoch+1, after, 0, next
	look, kept := m.look(t, id)
	fail := false
	p.LastLook = func() (Preserved, error) {
		if fail {
			return Preserved{}, errAway
		}
		return look, nil
	}
	switch rapid.SampledFrom([]string{"returns", "returns", "look fails", "crash"}).Draw(t, "end") {
	case "look fails":
		fail = true
		if _, err := m.k.Rotate(id, p); !errors.Is(err, errAway) {
			t.Fatalf("rotation without a look: %v", err)
		}
	case "returns":
		r, err := m.k.Rotate(id, p)
		g.finish(t, r, err, look, kept)
	case "crash":
		m.crashIn(t, func() error { _, err := m.k.Rotate(id, p); return err })
		m.afterCrash(t, id, &old, look, kept)
	}
}

// crashIn takes the disk as a crash leaves it at a drawn operation of a call that
// would return well, and goes on with that.
func (m *machine) crashIn(t *rapid.T, call func() error) {
	m.mu.Lock()
	m.crashAt, m.clone = rapid.IntRange(1, 120).Draw(t, "crash before operation"), nil
	m.mu.Unlock()
	err := call()
	m.mu.Lock()
	disk := m.clone
	m.crashAt = 0
	m.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if disk == nil {
		disk = m.mem.CrashClone(vfs.CrashCloneCfg{}) // it had returned
	}
	m.restart(t, disk)
}

// afterCrash finds a ring at old, unfinished or finished, and takes that over.
func (m *machine) afterCrash(t *rapid.T, id RingID, old *ringModel, look Preserved, kept []RID) {
	g := m.rings[id]
	epoch, _ := m.k.Epoch(id)
	switch {
	case old != nil && epoch == old.epoch:
		if m.k.Unfinished(id) {
			t.Fatal("the old epoch is current and the rotation unfinished")
		}
		*g = *old
	case m.k.Unfinished(id):
		for _, r := range kept { // that look may have been written
			if got, err := m.k.answer(id, r); err == nil && got == g.plan.before[r] {
				g.wants[r] = got
				g.plan.kept[r] = true
			}
		}
		if e, _ := m.k.Erasures(id); e.Through != g.last && e != look.Erasures {
			t.Fatalf("unfinished with erasures %v, not %d or %v", e, g.last, look.Erasures)
		} else {
			g.last = e.Through
		}
	default:
		r, _, err := m.k.LastReport(id)
		g.finish(t, r, err, look, kept)
	}
}

// look draws what the last look of a plan preserves: some of its records, and some
// that have nothing to preserve.
func (m *machine) look(t *rapid.T, id RingID) (p Preserved, kept []RID) {
	g := m.rings[id]
	p.Erasures = Erasures{Through: max(g.last, g.plan.through) + rapid.Int64Range(0, 2).Draw(t, "entries since")}
	for _, r := range modelRIDs {
		if before, planned := g.plan.before[r]; planned && g.wants[r] != (want{}) && rapid.Bool().Draw(t, "preserve") {
			p.RIDs = append(p.RIDs, r)
			if g.wants[r] != before {
				kept = append(kept, r)
			}
		}
	}
	p.RIDs = append(p.RIDs, RID{77})
	return p, kept
}

// finish demands the report of a rotation that is done.
func (g *ringModel) finish(t *rapid.T, r Report, err error, look Preserved, kept []RID) {
	for _, rid := range kept {
		g.wants[rid] = g.plan.before[rid]
		g.plan.kept[rid] = true
	}
	preserved := len(g.plan.kept)
	if err != nil || r.To != g.epoch || r.Preserved != uint64(preserved) || r.Ended != uint64(g.plan.ended-preserved) || r.Erasures != look.Erasures {
		t.Fatalf("report %+v, %v; want epoch %d, %d preserved, %d ended, %v", r, err, g.epoch, preserved, g.plan.ended-preserved, look.Erasures)
	}
	g.last, g.plan = look.Erasures.Through, nil
}

func (m *machine) resume(t *rapid.T, id RingID) {
	g := m.rings[id]
	if g.plan == nil {
		if _, err := m.k.Resume(id, nil); !errors.Is(err, ErrAbsent) {
			t.Fatalf("resumed what is not unfinished: %v", err)
		}
		return
	}
	look, kept := m.look(t, id)
	give := func() (Preserved, error) { return look, nil }
	if rapid.Bool().Draw(t, "crash") {
		m.crashIn(t, func() error { _, err := m.k.Resume(id, give); return err })
		m.afterCrash(t, id, nil, look, kept)
		return
	}
	r, err := m.k.Resume(id, give)
	g.finish(t, r, err, look, kept)
}

func (m *machine) check(t *rapid.T) {
	for id, g := range m.rings {
		for _, r := range modelRIDs {
			if got, err := m.k.answer(id, r); got != g.wants[r] || err != nil {
				t.Fatalf("record %x of %s answers %+v, %v; want %+v", r[0], id, got, err, g.wants[r])
			}
		}
		if epoch, ok := m.k.Epoch(id); epoch != g.epoch || ok != (epoch > 0) {
			t.Fatalf("epoch of %s: %d, want %d", id, epoch, g.epoch)
		}
		if n, err := m.k.Pending(id); n != g.ended || err != nil {
			t.Fatalf("%d pending in %s, %v; want %d", n, id, err, g.ended)
		}
		if e, _ := m.k.Erasures(id); e.Through != g.last || m.k.Unfinished(id) != (g.plan != nil) {
			t.Fatalf("ring %s: erasures %v, unfinished %v; want %d", id, e, m.k.Unfinished(id), g.last)
		}
	}
}

// TestManyWritersOneRotator lets writers and readers go on through rotations of
// their ring, each with records of its own: nobody sees a state go or come back.
func TestManyWritersOneRotator(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	var wg sync.WaitGroup
	var busy, rotations atomic.Int32
	const writers, atLeast = 4, 8
	wants := make([]map[RID]want, writers)
	for w := range writers {
		busy.Add(1)
		wants[w] = map[RID]want{}
		wg.Go(func() {
			defer busy.Add(-1)
			for i := 0; i < 150 || rotations.Load() < atLeast; i++ {
				r := RID{byte(i * 7), byte(w), byte(i), byte(i >> 8), byte(i >> 16)}
				state := fmt.Sprintf("%d of %d", i, w)
				err := k.Put(minutes, r, []byte(state))
				wants[w][r] = want{state: state}
				if err == nil && i%3 == 1 {
					err = k.Forget(minutes, r)
					wants[w][r] = want{}
				}
				if got, answerErr := k.answer(minutes, r); err != nil || answerErr != nil || got != wants[w][r] {
					t.Errorf("record %x answers %+v, %v, %v; want %+v", r[:3], got, err, answerErr, wants[w][r])
				}
				wantState(t, k, minutes, rid(1), "one")
			}
		})
	}
	for ; busy.Load() > 0; rotations.Add(1) {
		doomed := RID{byte(rotations.Load() * 11), 100, byte(rotations.Load())}
		mustPut(t, k, minutes, doomed, "doomed")
		mustDestroy(t, k, minutes, doomed)
		wantDestroyed(t, k, minutes, doomed)
	}
	wg.Wait()
	check := func() {
		t.Helper()
		for w := range writers {
			for r, want := range wants[w] {
				if got, err := k.answer(minutes, r); got != want || err != nil {
					t.Errorf("record %x answers %+v, %v; want %+v", r[:3], got, err, want)
				}
			}
		}
		if epoch, _ := k.Epoch(minutes); epoch != 1+uint64(rotations.Load()) || rotations.Load() < atLeast {
			t.Errorf("epoch %d after %d rotations", epoch, rotations.Load())
		}
	}
	check()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	check()
}

// TestWritesDuringTheCopy forgets a record that the copy has sealed already, and
// what the plan changes: readers see it at once, and the next rotation ends what
// the new epoch holds of it. A record that the plan destroys is destroyed.
func TestWritesDuringTheCopy(t *testing.T) {
	mem, root := vfs.NewMem(), testRoot(t)
	var k *Keyring
	var once sync.Once
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpOpenDir && strings.HasSuffix(op.Path, minutes.directory(2)) {
			once.Do(func() { // the copy is written by now
				for i := byte(2); i < 5; i++ {
					if err := k.Forget(minutes, rid(i)); err != nil {
						t.Error(err)
					}
				}
				if err := k.Put(minutes, rid(9), []byte("nine")); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}))
	k = openTest(t, fs, root)
	var gone [][]byte
	for i := byte(1); i < 6; i++ {
		mustPut(t, k, minutes, rid(i), "state")
		sealed, err := k.ring(minutes).sealed(rid(i))
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, sealed)
	}
	first := mustCarryOut(t, k, minutes, Plan{Changes: []Change{{RID: rid(3)}, {rid(4), []byte("less")}, {rid(5), []byte("less")}}})
	if first.Live != 4 || first.Tombstones != 1 || first.Ended != 3 {
		t.Errorf("first report %+v", first)
	}
	check := func() {
		t.Helper()
		wantState(t, k, minutes, rid(1), "state")
		wantState(t, k, minutes, rid(2), "")
		wantDestroyed(t, k, minutes, rid(3))
		wantState(t, k, minutes, rid(4), "")
		wantState(t, k, minutes, rid(5), "less")
		wantState(t, k, minutes, rid(9), "nine")
	}
	check()
	if n, err := k.Pending(minutes); n != 5 || err != nil {
		t.Errorf("%d pending, %v; want three states of the old epoch and two of the new", n, err)
	}
	second := mustRotate(t, k, minutes, Erasures{})
	if second.Live != 3 || second.Tombstones != 1 || second.Ended != 5 {
		t.Errorf("second report %+v", second)
	}
	check()
	if found := left(t, mem, "rings", gone[1:]); len(found) != 0 {
		t.Errorf("left: %v", found)
	}
}

// TestLateComers found the old epoch before the switch and come to it afterwards,
// or while the marker moves: they end up in the new one.
func TestLateComers(t *testing.T) {
	mem, root := vfs.NewMem(), testRoot(t)
	var k *Keyring
	var wg sync.WaitGroup
	var rotating atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRename && strings.HasSuffix(op.Path, minutes.marker()+newSuffix) && rotating.Load() {
			wg.Go(func() {
				if err := k.Put(minutes, rid(2), []byte("two")); err != nil {
					t.Error(err)
				}
			})
		}
		return nil
	}))
	k = openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	old := k.ring(minutes)
	rotating.Store(true)
	mustRotate(t, k, minutes, Erasures{})
	wg.Wait()
	wantState(t, k, minutes, rid(2), "two")
	found := []*ring{old, k.ring(minutes)}
	err := k.with(func() (*ring, error) {
		next := found[0]
		found = found[1:]
		return next, nil
	}, func(r *ring) error {
		state, ok, err := r.get(rid(1))
		if string(state) != "one" || !ok || r == old {
			t.Errorf("state %q, %v, of epoch %d", state, ok, r.meta.epoch)
		}
		return err
	})
	if err != nil || len(found) != 0 {
		t.Errorf("%v; %d epochs were not asked for", err, len(found))
	}
	if err := old.put(rid(3), []byte("three")); !errors.Is(err, errMoved) {
		t.Errorf("put into an epoch that has ended: %v, want errMoved", err)
	}
}
