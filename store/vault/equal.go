package vault

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// NoteEqual notes, durably and in one write, that the records of each group have
// the same bytes: when the states that say so are destroyed, what was erased
// together is still known. A note tells nothing of the bytes. It goes with its
// record. Noting it again changes nothing.
func (v *Vault) NoteEqual(groups [][]RID) error {
	batch := v.db.NewBatch()
	noted := map[RID]RID{} // families in the batch
	for _, group := range groups {
		if err := v.noteGroup(batch, noted, group); err != nil {
			return errors.Join(fmt.Errorf("note records with the same bytes: %w", err), batch.Close())
		}
	}
	if batch.Empty() {
		return batch.Close()
	}
	return v.apply(batch)
}

// noteGroup puts records into the family of the first that has one; a new family
// has the name of its first record.
func (v *Vault) noteGroup(batch *pebble.Batch, noted map[RID]RID, group []RID) error {
	if len(group) < 2 {
		return nil
	}
	before := make(map[RID]RID, len(group))
	family, found := group[0], false
	for _, rid := range group {
		of, ok := noted[rid]
		if !ok {
			var err error
			if of, ok, err = v.family(rid); err != nil {
				return err
			}
		}
		if !ok {
			continue
		}
		if before[rid] = of; !found {
			family, found = of, true
		}
	}
	for _, rid := range group {
		old, ok := before[rid]
		if noted[rid] = family; ok && old == family {
			continue
		}
		if ok {
			if err := batch.Delete(keyMember(old, rid), nil); err != nil {
				return err
			}
		}
		if err := errors.Join(batch.Set(keyFamily(rid), family[:], nil), batch.Set(keyMember(family, rid), nil, nil)); err != nil {
			return err
		}
	}
	return nil
}

// NotedEqual lists the records that are noted to have the bytes of one, itself
// among them; none: nothing was noted.
func (v *Vault) NotedEqual(rid RID) (rids []RID, err error) {
	family, ok, err := v.family(rid)
	if err != nil || !ok {
		return nil, err
	}
	err = v.each(keyMembers(family), nil, func(key, _ []byte) error {
		rids = append(rids, ridOf(key))
		return nil
	})
	return rids, err
}

func (v *Vault) family(rid RID) (RID, bool, error) {
	value, ok, err := v.get(keyFamily(rid))
	if err == nil && ok && len(value) != len(RID{}) {
		err = fmt.Errorf("%w: family of record %x", ErrDamaged, rid)
	}
	if err != nil || !ok {
		return RID{}, false, err
	}
	return RID(value), true, nil
}

// leaveFamily takes a record out of what NoteEqual noted.
func (v *Vault) leaveFamily(batch *pebble.Batch, rid RID) error {
	family, ok, err := v.family(rid)
	if err != nil || !ok {
		return err
	}
	return errors.Join(batch.Delete(keyFamily(rid), nil), batch.Delete(keyMember(family, rid), nil))
}
