//lint:file-ignore U1000 what is unused here is used under the tag chaos

package chaos

import (
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// judgeContents wants what a custodian gave out to be what was deposited, and nothing
// of it where the answer is no.
func judgeContents(history []*attempt) (all []violation) {
	deposited := map[hexBytes]string{}
	for _, a := range history {
		if a.Kind == deposits {
			deposited[a.Commitments[0]] = a.Content
		}
	}
	for _, a := range history {
		if a.Kind != openings {
			continue
		}
		if want := deposited[a.Commitments[0]]; a.Outcome == outcomeOK && a.Content != want {
			all = append(all, violated("I-03", "%s: node %d gave %q, deposited was %q", a.ID, a.Node, a.Content, want))
		} else if a.Outcome != outcomeOK && want[:min(len(want), len(a.Content))] != a.Content {
			all = append(all, violated("I-03", "%s: node %d refused (%s), and gave %q", a.ID, a.Node, a.Reason, a.Content))
		}
	}
	return all
}

// A document is content that was deposited, and that was anchored.
type document struct {
	index     record.Index
	content   string
	node      int // where it was deposited
	deposited time.Duration
}

// documents lists the deposits that were anchored.
func documents(history []*attempt) (all []document) {
	by := map[hexBytes]*attempt{}
	for _, a := range history {
		if a.Kind == deposits && a.Outcome == outcomeOK {
			by[a.Commitments[0]] = a
		}
	}
	for _, a := range history {
		if a.Kind != anchors || a.Outcome != outcomeOK || len(a.Commitments) != 1 {
			continue
		}
		if d := by[a.Commitments[0]]; d != nil {
			all = append(all, document{a.Index, d.Content, d.Node, d.returned})
		}
	}
	return all
}

// A lapse is what a custodian forgets that is restored: from its backup to its end.
type lapse struct{ from, to time.Duration }

// excused says whether nobody may have a document: the one custodian that had it was
// restored before it had a copy made. Whoever has a copy has to hand it on.
func (d document) excused(lapses map[int][]lapse, has int) bool {
	return has == 0 && slices.ContainsFunc(lapses[d.node], func(l lapse) bool { return l.from <= d.deposited && d.deposited <= l.to })
}
