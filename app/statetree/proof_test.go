package statetree

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// sample is a small tree with a proof of each kind.
func sample(t *testing.T) (*tree, map[string]Key) {
	tr := newTree()
	// Ways: 000..., 0011..., 1...: beside 01 there is nothing, and the leaf of 1 stands at depth 1.
	for _, first := range []byte{0x00, 0x30, 0x3f, 0x80} {
		tr.update(t, Write{Key{first}, []byte{first}})
	}
	return tr, map[string]Key{"this key": {0x3f}, "nothing": {0x40}, "another key": {0x81}}
}

func TestEveryByteOfAProofCounts(t *testing.T) {
	tr, keys := sample(t)
	for name, key := range keys {
		raw := mustProve(t, tr, key).Marshal()
		value, present := tr.values[key]
		for i := range raw {
			for bit := range 8 {
				bad := bytes.Clone(raw)
				bad[i] ^= 1 << bit
				p, err := ParseProof(bad)
				if err != nil {
					if !errors.Is(err, ErrMalformedProof) || p.end != 0 || p.siblings != nil {
						t.Fatalf("%s: byte %d bit %d: proof %v, error %v", name, i, bit, p, err)
					}
					continue
				}
				if err := Verify(tr.root, key, value, present, p); !errors.Is(err, ErrNotProven) {
					t.Fatalf("%s: byte %d bit %d accepted: %v", name, i, bit, err)
				}
			}
		}
		for n := range raw {
			if _, err := ParseProof(raw[:n]); !errors.Is(err, ErrMalformedProof) {
				t.Fatalf("%s: cut to %d bytes: got %v", name, n, err)
			}
		}
		if _, err := ParseProof(append(bytes.Clone(raw), 0)); !errors.Is(err, ErrMalformedProof) {
			t.Fatalf("%s: a byte more: got %v", name, err)
		}
	}
}

func TestOtherSpellingsRefused(t *testing.T) {
	one := bytes.Repeat([]byte{7}, 32)
	zero := make([]byte, 32)
	deep := func(end byte, depth int) []byte {
		bitmap := make([]byte, (depth+7)/8)
		for i := range depth {
			bitmap[i/8] |= 0x80 >> (i % 8)
		}
		return slices.Concat([]byte{end, byte(depth >> 8), byte(depth)}, bitmap, bytes.Repeat(one, depth))
	}
	for _, c := range []struct {
		name string
		raw  []byte
		ok   bool
	}{
		{"one sibling", slices.Concat([]byte{1, 0, 1, 0x80}, one), true},
		{"an empty sibling above", slices.Concat([]byte{1, 0, 2, 0x40}, one), true},
		{"no sibling", []byte{1, 0, 0}, true},
		{"empty tree", []byte{2, 0, 0}, true},
		{"depth 256", deep(1, 256), true},
		{"nothing at depth 255", deep(2, 255), true},
		{"no bytes", nil, false},
		{"end 0", []byte{0, 0, 0}, false},
		{"end 4", []byte{4, 0, 0}, false},
		{"padding bits set", slices.Concat([]byte{1, 0, 1, 0x81}, one), false},
		{"a sibling more than bits", slices.Concat([]byte{1, 0, 1, 0x80}, one, one), false},
		{"a sibling less than bits", slices.Concat([]byte{1, 0, 2, 0xc0}, one), false},
		{"a given sibling is empty", slices.Concat([]byte{1, 0, 2, 0xc0}, zero, one), false},
		{"the end beside nothing", slices.Concat([]byte{1, 0, 2, 0x80}, one), false},
		{"only empty siblings", []byte{1, 0, 1, 0x00}, false},
		{"nothing at depth 256", deep(2, 256), false},
		{"depth 257", deep(1, 257), false},
		{"depth 65535 without bytes", []byte{1, 0xff, 0xff}, false},
		{"another key without bytes", []byte{3}, false},
		{"longer than any", make([]byte, MaxProofBytes+1), false},
	} {
		p, err := ParseProof(c.raw)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrMalformedProof) {
			t.Errorf("%s: got %v, want accepted %t", c.name, err, c.ok)
		}
		if err == nil && !bytes.Equal(p.Marshal(), c.raw) {
			t.Errorf("%s: written again as %x, want %x", c.name, p.Marshal(), c.raw)
		}
	}
}

func TestLongestProof(t *testing.T) {
	p := Proof{end: endOther, siblings: slices.Repeat([]Hash{{1}}, maxDepth)}
	if got := len(p.Marshal()); got != MaxProofBytes {
		t.Errorf("%d bytes, want %d", got, MaxProofBytes)
	}
}

func TestForgedProofsRefused(t *testing.T) {
	tr, keys := sample(t)
	absent := keys["another key"]
	p := mustProve(t, tr, absent)

	moved := p
	moved.otherKey[0] ^= 0x80 // no longer on the way of the key
	same := p
	same.otherKey = absent
	beside := p
	beside.siblings = append(slices.Clone(p.siblings), Empty)
	for name, forged := range map[string]Proof{
		"other leaf off the way": moved, "other leaf is the key": same, "end beside nothing": beside, "zero proof": {},
	} {
		if err := Verify(tr.root, absent, nil, false, forged); !errors.Is(err, ErrNotProven) {
			t.Errorf("%s: got %v, want %v", name, err, ErrNotProven)
		}
	}
	if err := Verify(Empty, absent, nil, false, p); !errors.Is(err, ErrNotProven) {
		t.Errorf("another root: got %v, want %v", err, ErrNotProven)
	}
}

func FuzzParseProof(f *testing.F) {
	f.Add([]byte{2, 0, 0})
	f.Add([]byte{1, 0, 0})
	f.Add(append([]byte{1, 0, 1, 0x80}, bytes.Repeat([]byte{7}, 32)...))
	f.Add(append(append([]byte{3}, make([]byte, 64)...), append([]byte{0, 2, 0x40}, bytes.Repeat([]byte{9}, 32)...)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ParseProof(raw)
		if err != nil {
			if p.end != 0 || p.siblings != nil || !errors.Is(err, ErrMalformedProof) {
				t.Fatalf("refused with %v and proof %v", err, p)
			}
			return
		}
		if got := p.Marshal(); !bytes.Equal(got, raw) {
			t.Fatalf("written again as %x, want %x", got, raw)
		}
	})
}

// FuzzVerify searches a proof of something false about the sample tree.
func FuzzVerify(f *testing.F) {
	tr := newTree()
	for _, first := range []byte{0x00, 0x30, 0x3f, 0x80} {
		root, nodes, err := Update(tr.nodes, tr.root, []Write{{Key{first}, []byte{first}}})
		if err != nil {
			f.Fatal(err)
		}
		tr.nodes.Apply(nodes)
		tr.root, tr.values[Key{first}] = root, []byte{first}
	}
	for _, first := range []byte{0x00, 0x3f, 0x40, 0x81} {
		p, err := Prove(tr.nodes, tr.root, Key{first})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Marshal(), first, first, true)
		f.Add(p.Marshal(), first, first, false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, first, value byte, present bool) {
		p, err := ParseProof(raw)
		if err != nil {
			return
		}
		claimed := []byte{value}
		if !present {
			claimed = nil
		}
		truth, there := tr.values[Key{first}]
		err = Verify(tr.root, Key{first}, claimed, present, p)
		if err == nil && (present != there || !bytes.Equal(claimed, truth)) {
			t.Fatalf("proof %x shows key %x present %t value %x, which is false", raw, first, present, claimed)
		}
	})
}
