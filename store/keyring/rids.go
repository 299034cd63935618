package keyring

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// RIDs lists the records of which a ring has a state, ascending; tombstones are
// not among them.
func (k *Keyring) RIDs(id RingID) (list []RID, err error) {
	err = k.with(k.found(id), func(r *ring) error {
		list, err = r.rids()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list ring %s: %w", id, err)
	}
	return list, nil
}

func (r *ring) rids() (list []RID, err error) {
	iterator, err := r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixState}, UpperBound: []byte{prefixState + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, iterator.Error(), iterator.Close()) }()
	for valid := iterator.First(); valid; valid = iterator.Next() {
		if len(iterator.Key()) != 1+len(RID{}) {
			return nil, fmt.Errorf("%w: state under a key of %d bytes", ErrDamaged, len(iterator.Key()))
		}
		sealed, err := iterator.ValueAndErr()
		if err != nil {
			return nil, err
		}
		if len(sealed) > sealedTombstone {
			list = append(list, RID(iterator.Key()[1:]))
		}
	}
	return list, nil
}
