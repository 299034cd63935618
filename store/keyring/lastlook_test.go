package keyring

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// keeping is a last look that preserves records.
func keeping(e Erasures, rids ...RID) func() (Preserved, error) {
	return func() (Preserved, error) { return Preserved{rids, e}, nil }
}

// failing is a last look that cannot see the committed state.
func failing() (Preserved, error) { return Preserved{}, errAway }

// TestLastLookComesBeforeTheEnd looks at everything from inside the last look:
// readers see the plan carried out, and the old epoch is whole.
func TestLastLookComesBeforeTheEnd(t *testing.T) {
	mem, root := vfs.NewCrashableMem(), &device{}
	k := openTest(t, mem, root)
	for i := range byte(5) {
		mustPut(t, k, minutes, rid(i), "state")
	}
	old := k.ring(minutes)
	first, last := Erasures{Through: 3}, Erasures{Through: 4, Digest: [32]byte{4}}
	looks := 0
	plan := Plan{Erasures: first, Changes: []Change{{RID: rid(1)}, {RID: rid(2)}, {rid(3), []byte("less")}}}
	plan.LastLook = func() (Preserved, error) {
		looks++
		wantDestroyed(t, k, minutes, rid(1))
		wantDestroyed(t, k, minutes, rid(2))
		wantState(t, k, minutes, rid(3), "less")
		if e, _ := k.Erasures(minutes); e != (Erasures{}) || k.Unfinished(minutes) {
			t.Errorf("erasures %v before the look is over, unfinished %v", e, k.Unfinished(minutes))
		}
		mustPut(t, k, minutes, rid(9), "nine")
		if _, err := root.Unwrap(old.meta.wrapped); err != nil {
			t.Errorf("the old key went before the last look: %v", err)
		}
		disk := mem.CrashClone(vfs.CrashCloneCfg{})
		then, err := Open("rings", root.clone(), Options{FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		if !then.Unfinished(minutes) {
			t.Error("after a crash nobody would look again")
		} else if state, _, err := then.waiting[minutes].old.get(rid(1)); string(state) != "state" || err != nil {
			t.Errorf("in the old epoch: %q, %v", state, err)
		}
		if err := then.Close(); err != nil {
			t.Error(err)
		}
		return Preserved{[]RID{rid(2), rid(3), rid(4), rid(77)}, last}, nil
	}
	r := mustCarryOut(t, k, minutes, plan)
	if looks != 1 || r.Preserved != 2 || r.Ended != 1 || r.Live != 4 || r.Tombstones != 1 || r.Erasures != last {
		t.Errorf("%d looks, report %+v", looks, r)
	}
	check := func() {
		t.Helper()
		wantDestroyed(t, k, minutes, rid(1))
		for _, i := range []byte{0, 2, 3, 4} {
			wantState(t, k, minutes, rid(i), "state")
		}
		wantState(t, k, minutes, rid(9), "nine")
		if e, _ := k.Erasures(minutes); e != last {
			t.Errorf("erasures %v, want %v", e, last)
		}
		if n, err := k.Pending(minutes); n != 0 || err != nil {
			t.Errorf("%d pending, %v", n, err)
		}
	}
	check()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, mem, root)
	check()
	if r := mustCarryOut(t, k, minutes, Plan{Erasures: last, Changes: destroying(rid(9))}); r.Live != 4 || r.Preserved != 0 || r.Ended != 1 {
		t.Errorf("the next report %+v", r)
	}
}

// TestUnfinished goes through everything that can be done between a last look that
// failed and the one that does not.
func TestUnfinished(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	for i := range byte(4) {
		mustPut(t, k, minutes, rid(i), "state")
	}
	mustRotate(t, k, minutes, Erasures{Through: 5})
	planned := Erasures{Through: 6, Digest: [32]byte{6}}
	plan := Plan{Erasures: planned, Changes: []Change{{RID: rid(1)}, {rid(2), []byte("less")}}, LastLook: failing}
	if r, err := k.Rotate(minutes, plan); !errors.Is(err, errAway) || r.To != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for range 2 {
		if !k.Unfinished(minutes) || k.Unfinished(permits) {
			t.Errorf("unfinished: %v, and of no ring %v", k.Unfinished(minutes), k.Unfinished(permits))
		}
		if epoch, _ := k.Epoch(minutes); epoch != 3 {
			t.Errorf("epoch %d, want 3", epoch)
		}
		if e, _ := k.Erasures(minutes); e.Through != 5 {
			t.Errorf("erasures %v, want through 5", e)
		}
		if r, _, err := k.LastReport(minutes); r.To != 2 || err != nil {
			t.Errorf("last report %+v, %v", r, err)
		}
		wantDestroyed(t, k, minutes, rid(1))
		for _, look := range []func() (Preserved, error){failing, keeping(Erasures{Through: 4})} {
			if r, err := k.Resume(minutes, look); !errors.Is(err, errAway) && !errors.Is(err, ErrErasures) || r.To != 0 {
				t.Errorf("resumed: %+v, %v", r, err)
			}
		}
		if _, err := k.Rotate(minutes, Plan{Erasures: planned}); !errors.Is(err, ErrUnfinished) {
			t.Errorf("rotation: %v, want ErrUnfinished", err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open("rings", testRoot(t), Options{FS: fs}); !errors.Is(err, ErrRoot) {
			t.Errorf("opened under another root: %v", err)
		}
		k = openTest(t, fs, root)
	}
	mustPut(t, k, minutes, rid(8), "eight")
	if err := k.Forget(minutes, rid(2)); err != nil {
		t.Fatal(err)
	}
	// What was forgotten since the switch does not come back.
	if _, err := k.Resume(minutes, keeping(planned, rid(2))); err != nil {
		t.Fatal(err)
	}
	wantState(t, k, minutes, rid(2), "")
	wantState(t, k, minutes, rid(3), "state")
	wantState(t, k, minutes, rid(8), "eight")
	if r, _, err := k.LastReport(minutes); r.To != 3 || r.Preserved != 0 || r.Ended != 2 || err != nil {
		t.Errorf("last report %+v, %v", r, err)
	}
	if _, err := k.Resume(minutes, nil); !errors.Is(err, ErrAbsent) {
		t.Errorf("resumed what is done: %v, want ErrAbsent", err)
	}
	if _, err := k.Resume(permits, nil); !errors.Is(err, ErrAbsent) {
		t.Errorf("resumed in no ring: %v, want ErrAbsent", err)
	}
	plan.Changes, plan.Erasures.Through = destroying(rid(3)), 9
	if _, err := k.Rotate(minutes, plan); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	if r, err := k.Resume(minutes, nil); err != nil || r.Erasures != plan.Erasures || r.Ended != 2 {
		t.Errorf("without a look: %+v, %v; want the erasures of the plan", r, err)
	}
	wantDestroyed(t, k, minutes, rid(3))
}

// TestPreservedStaysPreserved looks twice, since the device did not answer after
// the first look.
func TestPreservedStaysPreserved(t *testing.T) {
	fs, root := vfs.NewMem(), &device{}
	k := openTest(t, fs, root)
	for i := range byte(4) {
		mustPut(t, k, minutes, rid(i), "state")
	}
	root.set(false, true)
	plan := Plan{Changes: destroying(rid(0), rid(1), rid(2)), LastLook: keeping(Erasures{Through: 1}, rid(1))}
	if _, err := k.Rotate(minutes, plan); !errors.Is(err, errAway) || !k.Unfinished(minutes) {
		t.Fatalf("%v, unfinished %v", err, k.Unfinished(minutes))
	}
	wantState(t, k, minutes, rid(1), "state")
	root.set(false, false)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	r, err := k.Resume(minutes, keeping(Erasures{Through: 2}, rid(2)))
	if err != nil || r.Preserved != 2 || r.Ended != 1 || r.Live != 3 || r.Tombstones != 1 || r.Erasures.Through != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	wantDestroyed(t, k, minutes, rid(0))
	for i := byte(1); i < 4; i++ {
		wantState(t, k, minutes, rid(i), "state")
	}
}

// TestDamageBeforeTheLastLook: a state that does not open is not preserved in
// silence, and an old epoch that cannot be read is not removed.
func TestDamageBeforeTheLastLook(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	if err := k.ring(minutes).db.Set(stateKey(rid(2)), bytes.Repeat([]byte{9}, 40), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	plan := Plan{Changes: destroying(rid(1), rid(2)), LastLook: keeping(Erasures{}, rid(2))}
	if _, err := k.Rotate(minutes, plan); !errors.Is(err, ErrDamaged) || !k.Unfinished(minutes) {
		t.Errorf("a damaged state preserved: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	dir := "rings/" + minutes.directory(1)
	if err := fs.Rename(dir, "aside"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("rings", root, Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "old epoch 1") {
		t.Errorf("opened without the old epoch: %v", err)
	}
	if err := fs.RemoveAll(dir); err != nil { // what Pebble may have begun
		t.Fatal(err)
	}
	if err := fs.Rename("aside", dir); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	if r, err := k.Resume(minutes, keeping(Erasures{}, rid(1))); err != nil || r.Preserved != 1 || r.Ended != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	wantState(t, k, minutes, rid(1), "one")
	wantDestroyed(t, k, minutes, rid(2))
}

// TestHeldSnapshotAndIterator rotates while a reader is in the middle of the old
// epoch: it reads on to its end, the rotation goes no further than the switch
// without it, and nothing of what it held is left.
func TestHeldSnapshotAndIterator(t *testing.T) {
	mem, root := vfs.NewMem(), testRoot(t)
	var k *Keyring
	inside, switched, rotated := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var isOut atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRename && strings.HasSuffix(op.Path, minutes.marker()+newSuffix) {
			select {
			case <-inside:
				close(switched)
			default: // the ring is being made
			}
		}
		return nil
	}))
	k = openTest(t, fs, root)
	var gone [][]byte
	for i := range byte(20) {
		mustPut(t, k, minutes, rid(i), "state")
		sealed, err := k.ring(minutes).sealed(rid(i))
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, sealed)
	}
	go func() {
		<-inside
		_, err := k.Rotate(minutes, Plan{Changes: destroying(rid(1), rid(19)), LastLook: func() (Preserved, error) {
			if !isOut.Load() {
				t.Error("the last look came while somebody read the old epoch")
			}
			return Preserved{}, nil
		}})
		rotated <- err
	}()
	err := k.with(k.found(minutes), func(r *ring) error {
		snapshot := r.db.NewSnapshot()
		iterator, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixState}, UpperBound: []byte{prefixState + 1}})
		if err != nil {
			return err
		}
		iterator.First()
		close(inside)
		<-switched
		for i := range byte(20) {
			if rid := RID(iterator.Key()[1:]); rid[0] != i || !slices.Equal(iterator.Value(), gone[i]) {
				t.Errorf("state %d: %x", i, rid)
			}
			iterator.Next()
		}
		isOut.Store(true)
		return errors.Join(iterator.Error(), iterator.Close(), snapshot.Close())
	})
	if err := errors.Join(err, <-rotated); err != nil {
		t.Fatal(err)
	}
	if found := left(t, mem, "rings", gone); len(found) != 0 {
		t.Errorf("left: %v", found)
	}
	wantDestroyed(t, k, minutes, rid(19))
	wantState(t, k, minutes, rid(2), "state")
}
