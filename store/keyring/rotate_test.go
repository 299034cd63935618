package keyring

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

func mustCarryOut(t *testing.T, k *Keyring, id RingID, p Plan) Report {
	t.Helper()
	r, err := k.Rotate(id, p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustRotate(t *testing.T, k *Keyring, id RingID, e Erasures) Report {
	t.Helper()
	return mustCarryOut(t, k, id, Plan{Erasures: e})
}

func destroying(rids ...RID) (changes []Change) {
	for _, r := range rids {
		changes = append(changes, Change{RID: r})
	}
	return changes
}

func mustDestroy(t *testing.T, k *Keyring, id RingID, rids ...RID) Report {
	t.Helper()
	return mustCarryOut(t, k, id, Plan{Changes: destroying(rids...)})
}

func wantDestroyed(t *testing.T, k *Keyring, id RingID, r RID) {
	t.Helper()
	if state, ok, err := k.State(id, r); !errors.Is(err, ErrDestroyed) || ok || state != nil {
		t.Errorf("state %x of %s = %q, %v, %v; want ErrDestroyed", r[0], id, state, ok, err)
	}
}

// files gives all files below a directory.
func files(t *testing.T, fs vfs.FS, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			for below, data := range files(t, fs, path) {
				all[fs.PathJoin(name, below)] = data
			}
			continue
		}
		f, err := fs.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	return all
}

func TestRotationKeepsWhatLives(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(200), "two hundred")
	mustPut(t, k, minutes, rid(3), "three")
	mustPut(t, k, minutes, rid(4), "four")
	mustPut(t, k, minutes, rid(255), "a state that is too long")
	mustPut(t, k, permits, rid(1), "another one")
	if err := k.Forget(minutes, rid(4)); err != nil {
		t.Fatal(err)
	}
	if n, err := k.Pending(minutes); n != 1 || err != nil {
		t.Errorf("%d states pending, %v; want 1", n, err)
	}
	before := k.ring(minutes)
	first := Erasures{Through: 12, Digest: [32]byte{1, 2, 3}}
	got := mustCarryOut(t, k, minutes, Plan{Erasures: first, Changes: []Change{{RID: rid(3)}, {rid(255), []byte("punctured")}}})
	if got.Files == 0 || got.Bytes == 0 {
		t.Errorf("%d files, %d bytes scanned", got.Files, got.Bytes)
	}
	want := Report{
		Ring: minutes, From: 1, To: 2, Erasures: first, Claim: record.ClaimFiles, Live: 3, Tombstones: 1, Ended: 3,
		Needles: 3*2 + uint64(len(needlesOf(before.meta.wrapped))), Files: got.Files, Bytes: got.Bytes,
	}
	if !slices.Equal(got.marshal(), want.marshal()) {
		t.Errorf("report %+v, want %+v", got, want)
	}
	check := func(epoch uint64, e Erasures) {
		t.Helper()
		wantState(t, k, minutes, rid(1), "one")
		wantState(t, k, minutes, rid(200), "two hundred")
		wantState(t, k, minutes, rid(255), "punctured")
		wantState(t, k, minutes, rid(4), "")
		wantDestroyed(t, k, minutes, rid(3))
		wantState(t, k, permits, rid(1), "another one")
		if err := k.Put(minutes, rid(3), []byte("back")); !errors.Is(err, ErrDestroyed) {
			t.Errorf("state for a destroyed record: %v, want ErrDestroyed", err)
		}
		if at, _ := k.Epoch(minutes); at != epoch {
			t.Errorf("epoch %d, want %d", at, epoch)
		}
		if applied, ok := k.Erasures(minutes); applied != e || !ok {
			t.Errorf("erasures %v, %v, want %v", applied, ok, e)
		}
		if n, err := k.Pending(minutes); n != 0 || err != nil {
			t.Errorf("%d states pending, %v; want none", n, err)
		}
		if r, ok, err := k.LastReport(minutes); err != nil || !ok || r.To != epoch || r.Erasures != e || r.Hits != 0 {
			t.Errorf("last report %+v, %v, %v", r, ok, err)
		}
	}
	check(2, first)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	check(2, first)
	if _, err := k.Rotate(minutes, Plan{Erasures: Erasures{Through: 11}}); !errors.Is(err, ErrErasures) {
		t.Errorf("rotation of earlier erasures: %v, want ErrErasures", err)
	}
	second := Erasures{Through: 13}
	mustRotate(t, k, minutes, second)
	mustPut(t, k, minutes, rid(9), "nine")
	check(3, second)
	for name := range files(t, fs, "rings") {
		if strings.Contains(name, minutes.directory(1)) || strings.Contains(name, minutes.directory(2)) || strings.HasSuffix(name, journalSuffix) {
			t.Errorf("%s is left", name)
		}
	}
	if _, err := k.Rotate(RingID{"CLERK", "NONE"}, Plan{}); !errors.Is(err, ErrAbsent) {
		t.Errorf("rotation of no ring: %v, want ErrAbsent", err)
	}
	if epoch, _ := k.Epoch(permits); epoch != 1 {
		t.Errorf("the other ring went to epoch %d", epoch)
	}
}

// TestRotationOfAWholeClass ends a ring in which nothing lives, and one in which
// nothing is.
func TestRotationOfAWholeClass(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	var all []RID
	for i := range byte(50) {
		mustPut(t, k, minutes, rid(i*5), "state")
		all = append(all, rid(i*5))
	}
	mustPut(t, k, permits, rid(1), "state")
	if err := k.Forget(permits, rid(1)); err != nil {
		t.Fatal(err)
	}
	if r := mustDestroy(t, k, minutes, all...); r.Live != 0 || r.Tombstones != 50 || r.Ended != 50 {
		t.Errorf("report %+v", r)
	}
	if r := mustRotate(t, k, permits, Erasures{}); r.Live != 0 || r.Tombstones != 0 || r.Ended != 1 {
		t.Errorf("report %+v", r)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	for i := range byte(50) {
		wantDestroyed(t, k, minutes, rid(i*5))
	}
	wantState(t, k, permits, rid(1), "")
}

// TestPlansThatAreRefused change nothing and leave nothing behind.
func TestPlansThatAreRefused(t *testing.T) {
	fs := vfs.NewMem()
	k := openTest(t, fs, testRoot(t))
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	mustDestroy(t, k, minutes, rid(2))
	for name, c := range map[string]struct {
		changes []Change
		want    error
	}{
		"absent":               {destroying(rid(1), rid(3)), ErrAbsent},
		"destroyed":            {destroying(rid(2)), ErrAbsent},
		"punctured, absent":    {[]Change{{rid(3), []byte("less")}}, ErrAbsent},
		"punctured to nothing": {[]Change{{rid(1), []byte{}}}, ErrRing},
		"punctured to a flood": {[]Change{{rid(1), make([]byte, MaxState+1)}}, ErrRing},
		"twice":                {append(destroying(rid(1)), Change{rid(1), []byte("less")}), ErrRing},
	} {
		looked := false
		r, err := k.Rotate(minutes, Plan{Changes: c.changes, LastLook: func() (Preserved, error) { looked = true; return Preserved{}, nil }})
		if !errors.Is(err, c.want) || r.To != 0 || looked {
			t.Errorf("%s: %+v, %v, looked %v; want %v", name, r, err, looked, c.want)
		}
	}
	wantState(t, k, minutes, rid(1), "one")
	if epoch, _ := k.Epoch(minutes); epoch != 2 || k.Unfinished(minutes) {
		t.Errorf("epoch %d, want 2", epoch)
	}
	for name := range files(t, fs, "rings") {
		if strings.Contains(name, minutes.directory(3)) || strings.HasSuffix(name, journalSuffix) {
			t.Errorf("%s is left of a plan that was refused", name)
		}
	}
}

// TestOldRingDoesNotOpen keeps a copy of the old epoch's directory: the new ring
// key opens nothing of it, and what the rotation looks for is in it.
func TestOldRingDoesNotOpen(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	old, err := k.ring(minutes).sealed(rid(2))
	if err != nil {
		t.Fatal(err)
	}
	wrapped := k.ring(minutes).meta.wrapped
	gone := [][]byte{old, wrapped}
	if found := left(t, fs, "rings", gone); len(found) == 0 {
		t.Error("the scan does not find what is there")
	}
	mustDestroy(t, k, minutes, rid(2))
	if found := left(t, fs, "rings", gone); len(found) != 0 {
		t.Errorf("left after the rotation: %v", found)
	}
	next := k.ring(minutes)
	if _, err := openSealed(next.aead, nil, old, append(placeOf(minutes, 1), make([]byte, 16)...)); !errors.Is(err, ErrDamaged) {
		t.Errorf("an old state under the new key: %v, want ErrDamaged", err)
	}
	if _, err := unwrapFor(root, next.meta.use(minutes), wrapped); !errors.Is(err, ErrRoot) {
		t.Errorf("the old ring key as the new one: %v, want ErrRoot", err)
	}
}

// TestScanFindsWhatIsPlanted puts the old bytes where somebody could have put
// them: the rotation does not end before they are gone.
func TestScanFindsWhatIsPlanted(t *testing.T) {
	for name, c := range map[string]struct {
		bytes func(sealed, wrapped []byte) []byte
		at    string
	}{
		"sealed state in a file beside": {func(sealed, _ []byte) []byte { return sealed }, "notes"},
		"punctured state":               {func(sealed, _ []byte) []byte { return sealed }, "notes"},
		"its end in another ring":       {func(sealed, _ []byte) []byte { return sealed[len(sealed)-12:] }, permits.directory(1) + "/x"},
		"the wrapped key, far in":       {func(_, wrapped []byte) []byte { return append(make([]byte, 3<<20+7), wrapped...) }, "big"},
		"across two buffers":            {func(sealed, _ []byte) []byte { return append(make([]byte, scanBuffer-6), sealed[len(sealed)-12:]...) }, "cut"},
	} {
		fs, root := vfs.NewMem(), testRoot(t)
		k := openTest(t, fs, root)
		mustPut(t, k, permits, rid(1), "another")
		mustPut(t, k, minutes, rid(1), "one")
		mustPut(t, k, minutes, rid(2), "two")
		sealed, err := k.ring(minutes).sealed(rid(2))
		if err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(fs, "rings", c.at, c.bytes(sealed, k.ring(minutes).meta.wrapped)); err != nil {
			t.Fatal(err)
		}
		wantHit := func(r Report) {
			t.Helper()
			if r.Hits == 0 || !slices.Equal(r.Remains, []string{c.at}) || r.From != 1 || r.Ended != 1 {
				t.Errorf("%s: report %+v", name, r)
			}
		}
		p := Plan{Changes: destroying(rid(2))}
		if strings.Contains(name, "punctured") {
			p.Changes[0].State = []byte("less")
		}
		for range 2 { // the second time the same rotation goes on
			r, err := k.Rotate(minutes, p)
			if !errors.Is(err, ErrRemains) || !strings.Contains(err.Error(), c.at) {
				t.Errorf("%s: %v, want ErrRemains", name, err)
			}
			wantHit(r)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		k = openTest(t, fs, root)
		wantState(t, k, minutes, rid(1), "one")
		r, ok, err := k.LastReport(minutes)
		if !ok || err != nil {
			t.Errorf("%s: no report: %v", name, err)
		}
		wantHit(r)
		if err := fs.Remove("rings/" + c.at); err != nil {
			t.Fatal(err)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		k = openTest(t, fs, root)
		if r, _, err := k.LastReport(minutes); err != nil || r.Hits != 0 || r.From != 1 {
			t.Errorf("%s: after the removal: %+v, %v", name, r, err)
		}
		if r := mustRotate(t, k, minutes, Erasures{}); r.From != 2 {
			t.Errorf("%s: the next rotation: %+v", name, r)
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNothingIsInTheClear looks for states and ring keys in every file at every
// stage of two rotations.
func TestNothingIsInTheClear(t *testing.T) {
	mem, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, mem, root)
	secrets := map[string][]byte{}
	for i := range byte(40) {
		secret := secretValue(uint64(i) + 7000)
		secrets[string(rune('a'+i))+" state"] = secret[:32]
		mustPut(t, k, minutes, rid(i), string(secret))
	}
	key := func(name string) {
		m := k.ring(minutes).meta
		key, err := unwrapFor(root, m.use(minutes), m.wrapped)
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = key[:]
	}
	check := func(stage string) {
		t.Helper()
		for file, data := range files(t, mem, "rings") {
			for name, secret := range secrets {
				if bytes.Contains(data, secret[:12]) || bytes.Contains(data, secret[len(secret)-12:]) {
					t.Errorf("%s: %s is in %s", stage, name, file)
				}
			}
		}
	}
	key("ring key 1")
	check("put")
	mustCarryOut(t, k, minutes, Plan{Changes: destroying(rid(0), rid(1), rid(2), rid(3)), LastLook: func() (Preserved, error) {
		check("last look")
		return Preserved{RIDs: []RID{rid(3)}}, nil
	}})
	key("ring key 2")
	check("rotated")
	mustRotate(t, k, minutes, Erasures{})
	key("ring key 3")
	check("rotated again")
}

// TestLargeStates carries states over several blocks and tables, and looks for
// pieces all along them.
func TestLargeStates(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	state := func(i byte) string { return strings.Repeat(string(secretValue(uint64(i))), 300<<10/60*8) }
	for i := range byte(20) {
		mustPut(t, k, minutes, rid(i), state(i))
	}
	r := mustDestroy(t, k, minutes, rid(0))
	if r.Live != 19 || r.Ended != 1 || r.Needles < 50 {
		t.Errorf("report %+v", r)
	}
	for i := byte(1); i < 20; i++ {
		if got, ok, err := k.State(minutes, rid(i)); string(got) != state(i) || !ok || err != nil {
			t.Errorf("state %d of %d bytes, %v, %v", i, len(got), ok, err)
		}
	}
}

// TestDamagedStateStopsARotation: it is not carried over in silence, and it can
// be destroyed.
func TestDamagedStateStopsARotation(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	r := k.ring(minutes)
	if err := r.db.Set(stateKey(rid(2)), bytes.Repeat([]byte{9}, 40), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(minutes, Plan{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "02010203") {
		t.Errorf("rotation of a damaged state: %v, want ErrDamaged and its name", err)
	}
	if epoch, _ := k.Epoch(minutes); epoch != 1 {
		t.Errorf("epoch %d, want 1", epoch)
	}
	for name := range files(t, fs, "rings") {
		if strings.Contains(name, minutes.directory(2)) || strings.HasSuffix(name, journalSuffix) {
			t.Errorf("%s is left of the rotation that was undone", name)
		}
	}
	mustPut(t, k, minutes, rid(3), "three")
	mustDestroy(t, k, minutes, rid(2))
	wantState(t, k, minutes, rid(1), "one")
	wantState(t, k, minutes, rid(3), "three")
	wantDestroyed(t, k, minutes, rid(2))
}

// TestRotationBesideAWriterThatHangs gives way to it, and goes on all the same.
func TestRotationBesideAWriterThatHangs(t *testing.T) {
	k := openTest(t, vfs.NewMem(), testRoot(t))
	for i := range 3 * paceStates {
		mustPut(t, k, minutes, RID{byte(i), byte(i >> 8)}, "state")
	}
	stuck, let := make(chan struct{}), make(chan struct{})
	go func() {
		_ = k.pace.write(func() error { close(stuck); <-let; return nil })
	}()
	<-stuck
	if r := mustRotate(t, k, minutes, Erasures{}); r.Live != 3*paceStates {
		t.Errorf("report %+v", r)
	}
	close(let)
}
