package ledger_test

import (
	"fmt"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestOfficeQuota fills a block with what one office sends: the rest of it is
// refused, and neither a hold nor another office nor a repetition.
func TestOfficeQuota(t *testing.T) {
	c := found(t, demoFacts())
	today := day("2031-01-01")
	one := func(office, name string) []byte {
		return c.sign(t, office, today+1, &record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: commitment(office + name), Day: today}}})
	}
	earlier := one("DPW", "earlier")
	c.apply(t, at("2031-01-01"), earlier)
	var txs [][]byte
	for i := range ledger.OfficeTxs + 2 {
		txs = append(txs, one("DPW", fmt.Sprint(i)))
	}
	txs = append(txs, earlier, one("LIBRARY", "other"), c.sign(t, "DPW", today+1, placed(record.HoldAdviceRequested, 1, record.Scope{Department: "DPW"})))
	before := c.view
	changes, results := c.apply(t, at("2031-01-01"), txs...)
	for i, r := range results {
		want := ledger.OK
		if i == ledger.OfficeTxs || i == ledger.OfficeTxs+1 {
			want = ledger.CodeOfficeQuota
		}
		if r.Code != want || r.Entered() != (want == ledger.OK) {
			t.Fatalf("transaction %d: %+v, want %v", i, r, want)
		}
	}
	if want := 2*(ledger.OfficeTxs+2) + 1 - 2; len(changes.Entries) < want {
		t.Errorf("the block left %d entries, want at least %d", len(changes.Entries), want)
	}
	if code := c.machine.Check(before, ledger.Header{Height: before.Head().Height + 1, Time: before.Head().Time}, txs[ledger.OfficeTxs]); code != ledger.OK {
		t.Errorf("alone, one too many is %v", code)
	}
	if _, again := c.apply(t, at("2031-01-01"), txs[ledger.OfficeTxs:ledger.OfficeTxs+2]...); again[0].Code != ledger.OK || again[1].Code != ledger.OK {
		t.Errorf("in the next block: %+v", again)
	}
}

// TestOfficeQuotaOfHolds: what is urgent has a share of its own, and no more.
func TestOfficeQuotaOfHolds(t *testing.T) {
	c := found(t, demoFacts())
	today := day("2031-01-01")
	var txs [][]byte
	for range ledger.OfficeTxs + 1 {
		txs = append(txs, c.sign(t, "DPW", today+1, placed(record.HoldAdviceRequested, 1, record.Scope{Department: "DPW"})))
	}
	txs = append(txs, c.sign(t, "COUNSEL", today+1, placed(record.HoldLitigation, 1, record.Scope{City: true})))
	_, results := c.apply(t, at("2031-01-01"), txs...)
	if last := results[ledger.OfficeTxs-1].Code; last != ledger.OK {
		t.Errorf("the last one within the share: %v", last)
	}
	if over, other := results[ledger.OfficeTxs].Code, results[ledger.OfficeTxs+1].Code; over != ledger.CodeOfficeQuota || other != ledger.OK {
		t.Errorf("one too many: %v, another office's: %v", over, other)
	}
}
