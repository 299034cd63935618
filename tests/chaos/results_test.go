//go:build chaos

package chaos

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

var resultsFile = flag.String("results", "", "file for the figures of the run, in Markdown")

// invariants are what audit holds a history against.
var invariants = []string{
	"I-01", "I-02", "I-03", "I-04", "I-05", "I-06", "I-07", "I-08", "I-09", "I-10", "I-11", "I-12", "I-13", "I-14", "I-15",
}

// results are the figures of all tests of a run.
type results struct {
	mu         sync.Mutex
	audits     int
	count      map[kind]map[string]int // operations by outcome
	records    int                     // that were acknowledged
	violations []violation
	figures    map[string]figure
	judged     int // records
	receipts   int
	documents  int            // whose content was asked for at each custodian in the end
	points     map[string]int // passages by crash point
}

var tally = results{count: map[kind]map[string]int{}, figures: map[string]figure{}, points: map[string]int{}}

func (r *results) add(history []*attempt, figures map[string]figure, all []violation, judged, receipts, documents int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.audits++
	for _, a := range history {
		if r.count[a.Kind] == nil {
			r.count[a.Kind] = map[string]int{}
		}
		r.count[a.Kind][a.Outcome]++
		if a.Kind == anchors && a.Outcome == outcomeOK {
			r.records += len(a.Commitments)
		}
	}
	for kind, f := range figures {
		r.figures[kind] = r.figures[kind].and(f)
	}
	r.violations = append(r.violations, all...)
	r.judged += judged
	r.receipts += receipts
	r.documents += documents
}

// passed notes that a process has ended at a crash point.
func (r *results) passed(point string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.points[point]++
}

// worst gives the worst figure of the kinds that leave a quorum, or of those that leave none.
func (r *results) worst(stops bool) (took time.Duration, by string) {
	for _, kind := range slices.Sorted(maps.Keys(r.figures)) {
		if f := r.figures[kind]; f.stops == stops && f.worst >= took {
			took, by = f.worst, kind
		}
	}
	return took, by
}

// table writes the figures down.
func (r *results) table(code int, took time.Duration) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	lost, operations, unanswered, faults := 0, 0, 0, 0
	for _, v := range r.violations {
		if v.invariant == "I-01" {
			lost++
		}
	}
	for _, outcomes := range r.count {
		for outcome, n := range outcomes {
			operations += n
			if outcome == outcomeUnknown {
				unanswered += n
			}
		}
	}
	var slow []string
	for _, kind := range slices.Sorted(maps.Keys(r.figures)) {
		faults += r.figures[kind].times
		slow = append(slow, r.figures[kind].slow...)
	}
	stop, stopBy := r.worst(false)
	recovery, recoveryBy := r.worst(true)
	verdict := "passed"
	if code != 0 {
		verdict = "FAILED"
	}
	passages := 0
	for _, n := range r.points {
		passages += n
	}
	fmt.Fprintf(&b, "| | seed %d, %d of each kind |\n| --- | --- |\n", *seed, *rounds)
	row("acknowledged anchors", "%d transactions, %d records", r.count[anchors][outcomeOK], r.records)
	row("lost", "%d", lost)
	row("operations that were recorded", "%d, of them without an answer %d", operations, unanswered)
	row("faults", "%d of %d kinds", faults, len(r.figures))
	row("longest stop with one of four down", "%.1f s (%s), goal %.0f s", stop.Seconds(), stopBy, goalStop.Seconds())
	row("longest recovery after a quorum is back", "%.1f s (%s), goal %.0f s", recovery.Seconds(), recoveryBy, goalRecovery.Seconds())
	row("faults that took longer than their goal", "%d", len(slow))
	row("crash points at one of four", "%d passages of %d points", passages, len(r.points))
	row("records judged by Porcupine", "%d", r.judged)
	row("receipts verified again in the end", "%d", r.receipts)
	row("documents asked for at each of three custodians in the end", "%d", r.documents)
	row("invariants", "%s, on %d networks: %d violations", strings.Join(invariants, ", "), r.audits, len(r.violations))
	row("time", "%.0f s on %d processors, %s", took.Seconds(), runtime.NumCPU(), verdict)
	b.WriteString("\n| fault | times | longest stop | recovery once a quorum is back |\n| --- | --- | --- | --- |\n")
	for _, kind := range slices.Sorted(maps.Keys(r.figures)) {
		f := r.figures[kind]
		stop, recovery := fmt.Sprintf("%.1f s", f.worst.Seconds()), ""
		if f.stops {
			stop, recovery = recovery, stop
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", kind, f.times, stop, recovery)
	}
	if len(slow) > 0 {
		fmt.Fprintf(&b, "\nLonger than their goal: %s.\n", strings.Join(slow, "; "))
	}
	return b.String()
}

// report prints the table, and writes it to the file that was asked for.
func (r *results) report(code int, took time.Duration) error {
	if r.audits == 0 {
		return nil
	}
	text := r.table(code, took)
	fmt.Print(text)
	if *resultsFile == "" {
		return nil
	}
	return os.WriteFile(*resultsFile, []byte(text), 0o644)
}
