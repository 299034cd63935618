package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	stdpbkdf2 "crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

var (
	// ErrSealed: the file was sealed by another passphrase or key, or changed since.
	ErrSealed = errors.New("key file does not open: wrong passphrase, or a damaged file")
	// ErrForm: the file is of the other form: sealed under a key where a
	// passphrase was given, or the other way round.
	ErrForm = errors.New("key file is sealed in another way")
	// ErrPassphrase: a passphrase may not be empty.
	ErrPassphrase = errors.New("empty passphrase")
)

// Limits of a key file.
const (
	Iterations    = 600_000 // what programs write
	MinIterations = 1_000
	MaxIterations = 10_000_000
	MaxSecret     = 4096 // bytes of a secret; at least one
)

// Seal seals a secret by a passphrase. The salt comes from rand; the nonce is
// drawn by the cipher itself.
func Seal(rand io.Reader, passphrase []byte, iterations int, label string, secret []byte) ([]byte, error) {
	if err := checkIterations(iterations); err != nil {
		return nil, fmt.Errorf("seal key %.80q: %w", label, err)
	}
	f := file{Info: Info{Label: label, Iterations: iterations}}
	if _, err := io.ReadFull(rand, f.salt[:]); err != nil {
		return nil, fmt.Errorf("seal key %.80q: draw salt: %w", label, err)
	}
	key, err := f.derive(passphrase)
	if err != nil {
		return nil, fmt.Errorf("seal key %.80q: %w", label, err)
	}
	return f.seal(key, secret)
}

// Open opens a file that Seal wrote. It takes as long as the file's iterations
// demand: about a second for each million.
func Open(passphrase, text []byte) (label string, secret []byte, err error) {
	f, err := parse(text)
	if err != nil {
		return "", nil, fmt.Errorf("open key: %w", err)
	}
	if f.Iterations == 0 {
		return "", nil, fmt.Errorf("open key %q: %w: under a key", f.Label, ErrForm)
	}
	key, err := f.derive(passphrase)
	if err != nil {
		return "", nil, fmt.Errorf("open key %q: %w", f.Label, err)
	}
	return f.open(key)
}

// SealUnder seals a secret under a uniform 32-byte key.
func SealUnder(key [32]byte, label string, secret []byte) ([]byte, error) {
	f := file{Info: Info{Label: label}}
	return f.seal(key, secret)
}

// OpenUnder opens a file that SealUnder wrote.
func OpenUnder(key [32]byte, text []byte) (label string, secret []byte, err error) {
	f, err := parse(text)
	if err != nil {
		return "", nil, fmt.Errorf("open key: %w", err)
	}
	if f.Iterations != 0 {
		return "", nil, fmt.Errorf("open key %q: %w: by a passphrase", f.Label, ErrForm)
	}
	return f.open(key)
}

// derive turns a passphrase into the sealing key: PBKDF2, RFC 8018 section 5.2.
func (f file) derive(passphrase []byte) (key [32]byte, err error) {
	if len(passphrase) == 0 {
		return key, ErrPassphrase
	}
	derived, err := stdpbkdf2.Key(sha256.New, string(passphrase), f.salt[:], f.Iterations, len(key))
	if err != nil {
		return key, fmt.Errorf("derive key: %w", err)
	}
	return [32]byte(derived), nil
}

func (f file) seal(key [32]byte, secret []byte) ([]byte, error) {
	if err := checkLabel(f.Label); err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	if len(secret) == 0 || len(secret) > MaxSecret {
		return nil, fmt.Errorf("seal key %s: %w: secret of %d bytes", f.Label, ErrMalformed, len(secret))
	}
	aead, err := newCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal key %s: %w", f.Label, err)
	}
	f.sealed = aead.Seal(nil, nil, secret, f.header())
	return f.text(), nil
}

func (f file) open(key [32]byte) (string, []byte, error) {
	aead, err := newCipher(key)
	if err != nil {
		return "", nil, fmt.Errorf("open key %s: %w", f.Label, err)
	}
	secret, err := aead.Open(nil, nil, f.sealed, f.header())
	if err != nil {
		return "", nil, fmt.Errorf("open key %s: %w", f.Label, ErrSealed)
	}
	return f.Label, secret, nil
}

func newCipher(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
