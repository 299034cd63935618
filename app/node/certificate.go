package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ErrCertificate is returned for a certificate that is not the node's own.
var ErrCertificate = errors.New("certificate is not that of the node key")

const pemType = "CERTIFICATE"

// encodePEM gives the text form of a certificate.
func encodePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
}

// decodePEM reads what encodePEM wrote and checks that it is of the key.
func decodePEM(text []byte, key ed25519.PrivateKey) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType || !bytes.Equal(encodePEM(block.Bytes), text) {
		return nil, fmt.Errorf("%w: not one PEM block", ErrCertificate)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if !key.Public().(ed25519.PublicKey).Equal(c.PublicKey) ||
		!ed25519.Verify(key.Public().(ed25519.PublicKey), c.RawTBSCertificate, c.Signature) {
		return nil, ErrCertificate
	}
	return block.Bytes, nil
}
