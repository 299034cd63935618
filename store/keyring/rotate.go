package keyring

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

var (
	// ErrAbsent: there is no such ring, or the record has no state in it.
	ErrAbsent = errors.New("no such ring or state")
	// ErrErasures: the ring has applied later erasures already.
	ErrErasures = errors.New("ring has applied later erasures")
	// ErrUnfinished: a rotation of the ring waits for its last look (Resume).
	ErrUnfinished = errors.New("a rotation of the ring is unfinished")
	// ErrRemains: the scan after a rotation found bytes that must be gone, in files
	// that somebody put below the keyring's directory. The report names them. When
	// they are removed, the next Rotate, Resume or Open scans again.
	ErrRemains = errors.New("destroyed bytes are still in a file")
)

// Rotate ends the current epoch of a ring, and with it what the plan destroys or
// punctures and whatever was forgotten before the call. Others read and write
// meanwhile; those who write wait for the switch alone, some synced writes long.
// What is forgotten during the copy ends for good with the next rotation (Pending).
//
// The durable steps, each safe to repeat after a crash:
//  1. the next ring key, wrapped; journal: planned
//  2. the next epoch's directory: every state, as it is or as the plan changes it,
//     sealed under a fresh key and read back from there, then META
//  3. journal: copied, with what to look for
//  4. what was written meanwhile is carried over; the marker names the next epoch,
//     by rename. Nobody reads the old one any more; it is still whole
//  5. the last look: what it preserves is sealed again in the new epoch as it was,
//     together with the erasures in META, synced
//  6. the old ring key is destroyed, where the root can; journal: destroyed
//  7. the old directory is removed, then all files are scanned
//  8. the report; the journal is removed
//
// A crash before the marker moves is undone when the keyring is opened. After that
// and before step 6 is done the rotation is unfinished, by a crash or an error of
// the last look or the root: reads and writes go on in the new epoch, Rotate is
// refused (ErrUnfinished), and Resume looks again. From there on, Open and the next
// Rotate or Resume finish what is left. An error before the marker moves leaves the
// old epoch as it was. The report is not zero with ErrRemains.
//
// A plan that is not of distinct records is ErrRing, and one for a record without a
// state ErrAbsent; then nothing happens.
func (k *Keyring) Rotate(id RingID, p Plan) (Report, error) {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	report, err := k.rotate(id, p)
	return report, k.outcome("rotate", id, err)
}

func (k *Keyring) rotate(id RingID, p Plan) (Report, error) {
	changes, err := p.index()
	if err != nil {
		return Report{}, err
	}
	old := k.ring(id)
	if old == nil {
		return Report{}, ErrAbsent
	}
	if k.Unfinished(id) {
		return Report{}, ErrUnfinished
	}
	if err := p.Erasures.follow(old.applied()); err != nil {
		return Report{}, err
	}
	if report, err := k.recover(id); err != nil {
		return report, err
	}
	j := journal{phase: planned, from: old.meta.epoch, erasures: p.Erasures}
	next, err := k.prepare(old, &j, p, changes)
	if err == nil {
		err = k.move(old, next, changes)
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
	old.retire()
	return k.conclude(id, waiting{j, old}, p.LastLook)
}

// prepare takes the durable steps 1 to 3.
func (k *Keyring) prepare(old *ring, j *journal, p Plan, changes decided) (next *ring, err error) {
	snapshot := old.watch()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	if err := j.lookFor(old, snapshot, p); err != nil {
		return nil, err
	}
	key, m, err := newRingKey(k.root, old.id, j.from+1)
	if err != nil {
		return nil, err
	}
	if k.destroyer() != nil {
		j.next = m.wrapped
	}
	if err := k.writeJournal(old.id, *j); err != nil {
		return nil, err
	}
	crashpoint("rotation: planned")
	dir := k.fs.PathJoin(k.dir, old.id.directory(j.from+1))
	if err := k.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	next, counts, err := copyRing(k.options, dir, old, m, key, snapshot, changes, &k.pace)
	if err != nil {
		return nil, err
	}
	crashpoint("rotation: copied")
	j.phase, j.live, j.dead = copied, counts.live, counts.dead
	return next, k.writeJournal(old.id, *j) // which syncs the directory's name too
}

// move takes the durable step 4. When it returns well, the next epoch is the
// current one for all.
func (k *Keyring) move(old, next *ring, changes decided) error {
	if err := old.carryOn(next, changes); err != nil {
		return err
	}
	crashpoint("rotation: carried on")
	old.mu.Lock()
	defer old.mu.Unlock()
	if err := old.carry(next, old.takeChanges(), changes); err != nil {
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

// Claim tells what may be said of what rotations end, which depends on the root.
func (k *Keyring) Claim() record.Claim {
	if k.destroyer() == nil {
		return record.ClaimFiles
	}
	return record.ClaimKey
}

// Device names what keeps the root key and destroys what it can, for reports.
func (k *Keyring) Device() string { return k.root.Device() }

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

// Erasures tells which erasures are applied in a ring; ok is false while there is no
// ring. A rotation counts from its last look on. A ring that is older than the
// ledger's last erasure was restored, and what it holds may have been erased since.
func (k *Keyring) Erasures(id RingID) (e Erasures, ok bool) {
	if r := k.ring(id); r != nil {
		return r.applied(), true
	}
	return Erasures{}, false
}

// Pending counts the states of a ring that were forgotten and that no rotation has
// ended yet. One that was forgotten during a copy may count twice.
func (k *Keyring) Pending(id RingID) (n int, err error) {
	err = k.with(k.found(id), func(r *ring) error {
		n, err = r.pending()
		return err
	})
	return n, k.outcome("count what ended in", id, err)
}
