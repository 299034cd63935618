package node

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// kept puts a sealed record of a series into the vault of a home that is stopped.
func kept(t *testing.T, home Home, series record.Code) keyring.RingID {
	t.Helper()
	layout, err := commitment.Arrange("raw/1", []byte("minutes"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var key commitment.RecordKey
	rand.Read(key[:])
	manifest, leaves, err := commitment.Commit(commitment.NewState(key, layout.N()), layout)
	if err != nil {
		t.Fatal(err)
	}
	r := vault.Record{
		Office: "CLERK", Series: series, Custody: "CITY", Commitment: record.Commitment(manifest.Commitment()), Manifest: manifest,
		NotAfter: 1 << 30, Anchored: true, Index: 1,
	}
	rand.Read(r.RID[:])
	v, err := vault.Open(home.Vault(), vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(yield func([]byte, error) bool) { yield(make([]byte, 64), nil) }
	if err := errors.Join(v.Put(vault.Deposit{Record: r, Leaves: leaves, Layout: make([]byte, 64), Sealed: sealed}), v.Close()); err != nil {
		t.Fatal(err)
	}
	return keyring.RingID{Department: r.Office, Class: r.Series}
}

// TestANodeWithoutItsRingsDoesNotStart: it would deny what it keeps. Nothing is made
// by the refused start, and one lost ring is as bad as all.
func TestANodeWithoutItsRingsDoesNotStart(t *testing.T) {
	home := newHome(t)
	halt(t, serve(t, home)) // nothing is kept, and nothing missed
	refused := func(words string) {
		t.Helper()
		names := namesIn(t, string(home))
		_, err := NewService(home, testConfig(), testOptions(t))
		if !errors.Is(err, ErrRingsLost) || !strings.Contains(err.Error(), words) {
			t.Errorf("start: %v", err)
		}
		if err := home.CheckRings(); !errors.Is(err, ErrRingsLost) || !strings.Contains(err.Error(), words) {
			t.Errorf("look: %v", err)
		}
		if now := namesIn(t, string(home)); strings.Join(now, " ") != strings.Join(names, " ") {
			t.Errorf("%v became %v", names, now)
		}
	}
	put := func(id keyring.RingID) {
		t.Helper()
		root, done, err := home.RingRoot(testOptions(t).Passphrase)
		if err != nil {
			t.Fatal(err)
		}
		rings, err := keyring.Open(home.Rings(), root, keyring.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(rings.Put(id, keyring.RID{1}, []byte("state")), rings.Close(), done()); err != nil {
			t.Fatal(err)
		}
	}
	minutes := kept(t, home, "DEMO-MINUTES")
	refused("the keyring is missing: 1 records are kept here, and no ring that opens them")
	if err := os.RemoveAll(home.Rings()); err != nil {
		t.Fatal(err)
	}
	refused("the keyring is missing: 1 records")
	if _, err := os.Stat(home.Rings()); err == nil {
		t.Error("rings/ was made")
	}
	put(minutes)
	permits := kept(t, home, "DEMO-PERMITS")
	refused("part of the keyring is missing: 1 records are kept here whose rings are not, as ring CLERK_DEMO-PERMITS")
	o := testOptions(t)
	o.WithoutRings = true
	s, err := NewService(home, testConfig(), o)
	if err != nil {
		t.Fatalf("a node that is to start without: %v", err)
	}
	halt(t, s)
	put(permits)
	if err := home.CheckRings(); err != nil {
		t.Errorf("all rings are there: %v", err)
	}
}
