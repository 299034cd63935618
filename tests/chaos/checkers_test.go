package chaos

import (
	"cmp"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// judge holds a history against the log, in linear time but for sorting.
func judge(history []*attempt, l *logbook, wentBack map[int][]time.Duration) []violation {
	all := slices.Clone(l.violations)
	known := map[record.Nonce]bool{}
	for _, a := range history {
		if !a.Kind.transaction() {
			if a.Kind == reads || a.Kind == receipts {
				all = append(all, judgeRead(a, l)...)
			}
			continue
		}
		known[a.nonce()] = true
		all = append(all, judgeTransaction(a, l)...)
	}
	for nonce, tx := range l.txs {
		if _, report := tx.message.(*record.ReportErasure); !known[nonce] && !report { // custodians report by themselves
			all = append(all, violated("I-02", "entry %d: nobody submitted it", tx.at))
		}
	}
	return slices.Concat(all, judgeContents(history), judgeOrder(history, l), judgeSessions(history, wentBack))
}

// judgeTransaction wants what was acknowledged where it was acknowledged, and what
// was refused nowhere.
func judgeTransaction(a *attempt, l *logbook) (all []violation) {
	tx := l.txs[a.nonce()]
	switch {
	case a.Outcome == outcomeOK && tx == nil:
		return append(all, violated("I-01", "%s (%s): acknowledged at entry %d and lost", a.ID, a.Kind, a.Index))
	case a.Outcome == outcomeOK && (tx.at+1 != a.Index || tx.height != a.Height || tx.refusal):
		return append(all, violated("I-01", "%s (%s): acknowledged at entry %d, height %d; it is at %d, %d", a.ID, a.Kind, a.Index, a.Height, tx.at+1, tx.height))
	case a.Outcome == outcomeFail && tx != nil && !tx.refusal:
		return append(all, violated("I-02", "%s (%s): refused (%s), and is at entry %d", a.ID, a.Kind, a.Reason, tx.at))
	}
	if a.Kind != anchors || tx == nil {
		return nil
	}
	for i, c := range a.Commitments {
		if at, ok := l.places[record.Commitment(c)]; !ok || at != tx.at+1+record.Index(i) {
			all = append(all, violated("I-01", "%s: item %d is at entry %d (%v), not %d", a.ID, i, at, ok, tx.at+1+record.Index(i)))
		}
	}
	return all
}

// judgeRead wants the answer that the log gives.
func judgeRead(a *attempt, l *logbook) []violation {
	if a.Outcome != outcomeOK {
		return nil
	}
	at, ok := l.places[record.Commitment(a.Commitments[0])]
	switch {
	case !ok || at != a.Index:
		return []violation{violated("I-09", "%s: node %d gave entry %d, the log has %d (%v)", a.ID, a.Node, a.Index, at, ok)}
	case a.Locked && l.records[at].locked == 0:
		return []violation{violated("I-09", "%s: node %d gave record %d as locked, and it never was", a.ID, a.Node, at)}
	}
	return nil
}

// judgeOrder wants the order of the log to agree with that of the clock: what was
// called after another transaction had been answered stands behind it.
func judgeOrder(history []*attempt, l *logbook) (all []violation) {
	var byCall []*attempt
	for _, a := range history {
		if a.Kind.transaction() && a.Kind != others && l.txs[a.nonce()] != nil {
			byCall = append(byCall, a)
		}
	}
	byReturn := slices.Clone(byCall)
	slices.SortFunc(byReturn, func(a, b *attempt) int { return cmp.Compare(a.returned, b.returned) })
	slices.SortFunc(byCall, func(a, b *attempt) int { return cmp.Compare(a.called, b.called) })
	at := func(a *attempt) record.Index { return l.txs[a.nonce()].at }
	var last *attempt // with the highest index among those that have returned
	returned := 0
	for _, a := range byCall {
		for ; returned < len(byReturn) && byReturn[returned].returned < a.called; returned++ {
			if r := byReturn[returned]; last == nil || at(r) > at(last) {
				last = r
			}
		}
		if last != nil && at(a) < at(last) {
			all = append(all, violated("I-09", "%s was called after %s had returned, and stands before it: %d, %d", a.ID, last.ID, at(a), at(last)))
		}
	}
	return all
}

// judgeSessions wants a node that has acknowledged a record, or shown it, to show it
// from then on; but a node that was restored meanwhile has gone back, by wentBack
// since the city began.
func judgeSessions(history []*attempt, wentBack map[int][]time.Duration) (all []violation) {
	type place struct {
		node       int
		commitment hexBytes
	}
	shown := map[place]time.Duration{}
	for _, a := range history {
		if a.Outcome != outcomeOK || a.Kind != anchors && a.Kind != reads {
			continue
		}
		for _, c := range a.Commitments {
			p := place{a.Node, c}
			if before, ok := shown[p]; !ok || a.returned < before {
				shown[p] = a.returned
			}
		}
	}
	for _, a := range history {
		if a.Kind != reads || a.Outcome != outcomeFail {
			continue
		}
		if since, ok := shown[place{a.Node, a.Commitments[0]}]; ok && since < a.called && !slices.ContainsFunc(wentBack[a.Node], func(at time.Duration) bool { return since < at }) {
			all = append(all, violated("I-09", "%s: node %d does not find a record that it has shown", a.ID, a.Node))
		}
	}
	return all
}
