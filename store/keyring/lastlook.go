package keyring

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Preserved is the answer of a last look. RIDs go on as they were before the plan;
// those that had no state are passed over. Erasures take the place of the plan's.
type Preserved struct {
	RIDs     []RID
	Erasures Erasures
}

// preserve brings records that a plan has changed back to what they were in the
// old epoch, durably and together with the erasures that are applied now. What an
// earlier look has preserved stays so. A state that was forgotten since the switch
// does not come back.
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
