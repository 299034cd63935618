package rpc

import (
	"context"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// mostHandoverBytes bounds the handovers of one answer. Who has taken them over
// asks again.
const mostHandoverBytes = 4 << 20

// Network gives the handovers to the eras that follow those of the caller's
// network file, in order, and the cards of the nodes.
func (a *auditors) Network(_ context.Context, r *apiv1.NetworkRequest) (*apiv1.NetworkResponse, error) {
	eras, err := count(r.Eras, "number of eras")
	if err != nil {
		return nil, err
	}
	if eras < 1 {
		return nil, refuse(reasonMalformed, "the network file has no era: the first one comes out of band")
	}
	if a.server.options.Handovers == nil {
		return &apiv1.NetworkResponse{}, nil
	}
	resp := &apiv1.NetworkResponse{Cards: a.server.options.Cards()}
	bytes := 0
	for _, text := range a.server.options.Handovers(eras) {
		if bytes += len(text); bytes > mostHandoverBytes {
			break
		}
		resp.Handovers = append(resp.Handovers, text)
	}
	return resp, nil
}
