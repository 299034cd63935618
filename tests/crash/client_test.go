package crash

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// A client speaks for an account of the department, over TLS.
type client struct {
	conn        *grpc.ClientConn
	departments apiv1.DepartmentsClient
	auditors    apiv1.AuditorsClient
}

// dial makes a client that comes back quickly when the node does.
func dial(address string, network receipt.Network) (*client, error) {
	return dialAs(address, network, department)
}

func dialAs(address string, network receipt.Network, office record.Code) (*client, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	account := identity.Account{Office: office, ID: "00112233445566ff"}
	der, err := identity.Issue(rand.Reader, keyOf(string(office), "access"), account, public, time.Now().Add(-time.Minute), time.Hour)
	if err != nil {
		return nil, err
	}
	config, err := identity.ClientConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, network.Nodes[0].Certificate)
	if err != nil {
		return nil, err
	}
	again := backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.2, MaxDelay: 50 * time.Millisecond}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}))
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, departments: apiv1.NewDepartmentsClient(conn), auditors: apiv1.NewAuditorsClient(conn)}, nil
}

func (c *city) dial(t *testing.T) *client {
	t.Helper()
	cl, err := dial(c.address, c.network)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.conn.Close() })
	return cl
}

// ready waits until the node answers.
func (c *client) ready(t *testing.T, p *process) {
	t.Helper()
	eventually(t, "answer of the node", func() bool {
		if p.hasEnded() {
			t.Fatalf("the node ended with code %d\n%s", p.code(t), tail(p.stderr.String()))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.auditors.Entry(ctx, &apiv1.EntryRequest{Index: 0})
		return err == nil
	})
}

// submit hands a batch in. An error means that its outcome is unknown.
func (c *client) submit(ctx context.Context, b batch, o ...grpc.CallOption) (answer, error) {
	r, err := c.departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: b.raw}, o...)
	if err != nil {
		return answer{}, err
	}
	if r.Reason == "OK" && (r.FirstIndex != r.TransactionIndex+1 || r.Count != uint64(len(b.commitments))) {
		return answer{}, fmt.Errorf("%s: answer %v does not fit %d items", b.name, r, len(b.commitments))
	}
	return answer{reason: r.Reason, first: record.Index(r.FirstIndex), height: int64(r.Height)}, nil
}

// An answer is what the node said about a batch.
type answer struct {
	reason string
	first  record.Index // of its first item
	height int64
}

// A kept batch is one that was acknowledged.
type kept struct {
	batch
	answer
}

// confirm wants a running node to stand by what it has acknowledged: each
// record at its index by its commitment, a receipt that passes offline, and the
// same answer to the same transaction.
func (c *client) confirm(t *testing.T, network receipt.Network, k kept) {
	t.Helper()
	ctx := waiting(t)
	for i := 0; i < len(k.commitments); i += 1 + len(k.commitments)/(2*fewItems) { // of many items, some
		commitment := k.commitments[i]
		at := k.first + record.Index(i)
		r, err := c.departments.Record(ctx, &apiv1.RecordRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: commitment[:]}}})
		if err != nil || record.Index(r.Index) != at || record.Commitment(r.Commitment) != commitment {
			t.Errorf("%s, item %d was acknowledged at entry %d; now the node says %v, %v", k.name, i, at, r, err)
		}
	}
	again, err := c.submit(ctx, k.batch)
	if err != nil || again != k.answer {
		t.Errorf("%s was answered %+v; the second time %+v, %v", k.name, k.answer, again, err)
	}
	last := len(k.commitments) - 1
	c.prove(t, network, k.first+record.Index(last), k.commitments[last])
}

// prove wants a receipt that passes by the network file alone.
func (c *client) prove(t *testing.T, network receipt.Network, at record.Index, commitment record.Commitment) {
	t.Helper()
	r, err := c.departments.Receipt(waiting(t), &apiv1.ReceiptRequest{Index: uint64(at)})
	if err != nil {
		t.Errorf("receipt of entry %d: %v", at, err)
		return
	}
	v, err := receipt.Verify(network, r.Receipt)
	if err != nil || v.Outcome != receipt.Passed {
		t.Errorf("receipt of entry %d: %v\n%s", at, err, v.Text())
		return
	}
	if e, ok := v.Entry.(record.AnchorEntry); !ok || e.Commitment != commitment || v.Index != int64(at) {
		t.Errorf("receipt of entry %d is of entry %d: %+v", at, v.Index, v.Entry)
	}
}

// A tree is what a checkpoint states.
type tree struct {
	size int64
	body string // the three lines
}

// tree gives the newest cosigned checkpoint.
func (c *client) tree(t *testing.T) tree {
	t.Helper()
	r, err := c.auditors.Checkpoint(waiting(t), &apiv1.CheckpointRequest{})
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	body, _, _ := strings.Cut(string(r.Checkpoint), "\n\n")
	return tree{size: int64(r.Size), body: body + "\n"}
}
