package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cometbft/cometbft/p2p"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// TestStopUnderLoad stops a busy node, again and again: every caller gets an
// answer or learns that the outcome is unknown, and no answer is lost.
func TestStopUnderLoad(t *testing.T) {
	const rounds, callers = 4, 8
	home := newHome(t)
	var mu sync.Mutex
	answers := map[string]record.Index{}
	for round := range rounds {
		n := run(t, home, time.Hour)
		var busy sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		for caller := range callers {
			busy.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprint("round ", round, " caller ", caller, " record ", i)
					result, _, err := n.Submit(t.Context(), anchor(t, n, name))
					if errors.Is(err, abci.ErrStopping) {
						return
					}
					if err != nil || result.Code != ledger.OK {
						t.Errorf("%s: got %+v, %v", name, result, err)
						return
					}
					mu.Lock()
					answers[name] = result.TxIndex
					mu.Unlock()
					if i == 3 {
						once.Do(func() { close(enough) })
					}
				}
			})
		}
		<-enough
		if err := n.Stop(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		busy.Wait()
	}
	n := run(t, home, time.Hour)
	if len(answers) < rounds*3 {
		t.Fatalf("only %d answers", len(answers))
	}
	for name, index := range answers {
		if result, _ := submit(t, n, anchor(t, n, name)); result.TxIndex != index {
			t.Errorf("%s was at entry %d, is at %d", name, index, result.TxIndex)
		}
	}
}

// TestStrangersAreRefused: a node that the ledger does not list is connected
// only where an office lets it in, and cut where it no longer does.
func TestStrangersAreRefused(t *testing.T) {
	c := newCity(t, 1)
	stranger := Home(t.TempDir())
	keys, err := MakeKeys(stranger, testKeyOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := Join(stranger, read(t, c.homes[0].Genesis()), read(t, c.homes[0].Network())); err != nil {
		t.Fatal(err)
	}
	peer := c.ids[0] + "@" + c.configs[0].P2P.Listen
	config := testConfig()
	config.P2P.Peers = []string{peer}
	genesis := sha256.Sum256(read(t, c.homes[0].Genesis()))
	letIn(t, c.homes[0], receipt.Override{Network: genesis, Nodes: []string{keys.ID()}, Until: today()}, officeKey("IT"))
	c.open(0)
	city, visitor := c.nodes[0], open(t, stranger, config, time.Second)
	for _, n := range []*Node{city, visitor} {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "an allowed stranger connects", func() bool { return city.Status().Peers == 1 })
	// The engine panics where a peer goes while it still fetches blocks from it
	// (docs/SECURITY.md); that is not what is tested here.
	eventually(t, "the stranger has caught up", func() bool { return !visitor.Status().CatchingUp })

	if err := os.Remove(c.homes[0].Override()); err != nil {
		t.Fatal(err)
	}
	submit(t, city, anchor(t, city, "a"))
	eventually(t, "a stranger no longer allowed is cut", func() bool { return city.Status().Peers == 0 })
	address, err := p2p.NewNetAddressString(peer)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		// Whether the visitor learns of the refusal in the handshake or right
		// after it, the city never counts it.
		_ = visitor.engine.Switch().DialPeerWithAddress(address)
		if got := city.Status().Peers; got != 0 {
			t.Fatalf("the city has %d peers", got)
		}
	}
	if city.View().Head().Height == 0 {
		t.Error("the city stands still")
	}
}
