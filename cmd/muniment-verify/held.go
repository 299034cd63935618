package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/muniment/muniment/app/commitment"
	rules "github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// heldDomain begins a file that proves whether a record was held
// (docs/spec/held.md). The receipts follow, each beginning with proofLine.
const (
	heldDomain = "muniment/v1/held\n"
	proofLine  = "c2sp.org/tlog-proof@v1\n"
)

// held says whether a record was held. It is there only when PASSED.
type held struct {
	Record     int64       `json:"record"`
	CID        string      `json:"cid"`
	Department record.Code `json:"department"`
	Series     record.Code `json:"series"`
	Held       bool        `json:"held"`
	Holds      []heldHold  `json:"holds"` // that cover the record, released ones too
	Height     int64       `json:"height"`
	Time       time.Time   `json:"time"` // of the block after which it was so
	TreeSize   int64       `json:"tree_size"`

	covering []rules.HoldOn
}

type heldHold struct {
	Hold     record.Index `json:"hold"`
	Kind     string       `json:"kind"`
	Office   record.Code  `json:"office"` // that placed it
	Since    record.Index `json:"since"`  // entry by which it came to cover the record
	Released record.Index `json:"released,omitempty"`
}

// inspectHeld verifies the receipt of a record and the state receipts, and
// decides by them alone whether the record was held.
func inspectHeld(n receipt.Network, data []byte) (report, error) {
	r := newReport()
	for i, text := range splitReceipts(data[len(heldDomain):]) {
		check := func(n receipt.Network, text []byte) (receipt.Verdict, error) {
			return receipt.VerifyState(n, text, nil)
		}
		if i == 0 {
			check = receipt.Verify
		}
		v, err := check(n, text)
		if err != nil {
			return report{}, fmt.Errorf("receipt %d: %w", i+1, err)
		}
		r.Receipts = append(r.Receipts, v)
		if v.Outcome != receipt.Passed {
			r.worsen(v.Outcome, v.Reasons[0], fmt.Sprintf("receipt %d: %s", i+1, v.Detail))
		}
		if r.Outcome == receipt.Failed {
			break // it does not get worse
		}
	}
	if r.Outcome == receipt.Passed {
		r.judgeHeld()
	}
	return r, nil
}

// splitReceipts cuts where a receipt begins. No line within one reads so: what
// is cut wrongly does not verify.
func splitReceipts(data []byte) [][]byte {
	var parts [][]byte
	for {
		next := bytes.Index(data[min(1, len(data)):], []byte("\n"+proofLine))
		if next < 0 {
			return append(parts, data)
		}
		parts = append(parts, data[:next+2])
		data = data[next+2:]
	}
}

// judgeHeld decides by receipts that all passed.
func (r *report) judgeHeld() {
	const fixed = 5 // the record, three lists of holds, and what befell the record
	if len(r.Receipts) < fixed {
		r.worsen(receipt.Failed, receipt.Malformed, fmt.Sprintf("%d receipts, at least %d are needed", len(r.Receipts), fixed))
		return
	}
	anchored, states := r.Receipts[0], r.Receipts[1:]
	anchor, ok := anchored.Entry.(record.AnchorEntry)
	if !ok {
		r.worsen(receipt.Failed, otherRecord, fmt.Sprintf("entry %d anchors no record", anchored.Index))
		return
	}
	index, tree := record.Index(anchored.Index), states[0]
	keys := rules.HeldKeys(anchor)
	wanted := append(keys[:], rules.StateKeyLifecycle(index))
	for i, v := range states {
		switch {
		case i < len(wanted) && v.State.Key != hex.EncodeToString(wanted[i]):
			r.worsen(receipt.Failed, otherRecord, fmt.Sprintf("receipt %d is not about the holds on record %d", i+2, index))
			return
		case v.TreeSize != tree.TreeSize || v.Root != tree.Root:
			r.worsen(receipt.Failed, receipt.Malformed, "the state receipts are of different trees")
			return
		}
	}
	if tree.TreeSize <= anchored.Index {
		r.worsen(receipt.Failed, receipt.Malformed, fmt.Sprintf("the state is that of %d entries, before record %d was there", tree.TreeSize, index))
		return
	}
	given, used := states[len(wanted):], 0
	var lists [3][]byte
	for i := range lists {
		lists[i] = states[i].State.Bytes()
	}
	holds, err := rules.HeldBy(index, anchor, lists, states[len(lists)].State.Bytes(), func(hold record.Index) ([]byte, bool) {
		if used == len(given) || given[used].State.Key != hex.EncodeToString(rules.StateKeyHold(hold)) {
			return nil, false
		}
		used++
		return given[used-1].State.Bytes(), given[used-1].State.Present
	})
	if err != nil || used < len(given) {
		r.worsen(receipt.Failed, otherRecord, fmt.Sprintf("the holds on record %d are not those that the file has, ascending", index))
		return
	}
	r.Held = &held{
		Record: anchored.Index, CID: commitment.Commitment(anchor.Commitment).CID(), Department: anchor.Office, Series: anchor.Series, Holds: []heldHold{},
		Height: tree.BlockHeight, Time: tree.NotBefore.Time, TreeSize: tree.TreeSize, covering: holds,
	}
	for _, h := range holds {
		r.Held.Held = r.Held.Held || h.Released == 0
		r.Held.Holds = append(r.Held.Holds, heldHold{h.Hold, h.Kind.String(), h.Office, h.Since, h.Released})
	}
}

func (r report) heldText(line func(string, string, ...any)) {
	h, tree := r.Held, r.Receipts[1]
	verdict := "not held"
	if h.Held {
		verdict = "held"
	}
	line("record", "%d of %s, series %s, %s", h.Record, h.Department, h.Series, h.CID)
	line("verdict", "%s, after block %d", verdict, h.Height)
	for _, hold := range h.Holds {
		state := "it stands"
		if hold.Released != 0 {
			state = fmt.Sprintf("released by entry %d", hold.Released)
		}
		line("hold", "%d, %s, placed by %s, on the record since entry %d: %s", hold.Hold, hold.Kind, hold.Office, hold.Since, state)
	}
	line("grade", "%s, %s", tree.Grade, tree.Cosigners)
	line("not before", "%s (%s)", tree.NotBefore.Time.Format(time.RFC3339Nano), tree.NotBefore.Source)
	line("not after", "%s (%s)", tree.NotAfter.Time.Format(time.RFC3339), tree.NotAfter.Source)
	which := "these and no other holds"
	if len(h.Holds) == 0 {
		which = "no hold"
	}
	line("proven", "%s covered the record after block %d, in a tree of %d entries", which, h.Height, h.TreeSize)
	line("not proven", "what came later, and that the rules led to this state: a replay of the log computes it")
}
