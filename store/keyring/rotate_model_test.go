package keyring

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// model is what a keyring of two rings must answer.
type model struct {
	wants  map[RingID]map[RID]want
	epochs map[RingID]uint64 // absent: no ring
	ended  map[RingID]int
}

// TestAgainstAModel does everything in any order, with rotations and restarts in
// between, on few records.
func TestAgainstAModel(t *testing.T) {
	root := testRoot(t)
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		open := func() *Keyring {
			k, err := Open("rings", root, Options{FS: fs, Fatal: func(err error) { t.Fatalf("fatal: %v", err) }})
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		k := open()
		defer func() { k.Close() }()
		m := model{map[RingID]map[RID]want{minutes: {}, permits: {}}, map[RingID]uint64{}, map[RingID]int{}}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			id := rapid.SampledFrom([]RingID{minutes, permits}).Draw(t, "ring")
			r := RID{rapid.SampledFrom([]byte{0, 1, 128, 255}).Draw(t, "record")}
			switch op := rapid.SampledFrom([]string{"put", "put", "destroy", "forget", "replace", "rotate", "reopen"}).Draw(t, "op"); op {
			case "rotate":
				m.rotate(t, k, id)
			case "reopen":
				if err := k.Close(); err != nil {
					t.Fatal(err)
				}
				k = open()
			default:
				m.write(t, k, op, id, r, rapid.StringN(1, 20, -1).Draw(t, "state"))
			}
			m.check(t, k)
		}
	})
}

func (m *model) write(t *rapid.T, k *Keyring, op string, id RingID, r RID, state string) {
	was := m.wants[id][r]
	after, refusal, err := was, error(nil), error(nil)
	switch op {
	case "put":
		err = k.Put(id, r, []byte(state))
		if after = (want{state: state}); was.state != "" {
			refusal = ErrExists
		}
	case "replace":
		err = k.Replace(id, r, []byte(state))
		if after = (want{state: state}); was.state == "" {
			refusal = ErrAbsent
		}
	case "forget":
		err = k.Forget(id, r)
		after = want{}
	case "destroy":
		err = k.Destroy(id, r)
		after = want{destroyed: true}
	}
	if was.destroyed && op != "destroy" {
		refusal = ErrDestroyed
	}
	if !errors.Is(err, refusal) {
		t.Fatalf("%s of %x, %+v: %v, want %v", op, r[0], was, err, refusal)
	}
	if m.epochs[id] == 0 && (op == "put" || op == "destroy") {
		m.epochs[id] = 1
	}
	if refusal == nil {
		if m.wants[id][r] = after; was.state != "" {
			m.ended[id]++
		}
	}
}

func (m *model) rotate(t *rapid.T, k *Keyring, id RingID) {
	e := Erasures{Height: int64(10 * m.epochs[id])}
	report, err := k.Rotate(id, e)
	if m.epochs[id] == 0 {
		if !errors.Is(err, ErrAbsent) {
			t.Fatalf("rotation of no ring: %v", err)
		}
		return
	}
	var live, dead uint64
	for _, w := range m.wants[id] {
		if w.destroyed {
			dead++
		} else if w.state != "" {
			live++
		}
	}
	if err != nil || report.Live != live || report.Tombstones != dead || report.Ended != uint64(m.ended[id]) || report.From != m.epochs[id] {
		t.Fatalf("report %+v, %v; want %d live, %d tombstones, %d ended", report, err, live, dead, m.ended[id])
	}
	m.epochs[id]++
	m.ended[id] = 0
}

func (m *model) check(t *rapid.T, k *Keyring) {
	for id, wants := range m.wants {
		for _, first := range []byte{0, 1, 128, 255} {
			if got, err := k.answer(id, RID{first}); got != wants[RID{first}] || err != nil {
				t.Fatalf("record %x of %s answers %+v, %v; want %+v", first, id, got, err, wants[RID{first}])
			}
		}
		if epoch, ok := k.Epoch(id); epoch != m.epochs[id] || ok != (epoch > 0) {
			t.Fatalf("epoch of %s: %d, want %d", id, epoch, m.epochs[id])
		}
		if n, err := k.Pending(id); n != m.ended[id] || err != nil {
			t.Fatalf("%d pending in %s, %v; want %d", n, id, err, m.ended[id])
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
					err = k.Replace(minutes, r, []byte("less"))
					wants[w][r] = want{state: "less"}
				}
				if err == nil && i%3 == 2 {
					err = k.Destroy(minutes, r)
					wants[w][r] = want{destroyed: true}
				}
				if got, answerErr := k.answer(minutes, r); err != nil || answerErr != nil || got != wants[w][r] {
					t.Errorf("record %x answers %+v, %v, %v; want %+v", r[:3], got, err, answerErr, wants[w][r])
				}
				wantState(t, k, minutes, rid(1), "one")
			}
		})
	}
	for ; busy.Load() > 0; rotations.Add(1) {
		mustRotate(t, k, minutes, Erasures{})
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

// TestWhatEndsDuringTheCopyIsPending destroys a record that the copy has sealed
// already: readers see it at once, and the next rotation ends it.
func TestWhatEndsDuringTheCopyIsPending(t *testing.T) {
	mem, root := vfs.NewMem(), testRoot(t)
	var k *Keyring
	var once sync.Once
	var sealed []byte
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpOpenDir && strings.HasSuffix(op.Path, minutes.directory(2)) {
			once.Do(func() { // the copy is written by now
				for _, err := range []error{k.Destroy(minutes, rid(2)), k.Forget(minutes, rid(3)), k.Put(minutes, rid(4), []byte("four"))} {
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		return nil
	}))
	k = openTest(t, fs, root)
	for i := byte(1); i < 4; i++ {
		mustPut(t, k, minutes, rid(i), "state")
	}
	sealed, err := k.ring(minutes).sealed(rid(2))
	if err != nil {
		t.Fatal(err)
	}
	first := mustRotate(t, k, minutes, Erasures{})
	if first.Live != 3 || first.Ended != 0 {
		t.Errorf("first report %+v", first)
	}
	check := func() {
		t.Helper()
		wantState(t, k, minutes, rid(1), "state")
		wantDestroyed(t, k, minutes, rid(2))
		wantState(t, k, minutes, rid(3), "")
		wantState(t, k, minutes, rid(4), "four")
	}
	check()
	if n, err := k.Pending(minutes); n != 4 || err != nil {
		t.Errorf("%d pending, %v; want two states in two epochs", n, err)
	}
	second := mustRotate(t, k, minutes, Erasures{})
	if second.Live != 2 || second.Tombstones != 1 || second.Ended != 4 {
		t.Errorf("second report %+v", second)
	}
	check()
	if found := left(t, mem, "rings", [][]byte{sealed}); len(found) != 0 {
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
