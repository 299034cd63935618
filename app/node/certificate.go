package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/muniment/muniment/app/receipt"
)

// ErrCertificate is returned for a certificate that is not the node's own.
var ErrCertificate = errors.New("certificate is not that of the node key")

const pemType = "CERTIFICATE"

// selfSigned makes the node's certificate: signed by the node key itself, named
// node-ID, without an end (RFC 5280 section 4.1.2.5). The network file carries
// it whole, and it is replaced by a new network file, not by time.
func selfSigned(rand io.Reader, key ed25519.PrivateKey, now time.Time) ([]byte, error) {
	name := receipt.ServerName(receipt.NodeID(key.Public().(ed25519.PublicKey)))
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             now.UTC().Truncate(time.Second).Add(-time.Hour),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // clients in other languages take it as their only root
	}
	der, err := x509.CreateCertificate(rand, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return der, nil
}

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
