package receipt

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// SplitLawful cuts a legality file that is followed by a proof of holds
// (docs/spec/legality.md).
func SplitLawful(data []byte) (legality, holds []byte, ok bool) {
	at := bytes.Index(data, []byte("\n"+HeldDomain))
	if at < 0 {
		return data, nil, false
	}
	return data[:at+1], data[at+1:], true
}

// VerifyLawful verifies a legality file, and by the proof of holds behind it that
// no hold stood against the lock: holds and their releases are never forgotten,
// so a later state tells of an earlier one. Held is nil below PASSED, and where
// the file has no proof of holds.
func VerifyLawful(n Network, text []byte) (Verdict, *Held, error) {
	legality, holds, ok := SplitLawful(text)
	v, err := VerifyLegality(n, legality, nil)
	if err != nil || v.Outcome == Failed || !ok {
		return v, nil, err
	}
	held, err := VerifyHeld(n, holds)
	if err != nil {
		return Verdict{}, nil, err
	}
	if held.Outcome != Passed && (v.Outcome == Passed || held.Outcome == Failed) {
		v, err = newVerdict(n).conclude(&Refusal{held.Reasons[0], held.Detail})
		return v, nil, err
	}
	if v.Outcome != Passed {
		return v, nil, nil
	}
	if err := judgeLawful(v.Index, v.Legality, held.Held); err != nil {
		v, err = newVerdict(n).conclude(err)
		return v, nil, err
	}
	v.NotProven = slices.DeleteFunc(v.NotProven, func(line string) bool { return line == HoldsNotProven })
	v.proven("%s", noHoldStood(held.Held))
	return v, held.Held, nil
}

func noHoldStood(h *Held) string {
	return fmt.Sprintf("no hold stood on the record at the lock, and no office with a part in the disposition placed or released one after the proposal: by the state after block %d", h.Height)
}

// judgeLawful decides by what a legality file and a proof of holds say. An error
// is a [*Refusal].
func judgeLawful(item int64, l *Legality, h *Held) error {
	if l.Record != h.Record {
		return refuse(OtherRecord, "the proofs of holds are about record %d, the legality file about %d", h.Record, l.Record)
	}
	if h.TreeSize <= item {
		return refuse(Malformed, "the proofs of holds are of %d entries, before the lock was there", h.TreeSize)
	}
	parts := []record.Code{l.Proposed.Office, l.Locked.Office}
	for _, a := range l.Approvals {
		parts = append(parts, a.Office)
	}
	proposed, locked := record.Index(l.Disposition), record.Index(l.Locked.Entry)
	for _, hold := range h.covering {
		if hold.Since < locked && (hold.Released == 0 || hold.Released > locked) {
			return refuse(StoodHeld, "hold %d stood on record %d when it was locked", hold.Hold, h.Record)
		}
		brought := hold.Since > proposed && hold.Since < locked && slices.Contains(parts, hold.Brought)
		released := hold.Released > proposed && hold.Released < locked && slices.Contains(parts, hold.By)
		if brought || released {
			return refuse(SameOffice, "an office with a part in disposition %d placed or released hold %d after the proposal", l.Disposition, hold.Hold)
		}
	}
	return nil
}
