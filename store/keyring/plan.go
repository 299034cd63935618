package keyring

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Plan is what a rotation is to change. Without changes it ends what was forgotten.
type Plan struct {
	Erasures Erasures // as they will be when the plan is carried out
	Changes  []Change // of distinct records that have a state
	// LastLook is called once, when readers see the new epoch and nothing of the old
	// one is destroyed yet. It reads the committed state again and tells what a hold
	// preserves; with an error the rotation stays unfinished. It must not call
	// Rotate, Resume, Backup or Close. Nil: nothing is preserved.
	LastLook func() (Preserved, error)
}

// Change is what becomes of one record.
type Change struct {
	RID   RID
	State []byte // punctured; nil: the record is destroyed
}

// Preserved is the answer of a last look. RIDs go on as they were before the plan;
// those that had no state are passed over. Erasures take the place of the plan's.
type Preserved struct {
	RIDs     []RID
	Erasures Erasures
}

// decided are the changes of a plan by record.
type decided map[RID]Change

// index checks what can be told without a ring.
func (p Plan) index() (decided, error) {
	all := make(decided, len(p.Changes))
	for _, c := range p.Changes {
		if c.State != nil && len(c.State) == 0 || len(c.State) > MaxState {
			return nil, fmt.Errorf("%w: state of %d bytes for record %x", ErrRing, len(c.State), c.RID)
		}
		if _, twice := all[c.RID]; twice {
			return nil, fmt.Errorf("%w: record %x is in the plan twice", ErrRing, c.RID)
		}
		all[c.RID] = c
	}
	return all, nil
}

// append gives the kind and state that take the place of what there was.
func (c Change) append(dst []byte) []byte {
	if c.State == nil {
		return append(dst, byte(kindDestroyed))
	}
	return append(append(dst, byte(kindLive)), c.State...)
}

// lookFor notes what the end of the epoch must leave in no file: what the plan
// ends, and what had ended before.
func (j *journal) lookFor(old *ring, snapshot *pebble.Snapshot, plan Plan) (err error) {
	j.note(needlesOf(old.meta.wrapped))
	for _, c := range plan.Changes {
		sealed, err := sealedIn(snapshot, c.RID)
		if err != nil {
			return err
		}
		if len(sealed) <= sealedTombstone {
			return fmt.Errorf("change record %x: %w", c.RID, ErrAbsent)
		}
		j.ended++
		j.note(needlesOf(sealed))
	}
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
		j.note(needles)
	}
	return nil
}

// note takes needles as long as there is room.
func (j *journal) note(needles []needle) {
	j.needles = append(j.needles, needles[:min(len(needles), maxNeedles-len(j.needles))]...)
}

// preserve brings records that a plan has changed back to what they were in the
// old epoch, durably and together with the erasures that are applied now. What an
// earlier look has preserved stays so. A state that was forgotten since, or came
// since, is left alone.
func (r *ring) preserve(old *ring, p Preserved) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := r.db.NewBatch()
	for _, rid := range p.RIDs {
		if err := r.preserveRecord(batch, old, rid); err != nil {
			return errors.Join(fmt.Errorf("preserve record %x: %w", rid, err), batch.Close())
		}
		if batch.Len() < carryBatch {
			continue
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return failed{errors.Join(err, batch.Close())}
		}
		batch.Reset()
	}
	m := r.meta
	m.erasures = p.Erasures
	if err := batch.Set([]byte{prefixMeta}, m.marshal(r.aead, r.id), nil); err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := errors.Join(batch.Commit(pebble.Sync), batch.Close()); err != nil {
		return failed{err}
	}
	r.meta.erasures = p.Erasures
	return nil
}

func (r *ring) preserveRecord(batch *pebble.Batch, old *ring, rid RID) error {
	was, err := old.sealed(rid)
	if err != nil || len(was) <= sealedTombstone {
		return err
	}
	is, err := r.sealed(rid)
	if err != nil || is == nil {
		return err
	}
	before, err := openSealed(old.aead, nil, was, old.context(rid))
	if err != nil {
		return err
	}
	defer clear(before)
	now, err := openSealed(r.aead, nil, is, r.context(rid))
	if err != nil {
		return err
	}
	defer clear(now)
	if string(now) == string(before) {
		return nil
	}
	mark := append([]byte{prefixPreserved}, rid[:]...)
	if err := batch.Set(mark, now[:1], nil); err != nil {
		return err
	}
	return batch.Set(stateKey(rid), r.aead.Seal(nil, nil, before, r.context(rid)), nil)
}

// preserved tells how many records last looks have preserved in this epoch, and
// how many of these the plan was to destroy.
func (r *ring) preserved() (n, destroyed uint64, err error) {
	iterator, err := r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixPreserved}, UpperBound: []byte{prefixPreserved + 1}})
	if err != nil {
		return 0, 0, err
	}
	for valid := iterator.First(); valid; valid = iterator.Next() {
		n++
		if value := iterator.Value(); len(value) == 1 && kind(value[0]) == kindDestroyed {
			destroyed++
		}
	}
	return n, destroyed, errors.Join(iterator.Error(), iterator.Close())
}

// applied gives the erasures that are applied in this epoch.
func (r *ring) applied() Erasures {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meta.erasures
}

// follow tells whether erasures may take the place of others.
func (e Erasures) follow(before Erasures) error {
	if e.Through < before.Through {
		return fmt.Errorf("%w: through %d entries, not %d", ErrErasures, before.Through, e.Through)
	}
	return nil
}
