//go:build chaos

package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// A stop is a point at which a process ends itself.
type stop struct {
	name        string
	point       string // without the passage
	environment []string
	says        string // on standard output, before it ends
}

// stops are crash points of the engine, of which a height has eleven, and our own
// before and after each durable step of state store, validator and cosigner.
func stops(random *rand.Rand, each int) (all []stop) {
	for _, i := range random.Perm(max(each, 22))[:each] {
		all = append(all, stop{fmt.Sprint("engine ", i), fmt.Sprint("engine ", i), []string{fmt.Sprint("FAIL_TEST_INDEX=", i)}, fmt.Sprintf("*** fail-test %d ***", i)})
	}
	names := []string{"state: before the batch", "state: after the batch"}
	for _, file := range []string{"validator.state", "cosigner.state"} {
		for _, step := range []string{"before write", "before sync", "before rename", "before sync directory", "done"} {
			names = append(names, file+": "+step)
		}
	}
	for _, i := range random.Perm(max(each, len(names)))[:each] {
		name, passage := names[i%len(names)], 1+random.IntN(20)
		all = append(all, stop{fmt.Sprintf("%s, passage %d", name, passage), name,
			[]string{"MUNIMENT_CRASH_POINT=" + name, fmt.Sprint("MUNIMENT_CRASH_PASSAGE=", passage)}, "crash point: " + name})
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// TestCrashPointsOfOneOfFour ends one validator of four at crash points, again and
// again, while the others go on.
func TestCrashPointsOfOneOfFour(t *testing.T) {
	program, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	c := newCity(t)
	c.startAll(t)
	c.adopt(t)
	r := c.record(t)
	random := rand.New(rand.NewPCG(*seed, 2))
	one := c.nodes[random.IntN(len(c.nodes))]
	one.terminate(t)
	each := *points
	if each == 0 {
		each = 3 * *rounds
	}
	for _, at := range stops(random, each) {
		c.startProgram(t, one, program, at.environment...)
		began := time.Now()
		got := one.process.code(t)
		if !strings.Contains(one.process.stdout.String(), at.says) {
			t.Fatalf("%s: the process ended with code %d and said %q\n%s", at.name, got, &one.process.stdout, tail(one.process.stderr.String()))
		}
		tally.passed(at.point)
		t.Logf("%-40s after %.1f s", at.name, time.Since(began).Seconds())
		c.faults = append(c.faults, fault{kind: "crash point", machines: []int{one.machine}, from: began.Sub(c.began), to: time.Since(c.began), over: time.Since(c.began)})
	}
	c.start(t, one)
	one.serves(t)
	c.settle(t)
	history := r.finish(t)
	c.settle(t)
	c.audit(t, history)
}
