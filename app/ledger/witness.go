package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// WitnessesOf gives the witnesses outside the network; none where none were stated.
func WitnessesOf(v View) (record.Witnesses, error) {
	w, _, err := factOf[record.Witnesses](v, StateKeyWitnesses())
	return w, err
}

// changeWitnesses judges a new list of witnesses. One that is listed already
// keeps its key; the key of another is nobody's in the network.
func changeWitnesses(v View, f *record.Witnesses, at record.Index) ([]Value, Code, error) {
	now, err := WitnessesOf(v)
	if err != nil {
		return nil, 0, err
	}
	if sameWitnesses(now, *f) {
		return nil, CodeNoChange, nil
	}
	for _, w := range f.Witnesses {
		if slices.ContainsFunc(now.Witnesses, func(x record.Witness) bool { return x.PublicKey == w.PublicKey }) {
			continue
		}
		taken, err := isTaken(v, record.KeyIDOf(w.PublicKey[:]))
		if err != nil {
			return nil, 0, err
		}
		if taken {
			return nil, CodeKeyRegistered, nil
		}
	}
	fact, err := record.MarshalFact(f)
	return []Value{{StateKeyWitnesses(), factValue(at, fact)}}, OK, err
}

func sameWitnesses(a, b record.Witnesses) bool {
	return a.Threshold == b.Threshold && slices.Equal(a.Witnesses, b.Witnesses)
}
