package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/record"
)

// cardKeys are the five keys of a node, from a name.
func cardKeys(name string) (keys [5]ed25519.PrivateKey) {
	for i, use := range cardUses {
		keys[i] = testKey(name + " " + use)
	}
	return keys
}

// cardOf gives the card of a node before it is signed.
func cardOf(t testing.TB, keys [5]ed25519.PrivateKey) Card {
	t.Helper()
	c := Card{P2P: "node.example.org:26656", GRPC: "[2001:db8::1]:7450", Node: new(record.Node), Issued: 1_763_800_000}
	for i, key := range []*[32]byte{&c.Node.NodeKey, &c.Node.ValidatorKey, &c.Node.CosignerKey, &c.Node.LogKey, &c.Node.CustodianKey} {
		if keys[i] != nil {
			*key = [32]byte(keys[i].Public().(ed25519.PublicKey))
		}
	}
	var err error
	if c.Certificate, err = identity.ServerCertificate(rand.Reader, keys[0], ServerName(c.ID()), time.Unix(c.Issued, 0)); err != nil {
		t.Fatal(err)
	}
	return c
}

func signedCard(t testing.TB, keys [5]ed25519.PrivateKey) []byte {
	t.Helper()
	text, err := cardOf(t, keys).Sign(keys)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestCard(t *testing.T) {
	with := cardKeys("a")
	without := with
	without[4] = nil
	for name, keys := range map[string][5]ed25519.PrivateKey{"a custodian": with, "no custodian": without} {
		want := cardOf(t, keys)
		text, err := want.Sign(keys)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := ParseCard(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if *got.Node != *want.Node || got.P2P != want.P2P || got.GRPC != want.GRPC || got.Issued != want.Issued || !bytes.Equal(got.Certificate, want.Certificate) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if n := got.Fact(10); n.Power != 10 || got.Node.Power != 0 || !got.SameKeys(n) {
			t.Errorf("%s: the fact is %+v", name, n)
		}
	}
	other := *cardOf(t, with).Node
	other.LogKey[0] ^= 1
	if cardOf(t, with).SameKeys(&other) {
		t.Error("another log key is the same")
	}
}

// TestEveryByteOfACardCounts flips each byte, and leaves out and doubles each
// line: nothing of a card can be changed without a trace.
func TestEveryByteOfACardCounts(t *testing.T) {
	text := signedCard(t, cardKeys("a"))
	for i := range text {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= flip
			if c, err := ParseCard(changed); err == nil || c.Node != nil {
				t.Fatalf("byte %d ^ %#x is accepted", i, flip)
			}
		}
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i := range lines[:len(lines)-1] {
		without := bytes.Join(append(append([][]byte{}, lines[:i]...), lines[i+1:]...), nil)
		twice := bytes.Join(append(append(append([][]byte{}, lines[:i+1]...), lines[i]), lines[i+1:]...), nil)
		for _, changed := range [][]byte{without, twice} {
			if _, err := ParseCard(changed); err == nil {
				t.Errorf("line %d left out or doubled: accepted", i)
			}
		}
	}
	if _, err := ParseCard(append(text, '\n')); err == nil {
		t.Error("a line too many is accepted")
	}
}

func TestWrongCards(t *testing.T) {
	keys, other := cardKeys("a"), cardKeys("b")
	for name, c := range map[string]struct {
		change func(*Card, *[5]ed25519.PrivateKey)
		err    error
	}{
		"signed by another validator": {func(_ *Card, k *[5]ed25519.PrivateKey) { k[1] = other[1] }, ErrCardSignature},
		"signed by another custodian": {func(_ *Card, k *[5]ed25519.PrivateKey) { k[4] = other[4] }, ErrCardSignature},
		"signed by no log key":        {func(_ *Card, k *[5]ed25519.PrivateKey) { k[3] = nil }, ErrMalformed},
		"one key for two uses": {func(c *Card, k *[5]ed25519.PrivateKey) {
			c.Node.LogKey, k[3] = c.Node.ValidatorKey, k[1]
		}, ErrMalformed},
		"certificate of another node": {func(c *Card, _ *[5]ed25519.PrivateKey) { c.Certificate = cardOf(t, other).Certificate }, ErrMalformed},
		"no port":                     {func(c *Card, _ *[5]ed25519.PrivateKey) { c.P2P = "node.example.org" }, ErrMalformed},
		"no host":                     {func(c *Card, _ *[5]ed25519.PrivateKey) { c.GRPC = ":7450" }, ErrMalformed},
		"a line in an address":        {func(c *Card, _ *[5]ed25519.PrivateKey) { c.P2P = "a:1\ngrpc b:2" }, ErrMalformed},
		"issued never":                {func(c *Card, _ *[5]ed25519.PrivateKey) { c.Issued = 0 }, ErrMalformed},
		"too large":                   {func(c *Card, _ *[5]ed25519.PrivateKey) { c.P2P = strings.Repeat("a", MaxCardBytes) + ":1" }, ErrTooLarge},
		"no keys":                     {func(c *Card, _ *[5]ed25519.PrivateKey) { c.Node = nil }, ErrMalformed},
	} {
		card, with := cardOf(t, keys), keys
		c.change(&card, &with)
		if text, err := card.Sign(with); !errors.Is(err, c.err) || text != nil {
			t.Errorf("%s: got %q, %v; want %v", name, text, err, c.err)
		}
	}
	if _, err := ParseCard(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("nothing: %v", err)
	}
}

func FuzzParseCard(f *testing.F) {
	keys := cardKeys("a")
	f.Add(signedCard(f, keys))
	keys[4] = nil
	f.Add(signedCard(f, keys))
	f.Add([]byte(cardTitle + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCard(text)
		if err != nil {
			if c.Node != nil || c.Certificate != nil || c.P2P != "" {
				t.Errorf("an error with a result: %+v", c)
			}
			return
		}
		if !bytes.HasPrefix(text, c.body()) {
			t.Errorf("read\n%q\nwrote\n%q", text, c.body())
		}
	})
}
