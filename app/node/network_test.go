package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

// city is a network of several nodes in one process.
type city struct {
	t       testing.TB
	homes   []Home
	configs []Config
	ids     []string
	nodes   []*Node // nil: not running
}

// newCity founds a network of some validators and, last, one node without power.
func newCity(t testing.TB, validators int) *city {
	t.Helper()
	c := &city{t: t}
	var members []Member
	for i := range validators + 1 {
		home := Home(t.TempDir())
		keys, err := MakeKeys(home, testKeyOptions())
		if err != nil {
			t.Fatal(err)
		}
		power := uint32(10)
		if i == validators {
			power = 0
		}
		members = append(members, Member{Node: keys.Fact(power), Address: fmt.Sprintf("127.0.0.1:%d", 7450+i), Certificate: keys.Certificate})
		config := testConfig()
		config.P2P.Listen = ports.Free(t)
		c.homes, c.configs, c.ids = append(c.homes, home), append(c.configs, config), append(c.ids, keys.ID())
	}
	genesis, network, err := Found(Founding{
		ChainID: "muniment-test-1", Origin: "records.example.org/test", Time: time.Now(), Facts: cityFacts(record.KeyID{}), Members: members,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.nodes = make([]*Node, len(c.homes))
	for i, home := range c.homes {
		if err := Join(home, genesis, network); err != nil {
			t.Fatal(err)
		}
		for j, id := range c.ids {
			if j != i {
				c.configs[i].P2P.Peers = append(c.configs[i].P2P.Peers, id+"@"+c.configs[j].P2P.Listen)
			}
		}
	}
	return c
}

// open opens a node.
func (c *city) open(i int) {
	c.t.Helper()
	c.nodes[i] = open(c.t, c.homes[i], c.configs[i], time.Second)
}

// TestFourValidators runs four validators and a node without power: all reach
// the same tree with the quorum's cosignatures; three of four go on, and the
// fourth catches up.
func TestFourValidators(t *testing.T) {
	c := newCity(t, 4)
	for i := range c.homes {
		c.open(i)
	}
	for _, n := range c.nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	agree := func(tx string, by *Node) {
		t.Helper()
		result, _ := submit(t, by, anchor(t, by, tx))
		for _, n := range c.nodes {
			if n == nil {
				continue
			}
			eventually(t, "entry on every node", func() bool { return n.View().Head().Size > int64(result.TxIndex)+1 })
			v := verified(t, n.Network(), receiptOf(t, n, result.TxIndex+1))
			if v.Grade != receipt.GradeCity {
				t.Errorf("grade %s", v.Grade)
			}
		}
	}
	agree("by a validator", c.nodes[0])
	agree("by a node without power", c.nodes[4])

	if err := c.nodes[3].Stop(); err != nil {
		t.Fatal(err)
	}
	c.nodes[3] = nil
	agree("with three of four", c.nodes[1])

	c.open(3)
	if err := c.nodes[3].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fourth catches up", func() bool {
		a, b := c.nodes[3].View().Head(), c.nodes[0].View().Head()
		return a.Size == b.Size && a.AppHash == b.AppHash
	})
	agree("with four again", c.nodes[2])
	head := c.nodes[0].View().Head()
	for _, n := range c.nodes {
		eventually(t, "same root everywhere", func() bool { return n.View().Head().AppHash == head.AppHash })
		for _, problem := range n.Status().Unhealthy {
			if problem != "node is catching up" {
				t.Logf("node %s: %s", n.Keys().ID(), problem)
			}
		}
	}
}
