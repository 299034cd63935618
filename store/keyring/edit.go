package keyring

import (
	"crypto/sha256"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// edit is one change of a ring, made in one batch. Whatever it takes the place of
// leaves its needles behind, so that the next rotation knows what to look for.
type edit struct {
	ring  *ring
	batch *pebble.Batch
	rids  []RID
	ended []ended
}

// ended is a sealed live state that is no more, as the store keeps it.
type ended struct{ key, value []byte }

// endedName is changed only with docs/spec/keyring.md.
const endedName = "MUN1 ended\n"

func endOf(sealed []byte) ended {
	name := sha256.Sum256(append([]byte(endedName), sealed...))
	return ended{append([]byte{prefixEnded}, name[:16]...), marshalNeedles(nil, needlesOf(sealed))}
}

// changes are what was written to a ring while it was copied.
type changes struct {
	rids  map[RID]struct{}
	ended []ended
}

// set seals a record's state, or tombstone, in the place of what there is.
func (e *edit) set(rid RID, k kind, state []byte) error {
	plain := append([]byte{byte(k)}, state...)
	defer clear(plain)
	return e.setPlain(rid, plain)
}

func (e *edit) setPlain(rid RID, plain []byte) error {
	if err := e.end(rid); err != nil {
		return err
	}
	return e.batch.Set(stateKey(rid), e.ring.aead.Seal(nil, nil, plain, e.ring.context(rid)), nil)
}

func (e *edit) remove(rid RID) error {
	if err := e.end(rid); err != nil {
		return err
	}
	return e.batch.Delete(stateKey(rid), nil)
}

// end notes the needles of a record's state, if it has one. The state need not
// open: a damaged one can be destroyed.
func (e *edit) end(rid RID) error {
	e.rids = append(e.rids, rid)
	sealed, err := e.ring.sealed(rid)
	if err != nil || len(sealed) <= sealedTombstone {
		return err
	}
	return e.note(endOf(sealed))
}

func (e *edit) note(end ended) error {
	e.ended = append(e.ended, end)
	return e.batch.Set(end.key, end.value, nil)
}

// change makes an edit, unless fill refuses, and waits until it is on disk. A
// write that fails is returned as failed.
func (r *ring) change(fill func(*edit) error) error {
	e := edit{ring: r, batch: r.db.NewBatch()}
	if err := r.queue(&e, fill); err != nil {
		return errors.Join(err, e.batch.Close())
	}
	if err := e.batch.SyncWait(); err != nil {
		return failed{err}
	}
	return e.batch.Close()
}

// queue makes an edit that readers see. It is not on disk yet.
func (r *ring) queue(e *edit, fill func(*edit) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved {
		return errMoved
	}
	if err := fill(e); err != nil {
		return err
	}
	if err := r.db.ApplyNoSyncWait(e.batch, pebble.Sync); err != nil {
		return failed{err}
	}
	if r.changes != nil {
		for _, rid := range e.rids {
			r.changes.rids[rid] = struct{}{}
		}
		r.changes.ended = append(r.changes.ended, e.ended...)
	}
	return nil
}
