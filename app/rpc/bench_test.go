package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// BenchmarkAllow is what every call, and every message of a stream, costs before
// anything else.
func BenchmarkAllow(b *testing.B) {
	c := newCity(b, nil)
	cert := must(x509.ParseCertificate(c.clientTLS("DPW").Certificates[0].Certificate[0]))
	ctx := peer.NewContext(context.Background(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.server.authority.allow(ctx, apiv1.Departments_SubmitStream_FullMethodName); err != nil {
			b.Fatal(err)
		}
	}
}
