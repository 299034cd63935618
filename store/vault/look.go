package vault

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

// Look opens the store in dir to be read, and changes nothing there. No other
// process has it open. Ok is false where there is none.
func Look(dir string, o Options) (v *Vault, ok bool, err error) {
	if _, err := o.fs().Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	there, err := pebble.Peek(dir, o.fs())
	if err == nil && !there.Exists {
		return nil, false, nil
	}
	options := o.pebbleOptions()
	options.ReadOnly = true
	var db *pebble.DB
	if err == nil {
		db, err = pebble.Open(dir, options)
	}
	if err != nil {
		return nil, false, fmt.Errorf("look at vault: %w", err)
	}
	return &Vault{options: o, db: db}, true, nil
}

// OfSeries names the records that an office keeps in a series.
type OfSeries struct{ Office, Series record.Code }

// CountSeries counts the records and deposits that are kept, by office and series.
// It reads the codes of each and no more.
func (v *Vault) CountSeries() (map[OfSeries]uint64, error) {
	all := map[OfSeries]uint64{}
	err := v.each([]byte{prefixRecord}, nil, func(_, value []byte) error {
		if len(value) < recordSize || value[0] != recordVersion {
			return fmt.Errorf("%w: record of %d bytes", ErrDamaged, len(value))
		}
		office, rest, err := cutCode(value[recordSize:])
		series, _, more := cutCode(rest)
		if err := errors.Join(err, more); err != nil {
			return err
		}
		all[OfSeries{office, series}]++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count records: %w", err)
	}
	return all, nil
}
