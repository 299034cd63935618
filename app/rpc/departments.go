package rpc

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// departments is what city departments use.
type departments struct {
	apiv1.UnimplementedDepartmentsServer
	server *Server
}

// submitWindow is how many transactions of one stream are under way at once.
const submitWindow = 64

// Submit hands in one transaction, in its caller's turn.
func (d *departments) Submit(ctx context.Context, r *apiv1.SubmitRequest) (*apiv1.SubmitResponse, error) {
	line := lineOf(ctx, r.Transaction)
	if err := d.server.door.enter(ctx, line); err != nil {
		return nil, err
	}
	defer d.server.door.leave(line)
	return d.handIn(ctx, r)
}

func (d *departments) handIn(ctx context.Context, r *apiv1.SubmitRequest) (*apiv1.SubmitResponse, error) {
	result, height, err := d.server.options.Node.Submit(ctx, r.Transaction)
	if err != nil {
		return nil, err
	}
	return submitted(result, height), nil
}

func submitted(result ledger.Result, height int64) *apiv1.SubmitResponse {
	resp := &apiv1.SubmitResponse{Reason: result.Code.String(), TransactionIndex: uint64(result.TxIndex), Height: uint64(height), BadItem: int64(result.Bad)}
	if result.Entered() {
		resp.FirstIndex, resp.Count = uint64(result.TxIndex)+1, uint64(result.Count)
	}
	return resp
}

// SubmitStream hands in transactions as they come, a window of them at once. It
// reads no more of them while the caller's office has its share under way.
func (d *departments) SubmitStream(stream grpc.BidiStreamingServer[apiv1.SubmitStreamRequest, apiv1.SubmitStreamResponse]) error {
	ctx := stream.Context() // ends when this function returns
	queue := make(chan chan submission, submitWindow)
	var ended error // why the requests ended; read once queue is closed
	receive := func() error {
		for {
			r, err := stream.Recv()
			if err != nil {
				return err
			}
			one := make(chan submission, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				return ctx.Err()
			}
			transaction := r.GetSubmit().GetTransaction()
			line := lineOf(ctx, transaction)
			if err := d.server.door.enter(ctx, line); err != nil {
				one <- submission{err: err}
				return err
			}
			d.server.running.Go(func() {
				defer d.server.door.leave(line)
				one <- d.submit(ctx, transaction)
			})
		}
	}
	d.server.running.Go(func() {
		defer close(queue)
		ended = handled(receive)
	})
	for one := range queue {
		a := <-one
		if a.err != nil {
			return a.err
		}
		if err := stream.Send(&apiv1.SubmitStreamResponse{Submit: a.resp}); err != nil {
			return err
		}
	}
	if errors.Is(ended, io.EOF) {
		return nil
	}
	return ended
}

// submission is the answer to one transaction of a stream.
type submission struct {
	resp *apiv1.SubmitResponse
	err  error
}

// submit hands in one transaction of a stream, in as much time as one alone has.
func (d *departments) submit(ctx context.Context, transaction []byte) (s submission) {
	defer recovered(&s.err)
	ctx, cancel := context.WithTimeout(ctx, d.server.limits.call)
	defer cancel()
	s.resp, s.err = d.handIn(ctx, &apiv1.SubmitRequest{Transaction: transaction})
	return s
}

// Receipt gives the receipt of an entry.
func (d *departments) Receipt(ctx context.Context, r *apiv1.ReceiptRequest) (*apiv1.ReceiptResponse, error) {
	index, err := within(r.Index, d.server.options.Node.View().Head().Size, "entry")
	if err != nil {
		return nil, err
	}
	text, err := d.server.receiptFor(ctx, index)
	if err != nil {
		return nil, err
	}
	return &apiv1.ReceiptResponse{Receipt: text, Grade: receipt.GradeCity}, nil
}

// Record tells what the ledger knows of a record.
func (d *departments) Record(ctx context.Context, r *apiv1.RecordRequest) (*apiv1.RecordResponse, error) {
	department, err := departmentOr(ctx, r.Department)
	if err != nil {
		return nil, err
	}
	view := d.server.options.Node.View()
	index, anchor, err := d.server.anchorOf(view, department, r.Record)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.RecordResponse{
		Index: uint64(index), Commitment: anchor.Commitment[:], Department: string(anchor.Office), Series: string(anchor.Series),
		Custody: string(anchor.Custody), Day: int32(anchor.Day), Undated: anchor.Flags&record.FlagUndated != 0,
	}
	life, ok, err := ledger.LifecycleOf(view, index)
	if err != nil {
		return nil, err
	}
	if ok {
		resp.SupersededBy = uint64(life.SupersededBy)
		if err := residual(view, resp, index, life); err != nil {
			return nil, err
		}
	}
	if c := d.server.options.Custody; c != nil {
		resp.HeldHere, err = c.Holds(anchor.Office, anchor.Commitment)
	}
	return resp, err
}

// departmentOr gives the department that a request names, or else the caller's office.
func departmentOr(ctx context.Context, name string) (record.Code, error) {
	if name == "" {
		return callerOf(ctx).Office, nil
	}
	return codeOf(name, "department")
}

// codeOf reads a code of the wire.
func codeOf(name, what string) (record.Code, error) {
	c := record.Code(name)
	if !c.Valid() {
		return "", refuse(reasonMalformed, "the %s %.16q is not a code", what, name)
	}
	return c, nil
}

// anchorOf finds the anchor entry of a record that is named by its index or,
// within a department, by its commitment.
func (s *Server) anchorOf(view ledger.View, department record.Code, ref *apiv1.RecordRef) (record.Index, record.AnchorEntry, error) {
	var index record.Index
	switch by := ref.GetRef().(type) {
	case *apiv1.RecordRef_Index:
		i, err := within(by.Index, view.Head().Size, "entry")
		if err != nil {
			return 0, record.AnchorEntry{}, err
		}
		index = record.Index(i)
	case *apiv1.RecordRef_Commitment:
		if len(by.Commitment) != len(record.Commitment{}) {
			return 0, record.AnchorEntry{}, refuse(reasonMalformed, "the commitment has %d bytes, not 32", len(by.Commitment))
		}
		i, ok, err := view.AnchorIndex(department, record.Commitment(by.Commitment))
		if err != nil {
			return 0, record.AnchorEntry{}, err
		}
		if !ok {
			return 0, record.AnchorEntry{}, refuse(reasonNotFound, "%s has anchored no record with this commitment", department)
		}
		index = i
	default:
		return 0, record.AnchorEntry{}, refuse(reasonMalformed, "the request names no record: give an entry index or a commitment")
	}
	raw, err := view.Entry(index)
	if err != nil {
		return 0, record.AnchorEntry{}, err
	}
	entry, err := record.ParseEntry(raw)
	if err != nil {
		return 0, record.AnchorEntry{}, err
	}
	anchor, ok := entry.(record.AnchorEntry)
	if !ok {
		return 0, record.AnchorEntry{}, refuse(reasonNotFound, "entry %d anchors no record", index)
	}
	return index, anchor, nil
}
