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
	inside, ok := d.keys[binary.BigEndian.Uint32(wrapped[deviceHead-4:])]
	if d.away || !ok {
		return nil, errors.Join(errAway, ErrRoot)
	}
	return inside.Unwrap(wrapped[deviceHead:])
}

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
	if err := k.Destroy(minutes, rid(2)); err != nil {
		t.Fatal(err)
	}
	if k.Claim() != ClaimKey || ClaimKey.String() != "C3" || ClaimFiles.String() != "C1" {
		t.Errorf("claim %v, want C3", k.Claim())
	}
	if r := mustRotate(t, k, minutes, Erasures{}); r.Claim != ClaimKey || len(root.keys) != 1 {
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
	if _, err := k.Rotate(minutes, Erasures{}); !errors.Is(err, errAway) {
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
	for range 2 { // the second call comes to the same point
		if r, err := k.Rotate(minutes, Erasures{}); !errors.Is(err, errAway) || r.To != 0 {
			t.Errorf("rotation of a key that is not destroyed: %+v, %v", r, err)
		}
		wantState(t, k, minutes, rid(2), "two")
	}
	if names, err := fs.List("rings/" + minutes.directory(2)); err != nil || len(names) == 0 {
		t.Errorf("the old epoch went before its key: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("rings", root, Options{FS: fs}); !errors.Is(err, errAway) {
		t.Errorf("open with a key that is not destroyed: %v", err)
	}
	root.set(false, false)
	k = openTest(t, fs, root)
	if r, ok, err := k.LastReport(minutes); r.From != 2 || !ok || err != nil || len(root.keys) != 1 {
		t.Errorf("report %+v, %v, %v, %d keys", r, ok, err, len(root.keys))
	}
	wantState(t, k, minutes, rid(1), "one")
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
	if _, err := k.Rotate(minutes, Erasures{}); !errors.Is(err, full) {
		t.Errorf("rotation: %v, want the error of the disk", err)
	}
	if root.last != 2 || len(root.keys) != 1 {
		t.Errorf("%d keys were made and %d are left; want 2 and 1", root.last, len(root.keys))
	}
	wantState(t, k, minutes, rid(1), "one")
}

// TestEveryCrashWithADevice crashes a rotation everywhere, the device with it: one
// key of the device opens the ring in the end, and the old one never does once the
// new epoch is current.
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
	mustRotate(t, k, minutes, Erasures{})
	c.turn(false)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	epochs, orphans := map[uint64]int{}, 0
	for _, crash := range c.crashes {
		then := crash.beside.(*device)
		s.root = then
		epoch := s.check(t, crash.name, crash.fs, nil, nil)
		epochs[epoch]++
		_, err := then.Unwrap(old.wrapped)
		if opens := err == nil; opens != (epoch == 1) {
			t.Errorf("%s: in epoch %d the old wrapped key opens: %v", crash.name, epoch, opens)
		}
		if len(then.keys) > 1 {
			orphans++ // a key that was made and of which nothing had reached the disk
		}
		if epoch == 2 && len(then.keys) != 1 || len(then.keys) > 2 {
			t.Errorf("%s: epoch %d, %d keys in the device", crash.name, epoch, len(then.keys))
		}
	}
	if epochs[1] == 0 || epochs[2] == 0 || orphans > len(c.crashes)/4 {
		t.Errorf("crashes by epoch %v, %d left a key that nothing uses", epochs, orphans)
	}
}
