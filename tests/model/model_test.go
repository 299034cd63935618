package model

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

var (
	depthFlag = flag.Int("depth", 4, "how many moves deep TestEveryInterleaving goes")
	plainFlag = flag.Bool("plain", false, "make only the moves of those who may, one for each kind")
)

// TestEveryInterleaving makes every move in every state, up to -depth moves deep.
func TestEveryInterleaving(t *testing.T) {
	for _, s := range settings {
		if t.Failed() {
			return // one wrong path is enough
		}
		t.Run(s.name, func(t *testing.T) {
			w := &walk{setting: s, known: map[identity]int32{}, names: map[string]int{}}
			var start node
			start, w.records = found(t, s)
			if err := w.from(start, *depthFlag); err != nil {
				t.Fatal(err)
			}
			t.Logf("depth %d: %d paths, %d moves, %d distinct states; locked in %d of them, complete in %d; answers %v",
				*depthFlag, w.paths(*depthFlag), w.moves, len(w.known), w.locked, w.complete, w.names)
			if *depthFlag >= 5 && (w.locked == 0 || w.names["HELD"] == 0 || !*plainFlag && (w.complete == 0 || w.names["SAME_OFFICE"] == 0)) {
				t.Error("the moves lead to no lock, no end, or are never refused for a hold or an office")
			}
		})
	}
}

// TestNoStateIsMissed goes three moves deep by recursion alone, without putting
// equal states together, and wants that the walk has seen the same states.
func TestNoStateIsMissed(t *testing.T) {
	const depth = 3
	for _, s := range settings {
		w := &walk{setting: s, known: map[identity]int32{}, names: map[string]int{}}
		var start node
		start, w.records = found(t, s)
		if err := w.from(start, depth); err != nil {
			t.Fatal(err)
		}
		seen := map[identity]bool{}
		paths := everyPath(t, start, w, depth, seen)
		for id := range seen {
			if _, known := w.known[id]; !known {
				t.Fatalf("%s: a state was missed", s.name)
			}
		}
		if len(seen) != len(w.known) || paths != w.paths(depth) {
			t.Errorf("%s: %d states on %d paths, want %d on %d", s.name, len(w.known), w.paths(depth), len(seen), paths)
		}
	}
}

// everyPath counts the sequences of moves from a state and notes where they lead.
func everyPath(t *testing.T, n node, w *walk, depth int, seen map[identity]bool) uint64 {
	t.Helper()
	id, err := n.identify(w.records)
	if err != nil {
		t.Fatal(err)
	}
	if seen[id] = true; depth == 0 {
		return 1
	}
	var paths uint64
	for _, m := range n.moves(w.records, w.setting) {
		after, _, err := n.make(m)
		if err != nil {
			t.Fatal(err)
		}
		paths += everyPath(t, after, w, depth-1, seen)
	}
	return paths
}

// walk goes through the states, level by level.
type walk struct {
	setting setting
	records [2]record.Index

	broken           atomic.Bool // somebody has found a wrong path
	mu               sync.Mutex
	known            map[identity]int32 // number of each state
	edges            [][]int32          // of the states that were left, by number: where each move led
	names            map[string]int     // of the answers
	moves            int
	locked, complete int
}

// reached is a state whose moves are yet to be made.
type reached struct {
	node
	number int32
	path   *path
}

// path is how a state was reached.
type path struct {
	before *path
	name   string
}

// String tells the way in words.
func (p *path) String() string {
	if p.before == nil {
		return p.name
	}
	return p.before.String() + " > " + p.name
}

// from goes level by level. The last two levels are one: no state of the level
// between them has to be kept.
func (w *walk) from(start node, depth int) error {
	id, err := start.identify(w.records)
	if err != nil {
		return err
	}
	w.known[id], w.edges = 0, [][]int32{nil}
	level := []reached{{node: start}}
	for left := depth; left > 0 && err == nil; left-- {
		if left == 2 {
			_, err = w.level(level, 2)
			break
		}
		level, err = w.level(level, 1)
	}
	return err
}

// level makes every move in each state, on all processors, and gives the states
// that were not left yet; with two moves to go it leaves these, too.
func (w *walk) level(states []reached, moves int) ([]reached, error) {
	workers, waiting := runtime.GOMAXPROCS(0), make(map[int32]bool, len(states))
	for _, s := range states {
		waiting[s.number] = true // it has two moves to go, by whichever way it is reached again
	}
	next, errs := make([][]reached, workers), make([]error, workers)
	var wait sync.WaitGroup
	for worker := range workers {
		wait.Go(func() {
			for i := worker; i < len(states) && !w.broken.Load(); i += workers {
				var found []reached
				found, errs[worker] = w.leave(states[i])
				if moves == 1 {
					next[worker] = append(next[worker], found...)
				}
				for n := 0; moves == 2 && n < len(found) && errs[worker] == nil; n++ {
					if !waiting[found[n].number] {
						_, errs[worker] = w.leave(found[n])
					}
				}
				states[i].node = node{}
				if errs[worker] != nil {
					w.broken.Store(true)
				}
			}
		})
	}
	wait.Wait()
	return slices.Concat(next...), errors.Join(errs...)
}

// leave makes every move in a state, unless that was done, and gives those that
// it leads to and that nobody has left.
func (w *walk) leave(s reached) ([]reached, error) {
	w.mu.Lock()
	left := w.edges[s.number] != nil
	if !left {
		w.edges[s.number] = []int32{}
	}
	w.mu.Unlock()
	if left {
		return nil, nil
	}
	var ahead []reached
	var edges []int32
	answers, rest := map[string]int{}, int32(-1)
	for _, m := range s.moves(w.records, w.setting) {
		after, results, err := s.make(m)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", &path{s.path, m.name}, err)
		}
		for _, r := range results {
			answers[r.Code.String()]++
		}
		if after.oracle == s.oracle && rest >= 0 { // a move that left nothing, like one before it
			edges = append(edges, rest)
			continue
		}
		to := reached{node: after, path: &path{s.path, m.name}}
		isLeft := false
		if to.number, isLeft, err = w.arrive(after); err != nil {
			return nil, fmt.Errorf("%v: %w", to.path, err)
		}
		edges = append(edges, to.number)
		if after.oracle == s.oracle {
			rest = to.number
		}
		if !isLeft {
			ahead = append(ahead, to)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edges[s.number], w.moves = edges, w.moves+len(edges)
	for name, n := range answers {
		w.names[name] += n
	}
	return ahead, nil
}

// arrive gives the number of a state, and tells whether somebody has left it.
// What is new is judged.
func (w *walk) arrive(n node) (number int32, left bool, err error) {
	id, err := n.identify(w.records)
	if err != nil {
		return 0, false, err
	}
	w.mu.Lock()
	number, known := w.known[id]
	if !known {
		number = int32(len(w.known))
		w.known[id], w.edges = number, append(w.edges, nil)
	}
	left = w.edges[number] != nil
	w.mu.Unlock()
	if known {
		return number, left, nil
	}
	locked, complete, err := n.judgeEnds()
	if err == nil {
		err = n.judgeLives(w.records)
	}
	w.mu.Lock()
	w.locked, w.complete = w.locked+locked, w.complete+complete
	w.mu.Unlock()
	return number, left, err
}

// paths counts the sequences of exactly depth moves, by the edges.
func (w *walk) paths(depth int) uint64 {
	ways := map[int32]uint64{0: 1}
	for range depth {
		next := map[int32]uint64{}
		for from, n := range ways {
			for _, to := range w.edges[from] {
				next[to] += n
			}
		}
		ways = next
	}
	var all uint64
	for _, n := range ways {
		all += n
	}
	return all
}

// make carries out a move, reads what the log says of it and judges that.
func (n node) make(m move) (node, []ledger.Result, error) {
	changes, results, err := n.block(m.step, m.acts...)
	if err != nil {
		return node{}, nil, err
	}
	after := node{view: ledger.Overlay(n.view, changes)}
	if after.oracle, err = n.oracle.after(changes); err != nil {
		return node{}, nil, err
	}
	if len(after.oracle.wrong) > 0 {
		return node{}, nil, fmt.Errorf("against the law: %q", after.oracle.wrong)
	}
	return after, results, n.judgeRefusals(m, changes, results)
}

// judgeRefusals wants that a refusal leaves nothing but its entry.
func (n node) judgeRefusals(m move, c ledger.Changes, results []ledger.Result) error {
	if len(results) != 1 || results[0].Code == ledger.OK {
		return nil
	}
	code := results[0].Code
	if results[0].Count == 0 {
		if len(c.Entries) > 0 || c.StateRoot != n.view.StateRoot() {
			return fmt.Errorf("the refusal %s has left %d entries", code, len(c.Entries))
		}
		switch code {
		case ledger.CodeHeld, ledger.CodeNotDue, ledger.CodeMissingApproval, ledger.CodeNoticePeriod:
			return fmt.Errorf("the refusal %s is no entry", code)
		}
		return nil
	}
	left := 3 // transaction, refusal, block
	for _, v := range c.Values {
		if m.step != second && string(v.Key) == "clock" {
			left++ // a jump, whatever else is in the block
			continue
		}
		if !bytes.HasPrefix(v.Key, []byte("nonce/")) && !bytes.HasPrefix(v.Key, []byte("refusals/")) {
			return fmt.Errorf("the refusal %s has changed %q", code, v.Key)
		}
	}
	if len(c.Entries) != left {
		return fmt.Errorf("the refusal %s has left %d entries", code, len(c.Entries))
	}
	return nil
}

// judgeLives wants that the ledger says of each record under what it is locked and
// which decisions about parts of it there are, as the log does.
func (n node) judgeLives(records [2]record.Index) error {
	for _, i := range records {
		l, _, err := ledger.LifecycleOf(n.view, i)
		if err != nil {
			return err
		}
		under := record.Index(0)
		for at, d := range n.oracle.cases {
			if d.locked && slices.Contains(d.records, i) {
				under = at
			}
		}
		if want := n.oracle.decisions[i]; l.Disposition != under || !slices.Equal(l.Decisions, want) {
			return fmt.Errorf("record %d is locked under %d, with decisions %d; want %d, %d", i, l.Disposition, l.Decisions, under, want)
		}
	}
	return nil
}

// judgeEnds brings every locked disposition to its end, and counts those that
// wait for it and those that are there.
func (n node) judgeEnds() (locked, complete int, err error) {
	for at, d := range n.oracle.cases {
		if !d.locked {
			continue
		}
		locked++
		if len(d.due) == 0 {
			complete++
		}
		var acts []act
		for _, r := range d.due {
			signer := "node/custodian"
			if r.office != "" {
				signer = n.key(string(r.office))
			}
			acts = append(acts, act{signer, &record.ReportErasure{Disposition: at, Outcome: record.OutcomeDone}})
		}
		changes, _, err := n.block(time.Second, acts...)
		if err != nil {
			return 0, 0, err
		}
		end, _, err := ledger.DispositionOf(ledger.Overlay(n.view, changes), at)
		if err != nil {
			return 0, 0, err
		}
		if end.Status != ledger.DispositionComplete {
			return 0, 0, fmt.Errorf("disposition %d is %s after all reports", at, end.Status)
		}
	}
	return locked, complete, nil
}
