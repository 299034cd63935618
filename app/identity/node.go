package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
)

// ErrNodeForm marks a certificate that is not a node's.
var ErrNodeForm = errors.New("not the certificate of a node")

// ErrNodeSignature marks a certificate that its own key did not sign.
var ErrNodeSignature = errors.New("certificate of a node is not signed by its own key")

// IsNode tells whether a certificate claims to be a node's: those of accounts
// name an account.
func IsNode(cert *x509.Certificate) bool { return len(cert.URIs) == 0 && cert.IsCA }

// ClaimNode reads whose certificate of a node it claims to be: the node key.
// Nothing is verified but its form, which is that of [ServerCertificate].
//
// A node calls others with the certificate with which it serves, so the only
// extended key usage is that of servers. Nobody chains to it and nobody looks it
// up by name: it counts because its key is registered as a node key, here as well
// as where it is pinned. For the same reason its dates do not count; a node
// ceases to be one by a decision on the ledger.
func ClaimNode(cert *x509.Certificate) (ed25519.PublicKey, error) {
	key, ok := cert.PublicKey.(ed25519.PublicKey)
	usage := len(cert.ExtKeyUsage) == 1 && cert.ExtKeyUsage[0] == x509.ExtKeyUsageServerAuth && len(cert.UnknownExtKeyUsage) == 0
	name := len(cert.DNSNames) == 1 && cert.Subject.CommonName == cert.DNSNames[0] &&
		len(cert.URIs)+len(cert.EmailAddresses)+len(cert.IPAddresses) == 0
	if !ok || !usage || !name || !cert.IsCA || cert.SignatureAlgorithm != x509.PureEd25519 || len(cert.UnhandledCriticalExtensions) != 0 ||
		cert.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign {
		return nil, ErrNodeForm
	}
	return key, nil
}

// CheckNode verifies that a node made the certificate for itself. Whether its key
// is registered is the caller's question.
func CheckNode(cert *x509.Certificate) (ed25519.PublicKey, error) {
	key, err := ClaimNode(cert)
	if err != nil {
		return nil, err
	}
	if err := cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return nil, ErrNodeSignature
	}
	return key, nil
}
