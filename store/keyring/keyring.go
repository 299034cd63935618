package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// ErrRing: the ring's name or the state is not of a form that can be kept.
var ErrRing = errors.New("not a ring or state")

// RID names a record within its custodian: 16 random bytes, drawn per deposit.
type RID = [16]byte

// MaxState is the size of the largest state in bytes.
const MaxState = 64 << 20

// Keyring is all rings of a custodian.
type Keyring struct {
	options Options
	fs      vfs.FS
	dir     string
	root    Root

	pace     pace       // of rotations beside those who write
	rotation sync.Mutex // held through a rotation, and to close the keyring

	mu      sync.RWMutex // guards what follows
	rings   map[RingID]*ring
	waiting map[RingID]waiting       // rotations that wait for their last look
	offices map[record.Code][32]byte // fingerprint keys read or made so far
}

// Open opens the rings below dir, which it makes if need be. Every ring key is
// unwrapped at once, so that a wrong root shows here. Rings that were being made or
// restored when the process died are cleared away: no state was ever kept in them. A rotation
// that it interrupted is undone, or finished, the scan included, or left unfinished
// while its last look is due (Unfinished). A scan that finds something does not
// keep the keyring closed (LastReport).
func Open(dir string, root Root, o Options) (*Keyring, error) {
	k := &Keyring{
		options: o, fs: o.fs(), dir: dir, root: root,
		rings: map[RingID]*ring{}, waiting: map[RingID]waiting{}, offices: map[record.Code][32]byte{},
	}
	if err := k.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open keyring: %w", err), k.Close())
	}
	return k, nil
}

func (k *Keyring) open() error {
	if err := k.fs.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	if err := k.fs.RemoveAll(k.fs.PathJoin(k.dir) + restoreSuffix); err != nil {
		return err
	}
	if err := syncDir(k.fs, k.fs.PathDir(k.dir)); err != nil {
		return err
	}
	names, err := k.fs.List(k.dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if id, ok := ringOf(name, markerSuffix); ok {
			if err := k.openMarked(id, names); err != nil {
				return fmt.Errorf("ring %s: %w", id, err)
			}
		}
	}
	for _, name := range names {
		if id, ok := ringOf(name, journalSuffix); ok && k.rings[id] == nil {
			return fmt.Errorf("%w: %s and no marker", ErrJournal, name)
		}
	}
	if names, err = k.fs.List(k.dir); err != nil {
		return err
	}
	return k.clear(names)
}

// ringOf tells which ring a file with a suffix belongs to.
func ringOf(name, suffix string) (RingID, bool) {
	middle, hasSuffix := strings.CutSuffix(name, suffix)
	middle, isRing := strings.CutPrefix(middle, ringPrefix)
	id, ok := parseRingID(middle)
	return id, hasSuffix && isRing && ok
}

// openMarked opens the epoch that a marker names, and then deals with a rotation
// that was interrupted: nothing of an old epoch goes before the new one is open.
func (k *Keyring) openMarked(id RingID, names []string) error {
	text, err := readFile(k.fs, k.dir, id.marker(), maxFile)
	if err != nil {
		return err
	}
	epoch, err := parseMarker(text)
	if err != nil {
		return err
	}
	name := id.directory(epoch)
	if !slices.Contains(names, name) {
		return fmt.Errorf("%w: no %s", ErrMarker, name)
	}
	r, err := openRing(k.options, k.root, k.fs.PathJoin(k.dir, name), id, epoch)
	if err != nil {
		return err
	}
	k.rings[id] = r
	if _, err := k.recover(id); !errors.Is(err, ErrRemains) {
		return err
	}
	return nil
}

// clear removes what a crash left of a ring that was being made: a directory of
// the first epoch without a marker. Any other directory that no marker names
// stands for states that somebody may still need: it is refused, not removed.
func (k *Keyring) clear(names []string) error {
	for _, name := range names {
		path := k.fs.PathJoin(k.dir, name)
		if strings.HasSuffix(name, newSuffix) {
			if err := k.fs.Remove(path); err != nil {
				return err
			}
		}
		id, epoch, ok := parseDirectory(name)
		if !ok || k.rings[id] != nil && k.rings[id].meta.epoch == epoch {
			continue
		}
		if w, ok := k.waiting[id]; ok && w.old.meta.epoch == epoch {
			continue
		}
		if k.rings[id] != nil || epoch != 1 {
			return fmt.Errorf("%w: %s is not the current epoch", ErrMarker, name)
		}
		if err := k.clearUnborn(path, id); err != nil {
			return err
		}
	}
	return nil
}

// clearUnborn removes a directory of a first epoch, having seen that it holds no
// state: a marker that was lost must not cost a ring.
func (k *Keyring) clearUnborn(path string, id RingID) error {
	if names, err := k.fs.List(path); err != nil {
		return err
	} else if slices.ContainsFunc(names, isPebbleFile) {
		empty, err := isStateless(k.options, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if !empty {
			return fmt.Errorf("%w: ring %s holds states and has no marker", ErrMarker, id)
		}
	}
	return k.fs.RemoveAll(path)
}

// Close closes all rings. It waits for a rotation that goes on.
func (k *Keyring) Close() error {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	var all error
	for id, r := range k.rings {
		if err := r.close(); err != nil {
			all = errors.Join(all, fmt.Errorf("close ring %s: %w", id, err))
		}
	}
	for id, w := range k.waiting {
		if err := w.old.close(); err != nil {
			all = errors.Join(all, fmt.Errorf("close old epoch of ring %s: %w", id, err))
		}
	}
	clear(k.rings)
	clear(k.waiting)
	return all
}

// Rings lists the rings, sorted by name.
func (k *Keyring) Rings() []RingID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(k.rings), func(a, b RingID) int { return strings.Compare(a.String(), b.String()) })
}

// Epoch gives the current epoch of a ring; ok is false while it has none.
func (k *Keyring) Epoch(id RingID) (epoch uint64, ok bool) {
	if r := k.ring(id); r != nil {
		return r.meta.epoch, true
	}
	return 0, false
}

func (k *Keyring) ring(id RingID) *ring {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.rings[id]
}

// found looks a ring up for with; nothing is done where there is none.
func (k *Keyring) found(id RingID) func() (*ring, error) {
	return func() (*ring, error) { return k.ring(id), nil }
}

// made looks a ring up for with, and makes it where there is none.
func (k *Keyring) made(id RingID) func() (*ring, error) {
	return func() (*ring, error) { return k.makeRing(id) }
}

// with uses the current epoch of a ring. If the ring moves on before anything was
// done, it begins again with the next one.
func (k *Keyring) with(find func() (*ring, error), use func(*ring) error) error {
	for {
		r, err := find()
		if err != nil || r == nil {
			return err
		}
		r.gate.RLock()
		err = errMoved
		if !r.retired {
			err = use(r)
		}
		r.gate.RUnlock()
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

// Make makes a ring durably, where there is none. Whoever keeps sealed bytes of its
// records calls it before: a ring that is not there was lost, and never not yet made.
func (k *Keyring) Make(id RingID) error {
	if !id.valid() {
		return fmt.Errorf("make ring %.40q: %w", id, ErrRing)
	}
	return k.outcome("make", id, k.with(k.made(id), func(*ring) error { return nil }))
}

// Put keeps the state of a record, 1 byte to MaxState, durably. It refuses a
// record that has a state (ErrExists) or had one (ErrDestroyed). The first state
// of a ring makes the ring.
func (k *Keyring) Put(id RingID, rid RID, state []byte) error {
	if !id.valid() || len(state) == 0 || len(state) > MaxState {
		return fmt.Errorf("keep state of %d bytes in ring %.40q: %w", len(state), id, ErrRing)
	}
	err := k.pace.write(func() error {
		return k.with(k.made(id), func(r *ring) error { return r.put(rid, state) })
	})
	return k.outcome("put state into", id, err)
}

// State gives the state of a record. ok is false when there never was one; the
// error is ErrDestroyed when there was.
func (k *Keyring) State(id RingID, rid RID) (state []byte, ok bool, err error) {
	err = k.with(k.found(id), func(r *ring) error {
		state, ok, err = r.get(rid)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read state of ring %s: %w", id, err)
	}
	return state, ok, nil
}

// Forget removes the state of a deposit that never became a record, durably and
// without a tombstone. It is gone for good when the epoch ends. A state that is
// not there is no error; a tombstone stays and is ErrDestroyed.
func (k *Keyring) Forget(id RingID, rid RID) error {
	err := k.pace.write(func() error {
		return k.with(k.found(id), func(r *ring) error { return r.forget(rid) })
	})
	return k.outcome("forget state in", id, err)
}

// outcome words an error. A write that may be half on disk ends the process.
func (k *Keyring) outcome(verb string, id RingID, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s ring %s: %w", verb, id, err)
	if _, ok := errors.AsType[failed](err); ok {
		k.options.fatal(err)
	}
	return err
}

// makeRing gives a ring, which it makes when there is none. The durable steps:
//  1. the directory of epoch 1, its store with META inside
//  2. the directory's name
//  3. the marker, by rename
//
// After a crash before 3 the directory is cleared away when the keyring is opened.
func (k *Keyring) makeRing(id RingID) (*ring, error) {
	if r := k.ring(id); r != nil {
		return r, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.rings[id]; r != nil {
		return r, nil
	}
	const epoch = 1
	key, m, err := newRingKey(k.root, id, epoch)
	if err != nil {
		return nil, fmt.Errorf("make ring: %w", err) // the disk is well, the device is away
	}
	r, err := createRing(k.options, k.fs.PathJoin(k.dir, id.directory(epoch)), id, m, key)
	if err != nil {
		return nil, failed{fmt.Errorf("make ring: %w", err)}
	}
	if err := syncDir(k.fs, k.dir); err != nil {
		return nil, failed{fmt.Errorf("make ring: %w", err)}
	}
	if err := replaceFile(k.fs, k.dir, id.marker(), markerText(epoch)); err != nil {
		return nil, failed{fmt.Errorf("mark ring: %w", err)}
	}
	k.rings[id] = r
	return r, nil
}

// OfficeKey gives the key under which fingerprints of an office's contents are
// made, 32 bytes. It is drawn at the first call and stays.
func (k *Keyring) OfficeKey(office record.Code) ([32]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.offices[office]; ok {
		return key, nil
	}
	key, err := k.officeKey(office)
	if err != nil {
		return [32]byte{}, fmt.Errorf("key of office %.40q: %w", office, err)
	}
	k.offices[office] = key
	return key, nil
}

func (k *Keyring) officeKey(office record.Code) (key [32]byte, err error) {
	if !office.Valid() {
		return key, ErrRing
	}
	name, use := officeFile(office), officeUse(office)
	wrapped, err := readFile(k.fs, k.dir, name, maxFile)
	if err == nil {
		return unwrapFor(k.root, use, wrapped)
	}
	if !isNotExist(err) {
		return key, err
	}
	rand.Read(key[:])
	if wrapped, err = wrapFor(k.root, use, key); err != nil {
		return [32]byte{}, err
	}
	if err := replaceFile(k.fs, k.dir, name, wrapped); err != nil {
		return [32]byte{}, err
	}
	return key, nil
}
