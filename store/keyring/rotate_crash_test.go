package keyring

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// want is what a record must answer: a state, or destroyed, or nothing.
type want struct {
	state     string
	destroyed bool
}

func (k *Keyring) answer(id RingID, r RID) (want, error) {
	state, _, err := k.State(id, r)
	if errors.Is(err, ErrDestroyed) {
		return want{destroyed: true}, nil
	}
	return want{state: string(state)}, err
}

// scene is a ring on a disk, a plan for it, and what the ring must answer before
// and after; what must be gone once the plan is carried out.
type scene struct {
	root   Root
	before map[RID]want
	after  map[RID]want
	plan   Plan
	kept   []RID // that the last look preserves
	gone   []needle
}

// newScene puts 40 states and forgets three. The plan destroys five and punctures
// four; the last look preserves three of these, and some that are not in the plan.
func newScene(t *testing.T, fs vfs.FS, root Root) *scene {
	t.Helper()
	k, err := Open("rings", root, Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{root: root, before: map[RID]want{}}
	end := func(r RID) {
		sealed, err := k.ring(minutes).sealed(r)
		if err != nil || sealed == nil {
			t.Fatal(err)
		}
		s.gone = append(s.gone, needlesOf(sealed)...)
	}
	for i := range byte(40) {
		state := fmt.Sprintf("state %d", i)
		mustPut(t, k, minutes, rid(i*6), state)
		s.before[rid(i*6)] = want{state: state}
	}
	s.gone = append(s.gone, needlesOf(k.ring(minutes).meta.wrapped)...)
	for i := byte(3); i < 6; i++ {
		end(rid(i * 6))
		if err := k.Forget(minutes, rid(i*6)); err != nil {
			t.Fatal(err)
		}
		s.before[rid(i*6)] = want{}
	}
	s.after = maps.Clone(s.before)
	s.plan.Erasures = Erasures{Through: 5}
	for _, i := range []byte{0, 1, 2, 9, 10} {
		s.plan.Changes = append(s.plan.Changes, Change{RID: rid(i * 6)})
		s.after[rid(i*6)] = want{destroyed: true}
	}
	for _, i := range []byte{6, 7, 8, 11} {
		s.plan.Changes = append(s.plan.Changes, Change{rid(i * 6), []byte("less")})
		s.after[rid(i*6)] = want{state: "less"}
	}
	for _, c := range s.plan.Changes {
		end(c.RID)
	}
	s.plan.LastLook = s.look
	for _, i := range []byte{9, 10, 11} {
		s.kept = append(s.kept, rid(i*6))
		s.after[rid(i*6)] = s.before[rid(i*6)]
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

var lastErasures = Erasures{Through: 7, Digest: [32]byte{7}} // of the scene's last look

func (s *scene) look() (Preserved, error) {
	return Preserved{append(s.kept[:len(s.kept):len(s.kept)], rid(3*6), rid(12*6), RID{9, 9}), lastErasures}, nil
}

// step is one write beside a rotation, and what it makes of a record.
type step struct {
	rid   RID
	after want
}

// check opens a disk after a crash, and resumes the rotation if it is unfinished.
// All must be there; the record of maybe may be as before or as after. It tells the
// epoch, and whether the rotation was unfinished.
func (s *scene) check(t *testing.T, name string, fs vfs.FS, done []step, maybe *step) (epoch uint64, unfinished bool) {
	t.Helper()
	k, err := Open("rings", s.root, Options{FS: fs, Fatal: func(err error) { t.Errorf("%s: fatal: %v", name, err) }})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0, false
	}
	defer func() {
		if err := k.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
	epoch, _ = k.Epoch(minutes)
	if unfinished = k.Unfinished(minutes); unfinished {
		s.resume(t, name, k, done, maybe)
	}
	wants := maps.Clone(s.after)
	if epoch == 1 {
		wants = maps.Clone(s.before)
	}
	for _, d := range done {
		wants[d.rid] = d.after
	}
	for r, w := range wants {
		got, err := k.answer(minutes, r)
		if open := maybe != nil && maybe.rid == r && got == maybe.after; err != nil || got != w && !open {
			t.Errorf("%s: record %x answers %+v, %v; want %+v", name, r[:4], got, err, w)
		}
	}
	s.wantOnly(t, name, fs, epoch)
	applied, _ := k.Erasures(minutes)
	if epoch == 1 {
		if applied != (Erasures{}) {
			t.Errorf("%s: erasures %v before the rotation", name, applied)
		}
		return epoch, unfinished
	}
	if applied != lastErasures {
		t.Errorf("%s: erasures %v, want those of the last look", name, applied)
	}
	r, ok, err := k.LastReport(minutes)
	if err != nil || !ok || r.From != 1 || r.Hits != 0 || r.Erasures != lastErasures || r.Preserved != 3 ||
		done == nil && (r.Ended != 9 || r.Live != 34 || r.Tombstones != 3) {
		t.Errorf("%s: report %+v, %v, %v", name, r, ok, err)
	}
	if seen, err := scan(fs, "rings", s.gone, new(pace)); err != nil || seen.hits != 0 {
		t.Errorf("%s: %d hits in %v, %v", name, seen.hits, seen.remains, err)
	}
	return epoch, unfinished
}

// resume demands that the old epoch is whole, that readers see the new one, and
// that another rotation is refused, and then goes on.
func (s *scene) resume(t *testing.T, name string, k *Keyring, done []step, maybe *step) {
	t.Helper()
	old := k.waiting[minutes].old
	for r, w := range s.before {
		if maybe != nil && maybe.rid == r || slices.ContainsFunc(done, func(d step) bool { return d.rid == r }) {
			continue // forgotten before or after the switch
		}
		if state, _, err := old.get(r); string(state) != w.state || err != nil {
			t.Errorf("%s: in the old epoch record %x is %q, %v; want %q", name, r[:4], state, err, w.state)
		}
	}
	for _, c := range s.plan.Changes {
		got, err := k.answer(minutes, c.RID)
		want := want{state: string(c.State), destroyed: c.State == nil}
		if isKept := slices.Contains(s.kept, c.RID) && got == s.before[c.RID]; err != nil || got != want && !isKept {
			t.Errorf("%s: unfinished, record %x answers %+v, %v; want %+v", name, c.RID[:4], got, err, want)
		}
	}
	if _, err := k.Rotate(minutes, Plan{}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("%s: a rotation of an unfinished one: %v", name, err)
	}
	if r, err := k.Resume(minutes, s.look); err != nil || r.From != 1 || k.Unfinished(minutes) {
		t.Errorf("%s: resumed: %+v, %v", name, r, err)
	}
}

// wantOnly demands that one epoch's directory is there and no journal.
func (s *scene) wantOnly(t *testing.T, name string, fs vfs.FS, epoch uint64) {
	t.Helper()
	names, err := fs.List("rings")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range names {
		if file != minutes.directory(epoch) && file != minutes.marker() && file != minutes.report() {
			t.Errorf("%s: %s is left in epoch %d", name, file, epoch)
		}
	}
}

// crash is a disk as a crash leaves it.
type crash struct {
	name string
	fs   *vfs.MemFS
	done int // steps that were acknowledged

	beside any // what the camera's beside gave
}

// camera takes crash clones before each operation that changes a disk.
type camera struct {
	mem      *vfs.MemFS
	unsynced int        // percent of what was not synced that stays
	beside   func() any // nil, or gives what else is to be kept of the moment

	mu      sync.Mutex
	on      bool
	done    int
	crashes []crash
	random  *rand.Rand
}

func newCamera(mem *vfs.MemFS, unsynced int) *camera {
	return &camera{mem: mem, unsynced: unsynced, random: rand.New(rand.NewPCG(1, uint64(unsynced)))}
}

func (c *camera) fs() vfs.FS {
	return errorfs.Wrap(c.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.on && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			c.take(fmt.Sprintf("crash %d before %v %s", len(c.crashes), op.Kind, op.Path))
		}
		return nil
	}))
}

// take is called with mu held.
func (c *camera) take(name string) {
	clone := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.unsynced, RNG: c.random})
	var beside any
	if c.beside != nil {
		beside = c.beside()
	}
	c.crashes = append(c.crashes, crash{name, clone, c.done, beside})
}

func (c *camera) turn(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

func (c *camera) acknowledge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
}

// stages are files and directories at which a rotation must have been crashed.
func stages() []string {
	return []string{
		minutes.journal() + newSuffix, minutes.directory(2) + "/part-", minutes.directory(2) + "/MANIFEST",
		minutes.marker() + newSuffix, minutes.directory(1), minutes.report() + newSuffix, minutes.directory(2) + "/0",
	}
}

// outcomes counts what crashes led to.
type outcomes struct{ old, unfinished, finished int }

func (o *outcomes) add(epoch uint64, unfinished bool) {
	switch {
	case epoch == 1 && !unfinished:
		o.old++
	case unfinished:
		o.unfinished++
	default:
		o.finished++
	}
}

// TestEveryCrashOfARotation crashes before each operation that changes the disk,
// with nothing, half or all of what was not synced. Each disk opens with the old
// epoch whole, with the new one and the rotation unfinished, or with the new one
// alone. Of some, the recovery is crashed too.
func TestEveryCrashOfARotation(t *testing.T) {
	for _, unsynced := range []int{0, 50, 100} {
		mem, root := vfs.NewCrashableMem(), testRoot(t)
		s := newScene(t, mem, root)
		c := newCamera(mem, unsynced)
		k, err := Open("rings", root, Options{FS: c.fs()})
		if err != nil {
			t.Fatal(err)
		}
		c.turn(true)
		mustCarryOut(t, k, minutes, s.plan)
		c.turn(false)
		c.mu.Lock()
		c.take("after the rotation")
		c.mu.Unlock()
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		var seen outcomes
		var names []string
		for i, crash := range c.crashes {
			names = append(names, crash.name)
			if unsynced == 0 && i%5 == 0 {
				s.crashAgain(t, crash)
			}
			seen.add(s.check(t, crash.name, crash.fs, nil, nil))
		}
		t.Logf("%d %% unsynced: %+v", unsynced, seen)
		if seen.old == 0 || seen.unfinished == 0 || seen.finished == 0 {
			t.Errorf("%d %% unsynced: %+v", unsynced, seen)
		}
		last := c.crashes[len(c.crashes)-1]
		if epoch, unfinished := s.check(t, last.name, last.fs, nil, nil); epoch != 2 || unfinished {
			t.Error("the rotation had returned and is undone")
		}
		for _, stage := range stages() {
			if !strings.Contains(strings.Join(names, "\n"), stage) {
				t.Errorf("no crash at %s", stage)
			}
		}
	}
}

// crashAgain crashes the recovery from a crash before each of its operations.
func (s *scene) crashAgain(t *testing.T, first crash) {
	t.Helper()
	mem := first.fs.CrashClone(vfs.CrashCloneCfg{})
	c := newCamera(mem, 0)
	c.turn(true)
	k, err := Open("rings", s.root, Options{FS: c.fs()})
	if err != nil {
		t.Errorf("%s: %v", first.name, err)
		return
	}
	if k.Unfinished(minutes) {
		if _, err := k.Resume(minutes, s.look); err != nil {
			t.Errorf("%s: %v", first.name, err)
		}
	}
	c.turn(false)
	if err := k.Close(); err != nil {
		t.Errorf("%s: %v", first.name, err)
	}
	for i := 0; i < len(c.crashes); i += 3 {
		s.check(t, first.name+", then "+c.crashes[i].name, c.crashes[i].fs, nil, nil)
	}
}

// TestCrashesOfARotationUnderWrites rotates while another goroutine puts and
// forgets: whatever was acknowledged is there after any crash, in whichever epoch.
func TestCrashesOfARotationUnderWrites(t *testing.T) {
	mem, root := vfs.NewCrashableMem(), testRoot(t)
	s := newScene(t, mem, root)
	c := newCamera(mem, 0)
	k, err := Open("rings", root, Options{FS: c.fs()})
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	rotated := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-rotated:
				return
			default:
			}
			next, err := s.write(k, i)
			steps = append(steps, next)
			if err != nil {
				t.Errorf("step %d: %v", i, err)
				return
			}
			c.acknowledge()
		}
	})
	c.turn(true)
	mustCarryOut(t, k, minutes, s.plan)
	c.turn(false)
	close(rotated)
	wg.Wait()
	wants := maps.Clone(s.after)
	for _, last := range steps {
		wants[last.rid] = last.after
	}
	for r, w := range wants {
		if got, err := k.answer(minutes, r); got != w || err != nil {
			t.Errorf("record %x answers %+v, %v; want %+v", r[:4], got, err, w)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	var seen outcomes
	for i := 0; i < len(c.crashes); i += 1 + len(c.crashes)/300 {
		crash := c.crashes[i]
		var maybe *step
		if crash.done < len(steps) {
			maybe = &steps[crash.done]
		}
		seen.add(s.check(t, crash.name, crash.fs, steps[:crash.done], maybe))
	}
	t.Logf("%+v, %d steps", seen, len(steps))
	if seen.old == 0 || seen.unfinished == 0 || seen.finished == 0 || len(steps) < 4 {
		t.Errorf("%+v, %d steps", seen, len(steps))
	}
}

// write makes the i-th of a series of changes, on records of the scene that are
// not in its plan, and on others.
func (s *scene) write(k *Keyring, i int) (step, error) {
	of := func(i int) RID { return RID{byte(i * 37), 9, byte(i >> 8), byte(i)} }
	state := fmt.Sprintf("written %d", i)
	switch old := 13 + i/4; {
	case i%4 == 3:
		return step{of(i - 3), want{}}, k.Forget(minutes, of(i-3))
	case i%4 == 1 && old < 40:
		return step{rid(byte(old) * 6), want{}}, k.Forget(minutes, rid(byte(old)*6))
	}
	return step{of(i), want{state: state}}, k.Put(minutes, of(i), []byte(state))
}
