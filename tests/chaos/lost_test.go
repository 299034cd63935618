//go:build chaos

package chaos

import (
	"crypto/sha256"
	"os"
	"testing"
	"time"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
)

// TestADiskIsLost takes a validator away with all that it had, its keys too. The
// offices put another one in its place, which knows nothing but the genesis document:
// the others give it the chain, and it votes. Receipts of before stay good.
func TestADiskIsLost(t *testing.T) {
	c := newCity(t)
	c.startAll(t)
	c.adopt(t)
	r := c.record(t)
	pause(t, 2*time.Second)
	m, by := c.nodes[2], c.at(t, c.nodes[0])
	f := fault{kind: "disk lost", machines: []int{m.machine}, from: time.Since(c.began)}
	m.kill(t)
	if err := os.RemoveAll(string(m.home)); err != nil {
		t.Fatal(err)
	}
	replaced := record.KeyIDOf(m.nodeKey[:])
	fact := m.makeKeys(t).Fact(10)
	fact.Replaces = replaced
	network := c.network.Marshal()
	if err := node.Join(m.home, c.genesis, network); err != nil {
		t.Fatal(err)
	}
	c.decide(t, by, fact)
	f.to = time.Since(c.began)
	c.start(t, m)
	m.serves(t)
	c.settle(t)
	f.over = time.Since(c.began)
	c.faults = append(c.faults, f)

	// Three of four are a quorum only if the new one votes.
	c.nodes[1].kill(t)
	commitment := sha256.Sum256([]byte(t.Name()))
	day := record.LedgerDay(time.Now().UnixNano())
	c.do(t, by, department, &record.AnchorRecords{Series: series, Items: []record.AnchorItem{{Commitment: commitment, Day: day}}})
	c.start(t, c.nodes[1])
	c.nodes[1].serves(t)
	c.settle(t)
	history := r.finish(t)
	c.settle(t)
	later, err := by.follow(waiting(t), c.network)
	if err != nil || len(later.Eras) != 2 {
		t.Fatalf("the network file has %d eras, %v", len(later.Eras), err)
	}
	c.later = append(c.later, later)
	c.audit(t, history)
}
