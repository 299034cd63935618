package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/printed"
)

// deadline bounds what a test waits for; nothing is expected to take so long.
const deadline = 60 * time.Second

var passphrase = []byte("correct horse battery staple")

func officeKey(office string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test office " + office))
	return ed25519.NewKeyFromSeed(seed[:])
}

// cityFacts is a small city: two governing offices, one department, one series.
func cityFacts(custodian record.KeyID) []record.Fact {
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range []struct {
		code record.Code
		role record.Role
	}{{"CLERK", record.RoleGovernor}, {"DPW", record.RoleDepartment}, {"IT", record.RoleGovernor}} {
		facts = append(facts,
			&record.Office{Code: o.code, Roles: []record.Role{o.role}, Status: record.StatusActive},
			&record.Key{Office: o.code, Use: record.UseSigning, PublicKey: public(officeKey(string(o.code))), Status: record.StatusActive})
	}
	governors := []record.Code{"CLERK", "IT"}
	facts = append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: governors, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: governors, Threshold: 2},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: record.StatusActive})
	if custodian != (record.KeyID{}) {
		facts = append(facts, &record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{custodian}})
	}
	return facts
}

func testKeyOptions() KeyOptions {
	return KeyOptions{Rand: rand.Reader, Passphrase: passphrase, Iterations: 1000, Custodian: true, Now: time.Now()}
}

// newHome makes the home of a network of one node.
func newHome(t testing.TB) Home {
	t.Helper()
	home := Home(t.TempDir())
	_, err := Init(home, InitOptions{
		Keys: testKeyOptions(), ChainID: "muniment-test-1", Origin: "records.example.org/test", Address: "127.0.0.1:7450", Facts: cityFacts,
	})
	if err != nil {
		t.Fatal(err)
	}
	return home
}

func testConfig() Config {
	c := DefaultConfig()
	c.P2P.Listen, c.Monitor.Listen = "127.0.0.1:0", "127.0.0.1:0"
	return c
}

// open opens a node, and stops it at the end of the test where the test does not.
func open(t testing.TB, home Home, c Config, heartbeat time.Duration) *Node {
	t.Helper()
	return openWith(t, home, c, Options{Heartbeat: heartbeat})
}

// openWith does so with options of the test's own.
func openWith(t testing.TB, home Home, c Config, o Options) *Node {
	t.Helper()
	log := new(printed.Output)
	o.Passphrase, o.Log = passphrase, slog.New(slog.NewTextHandler(io.Writer(log), nil))
	o.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
	n, err := New(home, c, o)
	if err != nil {
		t.Fatalf("open node: %v\n%s", err, log)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Errorf("stop node: %v", err)
		}
		if t.Failed() {
			t.Logf("log of node %s:\n%s", n.Keys().ID(), log)
		}
	})
	return n
}

func run(t testing.TB, home Home, heartbeat time.Duration) *Node {
	t.Helper()
	n := open(t, home, testConfig(), heartbeat)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

func waiting(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// anchor gives a signed transaction that anchors records by name.
func anchor(t testing.TB, n *Node, names ...string) []byte {
	t.Helper()
	m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
	today := record.LedgerDay(time.Now().UnixNano())
	for _, name := range names {
		m.Items = append(m.Items, record.AnchorItem{Commitment: sha256.Sum256([]byte(name)), Day: today})
	}
	nonce := sha256.Sum256(fmt.Append(nil, names))
	body, err := record.NewBody(n.NetworkID(), record.Nonce(nonce[:16]), today+2, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(officeKey("DPW"), body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// submit has a transaction committed; a mempool that is not ready yet is asked again.
func submit(t testing.TB, n *Node, raw []byte) (ledger.Result, int64) {
	t.Helper()
	ctx := waiting(t)
	for {
		result, height, err := n.Submit(ctx, raw)
		if errors.Is(err, abci.ErrBusy) {
			continue
		}
		if err != nil || result.Code != ledger.OK {
			t.Fatalf("submit: got %+v at height %d, %v", result, height, err)
		}
		return result, height
	}
}

// receiptOf makes the receipt of an entry from what a node serves.
func receiptOf(t testing.TB, n *Node, i record.Index) []byte {
	t.Helper()
	checkpoint, err := n.CosignedCheckpoint(waiting(t), int64(i)+1)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(i record.Index) receipt.Leaf {
		entry, err := n.View().Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := tlog.ProveRecord(checkpoint.Size, int64(i), n.State())
		if err != nil {
			t.Fatal(err)
		}
		return receipt.Leaf{Index: int64(i), Entry: entry, Proof: proof}
	}
	block, err := n.State().BlockEntryAfter(i)
	if err != nil {
		t.Fatal(err)
	}
	leaves := []receipt.Leaf{leaf(block)}
	if tx, ok, err := n.State().TxEntryOf(i); err != nil {
		t.Fatal(err)
	} else if ok {
		key := public(officeKey("DPW"))
		state, _, err := ledger.KeyOf(n.View(), record.KeyIDOf(key[:]))
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf(tx), leaf(state.Registered))
	}
	own := leaf(i)
	text, err := receipt.New(own.Entry, own.Index, own.Proof, leaves, checkpoint.Signed)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// verified fails the test unless a receipt passes.
func verified(t testing.TB, network receipt.Network, text []byte) receipt.Verdict {
	t.Helper()
	v, err := receipt.Verify(network, text)
	if err != nil {
		t.Fatal(err)
	}
	if v.Outcome != receipt.Passed {
		t.Fatalf("receipt: %s", v.Text())
	}
	return v
}

// eventually polls a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for ctx := waiting(t); !ok(); {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, deadline)
		case <-poll.C:
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
