package keyring

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// waiting is a rotation whose last look is due, and the old epoch, whole and open.
type waiting struct {
	journal journal
	old     *ring
}

// Unfinished tells whether a rotation of a ring waits for its last look, after a
// crash or an error. Its old epoch is still there, and readers see the new one.
func (k *Keyring) Unfinished(id RingID) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, ok := k.waiting[id]
	return ok
}

// Resume goes on with a rotation that stopped after the switch: with its last look,
// if it waits for one, else with what comes after. A nil look preserves nothing
// and leaves the erasures as they were planned. What an earlier look has preserved
// stays preserved. Where nothing was left to do it is ErrAbsent.
func (k *Keyring) Resume(id RingID, look func() (Preserved, error)) (Report, error) {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	k.mu.RLock()
	w, ok := k.waiting[id]
	k.mu.RUnlock()
	var report Report
	var err error
	if ok {
		report, err = k.conclude(id, w, look)
	} else if report, err = k.recover(id); err == nil && report.To == 0 {
		err = ErrAbsent
	}
	return report, k.outcome("resume rotation of", id, err)
}

// conclude takes the durable steps 5 to 8. Unless it gets past 6, the rotation
// waits for another look.
func (k *Keyring) conclude(id RingID, w waiting, look func() (Preserved, error)) (Report, error) {
	crashpoint("rotation: marked")
	err := k.lastLook(id, w, look)
	if err == nil {
		crashpoint("rotation: looked")
		err = k.endEpoch(id, &w.journal, w.old.meta)
	}
	k.mu.Lock()
	if err != nil {
		k.waiting[id] = w
	} else {
		delete(k.waiting, id)
	}
	k.mu.Unlock()
	if err != nil {
		return Report{}, err
	}
	if err := w.old.close(); err != nil {
		return Report{}, err
	}
	crashpoint("rotation: ended")
	return k.finish(id, w.journal)
}

// lastLook takes the durable step 5.
func (k *Keyring) lastLook(id RingID, w waiting, look func() (Preserved, error)) error {
	p := Preserved{Erasures: w.journal.erasures}
	if look != nil {
		var err error
		if p, err = look(); err != nil {
			return fmt.Errorf("last look: %w", err)
		}
	}
	if err := p.Erasures.follow(w.old.meta.erasures); err != nil {
		return err
	}
	return k.ring(id).preserve(w.old, p)
}

// endEpoch takes the durable step 6, from where there is no way back.
func (k *Keyring) endEpoch(id RingID, j *journal, old meta) error {
	if k.destroyer() != nil {
		if err := k.destroyKey(old); err != nil {
			return err
		}
	}
	ended := *j
	ended.phase = destroyed
	if err := k.writeJournal(id, ended); err != nil {
		return err
	}
	*j = ended
	return nil
}

// recover undoes or finishes a rotation that was interrupted: the ring's current
// epoch tells which. One that waits for its last look goes on waiting. The report
// is of a rotation that it finished, also with ErrRemains.
func (k *Keyring) recover(id RingID) (Report, error) {
	r := k.ring(id)
	if r == nil {
		return Report{}, ErrAbsent
	}
	j, ok, err := k.readJournal(id)
	if err != nil || !ok {
		return Report{}, err
	}
	current := r.meta.epoch
	switch {
	case current == j.from && j.phase != destroyed:
		return Report{}, k.undo(id, j)
	case current == j.from+1 && j.phase == copied:
		return k.await(id, j)
	case current == j.from+1 && j.phase == destroyed:
		return k.finish(id, j)
	}
	return Report{}, fmt.Errorf("%w: of epoch %d, the ring is at %d", ErrJournal, j.from, current)
}

// await opens the old epoch beside the new one, for the last look. Where a device
// has destroyed the key already, and the new epoch is open, that look is over.
func (k *Keyring) await(id RingID, j journal) (Report, error) {
	path := k.fs.PathJoin(k.dir, id.directory(j.from))
	old, err := openRing(k.options, k.root, path, id, j.from)
	if errors.Is(err, ErrRoot) && k.destroyer() != nil {
		m, ok := k.storedMeta(path, j.from)
		if !ok {
			return Report{}, err
		}
		if err := k.endEpoch(id, &j, m); err != nil {
			return Report{}, err
		}
		return k.finish(id, j)
	}
	if err != nil {
		return Report{}, fmt.Errorf("old epoch %d: %w", j.from, err)
	}
	old.retire()
	k.mu.Lock()
	k.waiting[id] = waiting{j, old}
	k.mu.Unlock()
	return Report{}, nil
}

// undo removes what there is of a next epoch that the marker never named.
func (k *Keyring) undo(id RingID, j journal) error {
	if k.destroyer() != nil && len(j.next) > 0 {
		if err := k.destroyKey(meta{epoch: j.from + 1, wrapped: j.next}); err != nil {
			return err
		}
	}
	if err := k.removeDirectory(k.fs.PathJoin(k.dir, id.directory(j.from+1))); err != nil {
		return err
	}
	crashpoint("rotation: undone")
	return k.removeJournal(id)
}

// finish takes the durable steps 7 and 8.
func (k *Keyring) finish(id RingID, j journal) (Report, error) {
	next := k.ring(id)
	if err := k.removeDirectory(k.fs.PathJoin(k.dir, id.directory(j.from))); err != nil {
		return Report{}, err
	}
	crashpoint("rotation: removed")
	kept, spared, err := next.preserved()
	if err != nil {
		return Report{}, err
	}
	seen, err := scan(k.fs, k.dir, j.needles, &k.pace)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Ring: id, From: j.from, To: j.from + 1, Erasures: next.applied(), Claim: k.Claim(),
		Live: j.live + spared, Tombstones: j.dead - spared, Ended: j.ended - kept, Preserved: kept, Needles: uint64(len(j.needles)),
		Files: seen.files, Bytes: seen.bytes, Hits: seen.hits, Remains: seen.remains,
	}
	crashpoint("rotation: scanned")
	if err := replaceFile(k.fs, k.dir, id.report(), r.marshal()); err != nil {
		return Report{}, err
	}
	crashpoint("rotation: reported")
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
