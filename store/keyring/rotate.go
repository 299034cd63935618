package keyring

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

var (
	// ErrAbsent: there is no such ring, or the record has no state in it.
	ErrAbsent = errors.New("no such ring or state")
	// ErrErasures: the ring has applied later erasures already.
	ErrErasures = errors.New("ring has applied later erasures")
	// ErrRemains: the scan after a rotation found bytes that must be gone, in files
	// that somebody put below the keyring's directory. The report names them. When
	// they are removed, the next Rotate or Open scans again.
	ErrRemains = errors.New("destroyed bytes are still in a file")
)

// Rotate ends the current epoch of a ring, and with it whatever was destroyed,
// forgotten or replaced before the call. Others read and write meanwhile; those
// who write wait for the switch alone, some synced writes long. What ends during
// the copy ends for good with the next rotation (Pending).
//
// The durable steps, each safe to repeat after a crash:
//  1. journal: planned
//  2. the next epoch's directory: every state, sealed again under a fresh key and
//     read back from there, then META
//  3. journal: copied, with what to look for
//  4. what was written meanwhile is carried over; the marker names the next epoch,
//     by rename
//  5. the old ring key is destroyed, where the root can; journal: destroyed
//  6. the old directory is removed, then all files are scanned
//  7. the report; the journal is removed
//
// A crash before the marker moves is undone when the keyring is opened, one after
// it is finished. An error before that leaves the old epoch as it was; one after
// it (ErrRemains, a root that cannot be reached) leaves the journal, and the next
// Rotate or Open goes on there. The report is not zero with ErrRemains.
func (k *Keyring) Rotate(id RingID, e Erasures) (Report, error) {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	report, err := k.rotate(id, e)
	return report, k.outcome("rotate", id, err)
}

func (k *Keyring) rotate(id RingID, e Erasures) (Report, error) {
	old := k.ring(id)
	if old == nil {
		return Report{}, ErrAbsent
	}
	if e.Height < old.meta.erasures.Height {
		return Report{}, fmt.Errorf("%w: up to height %d, not %d", ErrErasures, old.meta.erasures.Height, e.Height)
	}
	if report, err := k.resume(id, old.meta.epoch); err != nil {
		return report, err
	}
	j := journal{phase: planned, from: old.meta.epoch, erasures: e}
	next, err := k.prepare(old, &j)
	if err == nil {
		err = k.move(old, next)
	}
	if _, ok := errors.AsType[failed](err); ok {
		return Report{}, err
	}
	old.unwatch()
	if err != nil {
		if next != nil {
			err = errors.Join(err, next.close())
		}
		return Report{}, errors.Join(err, k.undo(id, j))
	}
	if err := old.close(); err != nil {
		return Report{}, err
	}
	return k.finish(id, j)
}

// prepare takes the durable steps 1 to 3.
func (k *Keyring) prepare(old *ring, j *journal) (next *ring, err error) {
	if err := k.writeJournal(old.id, *j); err != nil {
		return nil, err
	}
	dir := k.fs.PathJoin(k.dir, old.id.directory(j.from+1))
	if err := k.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	snapshot := old.watch()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	if err := j.lookFor(old, snapshot); err != nil {
		return nil, err
	}
	next, counts, err := copyRing(k.options, k.root, dir, old, snapshot, j.erasures)
	if err != nil {
		return nil, err
	}
	j.phase, j.live, j.dead = copied, counts.live, counts.dead
	return next, k.writeJournal(old.id, *j) // which syncs the directory's name too
}

// lookFor notes what the end of the epoch must leave in no file.
func (j *journal) lookFor(old *ring, snapshot *pebble.Snapshot) (err error) {
	j.needles = needlesOf(old.meta.wrapped)
	iterator, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEnded}, UpperBound: []byte{prefixEnded + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iterator.Error(), iterator.Close()) }()
	for valid := iterator.First(); valid; valid = iterator.Next() {
		value, err := iterator.ValueAndErr()
		if err != nil {
			return err
		}
		needles, ok := parseNeedles(value)
		if !ok {
			return fmt.Errorf("%w: needles of %d bytes", ErrDamaged, len(value))
		}
		j.ended++
		j.needles = append(j.needles, needles[:min(len(needles), maxNeedles-len(j.needles))]...)
	}
	return nil
}

// move takes the durable step 4. When it returns well, the next epoch is the
// current one for all.
func (k *Keyring) move(old, next *ring) error {
	if err := old.carryOn(next); err != nil {
		return err
	}
	old.mu.Lock()
	defer old.mu.Unlock()
	if err := old.carry(next, old.takeChanges()); err != nil {
		return err
	}
	if err := next.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	if err := replaceFile(k.fs, k.dir, old.id.marker(), markerText(next.meta.epoch)); err != nil {
		return failed{fmt.Errorf("mark ring: %w", err)}
	}
	k.mu.Lock()
	k.rings[old.id] = next
	k.mu.Unlock()
	old.moved = true
	return nil
}

// resume finishes or undoes a rotation that was interrupted: the ring's current
// epoch tells which. The report is not zero only with ErrRemains.
func (k *Keyring) resume(id RingID, current uint64) (Report, error) {
	j, ok, err := k.readJournal(id)
	switch {
	case err != nil || !ok:
		return Report{}, err
	case current == j.from && j.phase != destroyed:
		return Report{}, k.undo(id, j)
	case current == j.from+1 && j.phase != planned:
		report, err := k.finish(id, j)
		if errors.Is(err, ErrRemains) {
			return report, err
		}
		return Report{}, err
	}
	return Report{}, fmt.Errorf("%w: of epoch %d, the ring is at %d", ErrJournal, j.from, current)
}

// undo removes what there is of a next epoch that the marker never named.
func (k *Keyring) undo(id RingID, j journal) error {
	path := k.fs.PathJoin(k.dir, id.directory(j.from+1))
	// Where no META can be read, no key was made, or nothing is sealed under it.
	if m, ok := k.storedMeta(path, j.from+1); ok {
		if err := k.destroyKey(m); err != nil {
			return err
		}
	}
	if err := k.removeDirectory(path); err != nil {
		return err
	}
	return k.removeJournal(id)
}

// finish takes the durable steps 5 to 7.
func (k *Keyring) finish(id RingID, j journal) (Report, error) {
	path := k.fs.PathJoin(k.dir, id.directory(j.from))
	if j.phase == copied {
		if m, ok := k.storedMeta(path, j.from); ok {
			if err := k.destroyKey(m); err != nil {
				return Report{}, err
			}
		} else if k.destroyer() != nil {
			return Report{}, fmt.Errorf("%w: the wrapped key of epoch %d cannot be read", ErrDamaged, j.from)
		}
		j.phase = destroyed
		if err := k.writeJournal(id, j); err != nil {
			return Report{}, err
		}
	}
	if err := k.removeDirectory(path); err != nil {
		return Report{}, err
	}
	seen, err := scan(k.fs, k.dir, j.needles)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Ring: id, From: j.from, To: j.from + 1, Erasures: j.erasures, Claim: k.Claim(),
		Live: j.live, Tombstones: j.dead, Ended: j.ended, Needles: uint64(len(j.needles)),
		Files: seen.files, Bytes: seen.bytes, Hits: seen.hits, Remains: seen.remains,
	}
	if err := replaceFile(k.fs, k.dir, id.report(), r.marshal()); err != nil {
		return Report{}, err
	}
	if r.Hits > 0 {
		return r, fmt.Errorf("%w: %s", ErrRemains, strings.Join(r.Remains, ", "))
	}
	if err := k.removeJournal(id); err != nil {
		return Report{}, err
	}
	return r, nil
}

func (k *Keyring) removeDirectory(path string) error {
	if err := k.fs.RemoveAll(path); err != nil {
		return err
	}
	return syncDir(k.fs, k.dir)
}

// destroyer gives the root's way to destroy a key, nil when it has none.
func (k *Keyring) destroyer() func(wrapped []byte) error {
	if d, ok := k.root.(interface{ Destroy(wrapped []byte) error }); ok {
		return d.Destroy
	}
	return nil
}

func (k *Keyring) destroyKey(m meta) error {
	if err := k.destroyer()(m.wrapped); err != nil {
		return fmt.Errorf("destroy key of epoch %d: %w", m.epoch, err)
	}
	return nil
}

// storedMeta reads META of an epoch that is not open, for a root that needs it.
func (k *Keyring) storedMeta(dir string, epoch uint64) (m meta, ok bool) {
	if k.destroyer() == nil {
		return meta{}, false
	}
	options := k.options.pebbleOptions()
	options.ErrorIfNotExists = true
	db, err := pebble.Open(dir, options)
	if err != nil {
		return meta{}, false
	}
	m, ok, err = readMeta(db, epoch)
	if errors.Join(err, db.Close()) != nil {
		return meta{}, false
	}
	return m, ok
}

// Claim tells what may be said of what rotations end, which depends on the root.
func (k *Keyring) Claim() Claim {
	if k.destroyer() == nil {
		return ClaimFiles
	}
	return ClaimKey
}

// LastReport gives the report of a ring's last rotation, also of one that was
// finished by Open; ok is false when there is none. With hits, the rotation is not
// done (ErrRemains).
func (k *Keyring) LastReport(id RingID) (r Report, ok bool, err error) {
	raw, err := readFile(k.fs, k.dir, id.report(), maxReport)
	if isNotExist(err) {
		return Report{}, false, nil
	}
	if err == nil {
		r, err = parseReport(id, raw)
	}
	if err != nil {
		return Report{}, false, fmt.Errorf("last report of ring %.40q: %w", id, err)
	}
	return r, true, nil
}

// Erasures tells which erasures were applied when a ring's current epoch began; ok
// is false while there is no ring. A ring that is older than the ledger's last
// erasure was restored, and what it holds may have been erased since.
func (k *Keyring) Erasures(id RingID) (e Erasures, ok bool) {
	if r := k.ring(id); r != nil {
		return r.meta.erasures, true
	}
	return Erasures{}, false
}

// Pending counts the states of a ring that were destroyed, forgotten or replaced
// and that no rotation has ended yet.
func (k *Keyring) Pending(id RingID) (n int, err error) {
	err = k.with(k.found(id), func(r *ring) error {
		n, err = r.pending()
		return err
	})
	return n, k.outcome("count what ended in", id, err)
}
