package main

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"

	rules "github.com/muniment/muniment/app/ledger"
)

// value writes a state value, without the code that the program reads it with.
func value(fields ...any) []byte {
	return must(must(cbor.CoreDetEncOptions().EncMode()).Marshal(append([]any{1}, fields...)))
}

// put sets what the state holds under keys once the block ends.
func (l *ledger) put(key, value []byte) {
	root, nodes, err := statetree.Update(l.state, l.root, []statetree.Write{{Key: statetree.KeyOf(key), Value: value}})
	if err != nil {
		panic(err)
	}
	l.state.Apply(nodes)
	l.root = root
}

// proofOf proves what the state holds under a key after the last block.
func (l *ledger) proofOf(key, value []byte) []byte {
	last := l.leaf(int64(len(l.entries)) - 1)
	proof := must(statetree.Prove(l.state, l.root, statetree.KeyOf(key)))
	return must(receipt.NewState(last.Entry, last.Index, last.Proof, key, value, proof, l.checkpoint(true)))
}

// heldWorld is a record of CLERK, and a hold on its series that was released,
// another on the record itself that stands.
type heldWorld struct {
	*ledger
	at    int64 // of the record
	first []byte
	parts [][]byte // after the receipt of the record
}

func newHeldWorld() heldWorld {
	l := newLedger(network("city", origin))
	at := l.anchor(commitment.Commitment{7})
	w := heldWorld{ledger: l, at: at, first: l.receipt(at, true)}
	matter := sha256.Sum256([]byte("matter"))
	part := func(entry int, listed int) []any {
		department, series := "CLERK", "DEMO-MINUTES"
		if listed > 0 {
			department, series = "", ""
		}
		return []any{entry, "COUNSEL", 20_000, 0, listed, department, series, 0, 0, 0, 0}
	}
	values := map[string][]byte{
		string(rules.StateKeyHeld("CLERK", "DEMO-MINUTES")):    value([]any{[]any{30, 30, 0, 0, 0, 40}}),
		string(rules.StateKeyHold(30)):                         value("COUNSEL", 1, matter[:], 20_000, 0, []any{0}, []any{"CLERK"}, []any{part(30, 0)}, 40, "CHIEF", 20_001),
		string(rules.StateKeyHold(50)):                         value("AUDIT", 4, matter[:], 20_002, 0, []any{}, []any{}, []any{part(50, 1)}, 0, "", 0),
		string(rules.StateKeyLifecycle(record.Index(at))):      lifecycleWith(50),
		string(rules.StateKeyHeld("CLERK", "DEMO-ELSEWHERE")):  value([]any{[]any{60, 60, 0, 0, 0, 0}}),
		string(rules.StateKeyLifecycle(record.Index(at + 99))): lifecycleWith(60),
	}
	for key, v := range values {
		l.put([]byte(key), v)
	}
	l.endBlock()
	for _, key := range [][]byte{
		rules.StateKeyHeld("CLERK", "DEMO-MINUTES"), rules.StateKeyHeld("CLERK", ""), rules.StateKeyHeld("", ""),
		rules.StateKeyLifecycle(record.Index(at)), rules.StateKeyHold(30), rules.StateKeyHold(50),
	} {
		w.parts = append(w.parts, l.proofOf(key, values[string(key)]))
	}
	return w
}

func heldFile(first []byte, parts ...[]byte) []byte {
	return append(append([]byte(receipt.HeldDomain), first...), bytes.Join(parts, nil)...)
}

func TestHeldAndReleased(t *testing.T) {
	w := newHeldWorld()
	r := must(inspect(w.network, heldFile(w.first, w.parts...)))
	if r.Outcome != receipt.Passed || r.Held == nil || !r.Held.Held || r.Held.Record != w.at || len(r.Held.Holds) != 2 ||
		r.Held.Holds[0] != (receipt.HeldHold{Hold: 30, Kind: "LITIGATION", Office: "COUNSEL", Since: 30, Released: 40}) || r.Held.Holds[1] != (receipt.HeldHold{Hold: 50, Kind: "AUDIT", Office: "AUDIT", Since: 50}) {
		t.Fatalf("%s %v %s, %+v", r.Outcome, r.Reasons, r.Detail, r.Held)
	}
	for _, want := range []string{"PASSED", "held, after block", "30, LITIGATION, placed by COUNSEL, on the record since entry 30: released by entry 40", "50, AUDIT, placed by AUDIT, on the record since entry 50: it stands", "1 of 1 validators"} {
		if text := r.text(); !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestNotHeld(t *testing.T) {
	l := newLedger(network("city", origin))
	at := l.anchor(commitment.Commitment{7})
	var parts [][]byte
	for _, key := range [][]byte{
		rules.StateKeyHeld("CLERK", "DEMO-MINUTES"), rules.StateKeyHeld("CLERK", ""), rules.StateKeyHeld("", ""), rules.StateKeyLifecycle(record.Index(at)),
	} {
		parts = append(parts, l.proofOf(key, nil))
	}
	r := must(inspect(l.network, heldFile(l.receipt(at, true), parts...)))
	if r.Outcome != receipt.Passed || r.Held == nil || r.Held.Held || len(r.Held.Holds) != 0 || !strings.Contains(r.text(), "not held, after block") {
		t.Errorf("%s %v %s, %+v", r.Outcome, r.Reasons, r.Detail, r.Held)
	}
}

// TestHeldProofsThatDoNotBelong: each receipt is good, the file is not.
func TestHeldProofsThatDoNotBelong(t *testing.T) {
	w := newHeldWorld()
	p := w.parts
	other := w.anchor(commitment.Commitment{8})
	again := w.proofOf(rules.StateKeyHeld("CLERK", ""), nil) // of a later tree
	swapped := [][]byte{p[0], p[2], p[1], p[3], p[4], p[5]}
	for _, test := range []struct {
		what string
		file []byte
		want receipt.Reason
	}{
		{"no receipt at all", heldFile(nil), receipt.Malformed},
		{"the record alone", heldFile(w.first), receipt.Malformed},
		{"a list of holds is missing", heldFile(w.first, p[0], p[1], p[3], p[4], p[5]), receipt.OtherRecord},
		{"what befell the record is missing", heldFile(w.first, p[0], p[1], p[2], p[4], p[5]), receipt.OtherRecord},
		{"lists in another order", heldFile(w.first, swapped...), receipt.OtherRecord},
		{"a hold is missing", heldFile(w.first, p[:5]...), receipt.OtherRecord},
		{"every hold is missing", heldFile(w.first, p[:4]...), receipt.OtherRecord},
		{"holds in another order", heldFile(w.first, p[0], p[1], p[2], p[3], p[5], p[4]), receipt.OtherRecord},
		{"a hold twice", heldFile(w.first, append(p[:6:6], p[5])...), receipt.OtherRecord},
		{"another tree", heldFile(w.first, p[0], again, p[2], p[3], p[4], p[5]), receipt.Malformed},
		{"another record", heldFile(w.receipt(other, true), p...), receipt.OtherRecord},
		{"no record", heldFile(p[0], p...), receipt.Malformed},
		{"a state receipt instead of the first", heldFile(w.first, append([][]byte{w.first}, p[1:]...)...), receipt.Malformed},
		{"bytes behind the end", append(heldFile(w.first, p...), '\n'), receipt.Malformed},
	} {
		r := must(inspect(w.network, test.file))
		if r.Outcome != receipt.Failed || len(r.Reasons) != 1 || r.Reasons[0] != test.want || r.Held != nil {
			t.Errorf("%s: %s %v %q, want %s", test.what, r.Outcome, r.Reasons, r.Detail, test.want)
		}
	}
}

// TestStateBeforeTheRecord says nothing about it: absence is no proof then.
func TestStateBeforeTheRecord(t *testing.T) {
	l := newLedger(network("city", origin))
	at := record.Index(len(l.entries) + 1) // behind the entry of its transaction
	var parts [][]byte
	for _, key := range [][]byte{
		rules.StateKeyHeld("CLERK", "DEMO-MINUTES"), rules.StateKeyHeld("CLERK", ""), rules.StateKeyHeld("", ""), rules.StateKeyLifecycle(at),
	} {
		parts = append(parts, l.proofOf(key, nil))
	}
	if got := l.anchor(commitment.Commitment{7}); got != int64(at) {
		t.Fatalf("the record is entry %d, want %d", got, at)
	}
	r := must(inspect(l.network, heldFile(l.receipt(int64(at), true), parts...)))
	if r.Outcome != receipt.Failed || r.Held != nil || !strings.Contains(r.Detail, "before record") {
		t.Errorf("%s %s, %+v", r.Outcome, r.Detail, r.Held)
	}
}

// TestEveryByteOfAHeldFile: no byte can be another.
func TestEveryByteOfAHeldFile(t *testing.T) {
	w := newHeldWorld()
	good := heldFile(w.first, w.parts...)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if r := must(inspect(w.network, bad)); r.Outcome == receipt.Passed || r.Held != nil {
			t.Fatalf("byte %d of %d changed: %s", i, len(good), r.Outcome)
		}
	}
}

// lifecycleWith is what befell a record that a hold lists, and nothing else.
func lifecycleWith(hold int) []byte {
	return value(0, 0, 0, "", 0, 0, []any{}, []any{[]any{hold, hold}}, 0, []any{})
}
