package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
)

// newer gives the folder of programs that know the next version of the rules.
var newer = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(programs, "newer")
	build := exec.Command("go", "build", "-tags", "nextversion", "-o", dir+"/", "./cmd/munimentd", "./cmd/muniment-verify")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the newer programs: %w\n%s", err, out)
	}
	return dir, nil
})

// exchange starts a node that has ended, with the munimentd of a folder, while
// the other nodes go on anchoring.
func (w *town) exchange(t testing.TB, i int, dir string) {
	t.Helper()
	via := w.at[(i+1)%len(w.at)].dial(t, "DPW")
	w.anchorMany(t, via, 1)
	started := make(chan struct{})
	go func() {
		defer close(started)
		w.nodes[i] = launchProgram(t, filepath.Join(dir, "munimentd"), nil, w.args(i)...)
	}()
	for up := false; !up; {
		w.anchorMany(t, via, 1)
		select {
		case <-started:
			up = true
		default:
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	until(t, "the node is back", func() bool {
		h := w.at[i].health(t)
		return h.Peers == 3 && !h.Behind && h.Size == w.at[(i+1)%len(w.at)].health(t).Size
	})
}

// head gives the height of a node and its AppHash there.
func (h *hall) head(t testing.TB) (int64, string) {
	t.Helper()
	var s struct {
		Height int64  `json:",string"`
		Hash   string `json:"app_hash"`
	}
	if err := json.Unmarshal([]byte(h.status(t)), &s); err != nil {
		t.Fatal(err)
	}
	return s.Height, s.Hash
}

// goOn anchors until a node has a block of a height.
func (w *town) goOn(t testing.TB, conn *grpc.ClientConn, height int64) {
	t.Helper()
	for at, _ := w.at[0].head(t); at < height; at, _ = w.at[0].head(t) {
		w.anchorMany(t, conn, 1)
	}
}

// TestTheRulesChangeAtAHeight: programs are exchanged one after the other while
// the network goes on, there and back; the offices decide from which block on the
// next rules hold; who does not know them stops there, says so, and goes on once
// its program is exchanged.
func TestTheRulesChangeAtAHeight(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.begin(t)
	dir, err := newer()
	if err != nil {
		t.Fatal(err)
	}
	before := w.anchor(t, "before.txt", []byte("The council met under the first rules.\n"))
	w.as(t, 0, "DPW", "receipt", before, "-o", w.out("before.receipt"))
	if out := program(t, 0, "", "munimentd", "--version").stdout; !strings.Contains(out, "knows the rules up to version 1") {
		t.Errorf("the program says of itself: %s", out)
	}
	for i := range w.at {
		w.end(i)
		w.exchange(t, i, dir)
	}
	w.end(3)
	w.exchange(t, 3, programs)

	// What the offices cannot decide.
	conn := w.dial(t, "DPW")
	now, _ := w.at[0].head(t)
	height := now + 25
	propose := func(version int, at int64) []string {
		return []string{"upgrade", "propose", fmt.Sprint(version), "--at", fmt.Sprint(at)}
	}
	for _, c := range []struct {
		reason string
		args   []string
	}{{"BAD_FACT", propose(3, height)}, {"BAD_HEIGHT", propose(2, now+5)}} {
		if e := w.as(t, 7, "CLERK", c.args...); !strings.Contains(e.stderr, "("+c.reason+")") {
			t.Errorf("%v: no %s in %s", c.args, c.reason, e.stderr)
		}
	}
	w.at[0].decide(t, 0, "", propose(2, height)...)
	if e := w.as(t, 7, "CLERK", propose(3, height+50)...); !strings.Contains(e.stderr, "(UPGRADE_PENDING)") {
		t.Errorf("a second upgrade: %s", e.stderr)
	}

	// Three know the rules.
	w.goOn(t, conn, height+2)
	old := w.nodes[3]
	err = <-old.done
	old.done <- err
	sentence := fmt.Sprintf("munimentd: the network applies rules version 2 from block %d on: this program knows older rules only: install a munimentd that knows them\n", height)
	if code := old.cmd.ProcessState.ExitCode(); code != 7 || !strings.HasSuffix(said(old.stderr.String()), "\n"+sentence) || strings.Contains(old.stderr.String(), "goroutine ") {
		t.Errorf("the older program ended with code %d, %v:\n%s", code, err, said(old.stderr.String()))
	}
	again := program(t, 7, sentence[len("munimentd: "):len(sentence)-1], "munimentd", w.args(3)...)
	if again.stdout != "" {
		t.Errorf("it serves all the same: %s", again.stdout)
	}
	w.exchange(t, 3, dir)
	after := w.at[1].anchor(t, "after.txt", []byte("The council met under the second rules.\n"))
	w.at[3].as(t, 0, "DPW", "receipt", after, "-o", w.out("after.receipt"))

	// What was proved stays proved; a replay needs to know the rules.
	verified := func(dir string, code int, words string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(ctx(t), filepath.Join(dir, "muniment-verify"), args...)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out), words) {
			t.Errorf("%v ended with %d, want %d and %q\n%s", cmd.Args, cmd.ProcessState.ExitCode(), code, words, out)
		}
	}
	verified(programs, 0, ": PASSED", "--network", w.home.Network(), w.out("before.receipt"), w.out("after.receipt"))
	w.at[3].as(t, 0, "DPW", "log", "mirror", w.out("log"), "--tiles", w.nodes[3].tiles)
	verified(dir, 0, ": PASSED", "replay", "--network", w.home.Network(), w.out("log"))
	verified(programs, 4, ": INDETERMINATE NEWER_RULES", "replay", "--network", w.home.Network(), w.out("log"))
	verified(programs, 4, fmt.Sprintf("block %d, the log goes by version 2 of the rules: this program knows older rules only: take a newer muniment-verify", height),
		"replay", "--network", w.home.Network(), w.out("log"))
	w.end(0, 1, 2, 3)
}
