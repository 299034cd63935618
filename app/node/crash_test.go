package node

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/printed"
)

// childHome names the home that a child process of the crash tests runs.
const childHome = "MUNIMENT_CRASH_TEST_HOME"

// childAnchors is how many records a child anchors, one after the other: more
// than it lives for.
const childAnchors = 400

// TestMain is the child process where the environment says so.
func TestMain(m *testing.M) {
	if home := os.Getenv(childHome); home != "" {
		if err := child(Home(home), os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child runs a node, anchors records, and prints each answer. It never stops
// the node: it is killed, or its process ends.
func child(home Home, run string) error {
	n, err := New(home, testConfig(), Options{Passphrase: passphrase, Heartbeat: time.Hour, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return err
	}
	if err := n.Start(); err != nil {
		return err
	}
	for i := range childAnchors {
		name := fmt.Sprintf("%s-%d", run, i)
		raw, err := crashAnchor(n, name)
		if err != nil {
			return err
		}
		result, height, err := n.Submit(context.Background(), raw)
		if err != nil || result.Code != ledger.OK {
			return fmt.Errorf("submit %s: %+v, %w", name, result, err)
		}
		fmt.Printf("acknowledged %s %d %d\n", name, result.TxIndex, height)
	}
	return nil
}

// crashAnchor gives a transaction that depends on its name alone, so that the
// parent can ask for it again.
func crashAnchor(n *Node, name string) ([]byte, error) {
	hash := sha256.Sum256([]byte(name))
	day := record.LedgerDay(n.Genesis().Time.UnixNano())
	body, err := record.NewBody(n.NetworkID(), record.Nonce(hash[:16]), day+2, &record.AnchorRecords{
		Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: hash, Day: day}},
	})
	if err != nil {
		return nil, err
	}
	return record.Sign(officeKey("DPW"), body)
}

type acknowledged struct {
	name   string
	index  record.Index
	height int64
}

// runChild runs a child until it ends, or kills it after a number of answers.
func runChild(t *testing.T, home Home, run string, failIndex, killAfter int) (acks []acknowledged, ended string) {
	t.Helper()
	cmd := exec.CommandContext(waiting(t), os.Args[0], run)
	cmd.Env = append(os.Environ(), childHome+"="+string(home), fmt.Sprintf("FAIL_TEST_INDEX=%d", failIndex))
	stderr := new(printed.Output)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = "by itself"
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var a acknowledged
		if strings.Contains(lines.Text(), "fail-test") {
			ended = "at a crash point"
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "acknowledged %s %d %d", &a.name, &a.index, &a.height); err != nil {
			t.Fatalf("the child printed %q", lines.Text())
		}
		acks = append(acks, a)
		if len(acks) == killAfter {
			ended = "by a signal"
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if wrong := cmd.ProcessState.ExitCode() == 3 || (err == nil) != (ended == "by itself"); wrong {
		t.Fatalf("run %s ended %s: %v\n%s", run, ended, err, stderr)
	}
	return acks, ended
}

// holds fails the test unless a restarted node still gives every answer, at
// its place and provable, and can go on.
func holds(t *testing.T, home Home, run string, acks []acknowledged) {
	t.Helper()
	n := open(t, home, testConfig(), time.Hour)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	for _, a := range acks {
		raw, err := crashAnchor(n, a.name)
		if err != nil {
			t.Fatal(err)
		}
		if result, height := submit(t, n, raw); result.TxIndex != a.index || height != a.height {
			t.Fatalf("%s was acknowledged at entry %d, height %d; now it is at %d, %d", a.name, a.index, a.height, result.TxIndex, height)
		}
	}
	raw, err := crashAnchor(n, run+"-afterwards")
	if err != nil {
		t.Fatal(err)
	}
	result, _ := submit(t, n, raw)
	verified(t, n.Network(), receiptOf(t, n, result.TxIndex+1))
	for _, a := range acks {
		verified(t, n.Network(), receiptOf(t, n, a.index+1))
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
}

// TestCrashSweep ends a node at each of the engine's own crash points, of which
// there are nine in a block: first from genesis on, in a new home each time,
// then in a ledger that grows from crash to crash.
func TestCrashSweep(t *testing.T) {
	sweep := func(home func() Home, points int) {
		var acks []acknowledged
		var last Home
		for i := range points {
			run := fmt.Sprintf("point-%d", i)
			h := home()
			if h != last {
				acks, last = nil, h
			}
			more, ended := runChild(t, h, run, i, -1)
			if ended != "at a crash point" {
				t.Errorf("crash point %d: the child ended %s", i, ended)
			}
			acks = append(acks, more...)
			holds(t, h, run, acks)
		}
	}
	sweep(func() Home { return newHome(t) }, 10)
	grown := newHome(t)
	sweep(func() Home { return grown }, 20)
}

// TestKill9 kills a node in the middle of its work, again and again.
func TestKill9(t *testing.T) {
	home := newHome(t)
	var all []acknowledged
	for i := range 6 {
		run := fmt.Sprintf("kill-%d", i)
		acks, ended := runChild(t, home, run, -1, i+1)
		if ended != "by a signal" || len(acks) < i+1 {
			t.Errorf("%s: ended %s after %d answers", run, ended, len(acks))
		}
		all = append(all, acks...)
		holds(t, home, run, all)
	}
}
