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

// What is asked of a network that faults strike. The figures that were measured are
// far below: the limits are for machines that have other work too.
const (
	mostStop     = 45 * time.Second // without an answer, where a quorum is left
	mostRecovery = 60 * time.Second // from when a quorum is back to the first answer
	afterglow    = time.Second      // in which a block that was decided still comes
)

// A figure is what is known of a kind of fault.
type figure struct {
	times int
	stops bool          // no quorum was left
	worst time.Duration // without an answer; where no quorum was left, from when it was back
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
		took, limit := stillness(answers, f.from, f.over), mostStop
		if f.stops {
			took, limit = until(answers, f.to)-f.to, mostRecovery
			if at := until(answers, f.from+afterglow); at < f.to {
				all = append(all, violated("I-06", "%v, from %v to %v: a transaction was answered at %v, without a quorum", f, f.from, f.to, at))
			}
		}
		known := figures[f.kind]
		figures[f.kind] = figure{known.times + 1, f.stops, max(known.worst, took)}
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
