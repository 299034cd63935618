package keyring

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// scene is a ring on a disk, with what it must answer and what must be gone once
// it is rotated.
type scene struct {
	root  Root
	wants map[RID]want
	gone  []needle
}

// newScene puts 40 states, of which some do not stay.
func newScene(t *testing.T, fs vfs.FS, root Root) *scene {
	t.Helper()
	k, err := Open("rings", root, Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{root: root, wants: map[RID]want{}}
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
		s.wants[rid(i*6)] = want{state: state}
	}
	s.gone = append(s.gone, needlesOf(k.ring(minutes).meta.wrapped)...)
	for i, change := range []func(RID) (want, error){
		func(r RID) (want, error) { return want{destroyed: true}, k.Destroy(minutes, r) },
		func(r RID) (want, error) { return want{}, k.Forget(minutes, r) },
		func(r RID) (want, error) { return want{state: "less"}, k.Replace(minutes, r, []byte("less")) },
	} {
		for j := range 3 {
			r := rid(byte(i*3+j) * 6)
			end(r)
			if s.wants[r], err = change(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// step is one write beside a rotation, and what it makes of a record.
type step struct {
	rid   RID
	after want
}

// check opens a disk after a crash. All must be there; the records of maybe may
// be as before or as after. It tells the epoch.
func (s *scene) check(t *testing.T, name string, fs vfs.FS, done []step, maybe *step) (epoch uint64) {
	t.Helper()
	k, err := Open("rings", s.root, Options{FS: fs, Fatal: func(err error) { t.Errorf("%s: fatal: %v", name, err) }})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	defer func() {
		if err := k.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}()
	wants := map[RID]want{}
	for r, w := range s.wants {
		wants[r] = w
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
	epoch, _ = k.Epoch(minutes)
	s.wantOnly(t, name, fs, epoch)
	if epoch == 1 {
		return epoch
	}
	if r, ok, err := k.LastReport(minutes); err != nil || !ok || r.From != epoch-1 || r.Hits != 0 || done == nil && (r.Ended != 9 || r.Live+r.Tombstones != 37) {
		t.Errorf("%s: report %+v, %v, %v", name, r, ok, err)
	}
	if seen, err := scan(fs, "rings", s.gone); err != nil || seen.hits != 0 {
		t.Errorf("%s: %d hits in %v, %v", name, seen.hits, seen.remains, err)
	}
	return epoch
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
		minutes.marker() + newSuffix, minutes.directory(1), minutes.report() + newSuffix,
	}
}

// TestEveryCrashOfARotation crashes before each operation that changes the disk,
// with nothing, half or all of what was not synced. Each disk opens with the old
// epoch whole or with the new one alone. Of some, the recovery is crashed too.
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
		mustRotate(t, k, minutes, Erasures{Height: 5})
		c.turn(false)
		c.mu.Lock()
		c.take("after the rotation")
		c.mu.Unlock()
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		epochs := map[uint64]int{}
		var names []string
		for i, crash := range c.crashes {
			names = append(names, crash.name)
			if unsynced == 0 && i%5 == 0 {
				s.crashAgain(t, crash)
			}
			epochs[s.check(t, crash.name, crash.fs, nil, nil)]++
		}
		t.Logf("%d %% unsynced: crashes by epoch: %v", unsynced, epochs)
		if epochs[1] == 0 || epochs[2] == 0 || len(epochs) != 2 {
			t.Errorf("%d %% unsynced: crashes by epoch: %v", unsynced, epochs)
		}
		if last := len(c.crashes) - 1; s.check(t, names[last], c.crashes[last].fs, nil, nil) != 2 {
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
	c.turn(false)
	if err := k.Close(); err != nil {
		t.Errorf("%s: %v", first.name, err)
	}
	for i := 0; i < len(c.crashes); i += 3 {
		s.check(t, first.name+", then "+c.crashes[i].name, c.crashes[i].fs, nil, nil)
	}
}

// TestCrashesOfARotationUnderWrites rotates while another goroutine puts,
// replaces, destroys and forgets: whatever was acknowledged is there after any
// crash, in whichever epoch.
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
	mustRotate(t, k, minutes, Erasures{Height: 5})
	c.turn(false)
	close(rotated)
	wg.Wait()
	for _, last := range steps {
		s.wants[last.rid] = last.after
	}
	for r, w := range s.wants {
		if got, err := k.answer(minutes, r); got != w || err != nil {
			t.Errorf("record %x answers %+v, %v; want %+v", r[:4], got, err, w)
		}
		delete(s.wants, r)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	s.wants = newScene(t, vfs.NewMem(), root).wants
	epochs := map[uint64]int{}
	for i := 0; i < len(c.crashes); i += 1 + len(c.crashes)/300 {
		crash := c.crashes[i]
		var maybe *step
		if crash.done < len(steps) {
			maybe = &steps[crash.done]
		}
		epochs[s.check(t, crash.name, crash.fs, steps[:crash.done], maybe)]++
	}
	t.Logf("crashes by epoch: %v, %d steps", epochs, len(steps))
	if epochs[1] == 0 || epochs[2] == 0 || len(epochs) != 2 || len(steps) < 4 {
		t.Errorf("crashes by epoch: %v, %d steps", epochs, len(steps))
	}
}

// write makes the i-th of a series of changes, on records of the scene and others.
func (s *scene) write(k *Keyring, i int) (step, error) {
	fresh := RID{byte(i * 37), 9, byte(i >> 8), byte(i)}
	old := rid(byte(10+i/4%28) * 6)
	state := fmt.Sprintf("written %d", i)
	switch i % 4 {
	case 0:
		return step{fresh, want{state: state}}, k.Put(minutes, fresh, []byte(state))
	case 1:
		if i/4 >= 28 { // the others are destroyed by now
			return step{fresh, want{destroyed: true}}, k.Destroy(minutes, fresh)
		}
		return step{old, want{state: state}}, k.Replace(minutes, old, []byte(state))
	case 2:
		return step{old, want{destroyed: true}}, k.Destroy(minutes, old)
	default:
		last := RID{byte((i - 3) * 37), 9, byte((i - 3) >> 8), byte(i - 3)}
		if i%8 == 3 {
			return step{last, want{}}, k.Forget(minutes, last)
		}
		return step{last, want{destroyed: true}}, k.Destroy(minutes, last)
	}
}
