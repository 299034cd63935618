package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"github.com/muniment/muniment/app/keyfile"
)

var (
	// ErrRoot: what is to be unwrapped was not wrapped by this root for this use,
	// or was changed since.
	ErrRoot = errors.New("wrapped key does not open under this root key")
	// ErrRootFile: the key file holds something else than a root key.
	ErrRootFile = errors.New("not the key file of a ring root")
)

// Root wraps the keys of rings. A back end is a key file or a device. Its methods
// are safe for concurrent use; wrapping twice gives different bytes, of which the
// last 24 are random. Unwrap's error is ErrRoot for bytes that this root can no
// longer or never could unwrap, and for these alone: a device that does not answer
// gives another. Device names the kind of back end in reports, as "key file".
//
// A device that draws a key for each wrapping and never gives it away may have one
// method more, Destroy(wrapped []byte) error. It ends that key before it returns,
// and is no error for one that is gone already, since a crash repeats the call.
// Rotations then end epochs at level C3 ([record.ClaimKey]).
type Root interface {
	Wrap(key []byte) (wrapped []byte, err error)
	Unwrap(wrapped []byte) (key []byte, err error)
	Device() string
}

const (
	rootLabel  = "RING-ROOT"
	rootDomain = "MUN1 root"
)

// NewRootFile draws a root key and seals it by a passphrase into the text of a
// key file. With such a root an erasure is claimed at level C1: no file holds it.
func NewRootFile(rand io.Reader, passphrase []byte, iterations int) ([]byte, error) {
	var key [32]byte
	if _, err := io.ReadFull(rand, key[:]); err != nil {
		return nil, fmt.Errorf("draw ring root: %w", err)
	}
	return keyfile.Seal(rand, passphrase, iterations, rootLabel, key[:])
}

// OpenRootFile opens the text of a key file that NewRootFile or NewPKCS11File
// made, and the device that it leads to. A root that is an io.Closer has to be
// closed after the keyring.
func OpenRootFile(passphrase, text []byte) (Root, error) {
	label, key, err := keyfile.Open(passphrase, text)
	if err != nil {
		return nil, err
	}
	if label == tokenLabel {
		p, err := parsePKCS11(key)
		if err != nil {
			return nil, err
		}
		token, err := OpenPKCS11(p)
		if err != nil {
			return nil, err
		}
		return token, nil
	}
	if label != rootLabel || len(key) != 32 {
		return nil, fmt.Errorf("open ring root: %w: label %q, %d bytes", ErrRootFile, label, len(key))
	}
	return fileRoot{[32]byte(key)}, nil
}

// fileRoot is a root key in memory.
type fileRoot struct{ key [32]byte }

// String hides the key from logs.
func (fileRoot) String() string { return "ring root" }

// GoString hides the key from logs.
func (fileRoot) GoString() string { return "ring root" }

// Device gives "key file".
func (fileRoot) Device() string { return deviceFile }

func (r fileRoot) Wrap(key []byte) ([]byte, error) {
	aead, err := newCipher(r.key)
	if err != nil {
		return nil, fmt.Errorf("wrap key: %w", err)
	}
	return aead.Seal(nil, nil, key, []byte(rootDomain)), nil
}

func (r fileRoot) Unwrap(wrapped []byte) ([]byte, error) {
	aead, err := newCipher(r.key)
	if err != nil {
		return nil, fmt.Errorf("unwrap key: %w", err)
	}
	key, err := aead.Open(nil, nil, wrapped, []byte(rootDomain))
	if err != nil {
		return nil, fmt.Errorf("unwrap key: %w", ErrRoot)
	}
	return key, nil
}

// wrapFor wraps a 32-byte key together with what it is for.
func wrapFor(root Root, use string, key [32]byte) ([]byte, error) {
	return root.Wrap(append([]byte(use+"\n"), key[:]...))
}

// unwrapFor is the inverse of wrapFor; a key for another use is ErrRoot.
func unwrapFor(root Root, use string, wrapped []byte) (key [32]byte, err error) {
	plain, err := root.Unwrap(wrapped)
	if err != nil {
		return key, err
	}
	raw, ok := bytes.CutPrefix(plain, []byte(use+"\n"))
	if !ok || len(raw) != len(key) {
		return key, fmt.Errorf("%w: it is not one of %s", ErrRoot, use)
	}
	return [32]byte(raw), nil
}

// newCipher is AES-256-GCM with a nonce of the system's generator: the only form
// that FIPS 140-3 allows.
func newCipher(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
