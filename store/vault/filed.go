package vault

import (
	"bytes"
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// MaxRedaction is the size of the largest sealed redaction in bytes.
const MaxRedaction = 16 << 20

// PutRedaction keeps a redaction of a record, as the caller sealed it, durably.
// It is named by the hash of its text and is buried with the record. One that is
// there already stays.
func (v *Vault) PutRedaction(rid RID, hash [32]byte, sealed []byte) error {
	if len(sealed) == 0 || len(sealed) > MaxRedaction {
		return fmt.Errorf("keep redaction of %d bytes, not 1 to %d", len(sealed), MaxRedaction)
	}
	if _, ok, err := v.Record(rid); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("keep redaction: %w", ErrAbsent)
	}
	return v.setOnce(keyRedaction(rid, hash), sealed)
}

// setOnce keeps a value durably unless its key has one.
func (v *Vault) setOnce(key, value []byte) error {
	if _, ok, err := v.get(key); err != nil || ok {
		return err
	}
	batch := v.db.NewBatch()
	if err := batch.Set(key, value, nil); err != nil {
		return err
	}
	return v.apply(batch)
}

// Redaction gives the sealed redaction with a hash.
func (v *Vault) Redaction(rid RID, hash [32]byte) (sealed []byte, ok bool, err error) {
	return v.get(keyRedaction(rid, hash))
}

// Redactions lists the hashes of the redactions of a record, ascending.
func (v *Vault) Redactions(rid RID) (hashes [][32]byte, err error) {
	err = v.each(keyRedactions(rid), nil, func(key, _ []byte) error {
		if len(key) != 1+len(rid)+32 {
			return fmt.Errorf("%w: name of a redaction of %d bytes", ErrDamaged, len(key))
		}
		hashes = append(hashes, [32]byte(key[1+len(rid):]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return hashes, nil
}

// PutReport keeps the text of the erasure report on a disposition, durably and
// for good. Another text is refused (ErrExists).
func (v *Vault) PutReport(disposition record.Index, text []byte) error {
	if _, err := record.ParseErasureReport(text); err != nil {
		return fmt.Errorf("keep report on disposition %d: %w", disposition, err)
	}
	old, ok, err := v.ReportText(disposition)
	switch {
	case err != nil:
		return err
	case ok && !bytes.Equal(old, text):
		return fmt.Errorf("keep another report on disposition %d: %w", disposition, ErrExists)
	}
	return v.setOnce(keyReport(disposition), text)
}

// ReportText gives the text of the erasure report on a disposition.
func (v *Vault) ReportText(disposition record.Index) (text []byte, ok bool, err error) {
	text, ok, err = v.get(keyReport(disposition))
	if err != nil || !ok {
		return nil, false, err
	}
	r, err := record.ParseErasureReport(text)
	if err == nil && r.Disposition != disposition {
		err = fmt.Errorf("it is about disposition %d", r.Disposition)
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: report on disposition %d: %w", ErrDamaged, disposition, err)
	}
	return text, true, nil
}
