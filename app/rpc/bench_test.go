package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/muniment/muniment/app/record"
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

// BenchmarkDue is a due list of 100,000 records that all are due, over TLS, from
// the request to the totals, the client's work included.
func BenchmarkDue(b *testing.B) {
	const records = 100_000
	c := newCity(b, nil)
	c.adopt(rule("DEMO-MINUTES", "3 years after created"))
	for first := 0; first < records; first += record.MaxItems {
		m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
		for i := range min(record.MaxItems, records-first) {
			item := record.AnchorItem{Day: today - 2000 - record.Day((first+i)%5000)}
			binary.BigEndian.PutUint64(item.Commitment[:], uint64(first+i))
			m.Items = append(m.Items, item)
		}
		c.do("DPW", m)
	}
	client := apiv1.NewRecordsStaffClient(c.as("DPW"))
	for _, form := range []struct {
		name    string
		request *apiv1.DueRequest
	}{
		{"every item", &apiv1.DueRequest{}},
		{"totals alone", &apiv1.DueRequest{Limit: 1}},
	} {
		b.Run(form.name, func(b *testing.B) {
			for b.Loop() {
				stream, err := client.Due(context.Background(), form.request)
				if err != nil {
					b.Fatal(err)
				}
				var last *apiv1.DueResponse
				for {
					m, err := stream.Recv()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					last = m
				}
				if last.Totals.Records != records {
					b.Fatal(last.Totals)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
		})
	}
}
