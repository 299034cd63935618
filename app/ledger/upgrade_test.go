package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestReplayStopsAtNewerRules: a replay judges no block by other rules than those
// that it is under, and says which version it lacks.
func TestReplayStopsAtNewerRules(t *testing.T) {
	c := found(t, networkFacts())
	c.stated(t, &record.Upgrade{Version: 2, Height: c.view.Head().Height + 20})
	_, height, _, err := ledger.NextVersion(c.view)
	if err != nil {
		t.Fatal(err)
	}
	replay := func(known uint32) error {
		machine := c.machine
		machine.Rules = known
		_, err := machine.Replay(logOf(c.log(t)), nil)
		return err
	}
	anchored := 0
	for c.view.Head().Height < height {
		if err := replay(1); err != nil {
			t.Fatalf("at height %d: %v", c.view.Head().Height, err)
		}
		anchored++
		c.apply(t, c.view.Head().Time, c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", 0, fmt.Sprint(anchored))))
	}
	const want = "from entry 90 on, block 20, the log goes by version 2 of the rules: this program knows older rules only"
	if err := replay(1); !errors.Is(err, ledger.ErrNewerRules) || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	log := c.log(t)
	log[90] = []byte{0x83, 0x01, 0x18, 0x63, 0x00} // an entry of a kind that newer rules have
	machine := c.machine
	machine.Rules = 1
	if _, err := machine.Replay(logOf(log), nil); !errors.Is(err, ledger.ErrNewerRules) {
		t.Errorf("a block with an entry of a new kind: %v", err)
	}
	for _, known := range []uint32{0, 2} {
		if err := replay(known); err != nil {
			t.Errorf("a program that knows version %d: %v", known, err)
		}
	}
}
