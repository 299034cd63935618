package rpc

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// ErrOtherNode is returned for a peer whose certificate is not of the key that the
// ledger lists.
var ErrOtherNode = errors.New("the certificate known of a node is not of its registered key")

// ErrPeerGone is returned where the ledger has ceased to list a peer: its node was
// removed, or another one is there in its place, or it has left the set.
var ErrPeerGone = errors.New("the ledger does not list this node with this custodian any more")

// Peer is another custodian, as a courier goes to it.
type Peer struct {
	Custodian   record.KeyID
	Node        [32]byte // its node key, as registered
	Address     string   // host:port
	Certificate []byte   // DER, pinned as a whole
}

// Courier takes records to one other custodian. It is safe for concurrent use.
type Courier struct {
	server *Server
	peer   Peer
	conn   *grpc.ClientConn
	client apiv1.CustodiansClient
}

// Courier makes a courier to a peer, with this node's own certificate. Nothing is
// dialed before the first use.
func (s *Server) Courier(p Peer) (*Courier, error) {
	if s.options.Custody == nil {
		return nil, fmt.Errorf("send records: %w", errNoCustody)
	}
	cert, err := x509.ParseCertificate(p.Certificate)
	if err == nil {
		var key ed25519.PublicKey
		if key, err = identity.CheckNode(cert); err == nil && [32]byte(key) != p.Node {
			err = ErrOtherNode
		}
	}
	if err != nil {
		return nil, fmt.Errorf("certificate of custodian %x: %w", p.Custodian[:8], err)
	}
	config, err := identity.ClientConfig(s.options.Certificate, p.Certificate)
	if err != nil {
		return nil, err
	}
	again := backoff.DefaultConfig
	again.MaxDelay = 10 * time.Second // a peer that comes back is to be found soon
	conn, err := grpc.NewClient("passthrough:"+p.Address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: s.limits.handshake}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(s.limits.messageBytes)))
	if err != nil {
		return nil, err
	}
	return &Courier{server: s, peer: p, conn: conn, client: apiv1.NewCustodiansClient(conn)}, nil
}

var errNoCustody = errors.New("this node keeps no content")

// Peer tells where the courier goes.
func (c *Courier) Peer() Peer { return c.peer }

// Hurry has the next use dial at once, though the last ones have failed.
func (c *Courier) Hurry() { c.conn.ResetConnectBackoff() }

// Close ends the connection and what is under way.
func (c *Courier) Close() error { return c.conn.Close() }

// Compared is what a peer answers about what this node has of a set.
type Compared struct {
	All   [32]byte      // of what this node has: [Server.Inventory]
	Wants uint64        // of them
	First []custody.Ref // the first ones that it wants
	// Again is zero, or how long what was compared is kept: something was anchored here
	// since it was read, and the peer was not asked about that.
	Again time.Duration
}

// Compare asks the peer which records of a set it wants, and lists at most so many
// of them. Leaving: by what is here now, and what the peer has refused before counts
// as wanted; else what was here a moment ago will do.
func (c *Courier) Compare(ctx context.Context, set record.Code, leaving bool, most int) (Compared, error) {
	ctx, cancel := context.WithTimeout(ctx, c.server.limits.inquiry)
	defer cancel()
	own, err := c.server.inventories.of(ctx, set, leaving)
	if err != nil {
		return Compared{}, err
	}
	stream, err := c.client.Compare(ctx)
	if err != nil {
		return Compared{}, answered(err)
	}
	q := &question{stream: stream, most: most, done: Compared{All: own.all}}
	r, err := q.ask(&apiv1.CompareRequest{Set: string(set), All: own.all[:], Leaving: leaving})
	if err != nil {
		return Compared{}, err
	}
	if !r.Equal {
		if err := q.parts(own.inventory); err != nil {
			return Compared{}, err
		}
		if err := q.records(c.server.options.Custody.Held(ctx, set)); err != nil {
			return Compared{}, err
		}
	} else if own.isOld() {
		q.done.Again = own.kept()
	}
	if err := stream.CloseSend(); err != nil {
		return Compared{}, answered(err)
	}
	if _, err := stream.Recv(); err == nil {
		return Compared{}, errUnasked
	} else if !errors.Is(err, io.EOF) {
		return Compared{}, answered(err)
	}
	return q.done, nil
}

var errUnasked = errors.New("the peer answers what it was not asked")

// question is one comparison under way.
type question struct {
	stream grpc.BidiStreamingClient[apiv1.CompareRequest, apiv1.CompareResponse]
	most   int
	differ map[[32]byte]bool // parts that the peer has not; those that it was not asked about are not here
	asked  map[[32]byte]bool
	lines  []*apiv1.HeldRecord
	done   Compared
}

// ask sends a request and waits for its answer.
func (q *question) ask(m *apiv1.CompareRequest) (*apiv1.CompareResponse, error) {
	if err := q.stream.Send(m); err != nil && !errors.Is(err, io.EOF) { // then Recv tells why
		return nil, answered(err)
	}
	r, err := q.stream.Recv()
	if err != nil {
		return nil, answered(err)
	}
	n, last := len(m.Parts)/32+len(m.Records), -1
	for _, w := range r.Wanted {
		if int(w) <= last || int(w) >= n {
			return nil, errUnasked
		}
		last = int(w)
	}
	return r, nil
}

// parts asks which parts the peer has not.
func (q *question) parts(own *inventory) error {
	q.differ, q.asked = map[[32]byte]bool{}, own.known
	for rest := own.parts; len(rest) > 0; {
		some := rest[:min(requestParts, len(rest))]
		rest = rest[len(some):]
		m := &apiv1.CompareRequest{Parts: make([]byte, 0, 32*len(some))}
		for _, hash := range some {
			m.Parts = append(m.Parts, hash[:]...)
		}
		r, err := q.ask(m)
		if err != nil {
			return err
		}
		for _, n := range r.Wanted {
			q.differ[some[n]] = true
		}
	}
	return nil
}

// records asks about the records of the parts that differ, and of those that came
// to be since.
func (q *question) records(held func(func(custody.Held, error) bool)) error {
	for p, err := range partsOf(held) {
		if err != nil {
			return err
		}
		if q.asked[p.hash] && !q.differ[p.hash] {
			continue
		}
		for _, h := range p.records {
			q.lines = append(q.lines, &apiv1.HeldRecord{Office: string(h.Office), Commitment: h.Commitment[:], Digest: h.Digest[:]})
			if len(q.lines) == requestRecords {
				if err := q.flush(); err != nil {
					return err
				}
			}
		}
	}
	return q.flush()
}

// flush asks about the records that are listed.
func (q *question) flush() error {
	if len(q.lines) == 0 {
		return nil
	}
	r, err := q.ask(&apiv1.CompareRequest{Records: q.lines})
	if err != nil {
		return err
	}
	for _, n := range r.Wanted {
		if q.done.Wants++; len(q.done.First) < q.most {
			l := q.lines[n]
			q.done.First = append(q.done.First, custody.Ref{Office: record.Code(l.Office), Commitment: record.Commitment(l.Commitment)})
		}
	}
	q.lines = q.lines[:0]
	return nil
}

// stands refuses what is about to leave for a peer that the ledger does not list for
// the set any more. A connection outlives such decisions.
func (c *Courier) stands(set record.Code) error {
	view := c.server.authority.view()
	node, ok, err := ledger.NodeOf(view, record.KeyIDOf(c.peer.Node[:]))
	if err == nil && ok && record.KeyIDOf(node.CustodianKey[:]) == c.peer.Custodian {
		ok, err = Keeps(view, set, c.peer.Custodian)
	} else {
		ok = false
	}
	if err == nil && !ok {
		err = fmt.Errorf("custodian %x: %w", c.peer.Custodian[:8], ErrPeerGone)
	}
	return err
}

// Send takes one record of a set to the peer and returns when the peer keeps it.
func (c *Courier) Send(ctx context.Context, set record.Code, ref custody.Ref) error {
	if err := c.stands(set); err != nil { // before there is a wait for the connection
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a parcel that is broken off has no end
	// The peer may verify for a while after the last byte; a peer that stands still
	// is given up.
	watch := time.AfterFunc(2*c.server.limits.stalled, cancel)
	defer watch.Stop()
	stream, err := c.client.Keep(ctx)
	if err != nil {
		return answered(err)
	}
	send := func(m *apiv1.KeepRequest) error {
		if err := c.stands(set); err != nil {
			return err
		}
		watch.Reset(2 * c.server.limits.stalled)
		return stream.Send(m)
	}
	if err := send(&apiv1.KeepRequest{Header: &apiv1.KeepHeader{Set: string(set), Office: string(ref.Office), Commitment: ref.Commitment[:]}}); err != nil {
		return c.why(stream, err)
	}
	w := bufio.NewWriterSize(chunkWriter(func(p []byte) error { return send(&apiv1.KeepRequest{Chunk: p}) }), chunkBytes)
	err = c.server.options.Custody.SendParcel(ctx, c.peer.Custodian, ref, w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return c.why(stream, err)
	}
	watch.Reset(2 * c.server.limits.stalled)
	if _, err := stream.CloseAndRecv(); err != nil {
		return answered(err)
	}
	return nil
}

// why gives what ended a parcel: where the peer has ended the stream, its reason.
func (c *Courier) why(stream grpc.ClientStreamingClient[apiv1.KeepRequest, apiv1.KeepResponse], err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return answered(stream.RecvMsg(&apiv1.KeepResponse{}))
}

// Refusal is what a peer answers instead of doing what it was asked.
type Refusal struct {
	Reason string // stable; empty: the peer was not reached, or not understood
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

// answered gives an error of gRPC the form of a Refusal.
func answered(err error) error {
	if err == nil {
		return nil
	}
	s, ok := grpcstatus.FromError(err)
	if !ok {
		return err
	}
	r := &Refusal{Text: s.Message()}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == Domain {
			r.Reason = info.Reason
		}
	}
	return r
}
