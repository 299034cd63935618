package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

// newTestnet makes a network on this machine, with listeners at free ports and
// keys that derive quickly.
func newTestnet(t testing.TB, nodes, custodians int) (dir string, configs []Config) {
	t.Helper()
	dir = t.TempDir()
	listeners := make([]Listeners, nodes+1)
	for i := range listeners {
		listeners[i] = Listeners{P2P: ports.Free(t), GRPC: ports.Free(t), Tiles: "127.0.0.1:0", Monitor: "127.0.0.1:0"}
	}
	_, _, err := MakeTestnet(dir, TestnetOptions{
		Keys: testKeyOptions(), Nodes: nodes, Custodians: custodians, ChainID: "muniment-test-1", Origin: "records.example.org/test",
		Facts:     func(ids []record.KeyID) []record.Fact { return cityFacts(ids[0]) },
		Listeners: func(i int) Listeners { return listeners[i] },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= nodes; i++ {
		c, err := LoadConfig(TestnetHome(dir, i), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.P2P.Listen != listeners[i].P2P || c.GRPC.Listen != listeners[i].GRPC || c.Tiles.Listen != "127.0.0.1:0" || c.Monitor.Listen != "127.0.0.1:0" {
			t.Errorf("node %d is told to listen at %+v", i, c)
		}
		configs = append(configs, c)
	}
	return dir, configs
}

// TestTestnet starts the nodes of a network as they were made: their cards alone
// bring them together.
func TestTestnet(t *testing.T) {
	const nodes = 4
	dir, configs := newTestnet(t, nodes, 1)
	var running []*Node
	for i, c := range configs {
		n := open(t, TestnetHome(dir, i+1), c, time.Second)
		if keeps := n.keys.Custodian != nil; keeps != (i == 0) {
			t.Errorf("node %d keeps content: %v", i+1, keeps)
		}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, n)
	}
	for i, n := range running {
		eventually(t, fmt.Sprintf("node %d has all the others", i+1), func() bool { return n.Status().Peers == nodes-1 })
	}
	result, _ := submit(t, running[2], anchor(t, running[2], "a"))
	if v := verified(t, running[1].Network(), receiptOf(t, running[1], result.TxIndex+1)); v.Grade != receipt.GradeCity {
		t.Errorf("grade %s", v.Grade)
	}
}
