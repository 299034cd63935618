package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

// Residual is what is left of a record that was erased: which it was, and where
// the ledger tells of it. Its releases stay too.
type Residual struct {
	RID        RID
	Office     record.Code
	Series     record.Code
	Commitment record.Commitment
	Index      record.Index // of its anchor entry
}

const (
	residualVersion = 1
	residualSize    = 1 + 8 + 32 // before the codes
)

// marshal encodes all but the RID, which is in the key.
func (r Residual) marshal() []byte {
	b := binary.BigEndian.AppendUint64([]byte{residualVersion}, uint64(r.Index))
	b = append(b, r.Commitment[:]...)
	return appendCode(appendCode(b, r.Office), r.Series)
}

// parseResidual reads what marshal wrote.
func parseResidual(rid RID, b []byte) (Residual, error) {
	if len(b) < residualSize || b[0] != residualVersion {
		return Residual{}, fmt.Errorf("%w: residual record of %d bytes", ErrDamaged, len(b))
	}
	r := Residual{RID: rid, Index: record.Index(binary.BigEndian.Uint64(b[1:])), Commitment: record.Commitment(b[9:41])}
	var err error
	rest := b[residualSize:]
	if r.Office, rest, err = cutCode(rest); err != nil {
		return Residual{}, err
	}
	if r.Series, rest, err = cutCode(rest); err != nil {
		return Residual{}, err
	}
	if len(rest) != 0 || r.Index < 0 || !bytes.Equal(r.marshal(), b) {
		return Residual{}, fmt.Errorf("%w: residual record is not canonical", ErrDamaged)
	}
	return r, nil
}

// Bury deletes what the vault has of erased records, and of deposits that are
// erased with them, in one synced write. Of the records a residual stays, of the
// deposits their rids. Doing it again changes nothing. Reclaim gives the space back.
func (v *Vault) Bury(records, deposits []Record) error {
	batch := v.db.NewBatch()
	for _, r := range records {
		left := Residual{RID: r.RID, Office: r.Office, Series: r.Series, Commitment: r.Commitment, Index: r.Index}
		err := errors.Join(
			v.remove(batch, r),
			batch.Set(keyIndex(r.Office, r.Commitment), r.RID[:], nil),
			batch.Set(keyResidual(r.RID), left.marshal(), nil),
			batch.Set(keyEntry(r.Index), r.RID[:], nil),
		)
		if err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	for _, r := range deposits {
		if err := errors.Join(v.remove(batch, r), batch.Set(keyRemoved(r.RID), nil, nil)); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	return v.apply(batch)
}

// remove deletes everything of a record but its releases, and notes that there
// is space to reclaim.
func (v *Vault) remove(batch *pebble.Batch, r Record) error {
	err := errors.Join(
		batch.Delete(keyLayout(r.RID), nil),
		batch.Delete(keyCatalogue(r.Office, r.RID), nil),
		batch.Delete(keyDue(r.NotAfter, r.RID), nil),
		v.leaveFamily(batch, r.RID),
		batch.Delete(keyIndex(r.Office, r.Commitment), nil),
		batch.Delete(keyRecord(r.RID), nil),
		batch.Delete(keyUnfinished(r.RID), nil),
		batch.Set(keyFreed(r.RID), nil, nil),
	)
	// One by one: thousands of range deletions would slow every reader down.
	for _, prefix := range [][]byte{packsOf(r.RID), leavesOf(r.RID), keyRedactions(r.RID)} {
		err = errors.Join(err, v.each(prefix, nil, func(key, _ []byte) error { return batch.Delete(key, nil) }))
	}
	return err
}

// Knows tells whether the vault has a record or a residual of a rid, and whether
// it had a deposit of that rid and removed it. Neither: the vault is older than
// whatever named the rid.
func (v *Vault) Knows(rid RID) (known, removed bool, err error) {
	for _, key := range [][]byte{keyRecord(rid), keyResidual(rid)} {
		if _, known, err = v.get(key); err != nil || known {
			return known, false, err
		}
	}
	_, removed, err = v.get(keyRemoved(rid))
	return false, removed, err
}

// Buried gives the residual of the record that an office deposited under a
// commitment.
func (v *Vault) Buried(office record.Code, c record.Commitment) (r Residual, ok bool, err error) {
	return v.residualAt(keyIndex(office, c), func(r Residual) bool { return r.Office == office && r.Commitment == c })
}

// BuriedAt gives the residual of the record that an entry anchored.
func (v *Vault) BuriedAt(i record.Index) (r Residual, ok bool, err error) {
	return v.residualAt(keyEntry(i), func(r Residual) bool { return r.Index == i })
}

// residualAt follows a key that holds a rid.
func (v *Vault) residualAt(key []byte, means func(Residual) bool) (Residual, bool, error) {
	rid, ok, err := v.get(key)
	if err != nil || !ok {
		return Residual{}, false, err
	}
	if len(rid) != len(RID{}) {
		return Residual{}, false, fmt.Errorf("%w: index of a residual record", ErrDamaged)
	}
	value, ok, err := v.get(keyResidual(RID(rid)))
	if err != nil || !ok {
		return Residual{}, false, err
	}
	r, err := parseResidual(RID(rid), value)
	if err == nil && !means(r) {
		err = fmt.Errorf("%w: index of a residual record points elsewhere", ErrDamaged)
	}
	if err != nil {
		return Residual{}, false, err
	}
	return r, true, nil
}
