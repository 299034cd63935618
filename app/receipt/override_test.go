package receipt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

var overrideKey = testKey("override")

func overrideOf(nodes int) Override {
	o := Override{Network: record.Network{1, 2, 3}, Until: retention.DayOf(2026, 12, 1)}
	for i := range nodes {
		o.Nodes = append(o.Nodes, fmt.Sprintf("%040x", nodes-i))
	}
	return o
}

func signedOverride(t testing.TB, o Override) []byte {
	t.Helper()
	text, err := o.Sign(overrideKey)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestOverride(t *testing.T) {
	public := [32]byte(overrideKey.Public().(ed25519.PublicKey))
	for _, nodes := range []int{1, 2, maxNodes} {
		got, err := ParseOverride(signedOverride(t, overrideOf(nodes)))
		if err != nil {
			t.Fatal(err)
		}
		want := overrideOf(nodes)
		if got.Network != want.Network || got.Until != want.Until || got.Key != record.KeyIDOf(public[:]) || len(got.Nodes) != nodes || got.Nodes[0] != want.Nodes[nodes-1] {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if err := got.Verify(public); err != nil {
			t.Error(err)
		}
		if err := got.Verify([32]byte{1}); !errors.Is(err, ErrOverrideSignature) {
			t.Errorf("another key: %v", err)
		}
	}
}

// TestEveryByteOfAnOverrideCounts flips each byte: the text is refused, or its
// signature is.
func TestEveryByteOfAnOverrideCounts(t *testing.T) {
	public := [32]byte(overrideKey.Public().(ed25519.PublicKey))
	text := signedOverride(t, overrideOf(2))
	for i := range text {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= flip
			o, err := ParseOverride(changed)
			if err != nil && o.Nodes != nil {
				t.Fatalf("an error with a result: %+v", o)
			}
			if err == nil && o.Verify(public) == nil {
				t.Fatalf("byte %d ^ %#x is accepted", i, flip)
			}
		}
	}
}

func TestWrongOverrides(t *testing.T) {
	many := overrideOf(maxNodes + 1)
	short := overrideOf(1)
	short.Nodes[0] = short.Nodes[0][1:]
	capital := overrideOf(1)
	capital.Nodes[0] = strings.Repeat("AB", 20)
	for name, o := range map[string]Override{"no node": overrideOf(0), "too many nodes": many, "a short id": short, "capital digits": capital} {
		if text, err := o.Sign(overrideKey); !errors.Is(err, ErrMalformed) || text != nil {
			t.Errorf("%s: got %q, %v", name, text, err)
		}
	}
	if _, err := ParseOverride(make([]byte, MaxOverrideBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	twice := bytes.Replace(signedOverride(t, overrideOf(1)), []byte("until"), []byte("node "+overrideOf(1).Nodes[0]+"\nuntil"), 1)
	if _, err := ParseOverride(twice); !errors.Is(err, ErrMalformed) {
		t.Errorf("a node twice: %v", err)
	}
}

func FuzzParseOverride(f *testing.F) {
	f.Add(signedOverride(f, overrideOf(1)))
	f.Add(signedOverride(f, overrideOf(3)))
	f.Add([]byte(overrideTitle + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := ParseOverride(text)
		if err != nil {
			if o.Nodes != nil || o.Signature != nil {
				t.Errorf("an error with a result: %+v", o)
			}
			return
		}
		sameBytes(t, text, o.marshal(), err)
	})
}
