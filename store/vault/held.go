package vault

import (
	"fmt"
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// EachAnchored calls fn for every record that is anchored under a custodian set,
// ascending by office and commitment. An error of fn ends it.
func (v *Vault) EachAnchored(set record.Code, fn func(Record) error) error {
	return v.each([]byte{prefixIndex}, nil, func(_, value []byte) error {
		if len(value) != len(RID{}) {
			return fmt.Errorf("%w: index of a record of %d bytes", ErrDamaged, len(value))
		}
		r, ok, err := v.Record(RID(value))
		if err != nil || !ok || !r.Anchored || r.Custody != set { // buried ones have an index and no record
			return err
		}
		return fn(r)
	})
}

// Sets lists the custodian sets of which records or deposits are kept, ascending.
func (v *Vault) Sets() ([]record.Code, error) {
	all := map[record.Code]bool{}
	err := v.each([]byte{prefixRecord}, nil, func(_, value []byte) error {
		if len(value) < recordSize || value[0] != recordVersion {
			return fmt.Errorf("%w: record of %d bytes", ErrDamaged, len(value))
		}
		rest, code := value[recordSize:], record.Code("")
		for range 3 { // office, series, custody
			var err error
			if code, rest, err = cutCode(rest); err != nil {
				return err
			}
		}
		all[code] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list custodian sets: %w", err)
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// EachRedaction calls fn for the name of every redaction that is kept, ordered by
// record and hash.
func (v *Vault) EachRedaction(fn func(rid RID, hash [32]byte) error) error {
	return v.each([]byte{prefixRedaction}, nil, func(key, _ []byte) error {
		if len(key) != 1+len(RID{})+32 {
			return fmt.Errorf("%w: name of a redaction of %d bytes", ErrDamaged, len(key))
		}
		return fn(RID(key[1:]), [32]byte(key[1+len(RID{}):]))
	})
}

// Catalogued gives the sealed catalogue entry of a record.
func (v *Vault) Catalogued(r Record) ([]CatalogueLeaf, error) {
	value, ok, err := v.get(keyCatalogue(r.Office, r.RID))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("catalogue entry: %w", ErrAbsent)
	}
	return parseCatalogue(value)
}
