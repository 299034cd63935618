package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrModule: the PKCS#11 module of a device cannot be loaded or used.
	ErrModule = errors.New("PKCS#11 module cannot be used")
	// ErrToken: the module shows no such token, or the token lacks AES-GCM.
	ErrToken = errors.New("PKCS#11 token cannot be used")
	// ErrPIN: the token refuses the PIN, or would be locked by one more wrong one.
	// Nothing is tried again before the process ends.
	ErrPIN = errors.New("PKCS#11 token refuses the PIN")
	// ErrDevice: the token did not do what was asked of it.
	ErrDevice = errors.New("PKCS#11 token failed")
)

// PKCS11 says how to reach the device that wraps ring keys.
type PKCS11 struct {
	Module string // absolute path of the vendor's PKCS#11 module
	Token  string // label of the token, 1 to 32 bytes
	PIN    []byte // of its user, 1 to 255 bytes
}

// String hides the PIN from logs.
func (p PKCS11) String() string { return fmt.Sprintf("token %q of %s", p.Token, p.Module) }

// GoString hides the PIN from logs.
func (p PKCS11) GoString() string { return p.String() }

const (
	tokenLabel  = "RING-ROOT-PKCS11"
	deviceFile  = "key file"
	deviceToken = "PKCS#11"
	maxLabel    = 32
	maxPIN      = 255
)

// check refuses what no token can be reached by, and what does not fit into lines.
func (p PKCS11) check() error {
	switch {
	case !filepath.IsAbs(p.Module) || !isLine(p.Module):
		return fmt.Errorf("%w: %q: give its absolute path", ErrModule, p.Module)
	case len(p.Token) > maxLabel || !isLine(p.Token) || strings.HasSuffix(p.Token, " "):
		return fmt.Errorf("%w: the label %q is not 1 to %d bytes on one line", ErrToken, p.Token, maxLabel)
	case len(p.PIN) > maxPIN || !isLine(string(p.PIN)):
		return fmt.Errorf("%w: a PIN is 1 to %d bytes on one line", ErrPIN, maxPIN)
	}
	return nil
}

// isLine tells whether text is there and has no control characters in it.
func isLine(text string) bool {
	return text != "" && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func (p PKCS11) marshal() []byte {
	return fmt.Appendf(nil, "module %s\ntoken %s\npin %s\n", p.Module, p.Token, p.PIN)
}

// parsePKCS11 reads what marshal wrote.
func parsePKCS11(text []byte) (PKCS11, error) {
	module, rest, _ := bytes.Cut(text, []byte("\n"))
	token, rest, _ := bytes.Cut(rest, []byte("\n"))
	pin, _, _ := bytes.Cut(rest, []byte("\n"))
	p := PKCS11{
		Module: strings.TrimPrefix(string(module), "module "),
		Token:  strings.TrimPrefix(string(token), "token "),
		PIN:    bytes.Clone(bytes.TrimPrefix(pin, []byte("pin "))),
	}
	if p.check() != nil || !bytes.Equal(p.marshal(), text) {
		return PKCS11{}, fmt.Errorf("%w: it names no token", ErrRootFile)
	}
	return p, nil
}

// NewPKCS11File seals the way to a device by a passphrase into the text of a key
// file. With such a root an erasure is claimed at level C3. The device is not
// asked: see [Token.Try].
func NewPKCS11File(rand io.Reader, passphrase []byte, iterations int, p PKCS11) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return keyfile.Seal(rand, passphrase, iterations, tokenLabel, p.marshal())
}

// RootFileClaim tells without a passphrase which level the root in a key file
// allows, and by which device: "key file" or "PKCS#11".
func RootFileClaim(text []byte) (c record.Claim, device string, err error) {
	info, err := keyfile.Parse(text)
	if err != nil {
		return 0, "", err
	}
	switch info.Label {
	case rootLabel:
		return record.ClaimFiles, deviceFile, nil
	case tokenLabel:
		return record.ClaimKey, deviceToken, nil
	}
	return 0, "", fmt.Errorf("%w: label %q", ErrRootFile, info.Label)
}

// What a token wraps:
//
//	magic (8) || id of the token's key (16) || nonce (12) || ciphertext || tag (16)
//
// AES-256-GCM; the additional data is rootDomain, magic and id.
const (
	tokenMagic   = "MUN1 p11" // changed only with docs/spec/keyring.md
	tokenHead    = len(tokenMagic) + len(tokenKeyID{})
	tokenNonce   = 12
	tokenTag     = 16
	minTokenWrap = tokenHead + tokenNonce + 1 + tokenTag
	maxTokenWrap = maxWrapped
)

// tokenKeyID names a key in the token (CKA_ID).
type tokenKeyID [16]byte

// tokenWrap is a wrapped key, in parts.
type tokenWrap struct {
	id     tokenKeyID
	nonce  [tokenNonce]byte
	sealed []byte // ciphertext and tag
}

func (w tokenWrap) marshal() []byte {
	b := append([]byte(tokenMagic), w.id[:]...)
	return append(append(b, w.nonce[:]...), w.sealed...)
}

// context is the additional data.
func (w tokenWrap) context() []byte {
	return append([]byte(rootDomain+tokenMagic), w.id[:]...)
}

// parseTokenWrap reads what marshal wrote.
func parseTokenWrap(wrapped []byte) (tokenWrap, error) {
	if len(wrapped) < minTokenWrap || len(wrapped) > maxTokenWrap || string(wrapped[:len(tokenMagic)]) != tokenMagic {
		return tokenWrap{}, fmt.Errorf("%w: it was not wrapped by a token", ErrRoot)
	}
	return tokenWrap{
		id:     tokenKeyID(wrapped[len(tokenMagic):]),
		nonce:  [tokenNonce]byte(wrapped[tokenHead:]),
		sealed: bytes.Clone(wrapped[tokenHead+tokenNonce:]),
	}, nil
}
