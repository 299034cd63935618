package chaos

import (
	"fmt"
	"slices"
	"time"
)

// A fault is what was done to some machines, and when, since the city began.
type fault struct {
	kind     string
	machines []int
	from, to time.Duration // to: when it was mended, where processes and links came back
	over     time.Duration // when all nodes were together again
	stops    bool          // no quorum was left meanwhile
}

func (f fault) String() string { return fmt.Sprintf("%s %v", f.kind, f.machines) }

// What is asked of a network that faults strike: goals on a machine that has nothing
// else to do, and limits for those that have other work too.
const (
	goalStop, mostStop         = 10 * time.Second, 45 * time.Second // without an answer, where a quorum is left
	goalRecovery, mostRecovery = 15 * time.Second, 60 * time.Second // from when a quorum is back to the first answer
	afterglow                  = time.Second                        // in which a block that was decided still comes
)

// A figure is what is known of a kind of fault.
type figure struct {
	times int
	stops bool          // no quorum was left
	worst time.Duration // without an answer; where no quorum was left, from when it was back
	slow  []string      // those that took longer than the goal
}

// and gives what is known of more faults of the kind.
func (f figure) and(more figure) figure {
	return figure{f.times + more.times, more.stops, max(f.worst, more.worst), append(f.slow, more.slow...)}
}

// weigh gives how long the network stood still, by kind of fault, and wants it to
// answer while a quorum is left, and soon after it is back (I-15), and never without
// one (I-06).
func weigh(history []*attempt, faults []fault) (figures map[string]figure, all []violation) {
	var answers []time.Duration
	for _, a := range history {
		if a.Kind.transaction() && a.Kind != others && a.Outcome == outcomeOK {
			answers = append(answers, a.returned)
		}
	}
	slices.Sort(answers)
	figures = map[string]figure{}
	for _, f := range faults {
		took, goal, limit := stillness(answers, f.from, f.over), goalStop, mostStop
		if f.stops {
			took, goal, limit = until(answers, f.to)-f.to, goalRecovery, mostRecovery
			if at := until(answers, f.from+afterglow); at < f.to {
				all = append(all, violated("I-06", "%v, from %v to %v: a transaction was answered at %v, without a quorum", f, f.from, f.to, at))
			}
		}
		one := figure{times: 1, stops: f.stops, worst: took}
		if took > goal {
			one.slow = []string{fmt.Sprintf("%v, %.1f s after the beginning: %.1f s", f, f.from.Seconds(), took.Seconds())}
		}
		figures[f.kind] = figures[f.kind].and(one)
		if took > limit {
			all = append(all, violated("I-15", "%v, from %v: no transaction was answered for %v", f, f.from, took))
		}
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
