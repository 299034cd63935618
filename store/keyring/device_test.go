package keyring

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/record"
)

// device is a root that makes a key for each wrapping, keeps it inside, and can
// destroy it. It survives crashes of the disk.
type device struct {
	mu   sync.Mutex
	last uint32
	keys map[uint32]fileRoot
	away bool // answers nothing
	mute bool // destroys nothing
}

var errAway = errors.New("device is away")

func (d *device) Wrap(key []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, errAway
	}
	d.last++
	var inside fileRoot
	rand.Read(inside.key[:])
	if d.keys == nil {
		d.keys = map[uint32]fileRoot{}
	}
	d.keys[d.last] = inside
	wrapped, err := inside.Wrap(key)
	return append(binary.BigEndian.AppendUint32([]byte("device key "), d.last), wrapped...), err
}

const deviceHead = len("device key ") + 4

func (d *device) Unwrap(wrapped []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, errAway
	}
	inside, ok := d.keys[binary.BigEndian.Uint32(wrapped[deviceHead-4:])]
	if !ok {
		return nil, ErrRoot
	}
	return inside.Unwrap(wrapped[deviceHead:])
}

func (d *device) Device() string { return "PKCS#11" }

// Destroy is repeated after a crash: a key that is gone is no error.
func (d *device) Destroy(wrapped []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away || d.mute {
		return errAway
	}
	delete(d.keys, binary.BigEndian.Uint32(wrapped[deviceHead-4:]))
	return nil
}

func (d *device) clone() *device {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &device{last: d.last, keys: maps.Clone(d.keys)}
}

func (d *device) set(away, mute bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away, d.mute = away, mute
}

// TestDeviceDestroysTheKey keeps the whole disk from before a rotation: it opens
// with the device as it was, and never again after.
func TestDeviceDestroysTheKey(t *testing.T) {
	mem, root := vfs.NewCrashableMem(), &device{}
	k := openTest(t, mem, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	wantState(t, openTest(t, mem.CrashClone(vfs.CrashCloneCfg{}), root.clone()), minutes, rid(2), "two")
	if k.Claim() != record.ClaimKey || k.Device() != "PKCS#11" {
		t.Errorf("claim %v by %s, want C3 by PKCS#11", k.Claim(), k.Device())
	}
	if r := mustDestroy(t, k, minutes, rid(2)); r.Claim != record.ClaimKey || len(root.keys) != 1 {
		t.Errorf("claim %v, %d keys in the device; want C3 and one key", r.Claim, len(root.keys))
	}
	if _, err := Open("rings", root, Options{FS: before}); !errors.Is(err, ErrRoot) {
		t.Errorf("a disk from before the rotation: %v, want ErrRoot", err)
	}
	wantState(t, k, minutes, rid(1), "one")
}

// TestDeviceThatIsAway stops a rotation before or after the switch: nothing is
// lost, and what has begun goes on when the device is back.
func TestDeviceThatIsAway(t *testing.T) {
	fs, root := vfs.NewMem(), &device{}
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	root.set(true, false)
	if _, err := k.Rotate(minutes, Plan{}); !errors.Is(err, errAway) {
		t.Errorf("rotation without the device: %v", err)
	}
	root.set(false, false)
	mustPut(t, k, minutes, rid(2), "two")
	if epoch, _ := k.Epoch(minutes); epoch != 1 {
		t.Errorf("epoch %d, want 1", epoch)
	}
	if r := mustRotate(t, k, minutes, Erasures{}); r.From != 1 || r.Live != 2 || len(root.keys) != 1 {
		t.Errorf("report %+v, %d keys", r, len(root.keys))
	}
	root.set(false, true)
	looks := 0
	look := func() (Preserved, error) { looks++; return Preserved{}, nil }
	if r, err := k.Rotate(minutes, Plan{LastLook: look}); !errors.Is(err, errAway) || r.To != 0 || !k.Unfinished(minutes) {
		t.Errorf("rotation of a key that is not destroyed: %+v, %v", r, err)
	}
	if _, err := k.Rotate(minutes, Plan{}); !errors.Is(err, ErrUnfinished) {
		t.Errorf("another rotation: %v, want ErrUnfinished", err)
	}
	if r, err := k.Resume(minutes, look); !errors.Is(err, errAway) || r.To != 0 || looks != 2 {
		t.Errorf("resumed: %+v, %v, %d looks", r, err, looks)
	}
	wantState(t, k, minutes, rid(2), "two")
	if names, err := fs.List("rings/" + minutes.directory(2)); err != nil || len(names) == 0 {
		t.Errorf("the old epoch went before its key: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	root.set(true, false)
	if _, err := Open("rings", root, Options{FS: fs}); !errors.Is(err, errAway) {
		t.Errorf("open without the device: %v", err)
	}
	root.set(false, false)
	k = openTest(t, fs, root)
	if _, ok, err := k.LastReport(minutes); !ok || err != nil || !k.Unfinished(minutes) || len(root.keys) != 2 {
		t.Errorf("opened: %v, %v, unfinished %v, %d keys", ok, err, k.Unfinished(minutes), len(root.keys))
	}
	if r, err := k.Resume(minutes, look); r.From != 2 || err != nil || len(root.keys) != 1 || looks != 3 || k.Unfinished(minutes) {
		t.Errorf("report %+v, %v, %d keys, %d looks", r, err, len(root.keys), looks)
	}
	wantState(t, k, minutes, rid(1), "one")
}

// TestNewRingWithoutTheDevice: a department's first record has to wait, and the
// process goes on.
func TestNewRingWithoutTheDevice(t *testing.T) {
	fs, root := vfs.NewMem(), &device{}
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	root.set(true, false)
	if err := k.Put(permits, rid(1), []byte("one")); !errors.Is(err, errAway) {
		t.Errorf("first state of a ring without the device: %v", err)
	}
	if _, err := k.OfficeKey("CLERK"); !errors.Is(err, errAway) {
		t.Errorf("first key of an office without the device: %v", err)
	}
	wantState(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	root.set(false, false)
	mustPut(t, k, permits, rid(1), "one")
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	wantState(t, openTest(t, fs, root), permits, rid(1), "one")
}

// TestUndoneRotationLeavesNoKey fails once the next epoch is whole: the key that
// was made for it goes with it.
func TestUndoneRotationLeavesNoKey(t *testing.T) {
	mem, root := vfs.NewMem(), &device{}
	full := errors.New("no space left on device")
	journals := 0
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, minutes.journal()+newSuffix) {
			if journals++; journals == 2 { // phase 2
				return full
			}
		}
		return nil
	}))
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	if _, err := k.Rotate(minutes, Plan{}); !errors.Is(err, full) {
		t.Errorf("rotation: %v, want the error of the disk", err)
	}
	if root.last != 2 || len(root.keys) != 1 {
		t.Errorf("%d keys were made and %d are left; want 2 and 1", root.last, len(root.keys))
	}
	wantState(t, k, minutes, rid(1), "one")
}

// TestEveryCrashWithADevice crashes a rotation everywhere, the device with it: one
// key of the device opens the ring in the end. The old one is there until the last
// look is over, and gone when the rotation is finished. Once it is gone nobody has
// to look again.
func TestEveryCrashWithADevice(t *testing.T) {
	mem, root := vfs.NewCrashableMem(), &device{}
	s := newScene(t, mem, root)
	c := newCamera(mem, 0)
	c.beside = func() any { return root.clone() }
	k, err := Open("rings", root, Options{FS: c.fs()})
	if err != nil {
		t.Fatal(err)
	}
	old := k.ring(minutes).meta
	c.turn(true)
	mustCarryOut(t, k, minutes, s.plan)
	c.turn(false)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	var seen outcomes
	orphans, between := 0, 0
	for _, crash := range c.crashes {
		then := crash.beside.(*device)
		s.root = then
		_, err := then.Unwrap(old.wrapped)
		gone := err != nil
		raw, err := readFile(crash.fs, "rings", minutes.journal(), maxJournal)
		if j, parseErr := parseJournal(minutes, raw); err == nil && parseErr == nil && gone && j.phase == copied {
			between++
		}
		epoch, unfinished := s.check(t, crash.name, crash.fs, nil, nil)
		seen.add(epoch, unfinished)
		if gone && (epoch == 1 || unfinished) {
			t.Errorf("%s: epoch %d, unfinished %v, and the old key is gone", crash.name, epoch, unfinished)
		}
		if _, err := then.Unwrap(old.wrapped); (err == nil) != (epoch == 1) {
			t.Errorf("%s: in epoch %d the old wrapped key opens: %v", crash.name, epoch, err)
		}
		if len(then.keys) > 1 {
			orphans++ // a key that was made and of which nothing had reached the disk
		}
		if epoch == 2 && len(then.keys) != 1 || len(then.keys) > 2 {
			t.Errorf("%s: epoch %d, %d keys in the device", crash.name, epoch, len(then.keys))
		}
	}
	t.Logf("%+v, %d left a key that nothing uses, %d between key and journal", seen, orphans, between)
	if seen.old == 0 || seen.unfinished == 0 || seen.finished == 0 || between == 0 || orphans > len(c.crashes)/4 {
		t.Errorf("%+v, %d left a key that nothing uses, %d between key and journal", seen, orphans, between)
	}
}

// TestNoKeyOutlivesWhatItSealed crashes a rotation everywhere, with all or nothing
// of what was not synced. Where any of the next epoch may be on the disk and the
// rotation is undone, the device has destroyed that epoch's key too: what is left in
// free blocks opens for nobody.
func TestNoKeyOutlivesWhatItSealed(t *testing.T) {
	for _, unsynced := range []int{0, 100} {
		mem, root := vfs.NewCrashableMem(), &device{}
		s := newScene(t, mem, root)
		c := newCamera(mem, unsynced)
		c.beside = func() any { return root.clone() }
		k, err := Open("rings", root, Options{FS: c.fs()})
		if err != nil {
			t.Fatal(err)
		}
		c.turn(true)
		mustCarryOut(t, k, minutes, s.plan)
		c.turn(false)
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		undone := 0
		for _, crash := range c.crashes {
			then := crash.beside.(*device)
			s.root = then
			left, err := crash.fs.List("rings/" + minutes.directory(2))
			if epoch, _ := s.check(t, crash.name, crash.fs, nil, nil); epoch == 2 || err != nil || len(left) == 0 {
				continue
			}
			undone++
			if len(then.keys) != 1 {
				t.Errorf("%s: %d keys in the device after the rotation was undone", crash.name, len(then.keys))
			}
		}
		if undone == 0 {
			t.Errorf("%d percent of what was not synced: no crash left parts of an epoch that was undone", unsynced)
		}
	}
}
