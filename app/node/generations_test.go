package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

func newKeychain(t *testing.T) *Keychain {
	t.Helper()
	home := Home(t.TempDir())
	if _, err := MakeKeys(home, testKeyOptions()); err != nil {
		t.Fatal(err)
	}
	return openKeychain(t, home)
}

func openKeychain(t *testing.T, home Home) *Keychain {
	t.Helper()
	c, err := OpenKeychain(home, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func makeGeneration(t *testing.T, c *Keychain, use string) Generation {
	t.Helper()
	g, err := c.Make(use, rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// listed gives the generations as "validator 2".
func listed(c *Keychain) (list []string) {
	for _, g := range c.Generations() {
		list = append(list, fmt.Sprint(g.Use, " ", g.Number))
	}
	return list
}

// A generation lies beside the present one, in files of its own, and a home that
// is open already finds it by its public half.
func TestAGenerationLiesBesideThePresentOne(t *testing.T) {
	first := newKeychain(t)
	running := openKeychain(t, first.home)
	before := first.InUse()
	for _, use := range keyUses {
		g := makeGeneration(t, first, use)
		if g.Number != 2 || g.Use != use || (len(g.Certificate) > 0) != (use == "node") {
			t.Errorf("%s: got %+v", use, g)
		}
		if key, ok := before.find(use, g.Public()); !ok || !key.Equal(g.Key) {
			t.Errorf("%s: keys that were opened before do not find the second generation", use)
		}
		if found, ok := running.find(use, g.Public()); !ok || !found.Key.Equal(g.Key) {
			t.Errorf("%s: the running node does not find the second generation", use)
		}
		if _, ok := running.find(use, [32]byte{1}); ok {
			t.Errorf("%s: a key was found that nobody made", use)
		}
	}
	newest := first.Newest()
	for i, n := range before.named() {
		if key, ok := newest.find(n.name, public(*n.key)); !ok || !key.Equal(*n.key) {
			t.Errorf("%s: the first generation is gone", n.name)
		}
		if newest.named()[i].key.Equal(*n.key) {
			t.Errorf("%s: the newest is the first", n.name)
		}
	}
	if bytes.Equal(newest.Certificate, before.Certificate) {
		t.Error("the new node key has the old certificate")
	}
	if first.InUse().ID() != before.ID() {
		t.Error("a new node key is used before anybody said so")
	}
	again := openKeychain(t, first.home)
	if got := fmt.Sprint(listed(again)); got != fmt.Sprint(listed(first)) || len(again.Generations()) != 10 {
		t.Errorf("after a restart: %s", got)
	}
}

// The keys that count are those of the fact, of whichever generation.
func TestKeysAreThoseOfTheFact(t *testing.T) {
	c := newKeychain(t)
	first := c.InUse()
	for _, use := range keyUses {
		makeGeneration(t, c, use)
	}
	second := c.Newest()
	mixed := first.Fact(10)
	mixed.LogKey, mixed.CustodianKey = public(second.Log), public(second.Custodian)
	for name, test := range map[string]struct {
		fact *record.Node
		want Keys
	}{
		"first": {first.Fact(10), first},
		"mixed": {mixed, Keys{Node: first.Node, Validator: first.Validator, Cosigner: first.Cosigner, Log: second.Log, Custodian: second.Custodian}},
	} {
		got, ok := c.Of(test.fact)
		if !ok || *got.Fact(10) != *test.want.Fact(10) || !bytes.Equal(got.Certificate, first.Certificate) {
			t.Errorf("%s: got %v, %+v", name, ok, got.Fact(10))
		}
	}
	none := first.Fact(10)
	none.CustodianKey = [32]byte{}
	if got, ok := c.Of(none); !ok || got.Custodian != nil {
		t.Errorf("without a custodian key: %v, %v", ok, got.Custodian != nil)
	}
	strange := first.Fact(10)
	strange.CosignerKey[0] ^= 1
	if _, ok := c.Of(strange); ok {
		t.Error("a fact with a stranger's cosigner key is of these keys")
	}
	// The node key changes with a decision of the operator.
	if _, ok := c.Of(second.Fact(10)); ok {
		t.Error("a node key counts that is not in use")
	}
	if err := c.UseNode(2); err != nil {
		t.Fatal(err)
	}
	if got, ok := openKeychain(t, c.home).Of(second.Fact(10)); !ok || got.ID() != second.ID() || !bytes.Equal(got.Certificate, second.Certificate) {
		t.Errorf("after the change: %v, %s", ok, got.ID())
	}
	if _, ok := c.Of(first.Fact(10)); ok {
		t.Error("the old node key still counts")
	}
	if err := c.UseNode(3); !errors.Is(err, ErrNoSuchGeneration) {
		t.Errorf("a third node key: %v", err)
	}
}

func TestDroppedKeysAreGone(t *testing.T) {
	c := newKeychain(t)
	old := c.InUse()
	for _, use := range []string{"validator", "node"} {
		makeGeneration(t, c, use)
	}
	for _, test := range []struct {
		use    string
		number int
		want   error
	}{
		{"node", 1, ErrLastGeneration}, {"cosigner", 1, ErrLastGeneration}, {"validator", 3, ErrNoSuchGeneration}, {"home", 1, ErrNoSuchGeneration},
	} {
		if err := c.Drop(test.use, test.number); !errors.Is(err, test.want) {
			t.Errorf("%s %d: got %v, want %v", test.use, test.number, err, test.want)
		}
	}
	if err := errors.Join(c.Drop("validator", 1), c.UseNode(2), c.Drop("node", 1)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{c.home.key("validator"), c.home.key("node"), c.home.certificate(1)} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	again := openKeychain(t, c.home)
	if _, ok := again.find("validator", public(old.Validator)); ok || again.InUse().ID() == old.ID() {
		t.Error("a dropped key is still found")
	}
	if g := makeGeneration(t, again, "validator"); g.Number != 3 {
		t.Errorf("the next validator key has number %d, want 3", g.Number)
	}
}

// TestKeyFoldersBreakAtEachStep fails each durable step of making, changing and
// dropping: what was there opens as before, or with the whole of what was
// wanted, and the same command again brings it about.
func TestKeyFoldersBreakAtEachStep(t *testing.T) {
	broken := errors.New("disk is broken")
	acts := map[string]func(*Keychain) error{
		"make a validator key": func(c *Keychain) error { _, err := c.Make("validator", rand.Reader, time.Now()); return err },
		"make a node key":      func(c *Keychain) error { _, err := c.Make("node", rand.Reader, time.Now()); return err },
		"use a node key":       func(c *Keychain) error { return c.UseNode(2) },
		"drop a node key": func(c *Keychain) error {
			if err := c.Drop("node", 2); !errors.Is(err, ErrNoSuchGeneration) {
				return err
			}
			return nil // it went the first time
		},
	}
	for name, act := range acts {
		steps := 0
		for fail := 1; ; fail++ {
			c := newKeychain(t)
			makeGeneration(t, c, "node")
			before := listed(c)
			steps = 0
			c.at = func(string) error {
				if steps++; steps == fail {
					return broken
				}
				return nil
			}
			err := act(c)
			if steps < fail {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
			if !errors.Is(err, broken) {
				t.Fatalf("%s, step %d: got %v, want %v", name, fail, err, broken)
			}
			again := openKeychain(t, c.home)
			if after := listed(again); len(after) < len(before)-1 || len(after) > len(before)+1 {
				t.Errorf("%s, step %d: from %v to %v", name, fail, before, after)
			}
			if err := act(again); err != nil {
				t.Errorf("%s, step %d, again: %v", name, fail, err)
			}
			openKeychain(t, c.home)
		}
		if want := map[string]int{"make a validator key": 4, "make a node key": 8, "use a node key": 4, "drop a node key": 2}[name]; steps != want {
			t.Errorf("%s has %d durable steps, want %d", name, steps, want)
		}
	}
}

func TestKeyFilesHaveStrictNames(t *testing.T) {
	for _, name := range []string{"validator.02.key", "validator.1.key", "validator.0.key", "log.x.key", "node.-2.key", "cosigner..key", "log.1000.key", "log.2.3.key"} {
		c := newKeychain(t)
		if err := os.WriteFile(filepath.Join(c.home.Keys(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeychain(c.home, passphrase); !errors.Is(err, ErrKeyName) {
			t.Errorf("%s: got %v, want %v", name, err, ErrKeyName)
		}
	}
	c := newKeychain(t)
	makeGeneration(t, c, "log")
	text, err := os.ReadFile(c.home.key("log"))
	if err != nil {
		t.Fatal(err)
	}
	// What a crash left is no key; one generation in the place of another is noticed.
	if err := os.WriteFile(c.home.key("log.3")+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	openKeychain(t, c.home)
	if err := os.WriteFile(c.home.key("log.2"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeychain(c.home, passphrase); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the first in the place of the second: %v", err)
	}
	for text, want := range map[string]error{"2\n": ErrNoSuchGeneration, "02\n": ErrStateCorrupt, "1": ErrStateCorrupt, "x\n": ErrStateCorrupt} {
		c := newKeychain(t)
		if err := os.WriteFile(c.home.nodeUse(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeychain(c.home, passphrase); !errors.Is(err, want) {
			t.Errorf("node key in use %q: got %v, want %v", text, err, want)
		}
	}
}

func TestMakeRefusesUnknownUses(t *testing.T) {
	c := newKeychain(t)
	if _, err := c.Make("home", rand.Reader, time.Now()); !errors.Is(err, ErrKeyUse) {
		t.Errorf("got %v, want %v", err, ErrKeyUse)
	}
	options := testKeyOptions()
	options.Custodian = false
	home := Home(t.TempDir())
	if _, err := MakeKeys(home, options); err != nil {
		t.Fatal(err)
	}
	if _, err := openKeychain(t, home).Make("custodian", rand.Reader, time.Now()); !errors.Is(err, ErrNoContent) {
		t.Errorf("a custodian key where no content is kept: %v", err)
	}
}

// A backup that was made under earlier keys of a home, or while new ones wait for
// their decision, is this home's own.
func TestABackupOutlivesTheKeysOfItsTime(t *testing.T) {
	c := newKeychain(t)
	manifest := func(k Keys) Manifest {
		custodian := k.Fact(0).CustodianKey
		id := record.KeyIDOf(custodian[:])
		return Manifest{Node: k.ID(), Custodian: &id}
	}
	before, stranger := manifest(c.InUse()), manifest(newKeychain(t).InUse())
	makeGeneration(t, c, "custodian")
	makeGeneration(t, c, "node")
	for _, used := range []int{1, 2} {
		if err := c.UseNode(used); err != nil {
			t.Fatal(err)
		}
		keys, err := OpenKeys(c.home, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if err := before.isOf(c.home, keys); err != nil {
			t.Errorf("node key %d in use: %v", used, err)
		}
		for name, m := range map[string]Manifest{
			"another node's": {Node: stranger.Node, Custodian: before.Custodian}, "another custodian's": {Node: before.Node, Custodian: stranger.Custodian},
			"one without content": {Node: before.Node},
		} {
			if err := m.isOf(c.home, keys); !errors.Is(err, ErrOtherBackup) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A node whose ledger is older than its keys, as after a restore or half-way through
// the blocks that it gets anew, starts though the keys of that time were dropped; one
// that has lost a key does not.
func TestAnOldLedgerRegistersDroppedKeys(t *testing.T) {
	start := func(home Home) error {
		n, err := New(home, testConfig(), Options{Passphrase: passphrase, Log: slog.New(slog.DiscardHandler), Heartbeat: time.Second, Fatal: func(err error) { t.Error(err) }})
		if err == nil {
			err = n.Stop()
		}
		return err
	}
	dir, configs := newTestnet(t, 1, 1)
	home := TestnetHome(dir, 1)
	n := open(t, home, configs[0], time.Second)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	submit(t, n, anchor(t, n, "under the first keys"))
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	c := openKeychain(t, home)
	for _, use := range []string{"cosigner", "log", "custodian"} {
		makeGeneration(t, c, use)
		if err := c.Drop(use, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := start(home); err != nil {
		t.Errorf("keys that were dropped: %v", err)
	}
	registered := c.Newest().Fact(10)
	if !c.hasDropped(registered) {
		t.Error("keys that are all there count as lost")
	}
	if registered.ValidatorKey[0] ^= 1; c.hasDropped(registered) {
		t.Error("a validator key that is lost counts as dropped, though none ever was")
	}
}
