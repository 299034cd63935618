package node

import (
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// ErrRingsLost is returned where a vault has records of rings that are not there.
// A node that started without them would answer that it never had what it keeps,
// and its next backup of the keyring would be an empty one.
var ErrRingsLost = errors.New("the keyring is missing")

// CheckRings refuses a home, whose node is stopped, that keeps records of rings
// which it lacks. Nothing is changed.
func (h Home) CheckRings() error {
	var damage error
	v, ok, err := vault.Look(h.Vault(), vault.Options{Fatal: func(err error) { damage = err }})
	if err != nil || !ok {
		return errors.Join(err, damage)
	}
	return errors.Join(h.checkRings(v), v.Close(), damage)
}

func (h Home) checkRings(v *vault.Vault) error {
	there, err := keyring.Marked(h.Rings(), keyring.Options{})
	if err != nil {
		return err
	}
	lost, err := custody.LostRings(v, there)
	if err != nil || len(lost) == 0 {
		return err
	}
	records := uint64(0)
	for _, l := range lost {
		records += l.Records
	}
	if len(there) == 0 {
		return fmt.Errorf("%w: %d records are kept here, and no ring that opens them", ErrRingsLost, records)
	}
	return fmt.Errorf("part of %w: %d records are kept here whose rings are not, as ring %s", ErrRingsLost, records, lost[0].Ring)
}
