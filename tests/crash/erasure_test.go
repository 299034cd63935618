package crash

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

var (
	erasures = flag.Int("erasures", 3, "crash points of an erasure that have a home of their own; of all there are")
	rings    = flag.Int("rings", 1, "passages of each crash point of an erasure: there are two rings and four dispositions")
)

// The moments after each durable step of a rotation and of a round of erasing, in
// the order in which a round passes them.
var (
	rotationPoints = []string{
		"rotation: planned", "rotation: copied", "rotation: carried on", "rotation: marked", "rotation: looked",
		"rotation: ended", "rotation: removed", "rotation: scanned", "rotation: reported",
	}
	erasurePoints = []string{
		"erasure: rotated", "erasure: report written", "erasure: dropped", "erasure: buried", "erasure: to be submitted", "erasure: submitted",
	}
)

// stopAt starts the node so that it stops at a point, and waits until it does.
func (a *archive) stopAt(t *testing.T, point string, passage int, more ...string) *process {
	t.Helper()
	p := a.start(t, append(more, "MUNIMENT_CUSTODY_ERASE_EVERY=1s", "MUNIMENT_STOP_POINT="+point, fmt.Sprint("MUNIMENT_STOP_PASSAGE=", passage))...)
	eventually(t, "the node stops at "+point, func() bool {
		if p.hasEnded() {
			t.Fatalf("%s: the node ended with code %d\n%s", point, p.code(t), tail(p.stderr.String()))
		}
		return strings.Contains(p.stdout.String(), "crash point: "+point)
	})
	return p
}

// finish starts the node, waits until everything is carried out, and wants it to be
// as it has to be in the end. It ends the node.
func (a *archive) finish(t *testing.T) {
	t.Helper()
	p := a.start(t, "MUNIMENT_CUSTODY_ERASE_EVERY=1s")
	a.settle(t, p)
	p.terminate(t)
	if n := a.judge(t, "in the end"); n != len(a.dispositions) {
		t.Errorf("%d of %d reports are on the ledger", n, len(a.dispositions))
	}
	words := map[string][]byte{}
	for _, d := range append([]*document{a.attempt}, a.documents...) {
		words[d.name] = []byte(d.content[:30])
		if d.erased != "" {
			words["applicant of "+d.name] = []byte(d.erased)
		}
	}
	for _, hit := range a.scan(t, string(a.home), words) {
		t.Errorf("in the clear: %s", hit)
	}
	for _, p := range a.started {
		for name, word := range words {
			if strings.Contains(p.stderr.String(), string(word)) {
				t.Errorf("%s is in the log", name)
			}
		}
	}
}

// settle wants a running node to carry out everything, and looks at all there is.
func (a *archive) settle(t *testing.T, p *process) {
	t.Helper()
	c := a.dial(t)
	c.ready(t, p)
	eventually(t, "everything is carried out", func() bool {
		if p.hasEnded() {
			t.Fatalf("the node ended with code %d\n%s", p.code(t), tail(p.stderr.String()))
		}
		return a.pending(t) == 0
	})
	a.survives(t, c)
	if got, err := c.read(waiting(t), a.held); err != nil || got != a.held.content {
		t.Errorf("%s is held, and is %q, %v", a.held.name, got, err)
	}
	part := a.documents[40]
	car, err := c.copyOf(waiting(t), part, a.redaction)
	if err != nil || !bytes.Contains(car, []byte(part.content[:30])) || bytes.Contains(car, []byte(part.erased)) {
		t.Errorf("the copy of what was redacted has %d bytes, %v", len(car), err)
	}
	for _, d := range a.documents {
		if got, err := c.read(waiting(t), d); (d.fate == destroyed || d.fate == redacted) && (err == nil || got != "") {
			t.Errorf("%s is given out: %q, %v", d.name, got, err)
		}
	}
	a.certified(t, c, a.documents[0], part)
}

// certified wants certificates that the verifier passes.
func (a *archive) certified(t *testing.T, c *client, documents ...*document) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"--network", a.home.Network()}
	for _, d := range documents {
		r, err := apiv1.NewRecordsStaffClient(c.conn).Certificate(waiting(t), &apiv1.CertificateRequest{Record: byIndex(d.index)})
		if err != nil {
			t.Errorf("certificate of %s: %v", d.name, err)
			return
		}
		path := filepath.Join(dir, fmt.Sprint(d.index, ".certificate"))
		if err := os.WriteFile(path, r.File, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, err := exec.CommandContext(waiting(t), verifier(t), args...).CombinedOutput()
	if err != nil || strings.Count(string(out), ": PASSED") != len(documents) {
		t.Errorf("certificates: %v\n%s", err, out)
	}
}

// verifier builds muniment-verify beside munimentd, when it is first needed.
func verifier(t *testing.T) string {
	t.Helper()
	if _, err := munimentd(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(built, "muniment-verify")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "../../cmd/muniment-verify").CombinedOutput(); err != nil {
		t.Fatalf("build muniment-verify: %v\n%s", err, out)
	}
	return path
}

// TestErasureKilledAgainAndAgain kills one node at each durable step of one erasure,
// one after the other: with -9, while it waits there. After each of them nothing is
// reported that is not so, and nothing that lives is lost; at each moment nothing that
// is locked is given out. In the end everything is carried out.
func TestErasureKilledAgainAndAgain(t *testing.T) {
	a := newArchive(t)
	defer a.watch(t)()
	points := append(rotationPoints[:2:2], "rotation: undone")
	points = append(append(points, rotationPoints[2:]...), erasurePoints...)
	for _, point := range points {
		p := a.stopAt(t, point, 1)
		p.kill(t)
		n := a.judge(t, point)
		t.Logf("killed at %q: %d of %d reports on the ledger", point, n, len(a.dispositions))
	}
	a.finish(t)
}

// TestErasureKilledOnce kills a node once, at one of the steps, in a home of its own.
func TestErasureKilledOnce(t *testing.T) {
	a := newArchive(t)
	type stop struct {
		point   string
		passage int
	}
	var stops []stop
	for passage := range *rings {
		for _, point := range append(rotationPoints[:len(rotationPoints):len(rotationPoints)], erasurePoints...) {
			if strings.HasPrefix(point, "rotation") && passage >= 2 || point == "erasure: rotated" && passage >= 1 || passage >= len(a.dispositions) {
				continue
			}
			stops = append(stops, stop{point, 1 + passage})
		}
	}
	random := rand.New(rand.NewPCG(*seed, 4))
	for _, i := range random.Perm(len(stops))[:min(*erasures, len(stops))] {
		at := stops[i]
		t.Run(fmt.Sprintf("%s, passage %d", at.point, at.passage), func(t *testing.T) {
			b := a.again(t)
			defer b.watch(t)()
			p := b.stopAt(t, at.point, at.passage)
			p.kill(t)
			b.judge(t, at.point)
			b.finish(t)
		})
	}
}

// TestHoldAtTheLastMoment stops a rotation before its last look, where nothing is
// destroyed yet; counsel holds a record; and the rotation goes on, or is killed there
// and resumed. The record is preserved.
func TestHoldAtTheLastMoment(t *testing.T) {
	a := newArchive(t)
	for _, c := range []struct {
		name, point string
		killed      bool
	}{
		{"before the marker", "rotation: carried on", false},
		{"before the last look", "rotation: marked", false},
		{"before the last look, after a kill", "rotation: marked", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := a.again(t)
			late := *b.documents[1]
			late.fate = preserved
			b.documents = append([]*document{b.documents[0], &late}, b.documents[2:]...)
			defer b.watch(t)()
			if c.killed {
				b.stopAt(t, c.point, 1).kill(t)
			}
			goOn := filepath.Join(t.TempDir(), "go on")
			p := b.stopAt(t, c.point, 1, "MUNIMENT_STOP_UNTIL="+goOn)
			cl := b.dial(t)
			cl.ready(t, p)
			b.survives(t, cl) // while the rotation stands still
			b.hold(t, cl, &late)
			if err := os.WriteFile(goOn, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for at, documents := range b.dispositions {
				if documents[0] == b.documents[0] {
					b.dispositions = map[record.Index][]*document{at: b.documents[0:6]}
				}
			}
			b.settle(t, p)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if got, err := cl.read(ctx, &late); err != nil || got != late.content {
				t.Errorf("what counsel holds is %q, %v", got, err)
			}
			p.terminate(t)
			b.judge(t, "in the end")
		})
	}
}
