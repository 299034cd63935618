package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// nodeCertificate is a node's, changed by change and signed by key.
func nodeCertificate(t *testing.T, key ed25519.PrivateKey, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	der, err := ServerCertificate(rand.Reader, server, "node-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		template, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		change(template)
		if der, err = x509.CreateCertificate(rand.Reader, template, template, public(server), key); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestANodeShowsTheCertificateThatItServesWith(t *testing.T) {
	cert := nodeCertificate(t, server, nil)
	key, err := CheckNode(cert)
	if err != nil || !key.Equal(public(server)) || !IsNode(cert) {
		t.Fatalf("key %x: %v", key, err)
	}
	if account := issued(t, access, account, time.Hour); IsNode(account) {
		t.Error("an account's certificate passes for a node's")
	}
}

func TestBadCertificatesOfNodesAreRefused(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate){
		"for clients": func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
		"two uses": func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		},
		"no use":        func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"another usage": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature },
		"no authority":  func(c *x509.Certificate) { c.IsCA = false },
		"two names":     func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "node-2") },
		"no name":       func(c *x509.Certificate) { c.DNSNames = nil },
		"another name":  func(c *x509.Certificate) { c.DNSNames = []string{"node-2"} },
		"an account":    func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: accountScheme, Opaque: account.String()}} },
		"an address":    func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} },
		"a mailbox":     func(c *x509.Certificate) { c.EmailAddresses = []string{"node@example.org"} },
		"another serial and extension": func(c *x509.Certificate) {
			c.SerialNumber = big.NewInt(2)
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		},
	} {
		if key, err := CheckNode(nodeCertificate(t, server, change)); !errors.Is(err, ErrNodeForm) || key != nil {
			t.Errorf("%s: %x, %v", name, key, err)
		}
	}
	if _, err := CheckNode(issued(t, access, account, time.Hour)); !errors.Is(err, ErrNodeForm) {
		t.Errorf("an account's certificate: %v", err)
	}
}

// TestACertificateIsOfTheKeyThatSignedIt: nobody makes a certificate with the key
// of another node in it.
func TestACertificateIsOfTheKeyThatSignedIt(t *testing.T) {
	der, err := x509.CreateCertificate(rand.Reader, nodeCertificate(t, server, nil),
		&x509.Certificate{Subject: pkix.Name{CommonName: "node-1"}}, public(server), access)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CheckNode(cert); !errors.Is(err, ErrNodeSignature) {
		t.Errorf("signed by another key: %v", err)
	}
}

func TestEachByteOfANodesCertificateCounts(t *testing.T) {
	good := nodeCertificate(t, server, nil)
	for i := range good.Raw {
		bad := bytes.Clone(good.Raw)
		bad[i] ^= 1
		cert, err := x509.ParseCertificate(bad)
		if err != nil {
			continue
		}
		if key, err := CheckNode(cert); err == nil && key.Equal(public(server)) {
			t.Fatalf("byte %d flipped: accepted", i)
		}
	}
}

func FuzzClaimNode(f *testing.F) {
	der, _ := ServerCertificate(rand.Reader, server, "node-1", noon)
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		if key, err := ClaimNode(cert); err == nil && len(key) != ed25519.PublicKeySize {
			t.Fatalf("claims %x", key)
		}
	})
}

// TestNodesShowEachOtherTheSameCertificates makes real connections: each side pins
// the whole certificate of the other or checks its key.
func TestNodesShowEachOtherTheSameCertificates(t *testing.T) {
	serves := nodeCertificate(t, server, nil).Raw
	calls, err := ServerCertificate(rand.Reader, person, "node-2", noon)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(c *x509.Certificate) error {
		key, err := CheckNode(c)
		if err == nil && !key.Equal(public(person)) {
			err = errors.New("unknown node")
		}
		return err
	}
	for name, c := range map[string]struct {
		key ed25519.PrivateKey
		ok  bool
	}{"its own key": {person, true}, "another key": {access, false}} {
		config, err := ClientConfig(tls.Certificate{Certificate: [][]byte{calls}, PrivateKey: c.key}, serves)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				err = tls.Server(conn, ServerConfig(tls.Certificate{Certificate: [][]byte{serves}, PrivateKey: server}, verify)).Handshake()
				conn.Close()
			}
			served <- err
		}()
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clientErr := tls.Client(conn, config).Handshake()
		if clientErr != nil {
			conn.Close()
		}
		if serverErr := <-served; (serverErr == nil && clientErr == nil) != c.ok {
			t.Errorf("%s: client %v, server %v", name, clientErr, serverErr)
		}
		conn.Close()
		listener.Close()
	}
}
