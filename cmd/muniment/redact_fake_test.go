package main

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/commitment"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// PlanRedaction plans as a custodian does.
func (d departmentsFake) PlanRedaction(r *apiv1.PlanRedactionRequest, stream grpc.ServerStreamingServer[apiv1.PlanRedactionResponse]) error {
	v, err := d.found(r.Record)
	if err != nil {
		return err
	}
	var asks []commitment.Ask
	for _, ask := range r.Asks {
		asks = append(asks, commitment.Ask{Selector: ask.Selector, Code: ask.Code})
	}
	marks, err := commitment.Plan(v.layout.Profile, v.layout.Segments, asks)
	if err != nil {
		return refusal(codes.InvalidArgument, "NO_SUCH_SEGMENT", err.Error())
	}
	for _, m := range marks { // each by itself: the program reads to the end
		response := &apiv1.PlanRedactionResponse{Marks: []*apiv1.PlannedMark{{First: m.First, Last: m.Last, Code: m.Code, Why: m.Why, Label: m.Label}}}
		if hook := d.city.hook().plan; hook != nil {
			hook(response)
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	return nil
}

// FileRedaction keeps a redaction.
func (d departmentsFake) FileRedaction(_ context.Context, r *apiv1.FileRedactionRequest) (*apiv1.FileRedactionResponse, error) {
	v, err := d.found(r.Record)
	if err != nil {
		return nil, err
	}
	redaction, err := commitment.ParseRedaction(r.Redaction)
	if err != nil {
		return nil, refusal(codes.InvalidArgument, "MALFORMED", err.Error())
	}
	hash := must(redaction.Hash())
	d.city.mu.Lock()
	v.filed[hash] = r.Redaction
	d.city.mu.Unlock()
	response := &apiv1.FileRedactionResponse{Hash: hash[:]}
	if hook := d.city.hook().filed; hook != nil {
		hook(response)
	}
	return response, nil
}

// Redactions gives what is filed.
func (d departmentsFake) Redactions(r *apiv1.RedactionsRequest, stream grpc.ServerStreamingServer[apiv1.RedactionsResponse]) error {
	if hook := d.city.hook().redactions; hook != nil {
		if err := hook(); err != nil {
			return err
		}
	}
	v, err := d.found(r.Record)
	if err != nil {
		return err
	}
	for _, text := range v.filed {
		if err := stream.Send(&apiv1.RedactionsResponse{Redactions: [][]byte{text}}); err != nil {
			return err
		}
	}
	return nil
}
