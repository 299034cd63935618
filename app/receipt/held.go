package receipt

import (
	"bytes"
	"fmt"
	"time"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// HeldDomain begins a file that proves whether a record was held
// (docs/spec/held.md). The receipts follow, each beginning with proofLine.
const (
	HeldDomain = "muniment/v1/held\n"
	proofLine  = "c2sp.org/tlog-proof@v1\n"
)

// heldStates is how many state receipts a proof of holds has at least: three
// lists of holds, and what befell the record.
const heldStates = 4

// Held says whether a record was held after some block.
type Held struct {
	Record     int64       `json:"record"`
	CID        string      `json:"cid"`
	Department record.Code `json:"department"`
	Series     record.Code `json:"series"`
	Held       bool        `json:"held"`
	Holds      []HeldHold  `json:"holds"` // that cover the record, released ones too
	Height     int64       `json:"height"`
	Time       time.Time   `json:"time"` // of the block after which it was so
	TreeSize   int64       `json:"tree_size"`

	covering []ledger.HoldOn
}

// HeldHold is a hold that covers a record.
type HeldHold struct {
	Hold     record.Index `json:"hold"`
	Kind     string       `json:"kind"`
	Office   record.Code  `json:"office"` // that placed it
	Since    record.Index `json:"since"`  // entry by which it came to cover the record
	Released record.Index `json:"released,omitempty"`
}

// HeldVerdict is what the verification of a proof of holds found.
type HeldVerdict struct {
	Outcome  Outcome
	Reasons  []Reason  // empty when PASSED
	Detail   string    // the reason as one sentence
	Receipts []Verdict // of its receipts, as far as they were looked at
	Held     *Held     // PASSED only
}

// VerifyHeld verifies the receipt of a record and the state receipts of a proof
// of holds, and decides by them alone whether the record was held.
func VerifyHeld(n Network, text []byte) (HeldVerdict, error) {
	v := HeldVerdict{Outcome: Passed, Reasons: []Reason{}}
	body, ok := bytes.CutPrefix(text, []byte(HeldDomain))
	if !ok {
		return v.refused(refuse(Malformed, "it is no proof of holds"))
	}
	for i, part := range SplitReceipts(body) {
		one, err := Verify(n, part)
		if i > 0 {
			one, err = VerifyState(n, part, nil)
		}
		if err != nil {
			return HeldVerdict{}, fmt.Errorf("receipt %d: %w", i+1, err)
		}
		v.Receipts = append(v.Receipts, one)
		if one.Outcome != Passed && (v.Outcome == Passed || one.Outcome == Failed) {
			v.Outcome, v.Reasons, v.Detail = one.Outcome, one.Reasons, fmt.Sprintf("receipt %d: %s", i+1, one.Detail)
		}
		if v.Outcome == Failed {
			break // it does not get worse
		}
	}
	if v.Outcome != Passed {
		return v, nil
	}
	held, err := readHeld(text)
	if err != nil {
		return v.refused(err)
	}
	v.Held = held
	return v, nil
}

func (v HeldVerdict) refused(err error) (HeldVerdict, error) {
	verdict, err := new(Verdict).conclude(err)
	v.Outcome, v.Reasons, v.Detail = verdict.Outcome, verdict.Reasons, verdict.Detail
	return v, err
}

// SplitReceipts cuts where a receipt begins. No line within one reads so: what
// is cut wrongly does not verify.
func SplitReceipts(data []byte) [][]byte {
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

// readHeld decides by a proof of holds whether a record was held. That its
// receipts are good is not looked at: an error is a [*Refusal] that says why they
// do not belong together.
func readHeld(text []byte) (*Held, error) {
	parts := SplitReceipts(bytes.TrimPrefix(text, []byte(HeldDomain)))
	if len(parts) < 1+heldStates {
		return nil, refuse(Malformed, "%d receipts, at least %d are needed", len(parts), 1+heldStates)
	}
	anchored, err := Parse(parts[0])
	if err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	states := make([]StateReceipt, len(parts)-1)
	for i := range states {
		if states[i], err = ParseState(parts[i+1]); err != nil {
			return nil, refuse(Malformed, "receipt %d: %v", i+2, err)
		}
	}
	entry, err := parseEntry(anchored.Entry, anchored.Index)
	if err != nil {
		return nil, err
	}
	anchor, ok := entry.(record.AnchorEntry)
	if !ok {
		return nil, refuse(OtherRecord, "entry %d anchors no record", anchored.Index)
	}
	block, err := blockOf(states[0])
	if err != nil {
		return nil, err
	}
	covering, err := heldBy(record.Index(anchored.Index), anchor, states)
	if err != nil {
		return nil, err
	}
	held := &Held{
		Record: anchored.Index, CID: commitment.Commitment(anchor.Commitment).CID(), Department: anchor.Office, Series: anchor.Series, Holds: []HeldHold{},
		Height: block.Height, Time: time.Unix(0, block.Time).UTC(), TreeSize: states[0].Checkpoint.Size, covering: covering,
	}
	for _, h := range covering {
		held.Held = held.Held || h.Released == 0
		held.Holds = append(held.Holds, HeldHold{h.Hold, h.Kind.String(), h.Office, h.Since, h.Released})
	}
	return held, nil
}

// blockOf gives the block after which a state is.
func blockOf(r StateReceipt) (record.BlockEntry, error) {
	entry, err := parseEntry(r.Entry, r.Index)
	if err != nil {
		return record.BlockEntry{}, err
	}
	block, ok := entry.(record.BlockEntry)
	if !ok {
		return record.BlockEntry{}, refuse(NotLastBlock, "entry %d is not the block entry that ends a tree of %d", r.Index, r.Checkpoint.Size)
	}
	return block, nil
}

// heldBy takes steps 2 to 5 of docs/spec/held.md.
func heldBy(index record.Index, anchor record.AnchorEntry, states []StateReceipt) ([]ledger.HoldOn, error) {
	keys := ledger.HeldKeys(anchor)
	wanted := append(keys[:], ledger.StateKeyLifecycle(index))
	tree := states[0].Checkpoint
	for i, s := range states {
		switch {
		case i < len(wanted) && !bytes.Equal(s.Key, wanted[i]):
			return nil, refuse(OtherRecord, "receipt %d is not about the holds on record %d", i+2, index)
		case s.Checkpoint.Size != tree.Size || s.Checkpoint.Root != tree.Root:
			return nil, refuse(Malformed, "the state receipts are of different trees")
		}
	}
	if tree.Size <= int64(index) {
		return nil, refuse(Malformed, "the state is that of %d entries, before record %d was there", tree.Size, index)
	}
	given, used := states[len(wanted):], 0
	var lists [3][]byte
	for i := range lists {
		lists[i] = states[i].Value
	}
	holds, err := ledger.HeldBy(index, anchor, lists, states[len(lists)].Value, func(hold record.Index) ([]byte, bool) {
		if used == len(given) || !bytes.Equal(given[used].Key, ledger.StateKeyHold(hold)) {
			return nil, false
		}
		used++
		return given[used-1].Value, given[used-1].Value != nil
	})
	if err != nil || used < len(given) {
		return nil, refuse(OtherRecord, "the holds on record %d are not those that the file has, ascending", index)
	}
	return holds, nil
}

// Text renders what was found for people.
func (v HeldVerdict) Text(line func(name, format string, args ...any)) {
	h, tree := v.Held, v.Receipts[1]
	verdict := "not held"
	if h.Held {
		verdict = "held"
	}
	line("record", "%d of %s, series %s, %s", h.Record, h.Department, h.Series, h.CID)
	line("verdict", "%s, after block %d", verdict, h.Height)
	for _, hold := range h.Holds {
		line("hold", "%s", hold.text())
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

func (h HeldHold) text() string {
	state := "it stands"
	if h.Released != 0 {
		state = fmt.Sprintf("released by entry %d", h.Released)
	}
	return fmt.Sprintf("%d, %s, placed by %s, on the record since entry %d: %s", h.Hold, h.Kind, h.Office, h.Since, state)
}
