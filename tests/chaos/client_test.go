//go:build chaos

package chaos

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// A client speaks to one node for an account of the department.
type client struct {
	conn        *grpc.ClientConn
	departments apiv1.DepartmentsClient
	auditors    apiv1.AuditorsClient
}

// dialAll makes a client for each node; they come back quickly when the nodes do.
func dialAll(network receipt.Network, addresses []string) ([]*client, error) {
	var all []*client
	for _, address := range addresses {
		c, err := dial(network, address, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// dial makes a client for the node at an address. By connects; nil: as usual.
func dial(network receipt.Network, address string, by func(context.Context, string) (net.Conn, error)) (*client, error) {
	at := slices.IndexFunc(network.Nodes, func(n receipt.Node) bool { return n.Address == address })
	if at < 0 {
		return nil, fmt.Errorf("no node of the network is at %s", address)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	account := identity.Account{Office: department, ID: "00112233445566ff"}
	der, err := identity.Issue(rand.Reader, keyOf(string(department), "access"), account, public, time.Now().Add(-time.Minute), 6*time.Hour)
	if err != nil {
		return nil, err
	}
	config, err := identity.ClientConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, network.Nodes[at].Certificate)
	if err != nil {
		return nil, err
	}
	again := backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}),
	}
	if by != nil {
		options = append(options, grpc.WithContextDialer(by))
	}
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, departments: apiv1.NewDepartmentsClient(conn), auditors: apiv1.NewAuditorsClient(conn)}, nil
}

// follow gives a network as the handovers that a node keeps extend it.
func (c *client) follow(ctx context.Context, n receipt.Network) (receipt.Network, error) {
	r, err := c.auditors.Network(ctx, &apiv1.NetworkRequest{Eras: uint64(len(n.Eras))})
	if err != nil {
		return n, err
	}
	for _, handover := range r.Handovers {
		next, err := n.Extend(handover)
		if err != nil {
			return n, err
		}
		n = next
	}
	return n, nil
}

// submit hands a transaction in, and puts the answer into o.
func (c *client) submit(ctx context.Context, raw []byte, o *operation) {
	r, err := c.departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: raw})
	o.Outcome, o.Reason = outcome(r.GetReason(), err)
	if o.Outcome == outcomeOK {
		o.Index, o.Height = record.Index(r.FirstIndex), int64(r.Height)
	}
}
