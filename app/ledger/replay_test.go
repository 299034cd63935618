package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
)

// logOf yields the entries of a log.
func logOf(entries [][]byte) func(func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		for _, raw := range entries {
			if !yield(raw, nil) {
				return
			}
		}
	}
}

// TestReplayOfRandomHistories: what random blocks of every message leave in the
// log gives the same ledger again, from the entries alone.
func TestReplayOfRandomHistories(t *testing.T) {
	for seed := range uint64(6) {
		d := playDuel(t, seed+1, 100, map[string]int{})
		got, err := d.machine.Replay(logOf(d.model.raw), nil)
		if err != nil {
			t.Errorf("seed %d: %v", seed+1, err)
			continue
		}
		head, want := got.View.Head(), d.view.Head()
		if got.View.StateRoot() != d.view.StateRoot() || head.AppHash != want.AppHash || head.Size != want.Size {
			t.Errorf("seed %d: the replay ends at %+v, the ledger at %+v", seed+1, head, want)
		}
		compareView(t, d.model, got.View)
		t.Logf("seed %d: %d entries, %d transactions, %d signatures, %d refusals, %d locks, %d jumps", seed+1, head.Size, got.Transactions, got.Signatures, got.Refusals, len(got.Locks), got.Jumps)
	}
}

var _ = ledger.ErrUnfinished
