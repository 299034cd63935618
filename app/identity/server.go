package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"time"
)

// ServerName gives the name of a node in TLS: "node-" and the first 20 hex
// digits of the SHA-256 of its key.
func ServerName(node ed25519.PublicKey) string {
	sum := sha256.Sum256(node)
	return "node-" + hex.EncodeToString(sum[:10])
}

// ServerCertificate makes the node's certificate (DER), once and for long: it
// is pinned as a whole, and is replaced by a decision on the ledger, not by time.
func ServerCertificate(rand io.Reader, node ed25519.PrivateKey, notBefore time.Time) ([]byte, error) {
	public := node.Public().(ed25519.PublicKey)
	name := ServerName(public)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             notBefore.UTC().Truncate(time.Second),
		NotAfter:              time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 section 4.1.2.5: no expiry
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // clients in other languages take it as their only root
	}
	der, err := x509.CreateCertificate(rand, template, template, public, node)
	if err != nil {
		return nil, fmt.Errorf("sign server certificate: %w", err)
	}
	return der, nil
}
