package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// A stop is a point at which the process ends itself.
type stop struct {
	name        string
	environment string // pairs, separated by ";"
	says        string // on standard output, before it ends
	code        int
}

// enginePoint is the i-th passage of one of CometBFT's own crash points.
func enginePoint(i int) stop {
	return stop{fmt.Sprintf("engine %d", i), fmt.Sprintf("FAIL_TEST_INDEX=%d", i), fmt.Sprintf("*** fail-test %d ***", i), 1}
}

// ownPoint is a passage of one of our crash points.
func ownPoint(name string, passage int) stop {
	return stop{
		fmt.Sprintf("%s, passage %d", name, passage), fmt.Sprintf("MUNIMENT_CRASH_POINT=%s;MUNIMENT_CRASH_PASSAGE=%d", name, passage),
		"crash point: " + name, 86,
	}
}

// ownPoints are the moments before and after every durable step of ours, each
// at some of its first passages: chance says which.
func ownPoints(random *rand.Rand, passages int) (stops []stop) {
	names := []string{"state: before the batch", "state: after the batch"}
	for _, file := range []string{"validator.state", "cosigner.state"} {
		for _, step := range []string{"before write", "before sync", "before rename", "before sync directory", "done"} {
			names = append(names, file+": "+step)
		}
	}
	for _, name := range names {
		for _, passage := range random.Perm(max(passages, 9))[:passages] {
			stops = append(stops, ownPoint(name, 1+passage))
		}
	}
	return stops
}

// A sweep crashes one city again and again.
type sweep struct {
	*city
	client *client
	kept   []kept
	trees  []tree
	asked  batch // the last one handed in: answered, or not
	lived  int   // runs that acknowledged something before they crashed
}

// crash runs the node under load until it ends itself at the stop.
func (s *sweep) crash(t *testing.T, at stop) {
	t.Helper()
	p := s.start(t, strings.Split(at.environment, ";")...)
	before := len(s.kept)
	for n := 0; !p.hasEnded(); n++ {
		s.asked = s.batch(t, fmt.Sprintf("%s, at %s, batch %d", t.Name(), at.name, n))
		eventually(t, at.name+": an answer or the end", func() bool {
			if p.hasEnded() {
				return true
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			a, err := s.client.submit(ctx, s.asked)
			if err == nil {
				s.keep(t, s.asked, a)
			}
			return err == nil
		})
	}
	if got := p.code(t); got != at.code || !strings.Contains(p.stdout.String(), at.says) {
		t.Fatalf("%s: the process ended with code %d and said %q\n%s", at.name, got, &p.stdout, tail(p.stderr.String()))
	}
	if len(s.kept) > before {
		s.lived++
	}
}

func (s *sweep) keep(t *testing.T, b batch, a answer) {
	t.Helper()
	if a.reason != "OK" {
		t.Fatalf("%s: %s", b.name, a.reason)
	}
	s.kept = append(s.kept, kept{b, a})
}

// recover starts the node again and wants everything there; the chain goes on,
// and what had no answer gets one. It leaves the node running.
func (s *sweep) recover(t *testing.T, after string) *process {
	t.Helper()
	p := s.start(t)
	s.client.ready(t, p)
	for _, b := range []batch{s.asked, s.batch(t, fmt.Sprintf("%s, after %s", t.Name(), after))} {
		a, err := s.client.submit(waiting(t), b)
		if err != nil {
			t.Fatalf("after %s: submit %s: %v", after, b.name, err)
		}
		if last := len(s.kept) - 1; last >= 0 && s.kept[last].name == b.name {
			continue // it was answered; confirm compares
		}
		s.keep(t, b, a)
	}
	for _, k := range s.kept {
		s.client.confirm(t, s.network, k)
		if t.Failed() {
			t.Fatalf("after %s: see above", after)
		}
	}
	s.trees = append(s.trees, s.client.tree(t))
	return p
}

// run crashes a city at each stop, and audits it at the end.
func (s *sweep) run(t *testing.T, stops []stop) {
	t.Helper()
	for i, at := range stops {
		s.crash(t, at)
		p := s.recover(t, at.name)
		if i+1 < len(stops) {
			p.kill(t) // with nothing under way
		} else {
			p.terminate(t)
		}
	}
	r := s.audit(t)
	r.prefixes(t, s.trees)
	records := 0
	for _, k := range s.kept {
		for i, commitment := range k.commitments {
			records++
			if at, ok := r.places[place{department, commitment}]; !ok || at != k.first+record.Index(i) {
				t.Errorf("%s, item %d was acknowledged at entry %d, is at %d (%v)", k.name, i, k.first+record.Index(i), at, ok)
			}
		}
	}
	if len(r.places) != records {
		t.Errorf("the log has %d records, %d were acknowledged and none is open", len(r.places), records)
	}
	if t.Failed() {
		return
	}
	t.Logf("%d crash points, %d of them after an acknowledgement; %d records acknowledged, none lost, none doubled; %d entries, height %d",
		len(stops), s.lived, records, r.head.Size, r.head.Height)
}

func newSweep(t *testing.T) *sweep {
	t.Helper()
	c := found(t)
	return &sweep{city: c, client: c.dial(t)}
}

// TestEngineCrashPoints ends the process at each of the engine's crash points,
// of which there are eleven in a height, counted from the start of the process:
// in a ledger that grows from crash to crash, until a process has outlived a
// height.
func TestEngineCrashPoints(t *testing.T) {
	s := newSweep(t)
	t.Parallel()
	var stops []stop
	for i := range *points {
		stops = append(stops, enginePoint(i))
	}
	s.run(t, stops)
	if s.lived == 0 {
		t.Error("no process outlived a height: sweep more points")
	}
}

// TestEngineCrashPointsFromGenesis does so in a new home each time, where the
// engine has to found the chain anew.
func TestEngineCrashPointsFromGenesis(t *testing.T) {
	for i := range *founded {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			newSweep(t).run(t, []stop{enginePoint(2 * i)})
		})
	}
}

// TestOwnCrashPoints ends the process before and after each durable step of
// state store, validator and cosigner.
func TestOwnCrashPoints(t *testing.T) {
	s := newSweep(t)
	t.Parallel()
	s.run(t, ownPoints(rand.New(rand.NewPCG(*seed, 1)), *passages))
}
