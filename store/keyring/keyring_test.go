package keyring

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/record"
)

var (
	minutes = RingID{"CLERK", "DEMO-MINUTES"}
	permits = RingID{"BUILDING", "DEMO-PERMITS"}
)

func rid(b byte) RID { return RID{b, 1, 2, 3} }

func testRoot(t *testing.T) Root {
	t.Helper()
	text, err := NewRootFile(rand.Reader, []byte("root passphrase"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	root, err := OpenRootFile([]byte("root passphrase"), text)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func openTest(t *testing.T, fs vfs.FS, root Root) *Keyring {
	t.Helper()
	k, err := Open("rings", root, Options{FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func mustPut(t *testing.T, k *Keyring, id RingID, r RID, state string) {
	t.Helper()
	if err := k.Put(id, r, []byte(state)); err != nil {
		t.Fatal(err)
	}
}

func wantState(t *testing.T, k *Keyring, id RingID, r RID, want string) {
	t.Helper()
	got, ok, err := k.State(id, r)
	if err != nil || string(got) != want || ok != (want != "") {
		t.Errorf("state %x of %s = %q, %v, %v; want %q", r[0], id, got, ok, err, want)
	}
}

func TestStatesOutliveTheProcess(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	mustPut(t, k, permits, rid(1), "another one")
	key, err := k.OfficeKey("CLERK")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	wantState(t, k, minutes, rid(1), "one")
	wantState(t, k, minutes, rid(2), "two")
	wantState(t, k, permits, rid(1), "another one")
	wantState(t, k, permits, rid(2), "")
	wantState(t, k, RingID{"CLERK", "NONE"}, rid(1), "")
	if got := fmt.Sprint(k.Rings()); got != "[BUILDING_DEMO-PERMITS CLERK_DEMO-MINUTES]" {
		t.Errorf("rings %s", got)
	}
	if epoch, ok := k.Epoch(minutes); epoch != 1 || !ok {
		t.Errorf("epoch %d, %v; want 1", epoch, ok)
	}
	if again, err := k.OfficeKey("CLERK"); err != nil || again != key || key == [32]byte{} {
		t.Errorf("office key changed: %v", err)
	}
	if other, err := k.OfficeKey("BUILDING"); err != nil || other == key {
		t.Errorf("two offices have one key: %v", err)
	}
}

func TestDestroyedIsNotAbsent(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	if err := k.Put(minutes, rid(2), []byte("again")); !errors.Is(err, ErrExists) {
		t.Errorf("second state: %v, want ErrExists", err)
	}
	mustDestroy(t, k, minutes, rid(1))
	for _, err := range []error{k.Forget(minutes, rid(2)), k.Forget(minutes, rid(3)), k.Forget(permits, rid(9))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		if state, ok, err := k.State(minutes, rid(1)); !errors.Is(err, ErrDestroyed) || ok || state != nil {
			t.Errorf("destroyed state: %q, %v, %v; want ErrDestroyed", state, ok, err)
		}
		if err := k.Put(minutes, rid(1), []byte("back")); !errors.Is(err, ErrDestroyed) {
			t.Errorf("state for a destroyed record: %v, want ErrDestroyed", err)
		}
		if err := k.Forget(minutes, rid(1)); !errors.Is(err, ErrDestroyed) {
			t.Errorf("forget a tombstone: %v, want ErrDestroyed", err)
		}
		wantState(t, k, minutes, rid(2), "")
	}
	check()
	mustRotate(t, k, minutes, Erasures{})
	check()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	check()
}

func TestOnePutWins(t *testing.T) {
	k := openTest(t, vfs.NewMem(), testRoot(t))
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = k.Put(minutes, rid(1), []byte{byte(i + 1)}) })
	}
	wg.Wait()
	state, ok, err := k.State(minutes, rid(1))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for i, err := range errs {
		if won := int(state[0]) == i+1; won != (err == nil) || !won && !errors.Is(err, ErrExists) {
			t.Errorf("put %d: %v; the state is of put %d", i, err, state[0]-1)
		}
	}
}

func TestRefusals(t *testing.T) {
	k := openTest(t, vfs.NewMem(), testRoot(t))
	for name, err := range map[string]error{
		"department in lower case": k.Put(RingID{"clerk", "A"}, rid(1), []byte("x")),
		"department of a path":     k.Put(RingID{"../A", "A"}, rid(1), []byte("x")),
		"no class":                 k.Put(RingID{"CLERK", ""}, rid(1), []byte("x")),
		"empty state":              k.Put(minutes, rid(1), nil),
	} {
		if !errors.Is(err, ErrRing) {
			t.Errorf("%s: %v, want ErrRing", name, err)
		}
	}
	if _, err := k.OfficeKey("a"); !errors.Is(err, ErrRing) {
		t.Errorf("key of no office: %v, want ErrRing", err)
	}
	if rings := k.Rings(); len(rings) != 0 {
		t.Errorf("refused requests made rings: %v", rings)
	}
}

func TestAnotherRootOpensNothing(t *testing.T) {
	fs := vfs.NewMem()
	k := openTest(t, fs, testRoot(t))
	mustPut(t, k, minutes, rid(1), "one")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("rings", testRoot(t), Options{FS: fs}); !errors.Is(err, ErrRoot) {
		t.Errorf("open under another root: %v, want ErrRoot", err)
	}
}

// TestStateIsBoundToItsPlace moves a sealed state to another record and to
// another ring, and flips each of its bytes: it opens nowhere but at home.
func TestStateIsBoundToItsPlace(t *testing.T) {
	k := openTest(t, vfs.NewMem(), testRoot(t))
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, permits, rid(7), "seven")
	home, abroad := k.ring(minutes), k.ring(permits)
	value, closer, err := home.db.Get(stateKey(rid(1)))
	if err != nil {
		t.Fatal(err)
	}
	sealed := bytes.Clone(value)
	closer.Close()
	if bytes.Contains(sealed, []byte("one")) {
		t.Error("the state is stored in the clear")
	}
	place := func(r *ring, at RID, value []byte) error {
		if err := r.db.Set(stateKey(at), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		_, _, err := r.get(at)
		return err
	}
	if err := place(home, rid(1), sealed); err != nil {
		t.Errorf("at home: %v", err)
	}
	if err := place(home, rid(2), sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("at another record: %v, want ErrDamaged", err)
	}
	if err := place(abroad, rid(1), sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another ring: %v, want ErrDamaged", err)
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		if err := place(home, rid(1), flipped); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d flipped: %v, want ErrDamaged", i, err)
		}
	}
	other := &ring{id: home.id, place: placeOf(home.id, home.meta.epoch+1), db: home.db, aead: home.aead}
	if err := place(other, rid(1), sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another epoch: %v, want ErrDamaged", err)
	}
}

func TestLostOrDamagedFilesAreRefused(t *testing.T) {
	write := func(fs vfs.FS, name, text string) {
		if err := replaceFile(fs, "rings", name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		damage func(fs vfs.FS) error
		want   error
	}{
		"marker lost":         {func(fs vfs.FS) error { return fs.Remove("rings/" + minutes.marker()) }, ErrMarker},
		"directory lost":      {func(fs vfs.FS) error { return fs.RemoveAll("rings/" + minutes.directory(1)) }, ErrMarker},
		"marker of epoch 2":   {func(fs vfs.FS) error { write(fs, minutes.marker(), string(markerText(2))); return nil }, ErrMarker},
		"marker empty":        {func(fs vfs.FS) error { write(fs, minutes.marker(), ""); return nil }, ErrMarker},
		"directory of old":    {func(fs vfs.FS) error { return fs.MkdirAll("rings/"+minutes.directory(2), 0o700) }, ErrMarker},
		"rotation unfinished": {func(fs vfs.FS) error { write(fs, "ring-CLERK_DEMO-MINUTES.journal", "x"); return nil }, ErrJournal},
	} {
		fs, root := vfs.NewMem(), testRoot(t)
		k := openTest(t, fs, root)
		mustPut(t, k, minutes, rid(1), "one")
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.damage(fs); err != nil {
			t.Fatal(err)
		}
		if _, err := Open("rings", root, Options{FS: fs}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// TestEveryCrashOfTheFirstPut takes a crash clone of the disk, synced bytes only,
// before each operation that changes it, from an empty directory to the first
// state and key. Each clone opens, holds the state if Put had returned, and takes
// another.
func TestEveryCrashOfTheFirstPut(t *testing.T) {
	mem, root := vfs.NewCrashableMem(), testRoot(t)
	var clones []*vfs.MemFS
	var names []string
	var mu sync.Mutex
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{}))
			names = append(names, fmt.Sprintf("%v %s", op.Kind, op.Path))
		}
		return nil
	})
	k, err := Open("rings", root, Options{FS: errorfs.Wrap(mem, injector)})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, k, minutes, rid(1), "one")
	mu.Lock()
	acknowledged := len(clones)
	mu.Unlock()
	if _, err := k.OfficeKey("CLERK"); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	absent, present := 0, 0
	for i, clone := range clones {
		k, err := Open("rings", root, Options{FS: clone})
		if err != nil {
			t.Errorf("crash before %s: %v", names[i], err)
			continue
		}
		state, ok, err := k.State(minutes, rid(1))
		if err != nil || ok && string(state) != "one" || !ok && i >= acknowledged {
			t.Errorf("crash before %s: state %q, %v, %v", names[i], state, ok, err)
		}
		if present++; !ok {
			absent++
			present--
		}
		if err := k.Put(minutes, rid(2), []byte("two")); err != nil {
			t.Errorf("crash before %s: %v", names[i], err)
		}
		if _, err := k.OfficeKey("CLERK"); err != nil {
			t.Errorf("crash before %s: %v", names[i], err)
		}
		k.Close()
	}
	if absent == 0 || present == 0 {
		t.Errorf("%d crashes lost the state and %d kept it: the test reached only one side", absent, present)
	}
	for _, point := range []string{minutes.marker() + newSuffix, minutes.directory(1), "office-CLERK.key"} {
		if !strings.Contains(strings.Join(names, "\n"), point) {
			t.Errorf("no crash at %s", point)
		}
	}
}

// TestFailedSyncIsFatal lets each sync of a ring fail: Put never returns well.
func TestFailedSyncIsFatal(t *testing.T) {
	mem, broken := vfs.NewMem(), false
	var mu sync.Mutex
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if broken && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
			return errors.New("input/output error")
		}
		return nil
	})
	told := make(chan error, 16)
	k, err := Open("rings", testRoot(t), Options{FS: errorfs.Wrap(mem, injector), Fatal: func(err error) {
		told <- err
		select {} // a process that ends does not go on
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, k, minutes, rid(1), "one")
	mu.Lock()
	broken = true
	mu.Unlock()
	returned := make(chan error, 1)
	go func() { returned <- k.Put(minutes, rid(2), []byte("two")) }()
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("fatal: %v", err)
		}
	case err := <-returned:
		t.Errorf("Put returned %v after a failed sync", err)
	}
}

func FuzzParseMarker(f *testing.F) {
	f.Add(markerText(1))
	f.Add([]byte("muniment ring epoch v1\n01\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		epoch, err := parseMarker(text)
		if err == nil && !bytes.Equal(markerText(epoch), text) || err != nil && epoch != 0 {
			t.Errorf("%q: %d, %v", text, epoch, err)
		}
	})
}

func FuzzParseMeta(f *testing.F) {
	aead, err := newCipher([32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(meta{epoch: 1, wrapped: []byte("wrapped")}.marshal(aead, minutes))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseMeta(raw)
		if again := slices.Concat(m.head(), m.seal[:], m.wrapped); err == nil && !bytes.Equal(again, raw) {
			t.Errorf("%x: %v", raw, m)
		}
		if err == nil && m.check(aead, permits) == nil {
			t.Errorf("%x: sealed for another ring", raw)
		}
	})
}

func TestNamesOfRings(t *testing.T) {
	for _, name := range []string{"ring-A_B-0x1", "ring-A_B-01", "ring-a_B-1", "ring-A-1", "ring-A_B", "A_B-1", "ring-A_B-", "ring-A_B-+1"} {
		if id, epoch, ok := parseDirectory(name); ok {
			t.Errorf("%s read as epoch %d of %s", name, epoch, id)
		}
	}
	for _, id := range []RingID{minutes, {"A-1", "B.2-3"}, {"A", record.Code("9-Z")}} {
		if got, epoch, ok := parseDirectory(id.directory(12)); !ok || got != id || epoch != 12 {
			t.Errorf("%s read as epoch %d of %s, %v", id.directory(12), epoch, got, ok)
		}
		if got, ok := ringOf(id.marker(), markerSuffix); !ok || got != id {
			t.Errorf("%s read as %s, %v", id.marker(), got, ok)
		}
	}
}

// TestFIPSOnly runs the round trip in a process that refuses everything that
// FIPS 140-3 does not approve.
func TestFIPSOnly(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^(TestStatesOutliveTheProcess|TestRotationKeepsWhatLives|TestBackupAndRestore)$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS: ") != 3 {
		t.Errorf("%v: %s", err, out)
	}
}
