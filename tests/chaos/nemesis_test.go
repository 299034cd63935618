//go:build chaos

package chaos

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A misfortune is a kind of fault. It strikes some members, lasts for a while, and
// ends with every process running; before it mends what it did, it calls mending.
type misfortune struct {
	kind   string
	struck int  // how many members
	stops  bool // no quorum is left meanwhile
	strike func(n *nemesis, t *testing.T, struck []*member, mending func())
}

// A nemesis brings faults over a city, in an order and for times that follow from
// a seed.
type nemesis struct {
	*city
	random *rand.Rand
}

// misfortunes are all kinds. What strikes disks wants the member on a small disk of
// its own, which is the last one.
var misfortunes = []misfortune{
	{"kill", 1, false, (*nemesis).kill},
	{"stop and continue", 1, false, (*nemesis).freeze},
	{"two down", 2, true, (*nemesis).kill},
	{"two stopped", 2, true, (*nemesis).freeze},
	{"all down", validators, true, (*nemesis).kill},
	{"all terminated", validators, true, (*nemesis).terminate},
	{"partition 3-1", 1, false, (*nemesis).partition},
	{"partition 2-2", 2, true, (*nemesis).partition},
	{"one-way", 1, false, (*nemesis).oneWay},
	{"flapping", 1, false, (*nemesis).flap},
	{"slow", 1, false, (*nemesis).slow},
	{"fsync error", 1, false, (*nemesis).fsyncError},
	{"write error", 1, false, (*nemesis).writeError},
	{"disk full", 1, false, (*nemesis).diskFull},
	{"flood", 1, false, (*nemesis).flood},
	{"restored", 1, false, (*nemesis).restored},
	{"clock forward", 1, false, (*nemesis).clockForward},
	{"clock back", 1, false, (*nemesis).clockBack},
}

// run brings every misfortune so many times, in any order.
func (n *nemesis) run(t *testing.T, times int) {
	t.Helper()
	for range times {
		for _, i := range n.random.Perm(len(misfortunes)) {
			n.bring(t, misfortunes[i])
			n.rest(t, 500*time.Millisecond, 1500*time.Millisecond)
		}
	}
	n.goesOn(t) // else nobody is there to be answered after the last one
}

func (n *nemesis) bring(t *testing.T, m misfortune) {
	t.Helper()
	struck := make([]*member, m.struck)
	for i, at := range n.random.Perm(len(n.nodes))[:m.struck] {
		struck[i] = n.nodes[at]
	}
	if m.kind == "disk full" {
		struck = n.nodes[len(n.nodes)-1:]
	}
	f := fault{kind: m.kind, stops: m.stops, from: time.Since(n.began)}
	for _, s := range struck {
		f.machines = append(f.machines, s.machine)
	}
	t.Logf("%6.1f s  %v", f.from.Seconds(), f)
	m.strike(n, t, struck, func() { f.to = time.Since(n.began) })
	if m.stops {
		n.goesOn(t) // those that stand still are at one height, too
	}
	n.together(t) // what comes next strikes a whole network: one fault at a time is what the figures are about
	f.over = time.Since(n.began)
	n.faults = append(n.faults, f)
}

// rest waits for a time between two.
func (n *nemesis) rest(t *testing.T, least, most time.Duration) {
	t.Helper()
	pause(t, least+time.Duration(n.random.Int64N(int64(most-least))))
}

// others gives the machines that were not struck.
func (n *nemesis) others(struck []*member) (all []int) {
	for _, m := range n.nodes {
		if !slices.Contains(struck, m) {
			all = append(all, m.machine)
		}
	}
	return all
}

func machinesOf(members []*member) (all []int) {
	for _, m := range members {
		all = append(all, m.machine)
	}
	return all
}

// back starts members again, in the order given, and waits until they serve.
func (n *nemesis) back(t *testing.T, struck []*member) {
	t.Helper()
	for _, m := range struck {
		n.start(t, m)
	}
	for _, m := range struck {
		m.serves(t)
	}
}

func (n *nemesis) kill(t *testing.T, struck []*member, mending func()) {
	for _, m := range struck {
		m.signal(t, syscall.SIGKILL)
	}
	for _, m := range struck {
		if got := m.process.code(t); got != -1 {
			t.Errorf("node %d was killed and ended with code %d", m.machine, got)
		}
	}
	n.rest(t, 2*time.Second, 4*time.Second)
	mending()
	n.back(t, struck)
}

func (n *nemesis) terminate(t *testing.T, struck []*member, mending func()) {
	for _, m := range struck {
		m.signal(t, syscall.SIGTERM)
	}
	for _, m := range struck {
		if got := m.process.code(t); got != 0 {
			t.Errorf("node %d: after SIGTERM the exit code is %d\n%s", m.machine, got, tail(m.process.stderr.String()))
		}
	}
	n.random.Shuffle(len(struck), func(i, j int) { struck[i], struck[j] = struck[j], struck[i] })
	mending()
	n.back(t, struck)
}

// freeze is worse than a kill: connections stay, and nobody answers.
func (n *nemesis) freeze(t *testing.T, struck []*member, mending func()) {
	for _, m := range struck {
		m.signal(t, syscall.SIGSTOP)
	}
	n.rest(t, 2*time.Second, 5*time.Second)
	mending()
	for _, m := range struck {
		m.signal(t, syscall.SIGCONT)
	}
}

func (n *nemesis) partition(t *testing.T, struck []*member, mending func()) {
	n.part(t, machinesOf(struck), n.others(struck))
	n.rest(t, 3*time.Second, 5*time.Second)
	mending()
	n.mend(t)
}

func (n *nemesis) oneWay(t *testing.T, struck []*member, mending func()) {
	n.deaf(t, struck[0].machine, n.others(struck)...)
	n.rest(t, 3*time.Second, 5*time.Second)
	mending()
	n.mend(t)
}

func (n *nemesis) flap(t *testing.T, struck []*member, mending func()) {
	for range 5 {
		n.link(t, struck[0].machine, "down")
		n.rest(t, 200*time.Millisecond, 600*time.Millisecond)
		n.link(t, struck[0].machine, "up")
		n.rest(t, 200*time.Millisecond, 600*time.Millisecond)
	}
	mending()
}

func (n *nemesis) slow(t *testing.T, struck []*member, mending func()) {
	n.narrow(t, struck[0].machine, "256kbit")
	n.rest(t, 3*time.Second, 5*time.Second)
	mending()
	n.widen(t, struck[0].machine)
}

// fsyncError has every fsync of a node fail from now on: the node has to end, and
// may not try again.
func (n *nemesis) fsyncError(t *testing.T, struck []*member, mending func()) {
	n.inject(t, struck[0], "fsync,fdatasync:error=EIO", "")
	mending()
	n.back(t, struck)
}

// writeError has writes to the engine's consensus log fail.
func (n *nemesis) writeError(t *testing.T, struck []*member, mending func()) {
	n.inject(t, struck[0], "write:error=EIO", filepath.Join(struck[0].home.WAL(), "wal"))
	mending()
	n.back(t, struck)
}
