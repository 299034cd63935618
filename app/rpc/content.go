package rpc

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// This file is the half of Departments that opens content. Permission, access
// log and erasure are the business of package custody.

// custodian gives the custody of this node and the caller as custody knows it.
func (d *departments) custodian(ctx context.Context) (*custody.Custody, custody.Caller, error) {
	c := d.server.options.Custody
	if c == nil {
		return nil, custody.Caller{}, refuse(reasonNotCustodian, "this node keeps no content: ask a custodian")
	}
	caller := callerOf(ctx)
	return c, custody.Caller{Office: caller.Office, Account: caller.ID, Roles: caller.roles}, nil
}

// Deposit takes a header and then the bytes of one document.
func (d *departments) Deposit(stream grpc.ClientStreamingServer[apiv1.DepositRequest, apiv1.DepositResponse]) error {
	c, caller, err := d.custodian(stream.Context())
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return refuse(reasonMalformed, "the first message of a deposit must be its header")
	}
	if err != nil {
		return err
	}
	header, err := depositHeader(first.GetHeader())
	if err != nil {
		return err
	}
	done, err := c.Deposit(stream.Context(), caller, header, &chunkReader{next: func() ([]byte, error) {
		m, err := stream.Recv()
		if err != nil {
			return nil, err // io.EOF where the client has sent all
		}
		if m.GetHeader() != nil {
			return nil, refuse(reasonMalformed, "a deposit has one header, at its start")
		}
		return m.GetChunk(), nil
	}})
	if err != nil {
		return err
	}
	return stream.SendAndClose(&apiv1.DepositResponse{Commitment: done.Commitment[:], Segments: done.Segments})
}

func depositHeader(h *apiv1.DepositHeader) (custody.Header, error) {
	if h == nil {
		return custody.Header{}, refuse(reasonMalformed, "the first message of a deposit must be its header")
	}
	size, err := count(h.Size, "size")
	if err != nil {
		return custody.Header{}, err
	}
	out := custody.Header{
		Series: record.Code(h.Series), Custody: record.Code(h.Custody), NotAfter: record.Day(min(h.NotAfterDay, 1<<31-1)),
		Profile: commitment.Profile(h.Profile), Size: size,
	}
	for _, f := range h.Fields {
		out.Fields = append(out.Fields, commitment.Field{Key: f.GetKey(), Value: f.GetValue()})
	}
	switch len(h.RecordKey) {
	case 0:
	case len(commitment.RecordKey{}):
		key := commitment.RecordKey(h.RecordKey)
		out.Key = &key
	default:
		return custody.Header{}, refuse(reasonMalformed, "the record key has %d bytes, not 32", len(h.RecordKey))
	}
	switch len(h.ExpectedCommitment) {
	case 0:
	case len(record.Commitment{}):
		want := record.Commitment(h.ExpectedCommitment)
		out.Expected = &want
	default:
		return custody.Header{}, refuse(reasonMalformed, "the expected commitment has %d bytes, not 32", len(h.ExpectedCommitment))
	}
	return out, nil
}

// chunkReader reads what comes in chunks: a document, a parcel.
type chunkReader struct {
	next func() ([]byte, error)
	rest []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		chunk, err := r.next()
		if err != nil {
			return 0, err
		}
		r.rest = chunk
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Search looks through the titles of the caller's own department.
func (d *departments) Search(ctx context.Context, r *apiv1.SearchRequest) (*apiv1.SearchResponse, error) {
	const defaultPage = 100
	c, caller, err := d.custodian(ctx)
	if err != nil {
		return nil, err
	}
	q := custody.Query{Text: r.Text, Limit: int(min(r.PageSize, 1<<20))}
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if r.PageToken != "" {
		after, err := base64.RawURLEncoding.DecodeString(r.PageToken)
		if err != nil || len(after) != len(q.After) {
			return nil, refuse(reasonMalformed, "the page token is not one of an earlier answer")
		}
		copy(q.After[:], after)
	}
	hits, more, err := c.Search(ctx, caller, q)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.SearchResponse{}
	for i, size := 0, 0; i < len(hits); i++ {
		h := hits[i]
		hit := &apiv1.SearchHit{
			Commitment: h.Commitment[:], Index: uint64(h.Index), Anchored: h.Anchored, Series: string(h.Series), Title: h.Title, FileName: h.FileName,
		}
		if size += proto.Size(hit); i > 0 && size > pageBytes {
			hits, more = hits[:i], true
			break
		}
		resp.Hits = append(resp.Hits, hit)
	}
	if more {
		resp.NextPageToken = base64.RawURLEncoding.EncodeToString(hits[len(hits)-1].Commitment[:])
	}
	return resp, nil
}

// pageBytes is about how much a message with a list holds; one item may be more.
const pageBytes = 1 << 20

// opening finds the record that a request names, among the caller's own where it
// is named by its commitment, and wants a purpose.
func (d *departments) opening(ctx context.Context, ref *apiv1.RecordRef, p apiv1.Purpose) (opening, error) {
	purpose, ok := purposes[p]
	if !ok {
		return opening{}, refuse(reasonMalformed, "content is opened for a purpose: name one")
	}
	o, err := d.named(ctx, ref)
	o.purpose = purpose
	return o, err
}

// named is opening without a purpose.
func (d *departments) named(ctx context.Context, ref *apiv1.RecordRef) (o opening, err error) {
	if o.custody, o.caller, err = d.custodian(ctx); err != nil {
		return opening{}, err
	}
	index, anchor, err := d.server.anchorOf(d.server.options.Node.View(), o.caller.Office, ref)
	o.index, o.ref = index, custody.Ref{Office: anchor.Office, Commitment: anchor.Commitment}
	return o, err
}

// opening is a request to open a record.
type opening struct {
	custody *custody.Custody
	caller  custody.Caller
	purpose custody.Purpose
	index   record.Index
	ref     custody.Ref
}

var purposes = map[apiv1.Purpose]custody.Purpose{
	apiv1.Purpose_PURPOSE_CASE_WORK:      custody.CaseWork,
	apiv1.Purpose_PURPOSE_PUBLIC_REQUEST: custody.PublicRequest,
	apiv1.Purpose_PURPOSE_LEGAL:          custody.Legal,
	apiv1.Purpose_PURPOSE_AUDIT:          custody.Audit,
	apiv1.Purpose_PURPOSE_OPERATION:      custody.Operation,
}

// Segments lists what a copy of the record can hide.
func (d *departments) Segments(r *apiv1.SegmentsRequest, stream grpc.ServerStreamingServer[apiv1.SegmentsResponse]) error {
	o, err := d.opening(stream.Context(), r.Record, r.Purpose)
	if err != nil {
		return err
	}
	list, err := o.custody.Segments(stream.Context(), o.caller, o.ref, o.purpose)
	if err != nil {
		return err
	}
	resp, size := &apiv1.SegmentsResponse{}, 0
	for _, segment := range list {
		info := &apiv1.SegmentInfo{Leaf: segment.Leaf, Kind: segment.Kind.String(), Label: segment.Label, Size: uint64(segment.Size),
			Oracle: segment.Oracle, Destroyed: segment.Destroyed}
		resp.Segments = append(resp.Segments, info)
		if size += proto.Size(info); size > pageBytes {
			if err := stream.Send(resp); err != nil {
				return err
			}
			resp, size = &apiv1.SegmentsResponse{}, 0
		}
	}
	return stream.Send(resp)
}

// Read streams the original bytes.
func (d *departments) Read(r *apiv1.ReadRequest, stream grpc.ServerStreamingServer[apiv1.ReadResponse]) error {
	o, err := d.opening(stream.Context(), r.Record, r.Purpose)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(chunkWriter(func(chunk []byte) error { return stream.Send(&apiv1.ReadResponse{Chunk: chunk}) }), chunkBytes)
	if err := o.custody.Read(stream.Context(), o.caller, o.ref, o.purpose, w); err != nil {
		return err
	}
	return w.Flush()
}

// Copy streams a redacted copy.
func (d *departments) Copy(r *apiv1.CopyRequest, stream grpc.ServerStreamingServer[apiv1.CopyResponse]) error {
	o, err := d.opening(stream.Context(), r.Record, r.Purpose)
	if err != nil {
		return err
	}
	e, err := extentOf(r.Hide, r.Redactions, r.WithName)
	if err != nil {
		return err
	}
	car, err := o.custody.Copy(stream.Context(), o.caller, o.ref, o.purpose, e)
	if err != nil {
		return err
	}
	_, err = chunkWriter(func(chunk []byte) error { return stream.Send(&apiv1.CopyResponse{Chunk: chunk}) }).Write(car)
	return err
}

// Evidence streams a copy with the receipts of its anchor, of its supersession
// and of the decisions that say why parts of it are hidden, where there are any.
func (d *departments) Evidence(r *apiv1.EvidenceRequest, stream grpc.ServerStreamingServer[apiv1.EvidenceResponse]) error {
	o, err := d.opening(stream.Context(), r.Record, r.Purpose)
	if err != nil {
		return err
	}
	e, err := extentOf(r.Hide, r.Redactions, true)
	if err != nil {
		return err
	}
	car, err := o.custody.Evidence(stream.Context(), o.caller, o.ref, o.purpose, e, func(redactions [][32]byte) ([][]byte, error) {
		return d.server.receiptsOf(stream.Context(), o.index, redactions)
	})
	if err != nil {
		return err
	}
	_, err = chunkWriter(func(chunk []byte) error { return stream.Send(&apiv1.EvidenceResponse{Chunk: chunk}) }).Write(car)
	return err
}

func extentOf(hide []string, redactions [][]byte, withName bool) (custody.Extent, error) {
	e := custody.Extent{Hide: hide, WithName: withName}
	for _, hash := range redactions {
		if len(hash) != 32 {
			return custody.Extent{}, refuse(reasonMalformed, "a redaction is named by a hash of 32 bytes, not %d", len(hash))
		}
		e.Redactions = append(e.Redactions, [32]byte(hash))
	}
	return e, nil
}

// chunkWriter sends what is written in messages of at most chunkBytes.
type chunkWriter func([]byte) error

func (w chunkWriter) Write(p []byte) (int, error) {
	for at := 0; at < len(p); at += chunkBytes {
		if err := w(p[at:min(at+chunkBytes, len(p))]); err != nil {
			return at, err
		}
	}
	return len(p), nil
}
