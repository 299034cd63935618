package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// contented is a custodian that has all that it is told of.
type contented struct {
	apiv1.UnimplementedCustodiansServer
}

func (contented) Compare(stream grpc.BidiStreamingServer[apiv1.CompareRequest, apiv1.CompareResponse]) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return nil
		}
		if err := stream.Send(&apiv1.CompareResponse{Equal: true}); err != nil {
			return err
		}
	}
}

// second serves as the second node, and gives a courier to it.
func (c *city) second(custodian apiv1.CustodiansServer) *Courier {
	c.t.Helper()
	cert := c.nodeTLS("node 2").Certificates
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: cert, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13})))
	apiv1.RegisterCustodiansServer(s, custodian)
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c.t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			c.t.Error(err)
		}
	})
	courier, err := c.server.Courier(Peer{Custodian: keyID("custodian 2"), Node: public("node 2"), Address: l.Addr().String(), Certificate: cert[0].Certificate[0]})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { courier.Close() })
	return courier
}

// TestAnchoredSinceTheInventory: an inventory that takes long to read is kept for a
// while. What is anchored meanwhile is in none that was compared, and is not forgotten:
// the comparison says when to come again, and the inventory that it is not current.
func TestAnchoredSinceTheInventory(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.shareSet()
	courier := c.second(contented{})
	clock := c.now()
	c.server.inventories.now = func() time.Time { clock = clock.Add(time.Second); return clock }

	want := func(records uint64, current bool, again time.Duration) [32]byte {
		t.Helper()
		compared, err := courier.Compare(ctx, "CITY", false, 8)
		if err != nil || compared.Wants != 0 || compared.Again != again {
			t.Errorf("compared: %+v, %v; want to be asked again after %v", compared, err, again)
		}
		all, n, is, err := c.server.Inventory(ctx, "CITY")
		if err != nil || all != compared.All || n != records || is != current {
			t.Errorf("inventory %x of %d records, current %v, %v; compared was %x; want %d, current %v", all[:4], n, is, err, compared.All[:4], records, current)
		}
		return all
	}
	c.anchored("The first.", "first")
	first := want(1, true, 0)
	c.anchored("The second.", "second")
	if old := want(1, false, 10*time.Second); old != first {
		t.Error("the inventory was read anew at once")
	}
	clock = clock.Add(10 * time.Second)
	if now := want(2, true, 0); now == first {
		t.Error("the inventory is the old one")
	}
}

// TestNoted: an anchor that is committed and was not followed yet is not noted, where
// a deposit waits for it.
func TestNoted(t *testing.T) {
	c := newCity(t, nil)
	want := func(when string, noted bool) {
		t.Helper()
		if c.custody.Noted() != noted {
			t.Errorf("%s: noted %v", when, !noted)
		}
	}
	want("at the beginning", true)
	commitment, err := deposit(within10s(t), c.as("CLERK"), "The first.", "first", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.custody.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	want("deposited", true)
	news := c.custody.Anchored()
	c.mustApply(c.tx("CLERK", anchor(commitment)))
	want("anchored", false)
	if err := c.custody.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	want("followed", true)
	select {
	case <-news:
	default:
		t.Error("nobody was told of the anchor")
	}
}
