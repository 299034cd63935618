package receipt

import (
	"bytes"
	"testing"

	"github.com/muniment/muniment/app/ledger"
)

// TestS4_9_HoldsAtTheLock judges a record that was proposed at entry 100 and
// locked at entry 200 by what holds there ever were on it.
func TestS4_9_HoldsAtTheLock(t *testing.T) {
	for name, c := range map[string]struct {
		holds []ledger.HoldOn
		want  Reason // empty: PASSED
	}{
		"none":                          {nil, ""},
		"released before the proposal":  {[]ledger.HoldOn{{Hold: 50, Since: 50, Brought: "CLERK", Released: 60, By: "CLERK"}}, ""},
		"came after the lock":           {[]ledger.HoldOn{{Hold: 300, Since: 300, Brought: "CLERK"}}, ""},
		"extended to it after the lock": {[]ledger.HoldOn{{Hold: 50, Since: 300, Brought: "COUNSEL"}}, ""},
		"stands":                        {[]ledger.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL"}}, StoodHeld},
		"released after the lock":       {[]ledger.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 300, By: "AUDITOR"}}, StoodHeld},
		"the second one stood": {[]ledger.HoldOn{
			{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 60, By: "AUDITOR"}, {Hold: 70, Since: 150, Brought: "COUNSEL"},
		}, StoodHeld},
		"others placed and released it in between": {[]ledger.HoldOn{{Hold: 150, Since: 150, Brought: "COUNSEL", Released: 160, By: "AUDITOR"}}, ""},
		"the proposer placed it in between":        {[]ledger.HoldOn{{Hold: 150, Since: 150, Brought: "FINANCE", Released: 160, By: "AUDITOR"}}, SameOffice},
		"who approved released it in between":      {[]ledger.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 160, By: "CLERK"}}, SameOffice},
		"who locked released it in between":        {[]ledger.HoldOn{{Hold: 50, Since: 50, Brought: "COUNSEL", Released: 199, By: "CIO"}}, SameOffice},
	} {
		err := judgeLawful(201, lockedAt200(), &Held{Record: 7, TreeSize: 400, Height: 9, covering: c.holds})
		if got := reasonIn(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, c.want)
		}
	}
	if got := reasonIn(judgeLawful(201, lockedAt200(), &Held{Record: 8, TreeSize: 400})); got != OtherRecord {
		t.Errorf("of another record: %s", got)
	}
	if got := reasonIn(judgeLawful(201, lockedAt200(), &Held{Record: 7, TreeSize: 201})); got != Malformed {
		t.Errorf("before the lock: %s", got)
	}
}

func reasonIn(err error) Reason {
	if refusal, ok := err.(*Refusal); ok {
		return refusal.Reason
	}
	return ""
}

func lockedAt200() *Legality {
	return &Legality{
		Record: 7, Disposition: 100, Proposed: Deed{Entry: 100, Office: "FINANCE"}, Locked: Deed{Entry: 200, Office: "CIO"},
		Approvals: []Deed{{Entry: 120, Office: "CLERK"}, {Entry: 130, Office: "CAO"}},
	}
}

// TestSplitLawful cuts at the first line of the proofs alone.
func TestSplitLawful(t *testing.T) {
	if _, _, ok := SplitLawful([]byte("c2sp.org/tlog-proof@v1\nextra\n")); ok {
		t.Error("a file without proofs of holds was cut")
	}
	legality, holds, ok := SplitLawful([]byte("c2sp.org/tlog-proof@v1\nextra\n" + HeldDomain + "rest"))
	if !ok || !bytes.HasSuffix(legality, []byte("extra\n")) || string(holds) != HeldDomain+"rest" {
		t.Errorf("cut into %q and %q", legality, holds)
	}
}
