package abci

import (
	"fmt"
	"testing"
)

// TestWhatWasCommittedWaitsInNoLine: transactions stand in the log for everybody
// to read. Whoever hands an office's out again takes none of its room in the mempool.
func TestWhatWasCommittedWaitsInNoLine(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	txs := make([][]byte, officePending)
	for i := range txs {
		txs[i] = anchor(t, "DPW", today+1, fmt.Sprint("record ", i))
	}
	c.block(append(txs, proposeOffice(t, "WATER"))...)
	c.restart() // nothing remembers them but the ledger
	for i, raw := range append(txs, proposeOffice(t, "WATER")) {
		if got := c.check(raw); got != CodeKnown {
			t.Fatalf("committed transaction %d again: code %d, want %d", i, got, CodeKnown)
		}
	}
	if got := c.check(anchor(t, "DPW", today+1, "a new record")); got != 0 {
		t.Errorf("the office's next one: code %d", got)
	}
}
