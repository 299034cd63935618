package main

import (
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// TestTheDispositionOfAnotherRecord: a legality file in a bundle is about the
// record whose copy is there.
func TestTheDispositionOfAnotherRecord(t *testing.T) {
	id := commitment.Commitment{1}
	for item, want := range map[record.Index]receipt.Outcome{5: receipt.Passed, 6: receipt.Failed} {
		r := newReport()
		r.Receipts = []receipt.Verdict{
			{Outcome: receipt.Passed, Index: 5, Entry: record.AnchorEntry{Commitment: record.Commitment(id)}},
			{Outcome: receipt.Passed, Index: 9, Entry: record.ItemEntry{Disposition: 7, Record: item}},
		}
		if r.tie(id); r.Outcome != want {
			t.Errorf("a copy of record 5 with the disposition of record %d: %s (%s)", item, r.Outcome, r.Detail)
		}
	}
}
