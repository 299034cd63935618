//go:build !cgo

package keyring

import "fmt"

// Token is the root that programs built without cgo do not have.
type Token struct{}

// OpenPKCS11 says that this program cannot load modules.
func OpenPKCS11(PKCS11) (*Token, error) {
	return nil, fmt.Errorf("%w: this program was built without cgo", ErrModule)
}

func (*Token) Device() string                { return deviceToken }
func (*Token) Model() string                 { return "" }
func (*Token) Close() error                  { return nil }
func (*Token) Try() error                    { return ErrModule }
func (*Token) Wrap([]byte) ([]byte, error)   { return nil, ErrModule }
func (*Token) Unwrap([]byte) ([]byte, error) { return nil, ErrModule }
func (*Token) Destroy([]byte) error          { return ErrModule }
