package custody

import (
	"cmp"
	"slices"

	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// LostRing is a ring of which a vault has records, and which is not there: a ring
// is made before the first record of it is kept, and stays.
type LostRing struct {
	Ring    keyring.RingID
	Records uint64 // and deposits, that open for nobody without it
}

// LostRings compares a vault with the rings that there are, ascending by name.
func LostRings(v *vault.Vault, there []keyring.RingID) (lost []LostRing, err error) {
	kept, err := v.CountSeries()
	if err != nil {
		return nil, damaged(err)
	}
	for of, records := range kept {
		if id := ringOf(vault.Record{Office: of.Office, Series: of.Series}); !slices.Contains(there, id) {
			lost = append(lost, LostRing{id, records})
		}
	}
	slices.SortFunc(lost, func(a, b LostRing) int { return cmp.Compare(a.Ring.String(), b.Ring.String()) })
	return lost, nil
}
