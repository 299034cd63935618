package keyring

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/record"
)

// backedUp is a keyring of two rings in which there is something of everything, and
// a backup of it.
func backedUp(t testing.TB, disk vfs.FS, root Root) (k *Keyring, backup []byte) {
	t.Helper()
	k, err := Open("rings", root, Options{FS: disk, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	put := func(id RingID, r RID, state string) {
		if err := k.Put(id, r, []byte(state)); err != nil {
			t.Fatal(err)
		}
	}
	put(minutes, rid(1), "one")
	put(minutes, rid(2), "two")
	put(minutes, rid(3), "three")
	put(permits, rid(1), "another one")
	_, err = k.Rotate(minutes, Plan{
		Changes: []Change{{RID: rid(1)}, {RID: rid(2)}},
		LastLook: func() (Preserved, error) {
			return Preserved{[]RID{rid(2)}, Erasures{Through: 4, Digest: [32]byte{4}}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	put(minutes, rid(4), "four")
	if err := k.Forget(minutes, rid(3)); err != nil {
		t.Fatal(err)
	}
	if _, err := k.OfficeKey("CLERK"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.OfficeKey("CLERK-2"); err != nil { // sorts before CLERK.key among files
		t.Fatal(err)
	}
	var b bytes.Buffer
	if states, err := k.Backup(&b); states != 4 || err != nil {
		t.Fatalf("backup of %d states, %v; want 4", states, err)
	}
	return k, b.Bytes()
}

// wantBackedUp demands all of backedUp.
func wantBackedUp(t *testing.T, name string, k, of *Keyring) {
	t.Helper()
	for id, wants := range map[RingID]map[RID]want{
		minutes: {rid(1): {destroyed: true}, rid(2): {state: "two"}, rid(3): {}, rid(4): {state: "four"}},
		permits: {rid(1): {state: "another one"}},
	} {
		for r, w := range wants {
			if got, err := k.answer(id, r); got != w || err != nil {
				t.Errorf("%s: record %x of %s answers %+v, %v; want %+v", name, r[0], id, got, err, w)
			}
		}
		pending, err := k.Pending(id)
		pendingOf, errOf := of.Pending(id)
		erasures, _ := k.Erasures(id)
		erasuresOf, _ := of.Erasures(id)
		epoch, _ := k.Epoch(id)
		epochOf, _ := of.Epoch(id)
		if err := errors.Join(err, errOf); err != nil || pending != pendingOf || erasures != erasuresOf || epoch != epochOf {
			t.Errorf("%s: ring %s: %d pending, %v, epoch %d, %v; want %d, %v, %d", name, id, pending, erasures, epoch, err, pendingOf, erasuresOf, epochOf)
		}
	}
	key, err := k.OfficeKey("CLERK")
	keyOf, errOf := of.OfficeKey("CLERK")
	if err := errors.Join(err, errOf); err != nil || key != keyOf {
		t.Errorf("%s: the office has another key, %v", name, err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	root := testRoot(t)
	k, backup := backedUp(t, vfs.NewMem(), root)
	for _, secret := range []string{"one", "two", "three", "four", "another"} {
		if bytes.Contains(backup, []byte(secret)) {
			t.Errorf("%q is in the backup in the clear", secret)
		}
	}
	disk := vfs.NewMem()
	for range 2 { // into a fresh place, and beside what a crash has left
		if states, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: disk}); states != 4 || err != nil {
			t.Fatalf("%d states, %v", states, err)
		}
		if _, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: disk}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("restored over a keyring: %v", err)
		}
		restored := openTest(t, disk, root)
		wantBackedUp(t, "restored", restored, k)
		var again bytes.Buffer
		if states, err := restored.Backup(&again); states != 4 || err != nil || !bytes.Equal(again.Bytes(), backup) {
			t.Errorf("backup of what was restored: %d states, %v, the same: %v", states, err, bytes.Equal(again.Bytes(), backup))
		}
		mustPut(t, restored, minutes, rid(9), "nine")
		if r := mustCarryOut(t, restored, minutes, Plan{Erasures{Through: 5}, destroying(rid(9)), nil}); r.From != 2 || r.Ended != 2 || r.Live != 2 || r.Tombstones != 2 {
			t.Errorf("rotation of what was restored: %+v", r)
		}
		if err := restored.Close(); err != nil {
			t.Fatal(err)
		}
		disk = vfs.NewMem()
		if err := disk.MkdirAll("rings"+restoreSuffix+"/ring-X", 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupOfNothing has no ring and no office.
func TestBackupOfNothing(t *testing.T) {
	root, disk := testRoot(t), vfs.NewMem()
	var b bytes.Buffer
	if states, err := openTest(t, vfs.NewMem(), root).Backup(&b); states != 0 || err != nil {
		t.Fatal(states, err)
	}
	if states, err := Restore("rings", root, &b, Options{FS: disk}); states != 0 || err != nil {
		t.Fatal(states, err)
	}
	if rings := openTest(t, disk, root).Rings(); len(rings) != 0 {
		t.Errorf("rings %v", rings)
	}
}

// sealBackup gives a body the hash that ends a backup.
func sealBackup(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

// wantNoRestore demands that a backup is refused and that nothing is left of it.
func wantNoRestore(t *testing.T, name string, root Root, backup []byte, wants ...error) {
	t.Helper()
	disk := vfs.NewMem()
	states, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: disk})
	isWanted := false
	for _, want := range wants {
		isWanted = isWanted || errors.Is(err, want)
	}
	if !isWanted || states != 0 {
		t.Errorf("%s: %d states, %v; want one of %v", name, states, err, wants)
	}
	if names, err := disk.List(""); err != nil || len(names) != 0 {
		t.Errorf("%s: left %v, %v", name, names, err)
	}
}

// TestEveryByteOfABackup flips each byte, and cuts the backup everywhere.
func TestEveryByteOfABackup(t *testing.T) {
	root := testRoot(t)
	_, backup := backedUp(t, vfs.NewMem(), root)
	for i := range backup {
		flipped := bytes.Clone(backup)
		flipped[i] ^= 1 << (i % 8)
		wantNoRestore(t, fmt.Sprintf("byte %d flipped", i), root, flipped, ErrBackup, ErrRoot, ErrDamaged)
		if i%4 == 0 {
			wantNoRestore(t, fmt.Sprintf("cut at %d", i), root, backup[:i], ErrBackup)
		}
	}
	wantNoRestore(t, "a byte too many", root, append(bytes.Clone(backup), 0), ErrBackup)
	wantNoRestore(t, "twice", root, append(bytes.Clone(backup), backup...), ErrBackup)
	wantNoRestore(t, "of another root", testRoot(t), backup, ErrRoot)
}

// TestWrongBackups are whole, hash included, and say what cannot be.
func TestWrongBackups(t *testing.T) {
	root := testRoot(t)
	_, backup := backedUp(t, vfs.NewMem(), root)
	items := parseItems(t, backup)
	join := func(order ...int) []byte {
		body := []byte(backupHead)
		for _, i := range order {
			body = append(body, items[i]...)
		}
		return sealBackup(append(body, itemEnd))
	}
	// 0, 1: offices. 2: permits, 3: its state. 4: minutes, 5: needles, 6: mark, 7 to 9: states.
	if len(items) != 10 || !bytes.Equal(join(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), backup) {
		t.Fatalf("%d items", len(items))
	}
	for name, order := range map[string][]int{
		"offices not in order":       {1, 0},
		"an office twice":            {0, 0},
		"an office after a ring":     {2, 0},
		"rings not in order":         {4, 2},
		"a ring twice":               {2, 2},
		"an entry of no ring":        {3, 2},
		"a state in another ring":    {2, 7},
		"entries not in order":       {4, 8, 7},
		"an entry twice":             {4, 5, 5},
		"a mark before the needles":  {4, 6, 5},
		"a state of another's place": {4, 3},
	} {
		wantNoRestore(t, name, root, join(order...), ErrBackup, ErrDamaged)
	}
	entry := func(key, value string) []byte {
		var b bytes.Buffer
		w := backupWriter{to: &b, sum: sha256.New()}
		w.item(itemEntry, 1, []byte(key), 4, []byte(value))
		return b.Bytes()
	}
	name := strings.Repeat("x", 16)
	for what, item := range map[string][]byte{
		"needles of an odd size":  entry("n"+name, "1234567"),
		"no needles":              entry("n"+name, ""),
		"too many needles":        entry("n"+name, strings.Repeat("12345678901234567890", maxPieces+3)),
		"a mark of two bytes":     entry("p"+name, "\x01\x01"),
		"a mark of no kind":       entry("p"+name, "\x03"),
		"META as an entry":        entry("m", "1"),
		"an unknown key":          entry("o"+name, "1"),
		"a key that is too long":  entry("n"+name+"y", "12345678901234567890"),
		"a value beyond the most": {itemEntry, 1, 'n', 0xff, 0xff, 0xff, 0xff},
		"an item of no kind":      {9},
	} {
		body := append([]byte(backupHead), items[4]...)
		wantNoRestore(t, what, root, sealBackup(append(append(body, item...), itemEnd)), ErrBackup, ErrDamaged)
	}
	// What is left out is not missed: the hash of the whole must tell.
	if _, err := Restore("rings", root, bytes.NewReader(join(0, 2, 3)), Options{FS: vfs.NewMem()}); err != nil {
		t.Errorf("a smaller backup: %v", err)
	}
}

// parseItems cuts a backup into items, without its head and end.
func parseItems(t *testing.T, backup []byte) (items [][]byte) {
	t.Helper()
	rest := backup[len(backupHead):]
	for rest[0] != itemEnd {
		at := 2 + int(rest[1])
		size := int(rest[at])<<8 | int(rest[at+1])
		at += 2
		if rest[0] == itemEntry {
			size = size<<16 | int(rest[at])<<8 | int(rest[at+1])
			at += 2
		}
		items, rest = append(items, rest[:at+size]), rest[at+size:]
	}
	return items
}

// TestBackupThatWouldBeOfNoUse is not made.
func TestBackupThatWouldBeOfNoUse(t *testing.T) {
	k, _ := backedUp(t, vfs.NewMem(), testRoot(t))
	if states, err := k.Backup(&fullWriter{room: 100}); !errors.Is(err, errFull) || states != 0 {
		t.Errorf("backup to where there is no room: %d, %v", states, err)
	}
	if _, err := k.Rotate(permits, Plan{LastLook: func() (Preserved, error) { return Preserved{}, errAway }}); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	if _, err := k.Backup(io.Discard); !errors.Is(err, ErrUnfinished) {
		t.Errorf("backup of an unfinished rotation: %v, want ErrUnfinished", err)
	}
	if _, err := k.Resume(permits, nil); err != nil {
		t.Fatal(err)
	}
	if err := k.ring(permits).db.Set(stateKey(rid(1)), bytes.Repeat([]byte{9}, 40), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Backup(io.Discard); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "01010203") {
		t.Errorf("backup of a damaged state: %v, want ErrDamaged and its name", err)
	}
}

var errFull = errors.New("no space left on device")

type fullWriter struct{ room int }

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestOlderBackupWithADevice does not open once its epoch has ended; one of the
// current epoch does.
func TestOlderBackupWithADevice(t *testing.T) {
	root := &device{}
	k, older := backedUp(t, vfs.NewMem(), root)
	if _, err := Restore("rings", root, bytes.NewReader(older), Options{FS: vfs.NewMem()}); err != nil {
		t.Fatalf("before the rotation: %v", err)
	}
	mustCarryOut(t, k, minutes, Plan{Erasures{Through: 5}, destroying(rid(2)), nil})
	wantNoRestore(t, "after the rotation", root, older, ErrRoot)
	var newer bytes.Buffer
	if _, err := k.Backup(&newer); err != nil {
		t.Fatal(err)
	}
	disk := vfs.NewMem()
	if _, err := Restore("rings", root, &newer, Options{FS: disk}); err != nil {
		t.Fatal(err)
	}
	restored := openTest(t, disk, root)
	wantDestroyed(t, restored, minutes, rid(2))
	wantState(t, restored, minutes, rid(4), "four")
}

// TestEveryCrashOfARestore crashes before each operation that changes the disk: the
// keyring is there whole or not at all, and a restore after the crash is well.
func TestEveryCrashOfARestore(t *testing.T) {
	root := testRoot(t)
	k, backup := backedUp(t, vfs.NewMem(), root)
	for _, unsynced := range []int{0, 50, 100} {
		c := newCamera(vfs.NewCrashableMem(), unsynced)
		c.turn(true)
		if _, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: c.fs()}); err != nil {
			t.Fatal(err)
		}
		c.turn(false)
		c.mu.Lock()
		c.take("after the restore")
		c.mu.Unlock()
		absent, present := 0, 0
		for i, crash := range c.crashes {
			if _, err := crash.fs.Stat("rings"); isNotExist(err) {
				absent++
				if _, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: crash.fs}); err != nil {
					t.Errorf("%s: restored again: %v", crash.name, err)
					continue
				}
			} else if present++; err != nil {
				t.Fatal(err)
			}
			restored, err := Open("rings", root, Options{FS: crash.fs})
			if err != nil {
				t.Errorf("%s: %v", crash.name, err)
				continue
			}
			wantBackedUp(t, crash.name, restored, k)
			if err := restored.Close(); err != nil {
				t.Error(err)
			}
			if names, err := crash.fs.List(""); err != nil || len(names) != 1 {
				t.Errorf("%s: %v, %v", crash.name, names, err)
			}
			if i == len(c.crashes)-1 && present == 0 {
				t.Error("the restore had returned and is undone")
			}
		}
		if absent < 20 || present == 0 {
			t.Errorf("%d %% unsynced: %d crashes left nothing, %d all", unsynced, absent, present)
		}
	}
}

// TestRestoreThatFails lets one operation fail at each stage that is not Pebble's:
// nothing is left, and the next restore is well.
func TestRestoreThatFails(t *testing.T) {
	root := testRoot(t)
	k, backup := backedUp(t, vfs.NewMem(), root)
	for name, c := range map[string]struct {
		kind errorfs.OpKind
		path string
	}{
		"directory":        {errorfs.OpMkdirAll, "rings" + restoreSuffix},
		"office":           {errorfs.OpCreate, "office-CLERK.key" + newSuffix},
		"ring":             {errorfs.OpMkdirAll, minutes.directory(2)},
		"table, begun":     {errorfs.OpCreate, "restored-0"},
		"table, written":   {errorfs.OpFileWrite, "restored-0"},
		"table, synced":    {errorfs.OpFileSyncData, "restored-0"},
		"marker":           {errorfs.OpRename, minutes.marker() + newSuffix},
		"the whole":        {errorfs.OpRename, "rings" + restoreSuffix},
		"the whole's sync": {errorfs.OpOpenDir, "rings" + restoreSuffix},
	} {
		mem, failures := vfs.NewMem(), 0
		var mu sync.Mutex
		disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind == c.kind && strings.HasSuffix(op.Path, c.path) {
				failures++
				return errFull
			}
			return nil
		}))
		states, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: disk})
		if !errors.Is(err, errFull) || states != 0 || failures == 0 {
			t.Errorf("%s: %d states, %v, %d failures", name, states, err, failures)
		}
		if names, err := mem.List(""); err != nil || len(names) != 0 {
			t.Errorf("%s: left %v, %v", name, names, err)
		}
		if _, err := Restore("rings", root, bytes.NewReader(backup), Options{FS: mem}); err != nil {
			t.Fatalf("%s: then %v", name, err)
		}
		wantBackedUp(t, name, openTest(t, mem, root), k)
	}
}

// TestBackupBesideWritersAndRotations is taken again and again while others put,
// destroy and rotate: each is whole, with all that was there before it began.
func TestBackupBesideWritersAndRotations(t *testing.T) {
	root := testRoot(t)
	k := openTest(t, vfs.NewMem(), root)
	mustPut(t, k, minutes, rid(0), "zero")
	wants := map[RID]want{rid(0): {state: "zero"}}
	stop := make(chan struct{})
	done := make(chan error)
	go func() {
		for i := byte(0); ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			r := RID{i, 200, i}
			err := k.Put(minutes, r, []byte("passing"))
			if err == nil {
				_, err = k.Rotate(minutes, Plan{Changes: destroying(r)})
			}
			if err != nil && !errors.Is(err, ErrDestroyed) {
				done <- err
				return
			}
		}
	}()
	for i := byte(1); i < 20; i++ {
		mustPut(t, k, minutes, rid(i), "state")
		wants[rid(i)] = want{state: "state"}
		var b bytes.Buffer
		if _, err := k.Backup(&b); err != nil {
			t.Fatal(err)
		}
		disk := vfs.NewMem()
		if _, err := Restore("rings", root, &b, Options{FS: disk}); err != nil {
			t.Fatal(err)
		}
		restored := openTest(t, disk, root)
		for r, w := range maps.Clone(wants) {
			if got, err := restored.answer(minutes, r); got != w || err != nil {
				t.Errorf("backup %d: record %x answers %+v, %v; want %+v", i, r[0], got, err, w)
			}
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// FuzzBackup gives any bytes a hash that fits: what reads as a backup is written as
// the same bytes again.
func FuzzBackup(f *testing.F) {
	root := fileRoot{[32]byte{1}}
	k, backup := backedUp(f, vfs.NewMem(), root)
	if err := k.Close(); err != nil { // what a store does by the way is no coverage
		f.Fatal(err)
	}
	f.Add(backup[:len(backup)-sha256.Size-1])
	f.Add([]byte(backupHead))
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func(raw []byte) ([]byte, uint64, error) {
			var again bytes.Buffer
			w := backupWriter{to: &again, sum: sha256.New()}
			w.write([]byte(backupHead))
			b := backupReader{
				root: root,
				office: func(office record.Code, wrapped []byte) error {
					w.item(itemOffice, 1, []byte(office), 2, wrapped)
					return nil
				},
				ring:  func(r *ring, meta []byte) error { w.item(itemRing, 1, []byte(r.id.String()), 2, meta); return nil },
				entry: func(key, value []byte) error { w.item(itemEntry, 1, key, 4, value); return nil },
				end:   func() error { return nil },
			}
			err := b.read(bytes.NewReader(raw))
			w.write([]byte{itemEnd})
			w.write(w.sum.Sum(nil))
			return again.Bytes(), b.states, err
		}
		if _, _, err := read(body); err == nil && sha256.Sum256(body[:max(len(body)-sha256.Size, 0)]) != [32]byte(body[max(len(body)-sha256.Size, 0):]) {
			t.Errorf("%x: read without its hash", body)
		}
		sealed := sealBackup(append(bytes.Clone(body), itemEnd))
		if again, _, err := read(sealed); err == nil && !bytes.Equal(again, sealed) {
			t.Errorf("%x: written again as %x", sealed, again)
		}
	})
}
