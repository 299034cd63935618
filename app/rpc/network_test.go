package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestNetwork gives the handovers that the caller lacks, as many as one answer
// holds, and the cards.
func TestNetwork(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	client := apiv1.NewAuditorsClient(c.as("DPW"))
	ask := func(eras uint64) *apiv1.NetworkResponse {
		t.Helper()
		got, err := client.Network(ctx, &apiv1.NetworkRequest{Eras: eras})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(1); len(got.Handovers) != 0 || len(got.Cards) != 0 {
		t.Errorf("a network of one era without cards: %v", got)
	}
	all := make([][]byte, 100)
	for i := range all {
		all[i] = bytes.Repeat([]byte{byte(i)}, 60<<10)
	}
	c.server.options.Handovers = func(eras int64) [][]byte { return all[min(int(eras)-1, len(all)):] }
	c.server.options.Cards = func() [][]byte { return [][]byte{[]byte("a card")} }
	eras := uint64(1)
	for len(ask(eras).Handovers) > 0 {
		for _, text := range ask(eras).Handovers {
			if !bytes.Equal(text, all[eras-1]) {
				t.Fatalf("another handover after %d eras", eras)
			}
			eras++
		}
	}
	if got := ask(101); eras != 101 || len(got.Cards) != 1 || string(got.Cards[0]) != "a card" {
		t.Errorf("%d eras in the end, cards %q", eras, got.Cards)
	}
	if n := len(ask(1).Handovers); n*(60<<10) > mostHandoverBytes || n < 60 {
		t.Errorf("%d handovers of 60 KiB in one answer", n)
	}
	for _, eras := range []uint64{0, 1 << 63} {
		if _, err := client.Network(ctx, &apiv1.NetworkRequest{Eras: eras}); grpcstatus.Code(err) != codes.InvalidArgument {
			t.Errorf("%d eras: got %v", eras, err)
		}
	}
}
