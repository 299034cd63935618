package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// vaulted is what the custodian keeps of a record.
type vaulted struct {
	header  *apiv1.DepositHeader
	content []byte
	layout  commitment.Layout
	state   commitment.State
	leaves  [][32]byte
	m       commitment.Manifest
	filed   map[[32]byte][]byte // redactions
}

type departmentsFake struct {
	apiv1.UnimplementedDepartmentsServer
	city *city
}

// refusal is the error of a node: a code, a stable reason, a sentence.
func refusal(code codes.Code, reason, text string) error {
	s, err := status.New(code, text).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "muniment"})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func (d departmentsFake) Deposit(stream grpc.ClientStreamingServer[apiv1.DepositRequest, apiv1.DepositResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	header := first.GetHeader()
	var content []byte
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(r.GetChunk()) > 256<<10 {
			return refusal(codes.InvalidArgument, "MALFORMED", "a chunk is too large")
		}
		content = append(content, r.GetChunk()...)
	}
	if header == nil || uint64(len(content)) != header.Size {
		return refusal(codes.InvalidArgument, "MALFORMED", "the stream does not have the size that was announced")
	}
	var fields []commitment.Field
	for _, f := range header.Fields {
		fields = append(fields, commitment.Field{Key: f.Key, Value: f.Value})
	}
	layout, err := d.arrange(callerOf(stream.Context()), record.Code(header.Series))(commitment.Profile(header.Profile), content, fields)
	if err != nil {
		return refusal(codes.InvalidArgument, "MALFORMED", err.Error())
	}
	v := vaulted{header: header, content: content, layout: layout, state: commitment.NewState(commitment.RecordKey(header.RecordKey), layout.N()), filed: map[[32]byte][]byte{}}
	if v.m, v.leaves, err = commitment.Commit(v.state, layout); err != nil {
		return err
	}
	got := v.m.Commitment()
	if string(got[:]) != string(header.ExpectedCommitment) {
		return refusal(codes.FailedPrecondition, "COMMITMENT_MISMATCH", "the content does not have the expected commitment")
	}
	c := d.city
	c.mu.Lock()
	c.vault[record.Commitment(got)] = v
	c.deposits++
	c.mu.Unlock()
	if hook := c.hook().deposit; hook != nil {
		if err := hook(header); err != nil {
			return err
		}
	}
	return stream.SendAndClose(&apiv1.DepositResponse{Commitment: got[:], Segments: layout.N()})
}

// arrange gives how the content of a series is laid out: batches have their own size.
func (d departmentsFake) arrange(office, series record.Code) func(commitment.Profile, []byte, []commitment.Field) (commitment.Layout, error) {
	d.city.mu.Lock()
	defer d.city.mu.Unlock()
	opening, _, err := ledger.OpeningOf(d.city.view, series, office, record.LedgerDay(d.city.time))
	if err != nil {
		panic(err)
	}
	if opening.Batched {
		return commitment.ArrangeBatch
	}
	return commitment.Arrange
}

func (d departmentsFake) Submit(_ context.Context, r *apiv1.SubmitRequest) (*apiv1.SubmitResponse, error) {
	c := d.city
	h := c.hook()
	if h.submit != nil {
		if err := h.submit(); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	result := c.blockLocked(r.Transaction)[0]
	height := c.view.Head().Height
	c.submits++
	c.mu.Unlock()
	if h.submitted != nil {
		if err := h.submitted(); err != nil {
			return nil, err
		}
	}
	response := &apiv1.SubmitResponse{Reason: result.Code.String(), TransactionIndex: uint64(result.TxIndex), Height: uint64(height), BadItem: int64(result.Bad)}
	if result.Count > 0 { // accepted, or refused with an entry
		response.FirstIndex, response.Count = uint64(result.TxIndex)+1, uint64(result.Count)
	}
	if h.lie != nil {
		h.lie(response)
	}
	return response, nil
}

func (d departmentsFake) Receipt(_ context.Context, r *apiv1.ReceiptRequest) (*apiv1.ReceiptResponse, error) {
	c := d.city
	h := c.hook()
	if h.receipt != nil {
		if err := h.receipt(r.Index); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(r.Index) >= c.view.Head().Size {
		return nil, refusal(codes.NotFound, "NOT_FOUND", "there is no such entry yet")
	}
	index := r.Index
	if h.record != nil {
		index = h.record(index)
	}
	return &apiv1.ReceiptResponse{Receipt: c.receiptOf(record.Index(index)), Grade: "city"}, nil
}

// callerOf is the office of the certificate.
func callerOf(ctx context.Context) record.Code {
	p, _ := peer.FromContext(ctx)
	account, _, err := identity.Claim(p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0])
	if err != nil {
		panic(err)
	}
	return account.Office
}

func (d departmentsFake) Record(ctx context.Context, r *apiv1.RecordRequest) (*apiv1.RecordResponse, error) {
	c := d.city
	c.mu.Lock()
	defer c.mu.Unlock()
	index := record.Index(r.Record.GetIndex())
	if by, ok := r.Record.Ref.(*apiv1.RecordRef_Commitment); ok {
		office := record.Code(r.Department)
		if office == "" {
			office = callerOf(ctx)
		}
		var err error
		if index, ok, err = c.view.AnchorIndex(office, record.Commitment(by.Commitment)); err != nil || !ok {
			return nil, refusal(codes.NotFound, "NOT_FOUND", "no such record")
		}
	}
	e, ok := c.entry(index).(record.AnchorEntry)
	if !ok {
		return nil, refusal(codes.NotFound, "NOT_FOUND", "no such record")
	}
	response := &apiv1.RecordResponse{Index: uint64(index), Commitment: e.Commitment[:], Department: string(e.Office), Series: string(e.Series)}
	if life, ok, err := ledger.LifecycleOf(c.view, index); err == nil && ok {
		response.SupersededBy = uint64(life.SupersededBy)
		for _, at := range life.Decisions {
			if w, ok := c.entry(at).(record.WithholdingEntry); ok {
				response.Decisions = append(response.Decisions, &apiv1.DecisionInfo{Entry: uint64(at), Redaction: w.Redaction[:], Office: string(w.Office)})
			}
		}
	}
	_, response.HeldHere = c.vault[e.Commitment]
	if c.hooks.disposed != nil {
		response.Disposition = c.hooks.disposed(uint64(index))
	}
	return response, nil
}

func (d departmentsFake) Search(_ context.Context, r *apiv1.SearchRequest) (*apiv1.SearchResponse, error) {
	c := d.city
	c.mu.Lock()
	defer c.mu.Unlock()
	response := &apiv1.SearchResponse{}
	for i := range c.view.Head().Size {
		e, ok := c.entry(record.Index(i)).(record.AnchorEntry)
		if !ok {
			continue
		}
		hit := &apiv1.SearchHit{Commitment: e.Commitment[:], Index: uint64(i), Anchored: true, Series: string(e.Series)}
		for _, f := range c.vault[e.Commitment].header.Fields {
			switch f.Key {
			case commitment.FieldTitle:
				hit.Title = f.Value
			case commitment.FieldFileName:
				hit.FileName = f.Value
			}
		}
		if strings.Contains(hit.Title+hit.FileName, r.Text) {
			response.Hits = append(response.Hits, hit)
		}
	}
	return response, nil
}

// found gives what the custodian keeps of a record by its index.
func (d departmentsFake) found(ref *apiv1.RecordRef) (vaulted, error) {
	c := d.city
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entry(record.Index(ref.GetIndex())).(record.AnchorEntry)
	if !ok {
		return vaulted{}, refusal(codes.NotFound, "NOT_FOUND", "no such record")
	}
	return c.vault[e.Commitment], nil
}

func (d departmentsFake) Segments(r *apiv1.SegmentsRequest, stream grpc.ServerStreamingServer[apiv1.SegmentsResponse]) error {
	v, err := d.found(r.Record)
	if err != nil {
		return err
	}
	response := &apiv1.SegmentsResponse{}
	for i, label := range commitment.Labels(v.layout.Profile, v.layout.Segments) {
		s := v.layout.Segments[i]
		response.Segments = append(response.Segments, &apiv1.SegmentInfo{Leaf: uint32(i), Kind: s.Kind.String(), Label: label, Size: uint64(len(s.Payload)), Oracle: s.Oracle})
	}
	return stream.Send(response)
}

func (d departmentsFake) Read(r *apiv1.ReadRequest, stream grpc.ServerStreamingServer[apiv1.ReadResponse]) error {
	v, err := d.found(r.Record)
	if err != nil {
		return err
	}
	if r.Purpose == apiv1.Purpose_PURPOSE_UNSPECIFIED {
		return refusal(codes.InvalidArgument, "MALFORMED", "no purpose")
	}
	return stream.Send(&apiv1.ReadResponse{Chunk: v.content})
}

// redacted makes a copy as a custodian does.
func (v vaulted) redacted(hide []string, hashes [][]byte, withName bool) (commitment.Copy, error) {
	var ranges []commitment.Range
	for _, hash := range hashes {
		text, ok := v.filed[[32]byte(hash)]
		if !ok {
			return commitment.Copy{}, refusal(codes.NotFound, "NO_SUCH_REDACTION", "no such redaction")
		}
		ranges = append(ranges, must(commitment.ParseRedaction(text)).Ranges()...)
	}
	for _, selector := range hide {
		found, err := commitment.Locate(v.layout.Profile, v.layout.Segments, selector)
		if err != nil {
			return commitment.Copy{}, refusal(codes.InvalidArgument, "NO_SUCH_SEGMENT", err.Error())
		}
		for _, i := range found {
			ranges = append(ranges, commitment.Range{First: uint32(i), Last: uint32(i)})
		}
	}
	return commitment.NewCopy(v.m, v.leaves, v.state, v.layout.Segments, commitment.Redact(v.layout.Segments, ranges, withName))
}

func (d departmentsFake) Copy(r *apiv1.CopyRequest, stream grpc.ServerStreamingServer[apiv1.CopyResponse]) error {
	if hook := d.city.hook().copy; hook != nil {
		hook(r)
	}
	v, err := d.found(r.Record)
	if err != nil {
		return err
	}
	copied, err := v.redacted(r.Hide, r.Redactions, r.WithName)
	if err != nil {
		return err
	}
	return stream.Send(&apiv1.CopyResponse{Chunk: copied.Marshal()})
}

func (d departmentsFake) Evidence(r *apiv1.EvidenceRequest, stream grpc.ServerStreamingServer[apiv1.EvidenceResponse]) error {
	v, err := d.found(r.Record)
	if err != nil {
		return err
	}
	copied, err := v.redacted(r.Hide, r.Redactions, true)
	if err != nil {
		return err
	}
	index := r.Record.GetIndex()
	if hook := d.city.hook().record; hook != nil {
		index = hook(index)
	}
	d.city.mu.Lock()
	proofs := [][]byte{d.city.receiptOf(record.Index(index))}
	if life, ok, err := ledger.LifecycleOf(d.city.view, record.Index(index)); err == nil && ok {
		for _, at := range life.Decisions {
			w, ok := d.city.entry(at).(record.WithholdingEntry)
			if ok && slices.ContainsFunc(r.Redactions, func(hash []byte) bool { return [32]byte(hash) == w.Redaction }) {
				proofs = append(proofs, d.city.receiptOf(at))
			}
		}
	}
	d.city.mu.Unlock()
	for _, hash := range r.Redactions {
		proofs = append(proofs, v.filed[[32]byte(hash)])
	}
	car, err := commitment.MarshalBundle(copied, proofs)
	if err != nil {
		return err
	}
	half := len(car) / 2
	if err := stream.Send(&apiv1.EvidenceResponse{Chunk: car[:half]}); err != nil {
		return err
	}
	return stream.Send(&apiv1.EvidenceResponse{Chunk: car[half:]})
}
