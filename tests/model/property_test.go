package model

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestHoldsWinWithinABlock puts a lock, holds of any scope and another act into
// one block, in any order: the record is locked if and only if no hold covers it.
func TestHoldsWinWithinABlock(t *testing.T) {
	n, records := found(t, settings[0])
	lock := n.approved(t, "DEMO-MINUTES", records[0], "CLERK", "CAO")
	created := record.LedgerDay(begin.UnixNano()) - 2 // the last day of a year, or any day of it, rounded up
	rapid.Check(t, func(t *rapid.T) {
		acts := []act{{"IT", lock}, {"AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: created}}}
		covered := false
		for range rapid.IntRange(0, 3).Draw(t, "holds") {
			s := drawScope(t, records)
			days := !s.Dated || s.From <= created && s.To > created-365
			covered = covered || days && names(s, "DEMO-MINUTES", records[0])
			acts = append(acts, act{"COUNSEL", placing(s)})
		}
		acts = rapid.Permutation(acts).Draw(t, "order")
		changes, results, err := n.block(time.Second, acts...)
		if err != nil {
			t.Fatal(err)
		}
		want := ledger.OK
		if covered {
			want = ledger.CodeHeld
		}
		at := slices.IndexFunc(acts, func(a act) bool { return a.signer == "IT" })
		if results[at].Code != want {
			t.Fatalf("the lock is answered %s, want %s", results[at].Code, want)
		}
		for _, late := range lateness(t, changes) {
			if late != 0 {
				t.Fatalf("a hold says that it comes too late for %d", late)
			}
		}
	})
}

// TestLateHoldsSaySo locks both records, has reports come in and holds be placed,
// and wants of every hold that it says for how many locks without an end it comes
// too late. It looks at no days: it may say so of one too many, of none too few.
func TestLateHoldsSaySo(t *testing.T) {
	n, records := found(t, settings[0])
	series := settings[0].series
	first := n.approved(t, series[0], records[0], "CLERK", "CAO")
	n.pass(t, day)
	second := n.approved(t, series[1], records[1], "CLERK")
	n.pass(t, 2*day) // of notice is the day between
	locks := []record.Index{first.Disposition, second.Disposition}
	n.must(t, act{"IT", first})
	n.must(t, act{"IT", second})
	reporters := []string{"node/custodian", "DPW"}
	rapid.Check(t, func(t *rapid.T) {
		now, open := n.view, []bool{true, true}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			s := drawScope(t, records)
			a, report := act{"COUNSEL", placing(s)}, rapid.IntRange(0, 7).Draw(t, "report of")
			var want []int64
			if report < 2 {
				a, open[report] = act{reporters[report], &record.ReportErasure{Disposition: locks[report], Outcome: record.OutcomeDone}}, false
			} else {
				want = []int64{0}
				for i := range open {
					if open[i] && names(s, series[i], records[i]) {
						want[0]++
					}
				}
			}
			changes, _, err := node{view: now}.block(time.Second, a)
			if err != nil {
				t.Fatal(err)
			}
			if got := lateness(t, changes); !slices.Equal(got, want) {
				t.Fatalf("the hold of %+v says %v, want %v", s, got, want)
			}
			now = ledger.Overlay(now, changes)
		}
	})
}

// approved proposes a record and has offices approve it; it gives the lock.
func (n *node) approved(t *testing.T, series record.Code, i record.Index, offices ...string) *record.LockDisposition {
	t.Helper()
	at := n.must(t, act{"DPW", &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: []record.Index{i}}})
	hash := n.oracle.cases[at].hash
	for _, office := range offices {
		n.must(t, act{office, &record.ApproveDisposition{Disposition: at, Hash: hash}})
	}
	return &record.LockDisposition{Disposition: at, Hash: hash}
}

// pass has time go by in an empty block.
func (n *node) pass(t *testing.T, step time.Duration) {
	t.Helper()
	changes, _, err := n.block(step)
	if err != nil {
		t.Fatal(err)
	}
	n.view = ledger.Overlay(n.view, changes)
	n.learn(t, changes)
}

func placing(s record.Scope) *record.PlaceHold {
	return &record.PlaceHold{Kind: record.HoldLitigation, Matter: [32]byte{1}, Scope: s}
}

// drawScope draws what a hold can cover.
func drawScope(t *rapid.T, records [2]record.Index) record.Scope {
	s := record.Scope{Department: "DPW"}
	switch rapid.IntRange(0, 5).Draw(t, "scope") {
	case 0:
		s = record.Scope{City: true}
	case 1:
		s.Series = rapid.SampledFrom([]record.Code{"DEMO-MINUTES", "DEMO-PLANS"}).Draw(t, "series")
	case 2:
		s.Department = "AUDIT"
	case 3, 4:
		return record.Scope{Records: rapid.SampledFrom([][]record.Index{records[:1], records[1:], records[:]}).Draw(t, "records")}
	}
	if rapid.Bool().Draw(t, "dated") {
		today := int(record.LedgerDay(begin.UnixNano()))
		s.Dated, s.From = true, record.Day(today+rapid.IntRange(-400, 5).Draw(t, "from"))
		s.To = s.From + record.Day(rapid.IntRange(0, 400).Draw(t, "days"))
	}
	return s
}

// names tells whether a scope reaches a record of a series, days left aside.
func names(s record.Scope, series record.Code, i record.Index) bool {
	return s.City || slices.Contains(s.Records, i) || s.Department == "DPW" && (s.Series == "" || s.Series == series)
}

// lateness lists what the holds of a block say about the locks before them.
func lateness(t *rapid.T, c ledger.Changes) (late []int64) {
	for _, raw := range c.Entries {
		e, err := record.ParseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := e.(record.HoldEntry); ok {
			late = append(late, h.Late)
		}
	}
	return late
}
