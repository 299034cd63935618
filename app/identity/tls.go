package identity

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrOtherServer says that the server at the address is not the pinned one.
var ErrOtherServer = errors.New("the server's certificate is not the one in the network file")

// ServerConfig is TLS for a node's listener. Every connection must bring a
// certificate; verify decides on it and runs before any byte of a request is
// read.
func ServerConfig(cert tls.Certificate, verify func(*x509.Certificate) error) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2"},
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) != 1 {
				return ErrForm
			}
			return verify(state.PeerCertificates[0])
		},
	}
}

// ClientConfig is TLS for a client that pins the node's whole certificate
// (DER), so that no name and no authority is trusted.
func ClientConfig(cert tls.Certificate, server []byte) (*tls.Config, error) {
	pinned, err := x509.ParseCertificate(server)
	if err != nil || len(pinned.DNSNames) != 1 {
		return nil, fmt.Errorf("server certificate of the network file: %w", errors.Join(err, ErrForm))
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{cert},
		ServerName:         pinned.DNSNames[0],
		NextProtos:         []string{"h2"},
		InsecureSkipVerify: true, // the comparison below is stricter than any chain
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, server) {
				return ErrOtherServer
			}
			return nil
		},
	}, nil
}
