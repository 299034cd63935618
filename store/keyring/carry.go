package keyring

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

const (
	carryBatch  = 4 << 20 // bytes
	carryRounds = 8       // before those who write have to wait
	carryFew    = 64      // records that are carried while they wait
)

// watch begins to note what is written, and gives a snapshot of all before.
func (r *ring) watch() *pebble.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = &changes{rids: map[RID]struct{}{}}
	return r.db.NewSnapshot()
}

// unwatch ends what watch began.
func (r *ring) unwatch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = nil
}

// carryOn brings to the next epoch what was written since the last call, until
// little is left.
func (r *ring) carryOn(next *ring, plan decided) error {
	for range carryRounds {
		r.mu.Lock()
		c := r.takeChanges()
		r.mu.Unlock()
		if err := r.carry(next, c, plan); err != nil {
			return err
		}
		if len(c.rids) < carryFew {
			break
		}
	}
	return nil
}

// takeChanges is called with mu held.
func (r *ring) takeChanges() *changes {
	c := r.changes
	r.changes = &changes{rids: map[RID]struct{}{}}
	return c
}

// carry brings records to the next epoch as they are now, and the needles of what
// ended: the next epoch may have sealed such a state in the copy, and then it
// ends there, for good with that epoch. What the plan has destroyed stays so.
func (r *ring) carry(next *ring, c *changes, plan decided) error {
	e := edit{ring: next, batch: next.db.NewBatch()}
	for _, end := range c.ended {
		if err := e.note(end); err != nil {
			return errors.Join(err, e.batch.Close())
		}
	}
	for rid := range c.rids {
		if change, ok := plan[rid]; ok && change.State == nil {
			continue
		}
		if err := r.carryRecord(&e, rid); err != nil {
			return errors.Join(fmt.Errorf("carry record %x: %w", rid, err), e.batch.Close())
		}
		if e.batch.Len() < carryBatch {
			continue
		}
		if err := e.batch.Commit(pebble.NoSync); err != nil {
			return errors.Join(err, e.batch.Close())
		}
		e.batch.Reset()
	}
	return errors.Join(e.batch.Commit(pebble.NoSync), e.batch.Close())
}

func (r *ring) carryRecord(e *edit, rid RID) error {
	sealed, err := r.sealed(rid)
	if err != nil {
		return err
	}
	if sealed == nil {
		return e.remove(rid)
	}
	plain, err := openSealed(r.aead, nil, sealed, r.context(rid))
	if err != nil {
		return err
	}
	defer clear(plain)
	return e.setPlain(rid, plain)
}
