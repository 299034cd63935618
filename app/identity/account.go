// Package identity holds how a caller and a node show each other who they are:
// the account certificates that an office's access key issues, the certificate
// of a node, and the two TLS configurations that use them.
//
// There is no certificate authority. A client certificate is signed directly
// by an access key that is registered on-chain; a server is pinned by the
// certificate in the network file. TLS 1.3 only, no session tickets: whoever is
// connected has shown its certificate on this connection.
//
// The package reads no clock and keeps nothing; randomness and times are
// arguments.
package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/muniment/muniment/app/record"
)

// MaxLifetime is the longest validity of an account certificate.
const MaxLifetime = 24 * time.Hour

// accountScheme starts the URI that names an account: muniment:OFFICE/ACCOUNT.
const accountScheme = "muniment"

// ErrForm marks a certificate that is not an account certificate at all.
var ErrForm = errors.New("not an account certificate")

// ErrExpired marks a certificate outside its validity.
var ErrExpired = errors.New("account certificate is outside its validity")

// ErrSignature marks a certificate that the access key did not sign.
var ErrSignature = errors.New("account certificate is not signed by the office's access key")

// Account is a pseudonymous caller of an office.
type Account struct {
	Office record.Code
	ID     string // 16 hex digits
}

// String gives OFFICE/ID.
func (a Account) String() string { return string(a.Office) + "/" + a.ID }

// Valid tells whether the account has the right form.
func (a Account) Valid() bool {
	b, err := hex.DecodeString(a.ID)
	return err == nil && len(b) == 8 && a.ID == strings.ToLower(a.ID) && a.Office.Valid()
}

// Issuer names an access key in a certificate: the first 20 bytes of its key id.
type Issuer [20]byte

// IssuerOf gives the name under which an access key issues.
func IssuerOf(id record.KeyID) (i Issuer) {
	copy(i[:], id[:])
	return i
}

// Issue makes an account certificate (DER) for public, valid for lifetime from
// notBefore, signed by the office's access key.
func Issue(rand io.Reader, access ed25519.PrivateKey, a Account, public ed25519.PublicKey, notBefore time.Time, lifetime time.Duration) ([]byte, error) {
	if !a.Valid() {
		return nil, fmt.Errorf("account %q: use OFFICE/ and 16 hex digits", a)
	}
	if lifetime <= 0 || lifetime > MaxLifetime {
		return nil, fmt.Errorf("lifetime %v: use at most %v", lifetime, MaxLifetime)
	}
	serial := make([]byte, 16)
	if _, err := io.ReadFull(rand, serial); err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	issuer := IssuerOf(record.KeyIDOf(access.Public().(ed25519.PublicKey)))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		NotBefore:    notBefore.UTC().Truncate(time.Second),
		NotAfter:     notBefore.UTC().Truncate(time.Second).Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:         []*url.URL{{Scheme: accountScheme, Opaque: a.String()}},
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "access key"}, SubjectKeyId: issuer[:]}
	der, err := x509.CreateCertificate(rand, template, parent, public, access)
	if err != nil {
		return nil, fmt.Errorf("sign account certificate: %w", err)
	}
	return der, nil
}

// Claim reads who a certificate claims to be and which key is to have signed
// it. Nothing is verified but its form.
func Claim(cert *x509.Certificate) (Account, Issuer, error) {
	var issuer Issuer
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != accountScheme || len(cert.AuthorityKeyId) != len(issuer) {
		return Account{}, Issuer{}, ErrForm
	}
	office, id, ok := strings.Cut(cert.URIs[0].Opaque, "/")
	a := Account{Office: record.Code(office), ID: id}
	if !ok || !a.Valid() {
		return Account{}, Issuer{}, ErrForm
	}
	if _, ok := cert.PublicKey.(ed25519.PublicKey); !ok || cert.SignatureAlgorithm != x509.PureEd25519 {
		return Account{}, Issuer{}, ErrForm
	}
	copy(issuer[:], cert.AuthorityKeyId)
	return a, issuer, nil
}

// Check verifies an account certificate at a time against the access key that
// its office has registered. The chain has depth one.
func Check(cert *x509.Certificate, access ed25519.PublicKey, now time.Time) error {
	if _, _, err := Claim(cert); err != nil {
		return err
	}
	clientAuth := len(cert.ExtKeyUsage) == 1 && cert.ExtKeyUsage[0] == x509.ExtKeyUsageClientAuth
	if cert.IsCA || !clientAuth || len(cert.UnknownExtKeyUsage) != 0 || len(cert.UnhandledCriticalExtensions) != 0 ||
		cert.NotAfter.Sub(cert.NotBefore) > MaxLifetime {
		return ErrForm
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return ErrExpired
	}
	parent := &x509.Certificate{PublicKeyAlgorithm: x509.Ed25519, PublicKey: access}
	if err := parent.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature); err != nil {
		return ErrSignature
	}
	return nil
}
