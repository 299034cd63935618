package commitment

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawRanges draws leaves to hide or puncture, some beyond n.
func drawRanges(rt *rapid.T, n uint32) []Range {
	var ranges []Range
	for range rapid.IntRange(0, 8).Draw(rt, "ranges") {
		first := rapid.Uint32Range(0, n+2).Draw(rt, "first")
		ranges = append(ranges, Range{first, first + rapid.Uint32Range(0, 5).Draw(rt, "more")})
	}
	return ranges
}

// derivable returns all values that follow from seeds: the seeds below them, also
// of leaves that do not exist, and the secrets of leaves.
func derivable(seeds []node) map[[32]byte]bool {
	all := make(map[[32]byte]bool)
	var visit func(d node)
	visit = func(d node) {
		all[d.value] = true
		if d.level == 0 {
			s := leafSecret(d.value)
			all[s.Enc], all[s.Salt] = true, true
			return
		}
		left, right := children(d)
		visit(left)
		visit(right)
	}
	for _, d := range seeds {
		visit(d)
	}
	return all
}

// pathSecrets returns every value from which the leaf's secrets follow, and them.
func pathSecrets(s State, leaf uint32) [][32]byte {
	d := s.seeds[0]
	path := [][32]byte{d.value}
	for d.level > 0 {
		left, right := children(d)
		if d = left; uint64(leaf) >= right.first() {
			d = right
		}
		path = append(path, d.value)
	}
	secret := leafSecret(d.value)
	return append(path, secret.Enc, secret.Salt)
}

// TestPunctureForgets: whatever is punctured, the state derives all other
// secrets as before and nothing that leads to a punctured one.
func TestPunctureForgets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Uint32Range(1, 70).Draw(rt, "n")
		whole := NewState(testKey(), n)
		s := whole
		gone := drawRanges(rt, n)
		s.PunctureRanges(gone)
		known := derivable(s.seeds)
		live := make(map[uint32]Secret)
		for i, secret := range s.Secrets() {
			live[i] = secret
		}
		for leaf := range n {
			var want, got Secret
			want.Enc, want.Salt, _ = whole.Secret(leaf)
			var ok bool
			got.Enc, got.Salt, ok = s.Secret(leaf)
			punctured := slices.ContainsFunc(gone, func(r Range) bool { return r.First <= leaf && leaf <= r.Last })
			if ok == punctured || s.Live(leaf) == punctured || contains(s.Hidden(), leaf) != punctured {
				rt.Fatalf("leaf %d of %d punctured=%t: Secret ok=%t, Live=%t, Hidden=%v", leaf, n, punctured, ok, s.Live(leaf), s.Hidden())
			}
			if !punctured && (got != want || live[leaf] != want) {
				rt.Fatalf("leaf %d of %d: secret changed by puncturing %v", leaf, n, gone)
			}
			if _, ranged := live[leaf]; ranged == punctured {
				rt.Fatalf("leaf %d of %d punctured=%t: in Secrets %t", leaf, n, punctured, ranged)
			}
			for _, value := range pathSecrets(whole, leaf) {
				if punctured && known[value] {
					rt.Fatalf("leaf %d of %d can still be derived after %v", leaf, n, gone)
				}
			}
		}
	})
}

// TestPunctureOrder: one leaf after the other, in any order, gives the same bytes
// as all at once, and the bytes are canonical.
func TestPunctureOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Uint32Range(1, 70).Draw(rt, "n")
		gone := drawRanges(rt, n)
		atOnce := NewState(testKey(), n)
		atOnce.PunctureRanges(gone)
		var leaves []uint32
		for _, r := range mergeRanges(gone, n) {
			for leaf := r.First; leaf <= r.Last; leaf++ {
				leaves = append(leaves, leaf)
			}
		}
		oneByOne := NewState(testKey(), n)
		for _, leaf := range rapid.Permutation(leaves).Draw(rt, "order") {
			oneByOne.Puncture(leaf)
		}
		if !bytes.Equal(atOnce.Marshal(), oneByOne.Marshal()) {
			rt.Fatalf("n=%d %v: the order of puncturing shows", n, gone)
		}
		parsed, err := ParseState(atOnce.Marshal())
		if err != nil || !bytes.Equal(parsed.Marshal(), atOnce.Marshal()) {
			rt.Fatalf("n=%d %v: ParseState: %v", n, gone, err)
		}
	})
}

// TestParseStateRefuses names each way in which a state can be wrong.
func TestParseStateRefuses(t *testing.T) {
	good := NewState(testKey(), 7)
	good.Puncture(5)
	if _, err := ParseState(good.Marshal()); err != nil {
		t.Fatalf("ParseState of a good state: %v", err)
	}
	with := func(n uint32, seeds ...node) []byte { return State{n, seeds}.Marshal() }
	change := func(at int, b byte) []byte {
		raw := good.Marshal()
		raw[at] = b
		return raw
	}
	for _, c := range []struct {
		name, why string
		raw       []byte
	}{
		{"nothing", "0 bytes", nil},
		{"other version", "bytes", change(0, 2)},
		{"other depth", "depth 4", change(1, 4)},
		{"no leaves", "0 leaves", change(5, 0)},
		{"too many leaves", "leaves", change(2, 2)},
		{"more seeds announced", "4 seeds", change(9, 4)},
		{"trailing byte", "seeds in", append(good.Marshal(), 0)},
		{"cut short", "seeds in", good.Marshal()[:80]},
		{"level above the root", "outside", with(7, node{level: 4})},
		{"node beyond the leaves", "outside", with(5, node{level: 0, index: 5})},
		{"out of order", "out of order", with(7, node{level: 0, index: 4}, node{level: 1, index: 0})},
		{"overlapping", "overlaps", with(7, node{level: 2, index: 0}, node{level: 1, index: 1})},
		{"twice", "overlaps", with(7, node{level: 1, index: 0}, node{level: 1, index: 0})},
		{"two siblings", "part of a larger one", with(7, node{level: 1, index: 0}, node{level: 1, index: 1})},
		{"sibling does not exist", "part of a larger one", with(7, node{level: 0, index: 6})},
		{"all leaves, not as the root", "part of a larger one", with(5, node{level: 2, index: 0}, node{level: 2, index: 1})},
	} {
		s, err := ParseState(c.raw)
		if !errors.Is(err, ErrState) || !strings.Contains(fmt.Sprint(err), c.why) || s.n != 0 || s.seeds != nil {
			t.Errorf("%s: ParseState = %v, %v; want ErrState for %q", c.name, s, err, c.why)
		}
	}
}

// TestStateHidesItself: no formatting verb writes secrets to a log.
func TestStateHidesItself(t *testing.T) {
	key := testKey()
	s := NewState(key, 16)
	enc, salt, _ := s.Secret(3)
	secret := Secret{enc, salt}
	for _, v := range []any{key, s, secret} {
		for _, verb := range []string{"%v", "%s", "%+v"} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "\x00\x01\x02") || strings.Contains(out, "[0 1 2") || strings.Contains(out, fmt.Sprint(secret.Salt[:4])[1:]) {
				t.Errorf("%T with %s shows %q", v, verb, out)
			}
		}
	}
}

// TestNewStateLimits: a state has 1 to MaxLeaves leaves.
func TestNewStateLimits(t *testing.T) {
	for n, live := range map[uint32]bool{0: false, 1: true, MaxLeaves: true, MaxLeaves + 1: false} {
		s := NewState(testKey(), n)
		if s.N() != map[bool]uint32{true: n}[live] || s.Live(0) != live || s.Live(MaxLeaves) {
			t.Errorf("NewState of %d leaves: first live %t, want %t", n, s.Live(0), live)
		}
		if _, err := ParseState(s.Marshal()); (err == nil) != live {
			t.Errorf("ParseState of %d leaves: %v", n, err)
		}
	}
}
