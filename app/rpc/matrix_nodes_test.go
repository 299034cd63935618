package rpc

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// removeNode takes a node without a custodian key out of the registry, by decision
// of both governing offices.
func (c *city) removeNode(number string) {
	c.t.Helper()
	fact := &record.Node{NodeKey: public("node " + number), ValidatorKey: public("validator " + number), CosignerKey: public("cosigner " + number),
		LogKey: public("log " + number), Removed: true}
	proposal := c.mustApply(c.tx("CLERK", &record.ProposeChange{Fact: fact}))
	c.mustApply(c.tx("COUNSEL", &record.ApproveChange{Proposal: proposal.TxIndex + 1, FactHash: must(record.FactHash(fact))}))
}

// TestS0_3_EveryMethodAndNode tries every RPC as a node: what custodians ask of each
// other is all that it may call, and once it is removed it calls nothing, also over
// a connection that it has.
func TestS0_3_EveryMethodAndNode(t *testing.T) {
	table, hits := permissionTable(t), &reached{calls: map[string]int{}}
	c, ctx := newCity(t, nil, hits.options()...), within10s(t)
	want := 0
	conns := map[string]*grpc.ClientConn{"a custodian": c.asNode("node 2"), "a node without content": c.asNode("node 3")}
	for name, conn := range conns {
		for _, m := range methodsServed() {
			err := invoke(ctx, conn, m)
			if !table[m.name].nodes {
				wantReason(t, m.name+" as "+name, err, "DENIED")
				continue
			}
			if want++; grpcstatus.Code(err) != codes.Internal { // errReached has no reason of ours
				t.Errorf("%s as %s: %v, want it reached", m.name, name, err)
			}
		}
	}
	if want != 4 || hits.total() != want {
		t.Errorf("%d calls reached a handler, want %d, which are 4", hits.total(), want)
	}
	c.removeNode("3")
	for _, m := range methodsServed() {
		wantReason(t, m.name+" as a removed node", invoke(ctx, conns["a node without content"], m), "UNKNOWN_KEY")
	}
	if hits.total() != want {
		t.Error("a removed node has reached a handler")
	}
}

// TestS0_3_NoOtherNodeConnects tries every RPC over connections of nodes that must
// not come about.
func TestS0_3_NoOtherNodeConnects(t *testing.T) {
	hits := &reached{calls: map[string]int{}}
	c, ctx := newCity(t, nil, hits.options()...), within10s(t)
	c.removeNode("3")
	// A certificate like that of a node, made with other keys or for other uses.
	like := func(name, signer string, change func(*x509.Certificate)) *tls.Config {
		config := c.nodeTLS(name)
		cert := must(x509.ParseCertificate(config.Certificates[0].Certificate[0]))
		cert.SerialNumber = big.NewInt(7)
		if change != nil {
			change(cert)
		}
		parent := &x509.Certificate{Subject: pkix.Name{CommonName: cert.Subject.CommonName}}
		config.Certificates[0].Certificate[0] = must(x509.CreateCertificate(rand.Reader, cert, parent, key(name).Public(), key(signer)))
		return config
	}
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, state := range []struct {
		name, reason string // the reason is in the server's log; empty: the handshake ends before a certificate is read
		config       *tls.Config
	}{
		{"a node that the ledger does not list", "UNKNOWN_KEY", c.nodeTLS("nobody's key")},
		{"a node that was removed", "UNKNOWN_KEY", c.nodeTLS("node 3")},
		{"another key of a node", "UNKNOWN_KEY", c.nodeTLS("custodian 2")},
		{"the access key of an office", "UNKNOWN_KEY", c.nodeTLS("DPW access")},
		{"a node's key, signed by another", "UNAUTHENTICATED", like("node 2", "forger", nil)},
		{"a node's key, signed by another node", "UNAUTHENTICATED", like("node 2", "node", nil)},
		{"a node's key, for clients", "UNAUTHENTICATED", like("node 2", "node 2", func(c *x509.Certificate) { c.ExtKeyUsage = clients })},
		{"no authority", "UNAUTHENTICATED", like("node 2", "node 2", func(c *x509.Certificate) { c.IsCA = false })},
		{"without the key of its certificate", "", func() *tls.Config {
			config := c.nodeTLS("node 2")
			config.Certificates[0].PrivateKey = key("forger")
			return config
		}()},
		{"TLS 1.2", "", func() *tls.Config {
			config := c.nodeTLS("node 2")
			config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return config
		}()},
	} {
		before := c.lines("connection refused", "reason="+state.reason)
		conn := c.dial(state.config)
		for _, m := range methodsServed() {
			if err := invoke(ctx, conn, m); grpcstatus.Code(err) != codes.Unavailable {
				t.Errorf("%s, %s: %v", m.name, state.name, err)
			}
		}
		if state.reason != "" && c.lines("connection refused", "reason="+state.reason) == before {
			t.Errorf("%s: no connection was refused as %s:\n%s", state.name, state.reason, c.log.String())
		}
	}
	if n := hits.total(); n != 0 {
		t.Errorf("%d calls reached a handler", n)
	}
}

// TestRemovalCutsLiveStreams: a stream of a node ends with the next message after it
// was removed from the registry.
func TestRemovalCutsLiveStreams(t *testing.T) {
	messages := make(chan error)
	c, ctx := newCity(t, nil, grpc.ChainStreamInterceptor(func(_ any, s grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
		for {
			err := s.RecvMsg(&emptypb.Empty{})
			if messages <- err; err != nil {
				return err
			}
		}
	})), within10s(t)
	stream, err := c.asNode("node 3").NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, apiv1.Custodians_Compare_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	send := func() error {
		if err := stream.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		return <-messages
	}
	if err := send(); err != nil {
		t.Fatalf("before the removal: %v", err)
	}
	c.removeNode("3")
	if err := send(); err == nil {
		t.Error("a message of a removed node has arrived")
	}
	wantReason(t, "after the removal", stream.RecvMsg(&emptypb.Empty{}), "UNKNOWN_KEY")
}

// TestTilesGiveNoEntriesToNodes: what a node may read of others is decided by the
// same table.
func TestTilesGiveNoEntriesToNodes(t *testing.T) {
	c := newCity(t, nil)
	cert := must(x509.ParseCertificate(c.nodeTLS("node 2").Certificates[0].Certificate[0]))
	if got, err := identity.CheckNode(cert); err != nil || !got.Equal(key("node 2").Public().(ed25519.PublicKey)) {
		t.Fatal(err)
	}
	caller, err := c.server.authority.current(cert)
	if err != nil || caller.node == nil || may(caller.roles, apiv1.Auditors_Entry_FullMethodName) {
		t.Errorf("%+v, %v", caller, err)
	}
}
