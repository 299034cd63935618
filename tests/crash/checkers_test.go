package crash

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// smallLog makes a log without any process: genesis, and three blocks with two
// batches each, with empty blocks between them.
func smallLog(t *testing.T) (entries [][]byte, appHash [32]byte, batches []kept) {
	t.Helper()
	n := &record.Node{Power: 10}
	for i, key := range []*[32]byte{&n.NodeKey, &n.ValidatorKey, &n.CosignerKey, &n.LogKey, &n.CustodianKey} {
		*key = keyFact("NODE", record.UseSigning, fmt.Sprint(i)).PublicKey
	}
	noon := time.Date(2031, 1, 1, 12, 0, 0, 0, time.UTC).UnixNano()
	network := record.Network{7}
	c, err := ledger.Genesis(ledger.GenesisFacts{
		Network: network, ChainID: "muniment-crash-1", Origin: "records.example.org/crash", Time: noon,
		Facts: append(facts(record.KeyIDOf(n.CustodianKey[:])), n),
	})
	if err != nil {
		t.Fatal(err)
	}
	view := ledger.Overlay(ledger.Blank(), c)
	entries = append(entries, c.Entries...)
	for h := int64(1); h <= 6; h++ {
		block := ledger.Block{Height: h, Time: noon + (h-1)*30e9}
		for i := range 2 * int(h%2) {
			b, err := batchOf(network, record.LedgerDay(noon), fmt.Sprintf("small %d %d", h, i))
			if err != nil {
				t.Fatal(err)
			}
			block.Txs = append(block.Txs, b.raw)
			batches = append(batches, kept{batch: b, answer: answer{reason: "OK", height: h}})
		}
		c, results, err := machine.Apply(view, block)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			if r.Code != ledger.OK {
				t.Fatalf("height %d, transaction %d: %s", h, i, r.Code)
			}
			batches[len(batches)-len(results)+i].first = r.TxIndex + 1
		}
		view = ledger.Overlay(view, c)
		entries = append(entries, c.Entries...)
	}
	return entries, view.Head().AppHash, batches
}

// TestReplayAcceptsALog wants the replay to find what was put in.
func TestReplayAcceptsALog(t *testing.T) {
	entries, appHash, batches := smallLog(t)
	r, err := replay(entries)
	if err != nil {
		t.Fatal(err)
	}
	if r.head.AppHash != appHash || r.transactions != len(batches) {
		t.Errorf("the replay gives AppHash %x and %d transactions, want %x and %d", r.head.AppHash, r.transactions, appHash, len(batches))
	}
	for _, b := range batches {
		for i, c := range b.commitments {
			if got, ok := r.places[place{department, c}]; !ok || got != b.first+record.Index(i) {
				t.Errorf("%s, item %d is at %d (%v), want %d", b.name, i, got, ok, b.first+record.Index(i))
			}
		}
	}
}

// TestReplayFindsDamage: a log that differs in anything does not replay, or
// gives another AppHash, which the headers of the engine would betray.
func TestReplayFindsDamage(t *testing.T) {
	entries, appHash, batches := smallLog(t)
	first, last := int(batches[0].first)-1, len(batches[0].commitments)
	mutants := map[string][][]byte{
		"an entry less":             slices.Concat(entries[:first+1], entries[first+2:]),
		"a batch less":              slices.Concat(entries[:first], entries[first+1+last:]),
		"a batch twice":             slices.Concat(entries[:first+1+last], entries[first:]),
		"the last block cut off":    entries[:len(entries)-1],
		"a block less":              slices.Concat(entries[:first], entries[blockAfter(t, entries, first)+1:]),
		"two entries change places": swapped(entries, int(batches[0].first), int(batches[1].first)),
		"no genesis":                entries[1:],
		"nothing":                   nil,
	}
	for i, entry := range entries {
		for at := i % 5; at < len(entry); at += 5 {
			changed := slices.Clone(entries)
			changed[i] = bytes.Clone(entry)
			changed[i][at] ^= 1
			mutants[fmt.Sprintf("byte %d of entry %d", at, i)] = changed
		}
	}
	for name, mutant := range mutants {
		if r, err := replay(mutant); err == nil && r.head.AppHash == appHash {
			t.Errorf("%s: the replay finds nothing", name)
		}
	}
}

// TestReplayFindsDoubles: uniqueness is judged apart from the ledger's rules.
func TestReplayFindsDoubles(t *testing.T) {
	entries, _, batches := smallLog(t)
	first, last := int(batches[0].first)-1, len(batches[0].commitments)
	_, err := replay(slices.Concat(entries[:first+1+last], entries[first:]))
	if err == nil || !strings.Contains(err.Error(), "has commitment") {
		t.Errorf("a batch twice: got %v", err)
	}
}

func blockAfter(t *testing.T, entries [][]byte, from int) int {
	t.Helper()
	for i := from; i < len(entries); i++ {
		if record.KindOf(entries[i]) == record.KindBlock {
			return i
		}
	}
	t.Fatalf("no block entry after entry %d", from)
	return 0
}

func swapped(entries [][]byte, i, j int) [][]byte {
	s := slices.Clone(entries)
	s[i], s[j] = s[j], s[i]
	return s
}

// TestJudgeFindsViolations breaks a sound history in each way once.
func TestJudgeFindsViolations(t *testing.T) {
	at := func(n byte) place { return place{department, record.Commitment{n}} }
	sound := func() ([]operation, map[place]record.Index) {
		return []operation{
			{ID: "a", Commitment: hexBytes{1}, Called: 10, Returned: 20, Tries: 1, Outcome: outcomeOK, Index: 5},
			{ID: "b", Commitment: hexBytes{2}, Called: 15, Returned: 40, Tries: 2, Outcome: outcomeOK, Index: 4},
			{ID: "c", Commitment: hexBytes{3}, Called: 50, Returned: 60, Tries: 1, Outcome: outcomeOK, Index: 9},
			{ID: "d", Commitment: hexBytes{4}, Called: 51, Returned: 70, Tries: 1, Outcome: outcomeUnknown},
			{ID: "e", Commitment: hexBytes{5}, Called: 52, Returned: 70, Tries: 1, Outcome: outcomeUnknown},
			{ID: "f", Commitment: hexBytes{6}, Called: 53, Returned: 70, Tries: 1, Outcome: outcomeFail, Reason: "EXPIRED"},
		}, map[place]record.Index{at(1): 5, at(2): 4, at(3): 9, at(4): 11}
	}
	history, places := sound()
	if got := judge(history, places); len(got) > 0 {
		t.Errorf("a sound history: %q", got)
	}
	for _, c := range []struct {
		name, want string
		change     func(history []operation, places map[place]record.Index)
	}{
		{"an acknowledged record is gone", "a: acknowledged at entry 5 and lost", func(_ []operation, p map[place]record.Index) { delete(p, at(1)) }},
		{"an acknowledged record has moved", "a: acknowledged at entry 5, is at 6", func(_ []operation, p map[place]record.Index) { p[at(1)] = 6 }},
		{"a refused record is there", "f: refused (EXPIRED), is at entry 12", func(_ []operation, p map[place]record.Index) { p[at(6)] = 12 }},
		{"a record that nobody submitted", "entry 13: nobody submitted it", func(_ []operation, p map[place]record.Index) { p[at(9)] = 13 }},
		{"the recorder repeats itself", "b: the recorder has it twice", func(h []operation, p map[place]record.Index) {
			h[1].Commitment, h[1].Index = h[0].Commitment, 5
			delete(p, at(2))
		}},
		{"a later record stands before an earlier one", "c was called after a had returned, and stands before it: 3, 5", func(h []operation, p map[place]record.Index) { h[2].Index, p[at(3)] = 3, 3 }},
		{"the same after a retry", "b was called after a had returned, and stands before it: 4, 5", func(h []operation, _ map[place]record.Index) { h[1].Called = 30 }},
	} {
		history, places := sound()
		c.change(history, places)
		if got := judge(history, places); !slices.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q among them", c.name, got, c.want)
		}
	}
}
