package commitment

import (
	"errors"
	"fmt"
	"slices"
)

// ErrStates: two key states are not of one record.
var ErrStates = errors.New("key states of different records")

// Intersect returns the state that opens exactly the leaves that both open. Both
// come from one record key. Where they do not, as far as that shows in what they
// have in common, the error is ErrStates; nothing that they do not have in common
// is in the result in any case.
func (s State) Intersect(t State) (State, error) {
	if s.n == 0 || s.n != t.n {
		return State{}, fmt.Errorf("%w: %d leaves and %d", ErrStates, s.n, t.n)
	}
	common := s.without(t.Hidden())
	if again := t.without(s.Hidden()); !slices.Equal(common.seeds, again.seeds) {
		return State{}, ErrStates
	}
	return common, nil
}

// Within reports whether t opens every leaf that s opens: s is as narrow as t, or
// narrower. It looks at the leaves alone, not at what opens them.
func (s State) Within(t State) bool {
	if s.n != t.n {
		return false
	}
	hidden := s.Hidden()
	for _, gone := range t.Hidden() {
		for next := uint64(gone.First); next <= uint64(gone.Last); {
			covering := within(hidden, next, next+1)
			if len(covering) == 0 {
				return false
			}
			next = uint64(covering[0].Last) + 1
		}
	}
	return true
}
