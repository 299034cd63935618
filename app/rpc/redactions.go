package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/muniment/muniment/app/commitment"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// PlanRedaction lists what must be hidden together.
func (d *departments) PlanRedaction(r *apiv1.PlanRedactionRequest, stream grpc.ServerStreamingServer[apiv1.PlanRedactionResponse]) error {
	o, err := d.opening(stream.Context(), r.Record, r.Purpose)
	if err != nil {
		return err
	}
	var asks []commitment.Ask
	for _, ask := range r.Asks {
		asks = append(asks, commitment.Ask{Selector: ask.GetSelector(), Code: ask.GetCode()})
	}
	marks, err := o.custody.PlanRedaction(stream.Context(), o.caller, o.ref, o.purpose, asks)
	if err != nil {
		return err
	}
	resp, size := &apiv1.PlanRedactionResponse{}, 0
	for _, m := range marks {
		mark := &apiv1.PlannedMark{First: m.First, Last: m.Last, Code: m.Code, Why: m.Why, Label: m.Label}
		resp.Marks = append(resp.Marks, mark)
		if size += proto.Size(mark); size > pageBytes {
			if err := stream.Send(resp); err != nil {
				return err
			}
			resp, size = &apiv1.PlanRedactionResponse{}, 0
		}
	}
	return stream.Send(resp)
}

// FileRedaction hands a redaction to the custodian.
func (d *departments) FileRedaction(ctx context.Context, r *apiv1.FileRedactionRequest) (*apiv1.FileRedactionResponse, error) {
	o, err := d.named(ctx, r.Record)
	if err != nil {
		return nil, err
	}
	hash, err := o.custody.FileRedaction(ctx, o.caller, o.ref, r.Redaction)
	if err != nil {
		return nil, err
	}
	return &apiv1.FileRedactionResponse{Hash: hash[:]}, nil
}

// Redactions streams the texts of a record's redactions, one in each message.
func (d *departments) Redactions(r *apiv1.RedactionsRequest, stream grpc.ServerStreamingServer[apiv1.RedactionsResponse]) error {
	o, err := d.named(stream.Context(), r.Record)
	if err != nil {
		return err
	}
	texts, err := o.custody.Redactions(stream.Context(), o.caller, o.ref)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if err := stream.Send(&apiv1.RedactionsResponse{Redactions: [][]byte{text}}); err != nil {
			return err
		}
	}
	return nil
}
