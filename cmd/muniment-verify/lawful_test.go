package main

import (
	"bytes"
	"testing"

	rules "github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
)

// TestS4_9_HoldsAtTheLock judges a record that was proposed at entry 100 and
// locked at entry 200 by what holds there ever were on it.
func TestS4_9_HoldsAtTheLock(t *testing.T) {
	for name, c := range map[string]struct {
		holds []rules.HoldOn
		want  receipt.Reason // empty: PASSED
	}{
		"none":                          {nil, ""},
		"released before the proposal":  {[]rules.HoldOn{{Hold: 50, Since: 50, Brought: "CLERK", Released: 60, By: "CLERK"}}, ""},
		"came after the lock":           {[]rules.HoldOn{{Hold: 300, Since: 300, Brought: "CLERK"}}, ""},
		"extended to it after the lock": {[]rules.HoldOn{{Hold: 50, Since: 300, Brought: "COUNSEL"}}, ""},
		"stands":                        {[]rules.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL"}}, stoodHeld},
		"released after the lock":       {[]rules.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 300, By: "AUDITOR"}}, stoodHeld},
		"the second one stood": {[]rules.HoldOn{
			{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 60, By: "AUDITOR"}, {Hold: 70, Since: 150, Brought: "COUNSEL"},
		}, stoodHeld},
		"others placed and released it in between": {[]rules.HoldOn{{Hold: 150, Since: 150, Brought: "COUNSEL", Released: 160, By: "AUDITOR"}}, ""},
		"the proposer placed it in between":        {[]rules.HoldOn{{Hold: 150, Since: 150, Brought: "FINANCE", Released: 160, By: "AUDITOR"}}, receipt.SameOffice},
		"who approved released it in between":      {[]rules.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 160, By: "CLERK"}}, receipt.SameOffice},
		"who locked released it in between":        {[]rules.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 199, By: "CIO"}}, receipt.SameOffice},
	} {
		r := lawfulReport()
		r.judgeLawful(&held{Record: 7, TreeSize: 400, Height: 9, covering: c.holds})
		if c.want == "" {
			if r.Outcome != receipt.Passed || len(r.Receipts[0].NotProven) != 1 || len(r.Receipts[0].Proven) != 1 {
				t.Errorf("%s: %s %v, proven %q, not proven %q", name, r.Outcome, r.Reasons, r.Receipts[0].Proven, r.Receipts[0].NotProven)
			}
			continue
		}
		if r.Outcome != receipt.Failed || r.Reasons[0] != c.want || len(r.Receipts[0].NotProven) != 2 {
			t.Errorf("%s: %s %v, want %s", name, r.Outcome, r.Reasons, c.want)
		}
	}
	other, early := lawfulReport(), lawfulReport()
	other.judgeLawful(&held{Record: 8, TreeSize: 400})
	early.judgeLawful(&held{Record: 7, TreeSize: 201})
	if other.Outcome != receipt.Failed || other.Reasons[0] != otherRecord || early.Outcome != receipt.Failed || early.Reasons[0] != receipt.Malformed {
		t.Errorf("of another record: %v; before the lock: %v", other.Reasons, early.Reasons)
	}
}

func lawfulReport() report {
	r := newReport()
	r.Receipts = append(r.Receipts, receipt.Verdict{
		Outcome: receipt.Passed, Index: 201, NotProven: []string{receipt.HoldsNotProven, "something else"},
		Legality: &receipt.Legality{
			Record: 7, Disposition: 100, Proposed: receipt.Deed{Entry: 100, Office: "FINANCE"}, Locked: receipt.Deed{Entry: 200, Office: "CIO"},
			Approvals: []receipt.Deed{{Entry: 120, Office: "CLERK"}, {Entry: 130, Office: "CAO"}},
		},
	})
	return r
}

// TestSplitLawful cuts at the first line of the proofs alone.
func TestSplitLawful(t *testing.T) {
	if _, _, ok := splitLawful([]byte("c2sp.org/tlog-proof@v1\nextra\n")); ok {
		t.Error("a file without proofs of holds was cut")
	}
	legality, holds, ok := splitLawful([]byte("c2sp.org/tlog-proof@v1\nextra\n" + heldDomain + "rest"))
	if !ok || !bytes.HasSuffix(legality, []byte("extra\n")) || string(holds) != heldDomain+"rest" {
		t.Errorf("cut into %q and %q", legality, holds)
	}
}
