package rpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// shareSet has the second node's custodian keep the set CITY as well.
func (c *city) shareSet() {
	c.t.Helper()
	both := []record.KeyID{keyID("custodian"), keyID("custodian 2")}
	slices.SortFunc(both, func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) })
	fact := &record.CustodianSet{Code: "CITY", Custodians: both}
	proposal := c.mustApply(c.tx("CLERK", &record.ProposeChange{Fact: fact}))
	c.mustApply(c.tx("COUNSEL", &record.ApproveChange{Proposal: proposal.TxIndex + 1, FactHash: must(record.FactHash(fact))}))
}

// compare asks as the second node about one record, and tells whether it is wanted.
func (c *city) compare(ctx context.Context, ref custody.Ref, leaving bool) (wanted bool, err error) {
	c.t.Helper()
	stream, err := apiv1.NewCustodiansClient(c.asNode("node 2")).Compare(ctx)
	if err != nil {
		return false, err
	}
	var r *apiv1.CompareResponse
	for _, m := range []*apiv1.CompareRequest{
		{Set: "CITY", All: bytes.Repeat([]byte{1}, 32), Leaving: leaving},
		{Records: []*apiv1.HeldRecord{{Office: string(ref.Office), Commitment: ref.Commitment[:], Digest: make([]byte, 32)}}},
	} {
		if err := stream.Send(m); err != nil {
			c.t.Logf("send: %v", err) // Recv tells why
		}
		if r, err = stream.Recv(); err != nil {
			return false, err
		}
	}
	return len(r.Wanted) == 1, stream.CloseSend()
}

// TestWhoLeavesIsToldWhatIsNotThere: what this node has refused is not wanted for a
// while, which to one that is about to forget it would sound as if it were here.
func TestWhoLeavesIsToldWhatIsNotThere(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.shareSet()
	ref := custody.Ref{Office: "DPW", Commitment: record.Commitment{1}}
	for _, leaving := range []bool{false, true} {
		if wanted, err := c.compare(ctx, ref, leaving); !wanted || err != nil {
			t.Errorf("leaving %v: wanted %v, %v", leaving, wanted, err)
		}
	}
	stream, err := apiv1.NewCustodiansClient(c.asNode("node 2")).Keep(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&apiv1.KeepRequest{Header: &apiv1.KeepHeader{Set: "CITY", Office: "DPW", Commitment: ref.Commitment[:]}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.CloseAndRecv(); err == nil {
		t.Fatal("nothing was kept")
	}
	for _, reason := range []custody.Reason{custody.Destroyed, custody.Locked} {
		c.server.exchange.refuse(keyID("custodian 2"), "CITY", ref, &custody.Error{Reason: reason}, c.now())
		if wanted, err := c.compare(ctx, ref, false); wanted || err != nil {
			t.Errorf("refused as %s: wanted %v, %v", reason, wanted, err)
		}
		if wanted, err := c.compare(ctx, ref, true); !wanted || err != nil {
			t.Errorf("refused as %s, to one that leaves: wanted %v, %v", reason, wanted, err)
		}
		c.server.exchange.refusal = nil
	}
}

// TestOfTwoThatLeaveOneStays: a custodian that is leaving says nothing of what it
// has, or two could take each other's word for it.
func TestOfTwoThatLeaveOneStays(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.shareSet()
	asked, stays := false, errors.New("not everything is handed over")
	_, err := c.custody.Leave(ctx, "CITY", func(ctx context.Context) error {
		asked = true
		_, err := c.compare(ctx, custody.Ref{Office: "DPW"}, true)
		wantReason(t, "compare with one that leaves", err, "UNKNOWN_CUSTODY")
		return stays
	})
	if !errors.Is(err, stays) || !asked {
		t.Fatal(err)
	}
	if _, err := c.compare(ctx, custody.Ref{Office: "DPW"}, true); err != nil {
		t.Errorf("when it stays: %v", err)
	}
}

// TestComparisonsEnd: whoever goes on asking does not keep a comparison, and what it
// reads from, open for good.
func TestComparisonsEnd(t *testing.T) {
	c, ctx := newCity(t, func(l *limits) { l.inquiry = 500 * time.Millisecond }), within10s(t)
	c.shareSet()
	stream, err := apiv1.NewCustodiansClient(c.asNode("node 2")).Compare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m := &apiv1.CompareRequest{Set: "CITY", All: bytes.Repeat([]byte{1}, 32)}
	for asked := 0; ; asked++ {
		if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			if ctx.Err() != nil || asked == 0 {
				t.Errorf("ended after %d requests: %v", asked, err)
			}
			return
		}
		m = &apiv1.CompareRequest{Parts: make([]byte, 32)}
	}
}
