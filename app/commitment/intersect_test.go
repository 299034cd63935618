package commitment

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestIntersectIsOfSets: two states of one record have in common what their sets
// of leaves have, in the canonical form, in whatever order they come; and nothing
// that leads to another leaf.
func TestIntersectIsOfSets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Uint32Range(1, 70).Draw(rt, "n")
		whole := NewState(testKey(), n)
		a, b, want := whole, whole, whole
		goneA, goneB := drawRanges(rt, n), drawRanges(rt, n)
		a.PunctureRanges(goneA)
		b.PunctureRanges(goneB)
		want.PunctureRanges(slices.Concat(goneA, goneB))
		for _, pair := range [][2]State{{a, b}, {b, a}} {
			got, err := pair[0].Intersect(pair[1])
			if err != nil || !bytes.Equal(got.Marshal(), want.Marshal()) {
				rt.Fatalf("without %v and without %v: %v of %v, %v", goneA, goneB, got.Hidden(), n, err)
			}
		}
		known := derivable(want.seeds)
		for leaf := range n {
			both := a.Live(leaf) && b.Live(leaf)
			if want.Live(leaf) != both {
				rt.Fatalf("leaf %d: live %t, in both %t", leaf, want.Live(leaf), both)
			}
			for _, value := range pathSecrets(whole, leaf) {
				if !both && known[value] {
					rt.Fatalf("leaf %d can be derived", leaf)
				}
			}
		}
		subset := true
		for leaf := range n {
			subset = subset && (!a.Live(leaf) || b.Live(leaf))
		}
		if a.Within(b) != subset || !want.Within(a) || !want.Within(b) || !a.Within(whole) {
			rt.Fatalf("%v within %v: %t, want %t", a.Hidden(), b.Hidden(), a.Within(b), subset)
		}
	})
}

// TestIntersectRefusesStrangers: states of other keys or sizes have nothing in
// common but where both are empty.
func TestIntersectRefusesStrangers(t *testing.T) {
	other := testKey()
	other[0] ^= 1
	a, b := NewState(testKey(), 16), NewState(other, 16)
	part := b
	part.PunctureRanges([]Range{{0, 6}, {8, 15}})
	for name, pair := range map[string][2]State{
		"another key": {a, b}, "one leaf of another key": {a, part}, "another size": {a, NewState(testKey(), 15)}, "no state": {State{}, State{}},
	} {
		if got, err := pair[0].Intersect(pair[1]); !errors.Is(err, ErrStates) || got.n != 0 || got.seeds != nil {
			t.Errorf("%s: %v, %v; want ErrStates", name, got, err)
		}
	}
	if a.Within(NewState(testKey(), 15)) {
		t.Error("a state is within one of another size")
	}
}

// FuzzIntersect holds the intersection to the leaves that are live, whatever states
// come from elsewhere.
func FuzzIntersect(f *testing.F) {
	for _, n := range []uint32{1, 7, 16} {
		a, b := NewState(testKey(), n), NewState(testKey(), n)
		a.Puncture(n / 2)
		f.Add(a.Marshal(), b.Marshal())
		b.Puncture(0)
		f.Add(a.Marshal(), b.Marshal())
	}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, errA := ParseState(x)
		b, errB := ParseState(y)
		if errA != nil || errB != nil || a.n > 1<<12 || b.n > 1<<12 {
			return
		}
		got, err := a.Intersect(b)
		if err != nil {
			if !errors.Is(err, ErrStates) || got.n != 0 || got.seeds != nil {
				t.Errorf("refused, but returned %v, %v", got, err)
			}
			return
		}
		for leaf := range a.n {
			if got.Live(leaf) != (a.Live(leaf) && b.Live(leaf)) {
				t.Errorf("leaf %d is live: %t", leaf, got.Live(leaf))
			}
		}
		if again, err := ParseState(got.Marshal()); err != nil || !bytes.Equal(again.Marshal(), got.Marshal()) || !got.Within(a) || !got.Within(b) {
			t.Errorf("not canonical, or wider: %v", err)
		}
	})
}
