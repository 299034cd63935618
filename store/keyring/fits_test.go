package keyring

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestFits(t *testing.T) {
	fs, root, other := vfs.NewMem(), testRoot(t), testRoot(t)
	wantFit := func(when string, root Root, want error) {
		t.Helper()
		if err := Fits("rings", root, Options{FS: fs}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	k := openTest(t, fs, root)
	wantFit("an empty keyring, its root", root, nil)
	wantFit("an empty keyring, another root", other, nil)
	mustPut(t, k, minutes, rid(1), "one")
	wantFit("a ring whose office has no key", root, ErrRoot)
	if _, err := k.OfficeKey(minutes.Department); err != nil {
		t.Fatal(err)
	}
	wantFit("its root", root, nil)
	wantFit("another root", other, ErrRoot)
	away := &device{}
	away.set(true, false)
	wantFit("a device that is away", away, errAway)
	if err := Fits("nowhere", root, Options{FS: fs}); err == nil || errors.Is(err, ErrRoot) {
		t.Errorf("no keyring: %v", err)
	}
}
