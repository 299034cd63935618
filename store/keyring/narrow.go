package keyring

import (
	"bytes"
	"errors"
	"fmt"
)

// errUnchanged: the record has that state already.
var errUnchanged = errors.New("state is unchanged")

// Narrow puts a narrower state in the place of the one that a record has, durably
// and at once for all who read: that of which another custodian has forgotten a
// part. The state before is forgotten, as by Forget: it ends for good with the
// epoch (Pending). The caller vouches that the state opens nothing that the present
// one does not. A record without a state is ErrAbsent, a tombstone ErrDestroyed.
//
// It waits for a rotation that goes on, whose plan may be about the record. While
// one is unfinished it is refused (ErrUnfinished): its last look could bring back
// the record as it was.
func (k *Keyring) Narrow(id RingID, rid RID, state []byte) error {
	if len(state) == 0 || len(state) > MaxState {
		return fmt.Errorf("narrow state to %d bytes: %w", len(state), ErrRing)
	}
	k.rotation.Lock()
	defer k.rotation.Unlock()
	err := ErrUnfinished
	if !k.Unfinished(id) {
		err = k.pace.write(func() error {
			return k.with(k.found(id), func(r *ring) error { return r.narrow(rid, state) })
		})
	}
	switch {
	case errors.Is(err, errUnchanged):
		err = nil
	case err == nil && k.ring(id) == nil:
		err = ErrAbsent
	}
	return k.outcome("narrow state in", id, err)
}

func (r *ring) narrow(rid RID, state []byte) error {
	return r.change(func(e *edit) error {
		was, ok, err := r.get(rid)
		defer clear(was)
		switch {
		case err != nil:
			return err
		case !ok:
			return ErrAbsent
		case bytes.Equal(was, state):
			return errUnchanged
		}
		return e.set(rid, kindLive, state)
	})
}
