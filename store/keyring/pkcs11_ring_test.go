//go:build cgo

package keyring

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// tokenFile makes the key file of a token and gives what opens it with the
// passphrase, which the one that has it open must be closed for.
func tokenFile(t *testing.T, p PKCS11) (open func() *Token) {
	t.Helper()
	text, err := NewPKCS11File(rand.Reader, []byte("root passphrase"), 1000, p)
	if err != nil {
		t.Fatal(err)
	}
	return func() *Token {
		t.Helper()
		root, err := OpenRootFile([]byte("root passphrase"), text)
		if err != nil {
			t.Fatal(err)
		}
		token := root.(*Token)
		t.Cleanup(func() { token.Close() })
		return token
	}
}

// destroyTwo destroys one of two records and gives the whole disk from before.
func destroyTwo(t *testing.T, mem *vfs.MemFS, root Root, meanwhile func()) (before *vfs.MemFS) {
	t.Helper()
	k := openTest(t, mem, root)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	if _, err := k.OfficeKey("CLERK"); err != nil {
		t.Fatal(err)
	}
	before = mem.CrashClone(vfs.CrashCloneCfg{})
	meanwhile()
	wantState(t, openTest(t, mem.CrashClone(vfs.CrashCloneCfg{}), root), minutes, rid(2), "two")
	if r := mustDestroy(t, k, minutes, rid(2)); r.Claim != k.Claim() || r.Ended != 1 || r.Live != 1 {
		t.Errorf("report %+v under claim %v", r, k.Claim())
	}
	wantState(t, k, minutes, rid(1), "one")
	wantDestroyed(t, k, minutes, rid(2))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	return before
}

// TestC1OldCopiesOpen: with a key file, a disk from before a record was destroyed
// opens it for whoever has the passphrase. The claim C1 says so.
func TestC1OldCopiesOpen(t *testing.T) {
	root := testRoot(t)
	before := destroyTwo(t, vfs.NewCrashableMem(), root, func() {})
	old := openTest(t, before, root)
	if old.Claim() != record.ClaimFiles || old.Device() != "key file" {
		t.Errorf("claim %v by %s, want C1 by key file", old.Claim(), old.Device())
	}
	wantState(t, old, minutes, rid(2), "two")
}

// TestC3OldCopiesDoNotOpen: with a token, a disk from before opens for nobody who
// has the key file, its passphrase, the token and its PIN.
func TestC3OldCopiesDoNotOpen(t *testing.T) {
	p, _ := softHSM(t)
	open, mem := tokenFile(t, p), vfs.NewCrashableMem()
	root := open()
	before := destroyTwo(t, mem, root, func() {})
	if n := keys(t, root); n != 2 { // of the ring's second epoch, and of the office
		t.Errorf("%d keys in the token, want 2", n)
	}
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	root = open()
	if k, err := Open("rings", root, Options{FS: before}); !errors.Is(err, ErrRoot) || k != nil {
		t.Errorf("a disk from before the rotation: %v, want ErrRoot", err)
	}
	k := openTest(t, mem, root)
	if k.Claim() != record.ClaimKey || k.Device() != "PKCS#11" {
		t.Errorf("claim %v by %s, want C3 by PKCS#11", k.Claim(), k.Device())
	}
	wantState(t, k, minutes, rid(1), "one")
	wantDestroyed(t, k, minutes, rid(2))
	if _, err := k.OfficeKey("CLERK"); err != nil {
		t.Errorf("the key of an office is never destroyed: %v", err)
	}
}

// TestC3ACopyOfTheTokenOpensOldCopies is why the claim C3 speaks of copies of the
// device: SoftHSM's keys are files.
func TestC3ACopyOfTheTokenOpensOldCopies(t *testing.T) {
	p, tokens := softHSM(t)
	open, copied := tokenFile(t, p), filepath.Join(t.TempDir(), "tokens")
	root := open()
	before := destroyTwo(t, vfs.NewCrashableMem(), root, func() {
		if err := os.CopyFS(copied, os.DirFS(tokens)); err != nil {
			t.Fatal(err)
		}
	})
	for _, err := range []error{root.Close(), os.RemoveAll(tokens), os.Rename(copied, tokens)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantState(t, openTest(t, before, open()), minutes, rid(2), "two")
}

// wrapping tells when the root has wrapped a key and nobody has it yet.
type wrapping struct {
	*Token
	done func()
}

func (w wrapping) Wrap(key []byte) ([]byte, error) {
	wrapped, err := w.Token.Wrap(key)
	w.done()
	return wrapped, err
}

// TestCrashBetweenWrapAndMeta leaves a key in the token that nothing uses and that
// has sealed nothing, before the journal knows of it. It is in nobody's way, and the
// next rotation ends the key of the old epoch as ever.
func TestCrashBetweenWrapAndMeta(t *testing.T) {
	p, _ := softHSM(t)
	token, mem := openToken(t, p), vfs.NewCrashableMem()
	k := openTest(t, mem, token)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	var crashed *vfs.MemFS
	k.root = wrapping{token, func() { crashed = mem.CrashClone(vfs.CrashCloneCfg{}) }}
	old, _ := parseTokenWrap(k.ring(minutes).meta.wrapped)
	if _, err := k.Rotate(minutes, Plan{LastLook: func() (Preserved, error) { return Preserved{}, errAway }}); !errors.Is(err, errAway) {
		t.Fatalf("a rotation whose last look fails: %v", err)
	}
	// The crash: of all that came after the wrapping, nothing was.
	k = openTest(t, crashed, token)
	if epoch, _ := k.Epoch(minutes); epoch != 1 || keys(t, token) != 2 {
		t.Errorf("epoch %d, %d keys in the token; want the first epoch, and two keys", epoch, keys(t, token))
	}
	wantState(t, k, minutes, rid(2), "two")
	before := crashed.CrashClone(vfs.CrashCloneCfg{})
	mustDestroy(t, k, minutes, rid(2))
	if left, err := token.find(old.id); len(left) != 0 || err != nil {
		t.Errorf("the token has the key of the old epoch: %v", err)
	}
	if n := keys(t, token); n != 2 {
		t.Errorf("%d keys in the token, want the current one and the one that nothing uses", n)
	}
	if _, err := Open("rings", token, Options{FS: before}); !errors.Is(err, ErrRoot) {
		t.Errorf("a disk from before the rotation: %v, want ErrRoot", err)
	}
	wantState(t, k, minutes, rid(1), "one")
}

// TestTokenGoneInARotation takes the token away at the last look. The rotation
// reports nothing until the token is back and its key destroyed.
func TestTokenGoneInARotation(t *testing.T) {
	p, tokens := softHSM(t)
	token := openToken(t, p)
	k := openTest(t, vfs.NewMem(), token)
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	back := func() {}
	plan := Plan{Changes: destroying(rid(2)), LastLook: func() (Preserved, error) {
		back = away(t, tokens)
		return Preserved{}, nil
	}}
	if r, err := k.Rotate(minutes, plan); !errors.Is(err, ErrToken) || r.To != 0 {
		t.Errorf("rotation without the token: %+v, %v; want ErrToken", r, err)
	}
	if !k.Unfinished(minutes) {
		t.Error("the rotation counts as done")
	}
	wantDestroyed(t, k, minutes, rid(2))
	if r, err := k.Resume(minutes, nil); !errors.Is(err, ErrToken) || r.To != 0 {
		t.Errorf("resumed without the token: %+v, %v; want ErrToken", r, err)
	}
	back()
	r, err := k.Resume(minutes, nil)
	if err != nil || r.Claim != record.ClaimKey || r.Ended != 1 || keys(t, token) != 1 {
		t.Errorf("resumed with the token: %+v, %v, %d keys; want C3 and one key", r, err, keys(t, token))
	}
	wantState(t, k, minutes, rid(1), "one")
}
