package custody

import (
	"bytes"
	"context"
	"testing"
)

// TestNothingIsTakenWhileTheLedgerIsBehind: by a ledger that lacks locks nobody
// can tell whether a deposit came before or after one, or is of what is gone.
func TestNothingIsTakenWhileTheLedgerIsBehind(t *testing.T) {
	h := archiveHouse(t)
	behind := true
	h.config.Behind = func() bool { return behind }
	header, content := offer(minutes, "title")
	header.Series = "DEMO-MINUTES"
	_, err := h.Deposit(context.Background(), works, header, bytes.NewReader(content))
	wantReason(t, "deposit while behind", err, Behind)
	if n, err := h.Records(); n != 0 || err != nil {
		t.Errorf("%d records are kept, %v", n, err)
	}
	behind = false
	mustDeposit(t, h.Custody, works, header, content)
}
