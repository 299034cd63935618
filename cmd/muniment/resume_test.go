package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// journalFile is the one journal of a desk.
func (d *desk) journalFile() string {
	d.t.Helper()
	found := must(filepath.Glob(filepath.Join(d.places.state, "*", "*", "anchors.jsonl")))
	if len(found) != 1 {
		d.t.Fatalf("%d journals", len(found))
	}
	return found[0]
}

// A process is killed where the node can see it; the same command afterwards
// leaves each content on the ledger exactly once.
func TestKilledAnywhereThenTheSameCommand(t *testing.T) {
	for _, point := range []string{"first deposit", "last deposit", "before the block", "after the block", "first receipt", "last receipt"} {
		t.Run(point, func(t *testing.T) {
			d, c := newOffice(t)
			contents := []string{"one", "three", "two"}
			for _, content := range contents {
				d.file("in/"+content, content)
			}
			child := d.child("anchor", "--series", "DEMO-MINUTES", d.path("in"))
			var deposits, receipts atomic.Int32
			started, killed := make(chan struct{}), make(chan struct{})
			kill := func(here bool) error {
				if !here {
					return nil
				}
				<-started
				if err := child.Process.Kill(); err != nil {
					t.Errorf("kill: %v", err)
				}
				<-killed
				return errors.New("nobody hears this")
			}
			c.set(hooks{
				deposit: func(*apiv1.DepositHeader) error {
					n := deposits.Add(1)
					return kill(point == "first deposit" && n == 1 || point == "last deposit" && n == 3)
				},
				submit:    func() error { return kill(point == "before the block") },
				submitted: func() error { return kill(point == "after the block") },
				receipt: func(uint64) error {
					n := receipts.Add(1)
					return kill(point == "first receipt" && n == 1 || point == "last receipt" && n == 3)
				},
			})
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			close(started)
			if err := child.Wait(); err == nil || child.ProcessState.Exited() {
				t.Fatalf("the process was not killed: %v", child.ProcessState)
			}
			close(killed)
			c.set(hooks{})
			got := d.anchorJSON(exitDone, d.path("in"))
			if len(got.Records) != 3 || !slices.Equal(c.contents(), contents) {
				t.Errorf("on the ledger: %q, want %q; printed %+v", c.contents(), contents, got)
			}
			if once := d.anchorJSON(exitDone, d.path("in")); once.Already != 3 {
				t.Errorf("third run: %+v", once)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	child := d.child("anchor", "--series", "DEMO-MINUTES", path)
	var stderr strings.Builder
	child.Stderr = &stderr
	started, ended := make(chan struct{}), make(chan struct{})
	c.set(hooks{submitted: func() error {
		<-started
		if err := child.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("interrupt: %v", err)
		}
		<-ended
		return nil
	}})
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := child.Wait()
	close(ended)
	if child.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(stderr.String(), "run the same command again to go on") {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
	c.set(hooks{})
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	if !slices.Equal(c.contents(), []string{"first"}) {
		t.Errorf("on the ledger %q", c.contents())
	}
}

// The answer of the node is lost; the transaction in the journal is handed in again.
func TestAnswerLost(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	c.set(hooks{submitted: func() error { return refusal(codes.Unavailable, "STOPPING", "the node is stopping") }})
	r := d.fails(exitUnavailable, "(STOPPING)", "anchor", "--series", "DEMO-MINUTES", path)
	if r.stdout != "" || c.submits != submitAttempts {
		t.Errorf("%d attempts, stdout %q", c.submits, r.stdout)
	}
	c.set(hooks{})
	got := d.anchorJSON(exitDone, path)
	if c.deposits != 1 || !slices.Equal(c.contents(), []string{"first"}) || got.Records[0].Index == 0 {
		t.Errorf("%d deposits, on the ledger %q, printed %+v", c.deposits, c.contents(), got)
	}
}

// What was cut off with --again is ended, not begun once more.
func TestAgainCutOff(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	c.set(hooks{submit: func() error { return refusal(codes.Unavailable, "STOPPING", "the node is stopping") }})
	d.fails(exitUnavailable, "(STOPPING)", "anchor", "--series", "DEMO-MINUTES", "--again", path)
	c.set(hooks{})
	d.must("anchor", "--series", "DEMO-MINUTES", "--again", path)
	if n := len(c.contents()); n != 2 || c.deposits != 2 {
		t.Errorf("%d records, %d deposits, want 2", n, c.deposits)
	}
}

// A transaction that expired before it was executed is dropped, and the content
// deposited anew under another key.
func TestExpiredTransactionIsReplaced(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	c.set(hooks{submit: func() error { return refusal(codes.Unavailable, "STOPPING", "the node is stopping") }})
	d.fails(exitUnavailable, "(STOPPING)", "anchor", "--series", "DEMO-MINUTES", path)
	c.set(hooks{})
	c.mu.Lock()
	c.time += 10 * 24 * int64(time.Hour)
	c.mu.Unlock()
	later := func() time.Time { return time.Now().AddDate(0, 0, 10) }
	c.clock, d.now = later, later
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	if c.deposits != 2 || !slices.Equal(c.contents(), []string{"first"}) {
		t.Errorf("%d deposits, on the ledger %q", c.deposits, c.contents())
	}
	if text := string(must(os.ReadFile(d.journalFile()))); countLines(text, "dropped") != 1 {
		t.Errorf("journal %s", text)
	}
}

func countLines(text, kind string) int {
	n := 0
	for line := range lines(text) {
		if len(line) > 3+len(kind) && line[2:2+len(kind)] == kind {
			n++
		}
	}
	return n
}

// A refusal at the first attempt ends a transaction; the next run makes another.
func TestRefusedTransactionIsForgotten(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	office := func(status record.Status) {
		fact := &record.Office{Code: "PERMITS", Roles: []record.Role{record.RoleDepartment}, Status: status}
		proposed := c.block(c.sign("CLERK", &record.ProposeChange{Fact: fact}))
		approval := &record.ApproveChange{Proposal: proposed[0].TxIndex + 1, FactHash: must(record.FactHash(fact))}
		if results := c.block(c.sign("IT", approval)); results[0].Code.String() != "OK" {
			t.Fatalf("approve: %v", results[0].Code)
		}
	}
	office(record.StatusSuspended)
	r := d.fails(exitRefused, "muniment: anchor "+path+": the office is suspended (OFFICE_SUSPENDED)", "anchor", "--series", "DEMO-MINUTES", path)
	if r.stdout != "" {
		t.Errorf("stdout %q", r.stdout)
	}
	office(record.StatusActive)
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	if !slices.Equal(c.contents(), []string{"first"}) || c.deposits != 2 {
		t.Errorf("%d deposits, on the ledger %q", c.deposits, c.contents())
	}
}

// A transaction whose fate is unknown stays in the journal when it is refused
// for a reason that can pass, and is executed once when the reason has passed.
func TestUnknownThenRefusedThenExecuted(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	c.set(hooks{submit: func() error { return refusal(codes.Unavailable, "STOPPING", "the node is stopping") }})
	d.fails(exitUnavailable, "(STOPPING)", "anchor", "--series", "DEMO-MINUTES", path)
	c.set(hooks{lie: func(r *apiv1.SubmitResponse) { r.Reason = "OFFICE_SUSPENDED" }})
	d.fails(exitRefused, "(OFFICE_SUSPENDED)", "anchor", "--series", "DEMO-MINUTES", path)
	c.set(hooks{})
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	if !slices.Equal(c.contents(), []string{"first"}) || c.deposits != 1 {
		t.Errorf("%d deposits, on the ledger %q", c.deposits, c.contents())
	}
}

// The journal of a run is cut at every byte that was not synced as a whole line:
// the run that finds it ends with each content once.
func TestJournalTornAfterTheBlock(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	journal := d.journalFile()
	text := string(must(os.ReadFile(journal)))
	signed := 0 // length up to and with the line of the transaction
	for line := range lines(text) {
		if signed += len(line); countLines(line, "signed") == 1 {
			break
		}
	}
	for cut := signed; cut < len(text); cut += 7 {
		if err := os.WriteFile(journal, []byte(text[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		got := d.anchorJSON(exitDone, path)
		if len(got.Records) != 1 || len(c.contents()) != 1 {
			t.Fatalf("journal of %d bytes: %d records, printed %+v", cut, len(c.contents()), got)
		}
	}
}

func TestTwoRunsAtOnce(t *testing.T) {
	d, c := newOffice(t)
	for i := range 5 {
		d.file(fmt.Sprintf("in/%d", i), fmt.Sprint("content ", i))
	}
	results := make(chan result, 2)
	for range 2 {
		other := *d
		go func() { results <- other.run("anchor", "--series", "DEMO-MINUTES", d.path("in")) }()
	}
	for range 2 {
		if r := <-results; r.code != exitDone {
			t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
		}
	}
	if n := len(c.contents()); n != 5 {
		t.Errorf("%d records, want 5", n)
	}
}
