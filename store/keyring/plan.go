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
