//go:build cgo

package keyring

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/miekg/pkcs11"
)

// Token is a root whose keys are inside a PKCS#11 device. Each wrapping has a key
// of its own there, which was made there, cannot be read, and is destroyed by
// Destroy. It is safe for concurrent use: calls take turns in one session.
//
// A module says that its token was lost by almost any error, and one is known that
// finds no keys any more and no fault in that. So what fails, or finds nothing, is
// tried once more after the module was started anew, the token was found and the
// PIN accepted. An absence counts only then.
type Token struct {
	place PKCS11

	mu      sync.Mutex // guards what follows, and the module
	module  *pkcs11.Ctx
	started bool // the module is, by this token
	ready   bool // session is open and logged in
	session pkcs11.SessionHandle
	model   string
	refused error // ErrPIN: nothing is tried any more
	closed  bool
}

// OpenPKCS11 starts a module and logs into its token. A process opens one token of
// a module at a time. The errors are ErrModule, ErrToken, ErrPIN and ErrDevice.
func OpenPKCS11(p PKCS11) (*Token, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	p.PIN = slices.Clone(p.PIN)
	if _, err := os.Stat(p.Module); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModule, err)
	}
	t := &Token{place: p, module: pkcs11.New(p.Module)}
	if t.module == nil {
		return nil, fmt.Errorf("%w: %s is none, or lacks a library that it needs", ErrModule, p.Module)
	}
	if err := t.connect(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// String tells which token it is.
func (t *Token) String() string { return t.place.String() }

// GoString hides the PIN from logs.
func (t *Token) GoString() string { return t.place.String() }

// Device gives "PKCS#11".
func (t *Token) Device() string { return deviceToken }

// Model tells what the token says of itself: maker and model, as "SoftHSM
// project, SoftHSM v2".
func (t *Token) Model() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.model
}

// Close ends the session and stops the module. It stays loaded: to unload it is to
// trust what it does then.
func (t *Token) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	clear(t.place.PIN)
	if err := t.disconnect(); err != nil {
		return fmt.Errorf("close %v: %w: %w", t, ErrDevice, err)
	}
	return nil
}

// Try has the token do once all that a root must do, with a key that it leaves
// no trace of.
func (t *Token) Try() error {
	secret := make([]byte, 48)
	rand.Read(secret)
	wrapped, err := t.Wrap(secret)
	if err != nil {
		return err
	}
	opened, err := t.Unwrap(wrapped)
	if err == nil && subtle.ConstantTimeCompare(opened, secret) != 1 {
		err = fmt.Errorf("try %v: %w: it opens something else than it sealed", t, ErrDevice)
	}
	return errors.Join(err, t.Destroy(wrapped))
}

// Wrap seals a key under a new key of the token, and has it opened again before
// it is relied upon. On error no key is left in the token, if it can be reached.
func (t *Token) Wrap(key []byte) ([]byte, error) {
	var w tokenWrap
	rand.Read(w.id[:])
	err := t.attempt(func() error {
		if err := t.remove(w.id); err != nil { // left over from the first attempt
			return err
		}
		handle, err := t.generate(w.id)
		if err == nil {
			err = t.seal(&w, handle, key)
		}
		if err == nil {
			err = t.compare(w, handle, key)
		}
		if err != nil {
			return errors.Join(err, t.remove(w.id))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("wrap key by %v: %w", t, err)
	}
	return w.marshal(), nil
}

// Unwrap opens what Wrap made. The error is ErrRoot where the token is there and
// its key is not, or was not used for this.
func (t *Token) Unwrap(wrapped []byte) (key []byte, err error) {
	w, err := parseTokenWrap(wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap key: %w", err)
	}
	err = t.attempt(func() error {
		handles, err := t.find(w.id)
		switch {
		case err != nil:
			return err
		case len(handles) != 1:
			return fmt.Errorf("%w: the token has %d keys %x", ErrRoot, len(handles), w.id)
		}
		if key, err = t.open(w, handles[0]); err != nil {
			return t.blame(err, handles[0])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("unwrap key by %v: %w", t, err)
	}
	return key, nil
}

// blame tells whose fault it is that something does not open: that of its bytes
// (ErrRoot) where the key opens what it seals now. The codes of modules do not tell.
func (t *Token) blame(err error, handle pkcs11.ObjectHandle) error {
	trial := []byte("trial")
	var w tokenWrap
	failed := t.seal(&w, handle, trial)
	if failed == nil {
		failed = t.compare(w, handle, trial)
	}
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrDevice, err)
	}
	return fmt.Errorf("%w: %w", ErrRoot, err)
}

// Destroy ends the token's key of a wrapping. It returns well when the token, asked
// anew, has no such key: also where that was so before.
func (t *Token) Destroy(wrapped []byte) error {
	w, err := parseTokenWrap(wrapped)
	if err != nil {
		return fmt.Errorf("destroy key: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.destroy(w.id); err != nil {
		return fmt.Errorf("destroy key in %v: %w", t, named(err))
	}
	return nil
}

// destroy ends a key and looks for it anew. What was there after all, since a lost
// login hides keys, is ended once more.
func (t *Token) destroy(id tokenKeyID) error {
	for range 2 {
		if err := t.turn(func() error { return t.remove(id) }); err != nil {
			return err
		}
		if err := t.connect(); err != nil {
			return err
		}
		if left, err := t.find(id); err != nil || len(left) == 0 {
			return err
		}
	}
	return fmt.Errorf("%w: the key %x is still there", ErrDevice, id)
}

// attempt has the token do something, and once more where it fails.
func (t *Token) attempt(do func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return named(t.turn(do))
}

// turn is attempt for who holds the lock.
func (t *Token) turn(do func() error) error {
	fresh := !t.ready
	if fresh {
		if err := t.connect(); err != nil {
			return err
		}
	}
	err := do()
	if err == nil || fresh {
		return err
	}
	if again := t.connect(); again != nil {
		return again
	}
	return do()
}

// named gives an error of the module one of the names of this package.
func named(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{ErrModule, ErrToken, ErrPIN, ErrRoot, ErrDevice} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrDevice, err)
}

// generate makes a key in the token, and has it confirmed that it will stay there.
func (t *Token) generate(id tokenKeyID) (pkcs11.ObjectHandle, error) {
	handle, err := t.module.GenerateKey(t.session, mechanism(pkcs11.CKM_AES_KEY_GEN, nil), append(ours(id),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, "muniment"),
	))
	if err != nil {
		return 0, fmt.Errorf("make key: %w", err)
	}
	kept, err := t.module.GetAttributeValue(t.session, handle, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_NEVER_EXTRACTABLE, nil),
	})
	if err != nil {
		return 0, fmt.Errorf("look at key: %w", err)
	}
	if len(kept) != 2 || !isTrue(kept[0]) || !isTrue(kept[1]) {
		return 0, fmt.Errorf("%w: it made a key that can be taken out", ErrDevice)
	}
	return handle, nil
}

func isTrue(a *pkcs11.Attribute) bool { return len(a.Value) == 1 && a.Value[0] == 1 }

// ours is what all keys with an id of this package have in common.
func ours(id tokenKeyID) []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id[:]),
	}
}

func mechanism(of uint, parameters any) []*pkcs11.Mechanism {
	return []*pkcs11.Mechanism{pkcs11.NewMechanism(of, parameters)}
}

// seal fills in a nonce, which the device may change, and what is sealed.
func (t *Token) seal(w *tokenWrap, handle pkcs11.ObjectHandle, key []byte) error {
	rand.Read(w.nonce[:])
	gcm := pkcs11.NewGCMParams(w.nonce[:], w.context(), 8*tokenTag)
	defer gcm.Free()
	err := t.module.EncryptInit(t.session, mechanism(pkcs11.CKM_AES_GCM, gcm), handle)
	if err == nil {
		w.sealed, err = t.module.Encrypt(t.session, key)
	}
	switch {
	case err != nil:
		return fmt.Errorf("seal: %w", err)
	case len(key) == 0 || len(w.sealed) != len(key)+tokenTag || len(gcm.IV()) != tokenNonce:
		return fmt.Errorf("%w: it sealed %d bytes into %d, with a nonce of %d", ErrDevice, len(key), len(w.sealed), len(gcm.IV()))
	}
	w.nonce = [tokenNonce]byte(gcm.IV())
	return nil
}

func (t *Token) open(w tokenWrap, handle pkcs11.ObjectHandle) ([]byte, error) {
	gcm := pkcs11.NewGCMParams(w.nonce[:], w.context(), 8*tokenTag)
	defer gcm.Free()
	if err := t.module.DecryptInit(t.session, mechanism(pkcs11.CKM_AES_GCM, gcm), handle); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	key, err := t.module.Decrypt(t.session, w.sealed)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return key, nil
}

// compare has a key opened again, the way it will be read later.
func (t *Token) compare(w tokenWrap, handle pkcs11.ObjectHandle, key []byte) error {
	again, err := parseTokenWrap(w.marshal())
	if err != nil {
		return fmt.Errorf("%w: a key of %d bytes makes a wrapped one that none may be", ErrDevice, len(key))
	}
	opened, err := t.open(again, handle)
	if err == nil && subtle.ConstantTimeCompare(opened, key) != 1 {
		err = fmt.Errorf("%w: it opens something else than it sealed", ErrDevice)
	}
	return err
}

// remove destroys the token's keys with an id.
func (t *Token) remove(id tokenKeyID) error {
	handles, err := t.find(id)
	for _, h := range handles {
		if e := t.module.DestroyObject(t.session, h); e != nil {
			err = errors.Join(err, fmt.Errorf("destroy key: %w", e))
		}
	}
	return err
}

// find gives the token's keys with an id: one, or none.
func (t *Token) find(id tokenKeyID) ([]pkcs11.ObjectHandle, error) {
	const most = 16
	if err := t.module.FindObjectsInit(t.session, ours(id)); err != nil {
		return nil, fmt.Errorf("look for key: %w", err)
	}
	handles, _, err := t.module.FindObjects(t.session, most)
	if err := errors.Join(err, t.module.FindObjectsFinal(t.session)); err != nil {
		return nil, fmt.Errorf("look for key: %w", err)
	}
	return handles, nil
}
