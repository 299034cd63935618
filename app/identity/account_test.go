package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

var (
	access  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	person  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	server  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	account = Account{Office: "CLERK", ID: "00112233445566ff"}
	noon    = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func issued(t *testing.T, key ed25519.PrivateKey, a Account, lifetime time.Duration) *x509.Certificate {
	t.Helper()
	der, err := Issue(rand.Reader, key, a, public(person), noon, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIssuedCertificateIsAccepted(t *testing.T) {
	cert := issued(t, access, account, MaxLifetime)
	got, issuer, err := Claim(cert)
	if err != nil || got != account || issuer != IssuerOf(record.KeyIDOf(public(access))) {
		t.Fatalf("claim %v %x: %v", got, issuer, err)
	}
	for _, at := range []time.Time{noon, noon.Add(time.Hour), noon.Add(MaxLifetime)} {
		if err := Check(cert, public(access), at); err != nil {
			t.Errorf("at %v: %v", at, err)
		}
	}
}

func TestBadCertificatesAreRefused(t *testing.T) {
	good := issued(t, access, account, time.Hour)
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		now  time.Time
		want error
	}{
		{"too early", good, noon.Add(-time.Second), ErrExpired},
		{"too late", good, noon.Add(time.Hour + time.Second), ErrExpired},
		{"another office's access key", issued(t, server, account, time.Hour), noon, ErrSignature},
		{"self-signed by the account", issued(t, person, account, time.Hour), noon, ErrSignature},
	} {
		if err := Check(c.cert, public(access), c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	// What Issue never makes, signed by the right key all the same.
	for name, change := range map[string]func(*x509.Certificate){
		"lives two days":         func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(48 * time.Hour) },
		"an authority":           func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
		"for servers":            func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"two uses":               func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"no account":             func(c *x509.Certificate) { c.URIs = nil },
		"an office in lowercase": func(c *x509.Certificate) { c.URIs[0].Opaque = "clerk/00112233445566ff" },
		"a short account":        func(c *x509.Certificate) { c.URIs[0].Opaque = "CLERK/0011" },
		"upper-case hex":         func(c *x509.Certificate) { c.URIs[0].Opaque = "CLERK/00112233445566FF" },
	} {
		template := issued(t, access, account, time.Hour)
		template.SerialNumber = big.NewInt(7)
		change(template)
		der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{SubjectKeyId: template.AuthorityKeyId}, public(person), access)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(cert, public(access), noon); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEachByteOfACertificateCounts(t *testing.T) {
	good := issued(t, access, account, time.Hour)
	for i := range good.Raw {
		bad := bytes.Clone(good.Raw)
		bad[i] ^= 1
		cert, err := x509.ParseCertificate(bad)
		if err != nil {
			continue
		}
		if err := Check(cert, public(access), noon.Add(time.Minute)); err == nil {
			t.Fatalf("byte %d flipped: accepted", i)
		}
	}
}

func FuzzClaim(f *testing.F) {
	der, _ := Issue(rand.Reader, access, account, public(person), noon, time.Hour)
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if a, _, err := Claim(cert); err == nil && !a.Valid() {
			t.Fatalf("claims %v", a)
		}
	})
}

// TestS0_4_OnlyPinnedServersAndTLS13 makes real connections.
func TestS0_4_OnlyPinnedServersAndTLS13(t *testing.T) {
	serverDER, err := ServerCertificate(rand.Reader, server, "node-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	otherDER, err := ServerCertificate(rand.Reader, access, "node-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	refuse := errors.New("unknown account")
	verify := func(c *x509.Certificate) error {
		if _, _, err := Claim(c); err != nil {
			return err
		}
		if Check(c, public(access), noon) != nil {
			return refuse
		}
		return nil
	}
	own := tls.Certificate{Certificate: [][]byte{issued(t, access, account, time.Hour).Raw}, PrivateKey: person}
	foreign := tls.Certificate{Certificate: [][]byte{issued(t, server, account, time.Hour).Raw}, PrivateKey: person}
	for _, c := range []struct {
		name   string
		cert   tls.Certificate
		pin    []byte
		change func(*tls.Config)
		ok     bool
	}{
		{"own certificate, pinned server", own, serverDER, nil, true},
		{"another server pinned", own, otherDER, nil, false},
		{"foreign certificate", foreign, serverDER, nil, false},
		{"no certificate", tls.Certificate{}, serverDER, func(c *tls.Config) { c.Certificates = nil }, false},
		{"TLS 1.2", own, serverDER, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, false},
	} {
		config, err := ClientConfig(c.cert, c.pin)
		if err != nil {
			t.Fatal(err)
		}
		if c.change != nil {
			c.change(config)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				served <- err
				return
			}
			defer conn.Close()
			served <- tls.Server(conn, ServerConfig(tls.Certificate{Certificate: [][]byte{serverDER}, PrivateKey: server}, verify)).Handshake()
		}()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clientErr := tls.Client(conn, config).Handshake()
		if clientErr != nil {
			conn.Close()
		}
		serverErr := <-served
		conn.Close()
		listener.Close()
		if ok := clientErr == nil && serverErr == nil; ok != c.ok {
			t.Errorf("%s: client %v, server %v", c.name, clientErr, serverErr)
		}
	}
}
