package rpc

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// What a request of Compare has at most.
const (
	requestParts   = 8192
	requestRecords = 1024
)

// custodians is the service for nodes that keep the same records. It gives out
// hashes alone and takes parcels, which package custody judges.
type custodians struct {
	apiv1.UnimplementedCustodiansServer
	server *Server
}

// shared tells which custodian calls, and refuses whoever does not belong to the
// set, or to whose set this node does not belong, by the committed state.
func (s *Server) shared(ctx context.Context, set record.Code) (record.KeyID, error) {
	if s.options.Custody == nil {
		return record.KeyID{}, refuse(reasonNotCustodian, "this node keeps no content: ask a custodian")
	}
	view := s.authority.view()
	own, ok, err := ledger.NodeOf(view, record.KeyIDOf(s.options.Certificate.PrivateKey.(ed25519.PrivateKey).Public().(ed25519.PublicKey)))
	if err != nil {
		return record.KeyID{}, err
	}
	keeps := func(n *record.Node) (bool, error) {
		if n.CustodianKey == [32]byte{} {
			return false, nil
		}
		return Keeps(view, set, record.KeyIDOf(n.CustodianKey[:]))
	}
	here := false
	if ok {
		if here, err = keeps(&own); err != nil {
			return record.KeyID{}, err
		}
	}
	caller := callerOf(ctx).node
	there, err := keeps(caller)
	switch {
	case err != nil:
		return record.KeyID{}, err
	case !there:
		return record.KeyID{}, refuse(reasonDenied, "the custodian of this node does not belong to custodian set %.16q", set)
	case !here:
		return record.KeyID{}, refuse(reasonNotCustodian, "this node does not belong to custodian set %.16q", set)
	}
	return record.KeyIDOf(caller.CustodianKey[:]), s.options.Custody.Staying(set)
}

// Keeps tells whether a custodian belongs to a set and has not left it.
func Keeps(view ledger.View, set record.Code, custodian record.KeyID) (bool, error) {
	s, ok, err := ledger.CustodianSetOf(view, set)
	if err != nil || !ok || !slices.Contains(s.Custodians, custodian) {
		return false, err
	}
	_, left, err := ledger.DepartureOf(view, set, custodian)
	return err == nil && !left, err
}

// Compare tells what of the caller's records this node wants.
func (c *custodians) Compare(stream grpc.BidiStreamingServer[apiv1.CompareRequest, apiv1.CompareResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return ended(err)
	}
	set := record.Code(first.Set)
	peer, err := c.server.shared(stream.Context(), set)
	if err != nil {
		return err
	}
	if err := c.server.comparisons.enter(callerOf(stream.Context()).payer(), c.server.limits.inquiries); err != nil {
		return err
	}
	defer c.server.comparisons.leave(callerOf(stream.Context()).payer())
	if len(first.All) != 32 || len(first.Parts)+len(first.Records) > 0 {
		return refuse(reasonMalformed, "a comparison begins with the hash of all")
	}
	ctx, cancel := context.WithTimeout(stream.Context(), c.server.limits.inquiry)
	defer cancel()
	own, err := c.server.inventories.of(ctx, set, first.Leaving)
	if err != nil {
		return err
	}
	if err := stream.Send(&apiv1.CompareResponse{Equal: [32]byte(first.All) == own.all}); err != nil {
		return err
	}
	x := &comparison{server: c.server, peer: peer, set: set, own: own.inventory, leaving: first.Leaving}
	x.next, x.stop = iter.Pull2(c.server.options.Custody.Held(ctx, set))
	defer x.stop()
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			c.server.exchange.lacks(peer, set, x.wanted)
			if c.server.options.Heard != nil {
				c.server.options.Heard(peer)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := c.server.shared(stream.Context(), set); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil { // what is here is not kept open for one that dawdles
			return err
		}
		wanted, err := x.answer(m)
		if err != nil {
			return err
		}
		if err := stream.Send(&apiv1.CompareResponse{Wanted: wanted}); err != nil {
			return err
		}
	}
}

// ended says of a stream that ends before its first message what is missing.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return refuse(reasonMalformed, "the first message, which says what this is about, is missing")
	}
	return err
}

// comparison goes through what the caller has beside what is here.
type comparison struct {
	server  *Server
	peer    record.KeyID
	set     record.Code
	own     *inventory
	leaving bool // the caller will have nothing of it any more

	next    func() (custody.Held, error, bool)
	stop    func()
	here    custody.Held // the first record here that is not before the last one there
	begun   bool         // here is valid, or over
	over    bool
	last    custody.Held // of the caller
	records bool         // the caller is listing records
	wanted  uint64       // of them
}

// answer tells which of the parts or records of a request are wanted.
func (x *comparison) answer(m *apiv1.CompareRequest) (wanted []uint32, err error) {
	malformed := refuse(reasonMalformed, "a comparison goes on with hashes of parts, and then with records, ascending")
	if m.Set != "" || m.Leaving || len(m.All) > 0 || (len(m.Parts) > 0) == (len(m.Records) > 0) || len(m.Parts) > 0 && x.records ||
		len(m.Parts)%32 != 0 || len(m.Parts) > 32*requestParts || len(m.Records) > requestRecords {
		return nil, malformed
	}
	for n := range len(m.Parts) / 32 {
		if !x.own.known[[32]byte(m.Parts[32*n:])] {
			wanted = append(wanted, uint32(n))
		}
	}
	for n, r := range m.Records {
		h := custody.Held{Office: record.Code(r.GetOffice())}
		if !h.Office.Valid() || len(r.Commitment) != len(h.Commitment) || len(r.Digest) != len(h.Digest) {
			return nil, malformed
		}
		h.Commitment, h.Digest = record.Commitment(r.Commitment), [32]byte(r.Digest)
		if x.records && compareHeld(x.last, h) >= 0 {
			return nil, malformed
		}
		x.records, x.last = true, h
		lacks, err := x.lacks(h)
		if err != nil {
			return nil, err
		}
		if lacks {
			wanted = append(wanted, uint32(n))
			x.wanted++
		}
	}
	return wanted, nil
}

// lacks tells whether a record of the caller, or something of it, is not here and
// may come.
func (x *comparison) lacks(h custody.Held) (bool, error) {
	for !x.begun || !x.over && compareHeld(x.here, h) < 0 {
		here, err, ok := x.next()
		if err != nil {
			return false, err
		}
		x.begun, x.over, x.here = true, !ok, here
	}
	if !x.over && compareHeld(x.here, h) == 0 && x.here.Digest == h.Digest {
		return false, nil
	}
	// Who leaves must not take "not wanted" for "is there".
	return x.leaving || !x.server.exchange.refused(x.peer, x.set, custody.Ref{Office: h.Office, Commitment: h.Commitment}, x.server.options.Now()), nil
}

// Keep takes a record from another custodian.
func (c *custodians) Keep(stream grpc.ClientStreamingServer[apiv1.KeepRequest, apiv1.KeepResponse]) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil {
		return ended(err)
	}
	h := first.GetHeader()
	ref := custody.Ref{Office: record.Code(h.GetOffice())}
	if h == nil || len(first.Chunk) > 0 || !ref.Office.Valid() || len(h.Commitment) != len(ref.Commitment) {
		return refuse(reasonMalformed, "a parcel begins with the set and the record that it is of")
	}
	ref.Commitment = record.Commitment(h.Commitment)
	set := record.Code(h.Set)
	peer, err := c.server.shared(ctx, set)
	if err != nil {
		return err
	}
	if err := c.server.parcels.enter(callerOf(ctx).payer(), c.server.limits.parcels); err != nil {
		return err
	}
	defer c.server.parcels.leave(callerOf(ctx).payer())
	chunks := &chunkReader{next: func() ([]byte, error) {
		m, err := stream.Recv()
		if err != nil {
			return nil, err // io.EOF where the sender has sent all
		}
		if m.GetHeader() != nil {
			return nil, refuse(reasonMalformed, "a parcel has one header, at its start")
		}
		_, err = c.server.shared(ctx, set)
		return m.GetChunk(), err
	}}
	if err := c.server.options.Custody.KeepParcel(ctx, peer, set, chunks); err != nil {
		c.server.exchange.refuse(peer, set, ref, err, c.server.options.Now())
		return err
	}
	return stream.SendAndClose(&apiv1.KeepResponse{})
}

// exchange is what this node remembers of other custodians. Nothing of it is needed
// to be right: it is lost when the node stops, and whoever leaves is not answered by it.
type exchange struct {
	mu      sync.Mutex
	lacking map[atPeer]uint64
	refusal map[ofPeer]time.Time // until when a record is not asked for again
}

type atPeer struct {
	peer record.KeyID
	set  record.Code
}

type ofPeer struct {
	atPeer
	ref custody.Ref
}

const (
	mostRefusals = 1 << 16 // remembered; when there are more, all are tried again
	// What was destroyed here stays so. What is locked may be preserved in the end,
	// and then this node wants it.
	destroyedFor = 24 * time.Hour
	lockedFor    = 5 * time.Minute
)

func (e *exchange) lacks(peer record.KeyID, set record.Code, n uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lacking == nil {
		e.lacking = map[atPeer]uint64{}
	}
	e.lacking[atPeer{peer, set}] = n
}

// Lacks tells how many records another custodian of a set had which this node
// lacked, or lacked something of, when it last compared them.
func (s *Server) Lacks(peer record.KeyID, set record.Code) (n uint64, known bool) {
	s.exchange.mu.Lock()
	defer s.exchange.mu.Unlock()
	n, known = s.exchange.lacking[atPeer{peer, set}]
	return n, known
}

// refuse remembers that a record of a peer may not be here.
func (e *exchange) refuse(peer record.KeyID, set record.Code, ref custody.Ref, err error, now time.Time) {
	reason, _ := custody.ReasonOf(err)
	until, final := map[custody.Reason]time.Duration{custody.Destroyed: destroyedFor, custody.Locked: lockedFor}[reason]
	if !final {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refusal == nil || len(e.refusal) >= mostRefusals {
		e.refusal = map[ofPeer]time.Time{}
	}
	e.refusal[ofPeer{atPeer{peer, set}, ref}] = now.Add(until)
}

func (e *exchange) refused(peer record.KeyID, set record.Code, ref custody.Ref, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return now.Before(e.refusal[ofPeer{atPeer{peer, set}, ref}])
}
