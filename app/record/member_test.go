package record

import (
	"errors"
	"testing"
)

func TestWitnessesAreNamedOnce(t *testing.T) {
	one, two := Witness{"COUNTY", [32]byte{1}, [32]byte{2}}, Witness{"STATE", [32]byte{3}, [32]byte{4}}
	pair := func(change func(*Witness)) *Witnesses {
		other := two
		change(&other)
		return &Witnesses{Witnesses: []Witness{one, other}, Threshold: 1}
	}
	for name, w := range map[string]*Witnesses{
		"one code":                       pair(func(w *Witness) { w.Code = one.Code }),
		"one key":                        pair(func(w *Witness) { w.PublicKey = one.PublicKey }),
		"one name":                       pair(func(w *Witness) { w.NameHash = one.NameHash }),
		"no key":                         pair(func(w *Witness) { w.PublicKey = [32]byte{} }),
		"more to make a quorum than all": {Witnesses: []Witness{one, two}, Threshold: 3},
		"none to make a quorum":          {Witnesses: []Witness{one, two}},
		"a quorum of nobody":             {Threshold: 1},
	} {
		if _, err := MarshalFact(w); !errors.Is(err, ErrMalformed) {
			t.Errorf("witnesses with %s: %v", name, err)
		}
	}
	if _, err := MarshalFact(pair(func(*Witness) {})); err != nil {
		t.Error(err)
	}
}
