package crash

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// Outcomes of an operation.
const (
	outcomeOK      = "ok"      // acknowledged
	outcomeFail    = "fail"    // refused: it must leave no trace
	outcomeUnknown = "unknown" // no answer came: it may be in the log, once
)

// An operation is one line of the recorder: one item of one batch.
type operation struct {
	ID         string        `json:"id"` // batch/item
	Batch      string        `json:"batch"`
	Item       int           `json:"item"`
	Commitment hexBytes      `json:"commitment"`
	Called     time.Duration `json:"t_call"` // since the recorder began, nanoseconds
	Returned   time.Duration `json:"t_ret"`
	Tries      int           `json:"tries"` // of the same transaction; above 1, the first answers got lost
	Outcome    string        `json:"outcome"`
	Reason     string        `json:"reason"`
	Index      record.Index  `json:"index"`
	Height     int64         `json:"height"`
}

// hexBytes is written in hexadecimal.
type hexBytes [32]byte

func (h hexBytes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", h[:]), nil }

func (h *hexBytes) UnmarshalText(text []byte) error {
	var b []byte
	if n, err := fmt.Sscanf(string(text), "%x", &b); n != 1 || err != nil || len(b) != len(h) {
		return fmt.Errorf("%q is not 64 hex digits", text)
	}
	copy(h[:], b)
	return nil
}

// readHistory reads what a recorder has written, whole lines only.
func readHistory(path string) ([]operation, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var history []operation
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var o operation
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(history)+1, err)
		}
		history = append(history, o)
	}
	return history, nil
}

// judge holds a history against the places of the commitments in the log, and
// gives one sentence for each violation. That no commitment has two places is
// what the replay sees to.
func judge(history []operation, places map[place]record.Index) (violations []string) {
	known := map[place]bool{}
	for _, o := range history {
		here := place{department, record.Commitment(o.Commitment)}
		if known[here] {
			violations = append(violations, fmt.Sprintf("%s: the recorder has it twice", o.ID))
		}
		known[here] = true
		at, found := places[here]
		switch {
		case o.Outcome == outcomeOK && !found:
			violations = append(violations, fmt.Sprintf("%s: acknowledged at entry %d and lost", o.ID, o.Index))
		case o.Outcome == outcomeOK && at != o.Index:
			violations = append(violations, fmt.Sprintf("%s: acknowledged at entry %d, is at %d", o.ID, o.Index, at))
		case o.Outcome == outcomeFail && found:
			violations = append(violations, fmt.Sprintf("%s: refused (%s), is at entry %d", o.ID, o.Reason, at))
		}
	}
	for here, at := range places {
		if !known[here] {
			violations = append(violations, fmt.Sprintf("entry %d: nobody submitted it", at))
		}
	}
	return append(violations, judgeOrder(history)...)
}

// judgeOrder wants the order of the log to agree with that of the clock: what
// was called after another operation had returned stands behind it.
func judgeOrder(history []operation) (violations []string) {
	byReturn := slices.DeleteFunc(slices.Clone(history), func(o operation) bool { return o.Outcome != outcomeOK })
	byCall := slices.Clone(byReturn)
	slices.SortFunc(byReturn, func(a, b operation) int { return cmp.Compare(a.Returned, b.Returned) })
	slices.SortFunc(byCall, func(a, b operation) int { return cmp.Compare(a.Called, b.Called) })
	var last operation // with the highest index among those that have returned
	returned := 0
	for _, o := range byCall {
		for ; returned < len(byReturn) && byReturn[returned].Returned < o.Called; returned++ {
			if r := byReturn[returned]; last.ID == "" || r.Index > last.Index {
				last = r
			}
		}
		if last.ID != "" && o.Index < last.Index {
			violations = append(violations, fmt.Sprintf("%s was called after %s had returned, and stands before it: %d, %d", o.ID, last.ID, o.Index, last.Index))
		}
	}
	return violations
}
