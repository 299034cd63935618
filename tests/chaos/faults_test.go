package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A fault is what was done to some machines, and when, since the city began.
type fault struct {
	kind     string
	machines []int
	from, to time.Duration // to: when it was mended, where processes and links came back
	over     time.Duration // when all that was struck served again
	stops    bool          // no quorum was left meanwhile
}

func (f fault) String() string { return fmt.Sprintf("%s %v", f.kind, f.machines) }

// What is asked of a network that faults strike. The figures that were measured are
// far below: the limits are for machines that have other work too.
const (
	mostStop     = 45 * time.Second // without an answer, where a quorum is left
	mostRecovery = 60 * time.Second // from when a quorum is back to the first answer
	afterglow    = time.Second      // in which a block that was decided still comes
)

// weigh gives how long the network stood still, by kind of fault, and wants it to
// answer while a quorum is left, and soon after it is back (I-15), and never without
// one (I-06).
func weigh(history []*attempt, faults []fault) (figures []string, all []violation) {
	var answers []time.Duration
	for _, a := range history {
		if a.Kind.transaction() && a.Kind != others && a.Outcome == outcomeOK {
			answers = append(answers, a.returned)
		}
	}
	slices.Sort(answers)
	times, worst := map[string]int{}, map[string]time.Duration{}
	for _, f := range faults {
		times[f.kind]++
		took, limit := stillness(answers, f.from, f.over), mostStop
		if f.stops {
			took, limit = until(answers, f.to)-f.to, mostRecovery
			if at := until(answers, f.from+afterglow); at < f.to {
				all = append(all, violated("I-06", "%v, from %v to %v: a transaction was answered at %v, without a quorum", f, f.from, f.to, at))
			}
		}
		worst[f.kind] = max(worst[f.kind], took)
		if took > limit {
			all = append(all, violated("I-15", "%v, from %v: no transaction was answered for %v", f, f.from, took))
		}
	}
	stops := map[string]bool{}
	for _, f := range faults {
		stops[f.kind] = f.stops
	}
	for _, kind := range slices.Sorted(maps.Keys(times)) {
		what := "longest time without an answer"
		if stops[kind] {
			what = "longest recovery after a quorum was back"
		}
		figures = append(figures, fmt.Sprintf("%-18s %2d times, %s %.1f s", kind, times[kind], what, worst[kind].Seconds()))
	}
	return figures, all
}

// until gives the first answer from a moment on; a late one where none came.
func until(answers []time.Duration, from time.Duration) time.Duration {
	at, _ := slices.BinarySearch(answers, from)
	if at == len(answers) {
		return from + 2*mostRecovery
	}
	return answers[at]
}

// stillness gives the longest time without an answer that overlaps a span.
func stillness(answers []time.Duration, from, to time.Duration) (longest time.Duration) {
	for at := from; at <= to; {
		next := until(answers, at+1)
		longest = max(longest, next-at)
		at = next
	}
	return longest
}
