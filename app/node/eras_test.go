package node

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/printed"
)

// enact has a fact proposed and approved, again where the quorum that is to stay
// was not seen to sign in time.
func enact(t *testing.T, n *Node, fact record.Fact) {
	t.Helper()
	signed := func(office string, m record.Message) ledger.Result {
		t.Helper()
		var nonce record.Nonce
		if _, err := rand.Read(nonce[:]); err != nil {
			t.Fatal(err)
		}
		body, err := record.NewBody(n.NetworkID(), nonce, record.LedgerDay(time.Now().UnixNano())+2, m)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := record.Sign(officeKey(office), body)
		if err != nil {
			t.Fatal(err)
		}
		result, _, err := n.Submit(waiting(t), raw)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	proposal := signed("CLERK", &record.ProposeChange{Fact: fact})
	if proposal.Code != ledger.OK {
		t.Fatalf("the proposal was refused: %v", proposal.Code)
	}
	hash, err := record.FactHash(fact)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is decided", func() bool {
		approval := signed("IT", &record.ApproveChange{Proposal: proposal.TxIndex + 1, FactHash: hash})
		if approval.Code != ledger.OK && approval.Code != ledger.CodeQuorumAtRisk {
			t.Fatalf("the approval was refused: %v", approval.Code)
		}
		return approval.Code == ledger.OK
	})
}

// TestEveryKeyOfTheNetwork: four validators get other validator, cosigner and log
// keys, one after the other, while the network works; the file that was pinned at
// the founding follows, and a receipt of the first era still verifies.
func TestEveryKeyOfTheNetwork(t *testing.T) {
	c := newCity(t, 4)
	for i := range c.homes {
		c.open(i)
		if err := c.nodes[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	founded := c.nodes[0].Network()
	first, _ := submit(t, c.nodes[0], anchor(t, c.nodes[0], "of the first era"))
	old := receiptOf(t, c.nodes[0], first.TxIndex+1)
	verified(t, founded, old)
	oldSize := func() int64 {
		r, err := receipt.Parse(old)
		if err != nil {
			t.Fatal(err)
		}
		return r.Checkpoint.Size
	}()

	observer := c.nodes[4]
	for i, n := range c.nodes[:4] {
		if i == 2 { // it misses half of it
			if err := observer.Stop(); err != nil {
				t.Fatal(err)
			}
			c.nodes[4] = nil
		}
		for _, use := range []string{"validator", "cosigner", "log"} {
			if _, err := n.keys.chain.Make(use, rand.Reader, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		enact(t, c.nodes[(i+1)%4], n.keys.chain.Newest().Fact(10))
		result, _ := submit(t, c.nodes[(i+2)%4], anchor(t, c.nodes[0], fmt.Sprint("of era ", i+2)))
		for _, n := range c.nodes {
			if n == nil {
				continue
			}
			eventually(t, "entry on every node", func() bool { return n.View().Head().Size > int64(result.TxIndex)+1 })
			text := receiptOf(t, n, result.TxIndex+1)
			if v := verified(t, n.Network(), text); v.Era != i+2 {
				t.Errorf("a receipt of era %d, want %d", v.Era, i+2)
			}
		}
	}
	c.open(4)
	if err := c.nodes[4].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node that was away has all handovers", func() bool { return len(c.nodes[4].Network().Eras) == 5 })

	now := founded
	for _, text := range c.nodes[4].cosigning.handoversAfter(1, 100) {
		next, err := now.Extend(text)
		if err != nil {
			t.Fatal(err)
		}
		now = next
	}
	for i, n := range c.nodes {
		if n.Network().Fingerprint() != now.Fingerprint() {
			t.Errorf("node %d has another network", i)
		}
		for _, problem := range n.health.alarms {
			t.Errorf("node %d: alarm: %s", i, problem)
		}
	}
	for _, v := range founded.Eras[0].Validators {
		for _, w := range now.Eras[4].Validators {
			if v.Cosigner == w.Cosigner {
				t.Errorf("validator %s has the key that it was founded with", v.NodeID)
			}
		}
	}
	if v, err := receipt.Verify(now, old); err != nil || v.Outcome != receipt.Indeterminate || v.Reasons[0] != receipt.KeysRetired {
		t.Errorf("the first receipt by itself: %s %v, %v", v.Outcome, v.Reasons, err)
	}
	pin := now.Eras[0].Closed.Size
	proof, err := tlog.ProveTree(pin, oldSize, c.nodes[4].State())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := receipt.VerifyWith(now, old, proof); err != nil || v.Outcome != receipt.Passed || v.Era != 1 {
		t.Errorf("the first receipt with the proof: %s %v, %v", v.Outcome, v.Reasons, err)
	}
	again := receiptOf(t, c.nodes[0], first.TxIndex+1)
	if v := verified(t, now, again); v.Era != 5 {
		t.Errorf("the first receipt, got anew, is of era %d", v.Era)
	}
}

// TestANodeThatIsReplacedSaysSo: a node whose place another node key of its home
// takes says what is to be done, each time that it is started under the old key;
// under the new one it is silent until it is removed.
func TestANodeThatIsReplacedSaysSo(t *testing.T) {
	const isRemoved, isReplaced = "no longer a member of the network", "run munimentd keys use node 2 and start it again"
	c := newCity(t, 1)
	c.open(0)
	if err := c.nodes[0].Start(); err != nil {
		t.Fatal(err)
	}
	start := func() *printed.Output {
		t.Helper()
		c.open(1)
		log := new(printed.Output)
		c.nodes[1].log = slog.New(slog.NewTextHandler(log, nil))
		if err := c.nodes[1].Start(); err != nil {
			t.Fatal(err)
		}
		return log
	}
	stop := func() {
		t.Helper()
		if err := c.nodes[1].Stop(); err != nil {
			t.Fatal(err)
		}
	}
	// The key is made beside the running node, by a process of its own.
	log := start()
	eventually(t, "the node follows", func() bool { return !c.nodes[1].Status().CatchingUp })
	old := public(c.nodes[1].Keys().Node)
	beside := openKeychain(t, c.homes[1])
	makeGeneration(t, beside, "node")
	fact := beside.Newest().Fact(0)
	fact.Replaces = record.KeyIDOf(old[:])
	enact(t, c.nodes[0], fact)
	eventually(t, "the replaced node says what to do", func() bool { return strings.Contains(log.String(), isReplaced) })
	again := log.String()
	stop()
	log = start()
	eventually(t, "it says so again", func() bool { return strings.Contains(log.String(), isReplaced) })
	if again += log.String(); strings.Contains(again, isRemoved) {
		t.Errorf("the replaced node says that it is no member:\n%s", again)
	}
	stop()

	if err := beside.UseNode(2); err != nil {
		t.Fatal(err)
	}
	c.configs[0].P2P.Peers = []string{beside.InUse().ID() + "@" + c.configs[1].P2P.Listen}
	log = start()
	eventually(t, "the node under its new key goes on", func() bool {
		return c.nodes[1].Status().Peers == 1 && c.nodes[1].View().Head().Height >= c.nodes[0].View().Head().Height
	})
	if said := log.String(); strings.Contains(said, isRemoved) || strings.Contains(said, isReplaced) {
		t.Errorf("the node under its new key says:\n%s", said)
	}
	gone := *fact
	gone.Removed, gone.Replaces = true, record.KeyID{}
	enact(t, c.nodes[0], &gone)
	eventually(t, "the removed node says so", func() bool { return strings.Contains(log.String(), isRemoved) })
}
