package main

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// splitLawful cuts a legality file that is followed by proofs of holds
// (docs/spec/legality.md).
func splitLawful(data []byte) (legality, holds []byte, ok bool) {
	at := bytes.Index(data, []byte("\n"+heldDomain))
	if at < 0 {
		return nil, nil, false
	}
	return data[:at+1], data[at+1:], true
}

// inspectLawful verifies a legality file, and by proofs of the state after the
// lock that no hold stood against it: holds and their releases are never
// forgotten, so a later state tells of an earlier one.
func inspectLawful(n receipt.Network, legality, holds []byte) (report, error) {
	v, err := receipt.VerifyLegality(n, legality, nil)
	if err != nil {
		return report{}, err
	}
	held, err := inspectHeld(n, holds)
	if err != nil {
		return report{}, err
	}
	r := newReport()
	r.Receipts = append(r.Receipts, v)
	for _, part := range []report{{Outcome: v.Outcome, Reasons: v.Reasons, Detail: v.Detail}, held} {
		if part.Outcome != receipt.Passed {
			r.worsen(part.Outcome, part.Reasons[0], part.Detail)
		}
	}
	if r.Outcome == receipt.Passed {
		r.judgeLawful(held.Held)
	}
	return r, nil
}

// judgeLawful decides by a legality file and proofs of holds that both passed.
func (r *report) judgeLawful(h *held) {
	v := &r.Receipts[0]
	l := v.Legality
	if l.Record != h.Record {
		r.worsen(receipt.Failed, otherRecord, fmt.Sprintf("the proofs of holds are about record %d, the legality file about %d", h.Record, l.Record))
		return
	}
	if h.TreeSize <= v.Index {
		r.worsen(receipt.Failed, receipt.Malformed, fmt.Sprintf("the proofs of holds are of %d entries, before the lock was there", h.TreeSize))
		return
	}
	parts := []record.Code{l.Proposed.Office, l.Locked.Office}
	for _, a := range l.Approvals {
		parts = append(parts, a.Office)
	}
	proposed, locked := record.Index(l.Disposition), record.Index(l.Locked.Entry)
	for _, hold := range h.covering {
		if hold.Since < locked && (hold.Released == 0 || hold.Released > locked) {
			r.worsen(receipt.Failed, stoodHeld, fmt.Sprintf("hold %d stood on record %d when it was locked", hold.Hold, h.Record))
		}
		brought := hold.Since > proposed && hold.Since < locked && slices.Contains(parts, hold.Brought)
		released := hold.Released > proposed && hold.Released < locked && slices.Contains(parts, hold.By)
		if brought || released {
			r.worsen(receipt.Failed, receipt.SameOffice, fmt.Sprintf("an office with a part in disposition %d placed or released hold %d after the proposal", l.Disposition, hold.Hold))
		}
	}
	if r.Outcome != receipt.Passed {
		return
	}
	v.NotProven = slices.DeleteFunc(v.NotProven, func(line string) bool { return line == receipt.HoldsNotProven })
	v.Proven = append(v.Proven, fmt.Sprintf(
		"no hold stood on the record at the lock, and no office with a part in the disposition placed or released one after the proposal: by the state after block %d", h.Height))
}
