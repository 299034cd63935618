package vault

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

// Anchor says that the ledger holds a record of the vault.
type Anchor struct {
	RID   RID
	Index record.Index
}

// Position gives the first entry of the log that the custodian has not followed.
func (v *Vault) Position() (record.Index, error) {
	value, ok, err := v.get(keyPosition())
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("%w: position of %d bytes", ErrDamaged, len(value))
	}
	return record.Index(binary.BigEndian.Uint64(value)), nil
}

// Advance notes what the ledger says of records here, and up to which entry it
// was followed, in one synced write. Doing it again changes nothing.
func (v *Vault) Advance(position record.Index, anchors []Anchor) error {
	batch := v.db.NewBatch()
	err := batch.Set(keyPosition(), binary.BigEndian.AppendUint64(nil, uint64(position)), nil)
	if err = errors.Join(err, v.setAnchors(batch, anchors)); err != nil {
		return errors.Join(err, batch.Close())
	}
	return v.apply(batch)
}

// Anchor notes that the ledger holds a record, durably.
func (v *Vault) Anchor(anchors ...Anchor) error {
	batch := v.db.NewBatch()
	if err := v.setAnchors(batch, anchors); err != nil {
		return errors.Join(err, batch.Close())
	}
	return v.apply(batch)
}

func (v *Vault) setAnchors(batch *pebble.Batch, anchors []Anchor) error {
	for _, a := range anchors {
		r, ok, err := v.Record(a.RID)
		if err != nil {
			return err
		}
		if !ok || r.Anchored {
			continue
		}
		r.Anchored, r.Index = true, a.Index
		err = errors.Join(batch.Set(keyRecord(r.RID), r.marshal(), nil), batch.Delete(keyDue(r.NotAfter, r.RID), nil))
		if err != nil {
			return err
		}
	}
	return nil
}

// Overdue lists the records that are not anchored and whose last day is before
// the given one.
func (v *Vault) Overdue(before record.Day) (records []Record, err error) {
	var rids []RID
	err = v.each([]byte{prefixDue}, dueBefore(before), func(key, _ []byte) error {
		rids = append(rids, ridOf(key))
		return nil
	})
	for _, rid := range rids {
		r, ok, recordErr := v.Record(rid)
		if recordErr == nil && !ok {
			recordErr = fmt.Errorf("%w: a deposit that is due has no record", ErrDamaged)
		}
		if err = errors.Join(err, recordErr); err == nil {
			records = append(records, r)
		}
	}
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Remove deletes everything that the vault has of a record but its releases,
// durably.
func (v *Vault) Remove(r Record) error { return v.Bury(nil, []Record{r}) }

// removeBulk deletes the packs and leaf hashes of a record.
func removeBulk(batch *pebble.Batch, rid RID) error {
	packs, leaves := packsOf(rid), leavesOf(rid)
	return errors.Join(
		batch.DeleteRange(packs, after(packs), nil),
		batch.DeleteRange(leaves, after(leaves), nil),
	)
}

// Count gives the number of records, for status pages. It walks the store.
func (v *Vault) Count() (n uint64, err error) {
	err = v.each([]byte{prefixRecord}, nil, func(_, _ []byte) error { n++; return nil })
	return n, err
}
