package e2e

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

// A town is a city with four validators, of which the first three keep the records
// of all departments. Its staff may work at any of them.
type town struct {
	*hall // its staff; its node is the first one
	dir   string
	nodes [4]*running
	at    [4]*hall // the same city, with another node
}

func newTown(t testing.TB) *town {
	t.Helper()
	dir := t.TempDir()
	w := &town{dir: dir, hall: &hall{city: &city{offices: map[record.Code]office{}}, desk: filepath.Join(dir, "desk"), tmp: filepath.Join(dir, "tmp")}}
	for _, sub := range []string{"desk/config/muniment/keys", "desk/state", "desk/tmp", "desk/records", "desk/out", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.secret = write(t, filepath.Join(dir, "passphrase"), []byte(passphrase+"\n"))
	for code, roles := range map[record.Code][]record.Role{
		"CLERK": {record.RoleDepartment, record.RoleClerk, record.RoleGovernor}, "CIO": {record.RoleIT, record.RoleGovernor},
		"COUNSEL": {record.RoleCounsel, record.RoleGovernor}, "DPW": {record.RoleDepartment},
	} {
		w.offices[code] = office{code: code, roles: roles, signing: newKey(t), access: newKey(t)}
	}
	var listeners [4]node.Listeners
	for i := range listeners {
		listeners[i] = node.Listeners{P2P: ports.Free(t), GRPC: ports.Free(t), Tiles: ports.Free(t), Monitor: ports.Free(t)}
	}
	_, network, err := node.MakeTestnet(dir, node.TestnetOptions{
		Keys:  node.KeyOptions{Rand: rand.Reader, Passphrase: []byte(passphrase), Iterations: 1000, Now: time.Now()},
		Nodes: 4, Custodians: 3, ChainID: "muniment-town-1", Origin: "records.example.org/town",
		Facts: func(custodians []record.KeyID) []record.Fact {
			facts := w.facts(custodians[0])
			for _, f := range facts {
				if set, ok := f.(*record.CustodianSet); ok {
					set.Custodians = slices.SortedFunc(slices.Values(custodians), func(a, b record.KeyID) int { return slices.Compare(a[:], b[:]) })
				}
			}
			return facts
		},
		Listeners: func(i int) node.Listeners { return listeners[i-1] },
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := receipt.ParseNetwork(network)
	if err != nil {
		t.Fatal(err)
	}
	noSecretsBelow(t, dir, "desk", "passphrase")
	for i := range w.at {
		home := node.TestnetHome(dir, i+1)
		keepKeys(t, home)
		config, err := node.LoadConfig(home, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		w.at[i] = &hall{city: &city{home: home, address: config.GRPC.Listen, network: n, offices: w.offices}, desk: w.desk, tmp: w.tmp, secret: w.secret}
		own := slices.IndexFunc(n.Nodes, func(one receipt.Node) bool { return one.Address == config.GRPC.Listen })
		w.at[i].network.Nodes = append([]receipt.Node{n.Nodes[own]}, n.Nodes...) // dial calls the first
		w.at[i].ids[0] = n.Nodes[own].ID
	}
	w.hall.city, w.hall.ids = w.at[0].city, w.at[0].ids
	w.staff(t)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for i, n := range w.nodes {
			if n != nil {
				t.Logf("node %d:\n%s", i+1, said(n.stderr.String()))
			}
		}
	})
	return w
}

// said gives the end of what a node wrote that is not for developers.
func said(log string) string {
	var lines strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "module=") {
			lines.WriteString(line)
		}
	}
	return lines.String()[max(0, lines.Len()-6_000):]
}

// begin starts a node, or all.
func (w *town) begin(t testing.TB, which ...int) {
	t.Helper()
	w.beginWith(t, nil, which...)
}

func (w *town) beginWith(t testing.TB, more []string, which ...int) {
	t.Helper()
	if len(which) == 0 {
		which = []int{0, 1, 2, 3}
	}
	started := make(chan int, len(which))
	// A network makes no block before most of it is there: none can be waited for alone.
	for _, i := range which {
		go func() {
			defer func() { started <- i }()
			w.nodes[i] = launch(t, w.args(i, more...)...)
		}()
	}
	for range which {
		<-started
	}
	if t.Failed() {
		t.FailNow()
	}
}

func (w *town) args(i int, more ...string) []string {
	return append([]string{"start", "--home", string(w.at[i].home), "--passphrase-file", w.secret, "--set", "log.level=debug",
		"--set", "custody.erase_every=24h", "--set", "custody.replicate_every=1s",
		"--set", "watch.refuse_below_percent=2", "--set", "watch.stop_below_percent=1"}, more...)
}

// end stops nodes in good order.
func (w *town) end(which ...int) {
	for _, i := range which {
		w.nodes[i].stop()
	}
}

// held is what munimentd custody status prints.
type held struct {
	Sets []struct {
		Set                           string
		Records, Custodians, Complete uint64
		Peers                         []struct {
			Custodian, Node, Answered, Trouble string
			Wants, Lacks                       uint64
		}
	}
}

func (w *town) custody(t testing.TB, i int) (h held) {
	t.Helper()
	out := w.at[i].operator(t, 0, "", "custody", "status", "--output", "json").stdout
	if err := json.Unmarshal([]byte(out), &h); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return h
}

// copied waits until a node says that so many of the custodians have everything, of
// so many records.
func (w *town) copied(t testing.TB, i int, complete, records uint64) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for wait := ctx(t); ; <-tick.C {
		h := w.custody(t, i)
		if len(h.Sets) == 1 && h.Sets[0].Complete == complete && h.Sets[0].Records == records {
			return
		}
		if wait.Err() != nil {
			t.Fatalf("node %d: not %d custodians with %d records: %+v", i+1, complete, records, h)
		}
	}
}

// same wants a record to be read alike at nodes.
func (w *town) same(t testing.TB, index, content string, which ...int) {
	t.Helper()
	for _, i := range which {
		w.at[i].reads(t, index, content, "", 0)
	}
}

// quiet wants no word in what the nodes have written to their logs.
func (w *town) quiet(t testing.TB, words map[string][]byte) {
	t.Helper()
	for i, n := range w.nodes {
		for name, word := range words {
			if contains(n.stderr.Bytes(), word) {
				t.Errorf("%s in the log of node %d", name, i+1)
			}
		}
		if log := n.stderr.String(); strings.Contains(log, "BUG:") || strings.Contains(log, "panic:") {
			t.Errorf("node %d has panicked", i+1)
		}
	}
}

// lock proposes the destruction of a record, has it approved and locks it.
func (w *town) lock(t testing.TB, at *hall, index string) string {
	t.Helper()
	d := find(t, disposition, at.as(t, 0, "DPW", "disposition", "propose", "--series", "DEMO-MINUTES", "--action", "destroy", index).stdout)
	at.as(t, 0, "CLERK", "disposition", "approve", d)
	at.as(t, 0, "CIO", "disposition", "lock", d)
	return d
}

// carriesOut has a custodian do a round and wants it to carry out a disposition.
func (w *town) carriesOut(t testing.TB, i int, d string) {
	t.Helper()
	if e := w.at[i].erase(t); fmt.Sprint(e.Dispositions) != "["+d+"]" {
		t.Fatalf("node %d has not carried out disposition %s: %+v", i+1, d, e)
	}
}
