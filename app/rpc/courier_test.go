package rpc

import (
	"errors"
	"testing"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/record"
)

// TestNothingLeavesForANodeThatWasReplaced: the custodian's key goes on at another
// node, and nothing is sent any more to the one that had it, whatever connection
// there is.
func TestNothingLeavesForANodeThatWasReplaced(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.shareSet()
	peer := Peer{Custodian: keyID("custodian 2"), Node: public("node 2"), Address: c.address, Certificate: c.nodeTLS("node 2").Certificates[0].Certificate[0]}
	courier, err := c.server.Courier(peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { courier.Close() })
	if err := courier.stands("CITY"); err != nil {
		t.Fatalf("before: %v", err)
	}
	fact := &record.Node{NodeKey: public("node 4"), ValidatorKey: public("validator 2"), CosignerKey: public("cosigner 2"), LogKey: public("log 2"),
		CustodianKey: public("custodian 2"), Replaces: keyID("node 2")}
	proposal := c.mustApply(c.tx("CLERK", &record.ProposeChange{Fact: fact}))
	c.mustApply(c.tx("COUNSEL", &record.ApproveChange{Proposal: proposal.TxIndex + 1, FactHash: must(record.FactHash(fact))}))
	if err := courier.Send(ctx, "CITY", custody.Ref{Office: "DPW"}); !errors.Is(err, ErrPeerGone) {
		t.Errorf("after it: %v, want %v", err, ErrPeerGone)
	}
	if err := courier.stands("NONE"); !errors.Is(err, ErrPeerGone) {
		t.Errorf("of another set: %v, want %v", err, ErrPeerGone)
	}
}
