package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/muniment/muniment/app/record"
)

// checkerTime is how long Porcupine may take. A checker that runs out of time has
// shown nothing, which is a failure.
const checkerTime = time.Minute

// A step is an operation as one record sees it.
type step struct {
	record record.Index
	kind   kind
	about  record.Index // entry of the hold or disposition
	locked bool
}

// A condition is the state of a record. Sets are sorted lists, written out.
type condition struct {
	anchored bool
	held     string
	open     string // dispositions that are proposed
	approved string
	locked   bool
}

// recordModel is one record: what may happen to it, and what is seen of it. A read
// that shows no lock may be of a node that is behind.
var recordModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := map[record.Index][]porcupine.Operation{}
		for _, o := range history {
			r := o.Input.(step).record
			by[r] = append(by[r], o)
		}
		parts := make([][]porcupine.Operation, 0, len(by))
		for _, part := range by {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return condition{} },
	Step: func(state, input, _ any) (bool, any) {
		c, s := state.(condition), input.(step)
		ok := c.take(s)
		return ok, c
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// take carries a step out where it may happen.
func (c *condition) take(s step) bool {
	about := fmt.Sprint(s.about)
	switch s.kind {
	case anchors:
		if c.anchored {
			return false
		}
		c.anchored = true
		return true
	case holds:
		return c.anchored && add(&c.held, about)
	case releases:
		return remove(&c.held, about)
	case proposes:
		return c.anchored && !c.locked && add(&c.open, about)
	case approves:
		return has(c.open, about) && add(&c.approved, about)
	case locks:
		ok := has(c.approved, about) && c.held == "" && !c.locked
		c.locked = c.locked || ok
		return ok
	case reads:
		return c.anchored && (c.locked || !s.locked)
	}
	return false
}

func split(set string) []string {
	if set == "" {
		return nil
	}
	return strings.Split(set, " ")
}

func has(set, member string) bool { return slices.Contains(split(set), member) }

func add(set *string, member string) bool {
	if has(*set, member) {
		return false
	}
	all := append(split(*set), member)
	slices.Sort(all)
	*set = strings.Join(all, " ")
	return true
}

func remove(set *string, member string) bool {
	if !has(*set, member) {
		return false
	}
	*set = strings.Join(slices.DeleteFunc(split(*set), func(m string) bool { return m == member }), " ")
	return true
}

// linearizable holds the history of each record against recordModel. What has no
// answer counts as done at any time from its call on where the log has it, and as
// not done where it does not. It gives how many records it has judged.
func linearizable(history []*attempt, l *logbook, most time.Duration) (int, []violation) {
	var all []porcupine.Operation
	client := 0
	put := func(a *attempt, s step) {
		client++ // operations without an answer never free their client
		all = append(all, porcupine.Operation{ClientId: client, Input: s, Call: int64(a.called), Return: int64(a.returned)})
	}
	for _, a := range history {
		tx := l.txs[a.nonce()]
		switch {
		case a.Kind == reads && a.Outcome == outcomeOK:
			put(a, step{record: a.Index, kind: reads, locked: a.Locked})
		case !a.Kind.transaction() || tx == nil || tx.refusal:
			continue
		}
		switch a.Kind {
		case anchors:
			for i := range a.Commitments {
				put(a, step{record: tx.at + 1 + record.Index(i), kind: anchors})
			}
		case holds, proposes:
			for _, r := range a.Records {
				put(a, step{record: r, kind: a.Kind, about: tx.at + 1})
			}
		case releases:
			for _, r := range l.heldBy(a.About) {
				put(a, step{record: r, kind: releases, about: a.About})
			}
		case approves, locks:
			for _, r := range l.disposedBy(a.About) {
				put(a, step{record: r, kind: a.Kind, about: a.About})
			}
		}
	}
	judged := map[record.Index]bool{}
	for _, o := range all {
		judged[o.Input.(step).record] = true
	}
	switch got := porcupine.CheckOperationsTimeout(recordModel, all, most); got {
	case porcupine.Ok:
		return len(judged), nil
	case porcupine.Unknown:
		return 0, []violation{violated("I-09", "the check of %d steps was not over in %v", len(all), most)}
	default:
		return len(judged), []violation{violated("I-09", "no order of %d steps explains what was answered", len(all))}
	}
}
