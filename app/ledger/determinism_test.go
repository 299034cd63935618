package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// rootsLine begins the line that TestRootsOfAChain prints for TestT35.
const rootsLine = "roots of a chain: "

// TestRootsOfAChain plays two fixed chains, one of them of a network that changes,
// and prints a digest of all that came of them.
func TestRootsOfAChain(t *testing.T) {
	digest := sha256.New()
	for _, d := range []*duel{playDuel(t, 35, 60, map[string]int{}), playMembers(t, 35, 30, map[string]int{})} {
		for _, raw := range d.generator.sent {
			digest.Write(raw)
		}
		for i := range d.view.Head().Size {
			raw, err := d.view.Entry(record.Index(i))
			if err != nil {
				t.Fatal(err)
			}
			digest.Write(raw)
		}
		head, root := d.view.Head(), d.view.StateRoot()
		digest.Write(head.AppHash[:])
		digest.Write(root[:])
	}
	fmt.Printf("%s%x\n", rootsLine, digest.Sum(nil))
}

// TestT35_SameRootsEverywhere runs TestRootsOfAChain in processes that differ in
// what must not matter. Each draws its own seed for the order of maps, too.
func TestT35_SameRootsEverywhere(t *testing.T) {
	settings := [][]string{
		{"GOMAXPROCS=1", "GOGC=100", "TZ=UTC", "LANG=C"},
		{"GOMAXPROCS=2", "GOGC=1", "TZ=America/New_York", "LANG=en_US.UTF-8"},
		{"GOMAXPROCS=7", "GOGC=off", "TZ=Pacific/Kiritimati", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8"},
		{"GOMAXPROCS=3", "GOGC=50", "TZ=Asia/Kathmandu", "LANG=", "GODEBUG=cpu.all=off"},
	}
	first := ""
	for _, env := range settings {
		run := exec.Command(os.Args[0], "-test.run=^TestRootsOfAChain$", "-test.count=1")
		run.Env = append(os.Environ(), env...)
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("run under %v: %v\n%s", env, err, out)
		}
		_, rest, found := strings.Cut(string(out), rootsLine)
		digest, _, _ := strings.Cut(rest, "\n")
		if !found || len(digest) != 2*sha256.Size {
			t.Fatalf("under %v there is no digest:\n%s", env, out)
		}
		if first == "" {
			first = digest
		}
		if digest != first {
			t.Errorf("under %v the digest = %s, want %s", env, digest, first)
		}
	}
}

// TestApplyChangesNothing applies a block twice to one view: the same comes of
// it, and the view is what it was.
func TestApplyChangesNothing(t *testing.T) {
	c, messages := everyMessage(t)
	var txs [][]byte
	for _, name := range []string{"DPW", "DPW again", "CLERK", "COUNSEL", "IT", "IT again"} {
		txs = append(txs, c.sign(t, signerOf(name), day("2031-01-02"), messages[name]))
	}
	b := ledger.Block{Height: 2, Time: at("2031-01-01") + 1, Txs: txs}
	before, root := c.view.Head(), c.view.StateRoot()
	first, results, err := c.machine.Apply(c.view, b)
	if err != nil {
		t.Fatal(err)
	}
	again, resultsAgain, err := c.machine.Apply(c.view, b)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%x", again), fmt.Sprintf("%x", first); got != want {
		t.Errorf("the second time the changes = %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(resultsAgain), fmt.Sprint(results); got != want {
		t.Errorf("the second time the results = %s, want %s", got, want)
	}
	if c.view.Head() != before || c.view.StateRoot() != root {
		t.Error("Apply changed the view")
	}
	for i, r := range results {
		if r.Code != ledger.OK {
			t.Errorf("transaction %d: %s, want OK", i, r.Code)
		}
	}
}

func entry(t *testing.T, v ledger.View, i int64) record.Entry {
	t.Helper()
	raw, err := v.Entry(record.Index(i))
	if err != nil {
		t.Fatal(err)
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
