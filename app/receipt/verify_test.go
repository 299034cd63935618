package receipt

import (
	"bytes"
	"encoding/json"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

func verdictOf(t testing.TB, n Network, text []byte) Verdict {
	t.Helper()
	v, err := Verify(n, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reasonOf gives the outcome and the reason as one word.
func reasonOf(v Verdict) string {
	words := []string{string(v.Outcome)}
	for _, r := range v.Reasons {
		words = append(words, string(r))
	}
	return strings.Join(words, " ")
}

func TestVerifyEveryEntry(t *testing.T) {
	w := newWorld(t, testNetwork(4, 2, 1))
	for index := range int64(len(w.entries)) {
		v := verdictOf(t, w.network, w.receipt(atLast+1, index))
		if v.Outcome != Passed || v.Index != index || v.TreeSize != atLast+1 || v.Grade != GradeWitnessed {
			t.Errorf("entry %d: got %+v", index, v)
		}
		if v.Kind == "" || len(v.Fields) == 0 || len(v.Proven) == 0 || len(v.NotProven) == 0 {
			t.Errorf("entry %d is not described: %+v", index, v)
		}
	}
}

func TestVerifySingleAnchor(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	v := verdictOf(t, w.network, w.receipt(atBlock1+1, atSingle))
	if v.Outcome != Passed || v.Grade != GradeCity || v.Cosigners != "1 of 1 validators" {
		t.Fatalf("got %+v", v)
	}
	if v.Signed == nil || v.Signed.Office != "HR" || v.Signed.TxIndex != atSingleTx || v.Signed.KeyIndex != atKeyHR || !v.Signed.InBody {
		t.Errorf("signed: got %+v", v.Signed)
	}
	if want := time.Unix(0, start+second).UTC(); v.NotBefore == nil || !v.NotBefore.Time.Equal(want) {
		t.Errorf("not before: got %v, want %v", v.NotBefore, want)
	}
	if want := time.Unix(start/second+100, 0).UTC(); v.NotAfter == nil || !v.NotAfter.Time.Equal(want) {
		t.Errorf("not after: got %v, want %v", v.NotAfter, want)
	}
	text := v.Text()
	for _, want := range []string{"PASSED\n", "1 of 1 validators", "office", "DEMO-MINUTES", "not proven", "2030-01-01T00:00:01Z"} {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	var back map[string]any
	if err := json.Unmarshal(must1(json.Marshal(v)), &back); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"outcome", "reasons", "network", "index", "tree_size", "grade", "cosigners", "not_before", "not_after", "signed", "proven", "not_proven"} {
		if _, ok := back[name]; !ok {
			t.Errorf("JSON lacks %s", name)
		}
	}
}

func TestBatchIsTheCosignersWord(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	v := verdictOf(t, w.network, w.receipt(atLast+1, atBatch))
	if v.Outcome != Passed || v.Signed == nil || v.Signed.InBody {
		t.Errorf("got %+v", v)
	}
	if !slices.ContainsFunc(v.NotProven, func(s string) bool { return strings.Contains(s, "signed batch of 3 items") }) {
		t.Errorf("not proven: got %q", v.NotProven)
	}
	if want := time.Unix(0, start+2*second).UTC(); v.NotBefore == nil || !v.NotBefore.Time.Equal(want) {
		t.Errorf("not before: got %v, want %v", v.NotBefore, want)
	}
}

// graded is a sample with the grade and the times that its verdict states.
type graded struct {
	sample
	grade     string
	cosigners string
	notAfter  int64
}

func TestGradeAndTimes(t *testing.T) {
	for _, c := range gradedSamples(t) {
		v := verdictOf(t, c.network, c.text)
		if got := reasonOf(v); got != c.want || v.Grade != c.grade || v.Cosigners != c.cosigners {
			t.Errorf("%s: got %s, grade %q, %q (%s)", c.name, got, v.Grade, v.Cosigners, v.Detail)
		}
		if c.notAfter != 0 && v.NotAfter.Time.Unix() != c.notAfter {
			t.Errorf("%s: not after %d, want %d", c.name, v.NotAfter.Time.Unix(), c.notAfter)
		}
		if c.want != "PASSED" && (v.NotAfter != nil || v.Entry != nil || len(v.Proven) != 0) {
			t.Errorf("%s: a verdict that did not pass states something: %+v", c.name, v)
		}
	}
}

func gradedSamples(t testing.TB) (samples []graded) {
	w := newWorld(t, testNetwork(4, 2, 1))
	r := must1(Parse(w.receipt(atLast+1, atSingle)))
	body, at := r.Checkpoint.Body, start/second
	log := must1(SignCheckpoint(body, testKey("log 2")))
	witness := must1(Cosign(body, "witness.example.org/1", testKey("witness 1"), at+999))
	for _, c := range []struct {
		name      string
		lines     []string
		want      string
		grade     string
		cosigners string
		notAfter  int64
	}{
		{"three of four, one early clock", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, 1), w.cosignature(body, 3, at+70)}, "PASSED", GradeCity, "3 of 4 validators", at + 70},
		{"all four: the third earliest", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40), w.cosignature(body, 2, at+90), w.cosignature(body, 3, at+70)}, "PASSED", GradeCity, "4 of 4 validators", at + 70},
		{"with a witness", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40), w.cosignature(body, 2, at+90), witness}, "PASSED", GradeWitnessed, "3 of 4 validators", at + 90},
		{"a witness is no validator", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40), witness}, "INDETERMINATE NO_QUORUM", "", "", 0},
		{"two of four", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40)}, "INDETERMINATE NO_QUORUM", "", "", 0},
		{"log signature only", []string{log}, "INDETERMINATE NO_QUORUM", "", "", 0},
		{"cosignatures only", []string{w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40), w.cosignature(body, 2, at+40)}, "INDETERMINATE NO_QUORUM", "", "", 0},
		{"clocks long before the block", []string{log, w.cosignature(body, 0, 5), w.cosignature(body, 1, 5), w.cosignature(body, 2, 5)}, "INDETERMINATE CLOCKS_DISAGREE", "", "", 0},
		{"a non-member instead of the third", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40), w.cosignature(body, 9, at+40)}, "INDETERMINATE UNKNOWN_SIGNER", "", "", 0},
		{"a non-member besides", []string{log, w.cosignature(body, 0, at+50), w.cosignature(body, 1, at+40), w.cosignature(body, 2, at+40), w.cosignature(body, 9, at+40)}, "INDETERMINATE UNKNOWN_SIGNER", "", "", 0},
		{"a log key of nobody", []string{must1(SignCheckpoint(body, testKey("log 9"))), w.cosignature(body, 0, at), w.cosignature(body, 1, at), w.cosignature(body, 2, at)}, "INDETERMINATE UNKNOWN_SIGNER", "", "", 0},
	} {
		r.Checkpoint = must1(ParseCheckpoint(must1(Assemble(body, c.lines...))))
		samples = append(samples, graded{sample{c.name, w.network, r.text(), c.want}, c.grade, c.cosigners, c.notAfter})
	}
	return samples
}

// TestDuplicateCosigner: one cosigner with two times counts once, in the text
// it cannot even stand twice.
func TestDuplicateCosigner(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	body, at := w.body(atLast+1), start/second
	log := must1(SignCheckpoint(body, testKey("log 0")))
	signed := must1(Assemble(body, log, w.cosignature(body, 0, at), w.cosignature(body, 0, at+1), w.cosignature(body, 1, at), w.cosignature(body, 1, at+1)))
	if c := must1(ParseCheckpoint(signed)); len(c.Signatures) != 3 {
		t.Errorf("got %d signatures, want 3", len(c.Signatures))
	}
	if _, err := w.network.CheckCheckpoint(signed, nil); err == nil || !strings.Contains(err.Error(), "NO_QUORUM") {
		t.Errorf("two validators with two signatures each: got %v", err)
	}
	twice := append(slices.Clone(signed), w.cosignature(body, 1, at+1)...)
	if _, err := ParseCheckpoint(twice); err == nil {
		t.Error("a cosigner stands twice in a checkpoint")
	}
}

// sample is a receipt and what is to be said of it.
type sample struct {
	name    string
	network Network
	text    []byte
	want    string
}

func check(t *testing.T, samples []sample) {
	t.Helper()
	for _, s := range samples {
		if v := verdictOf(t, s.network, s.text); reasonOf(v) != s.want {
			t.Errorf("%s: got %s, want %s (%s)", s.name, reasonOf(v), s.want, v.Detail)
		}
	}
}

func TestMissingLinks(t *testing.T) { check(t, missingLinks(t)) }

func missingLinks(t testing.TB) (samples []sample) {
	w := newWorld(t, testNetwork(1, 0, 0))
	const size = atLast + 1
	for _, c := range []struct {
		name   string
		index  int64
		leaves []int64
		change func(r *Receipt)
		want   string
	}{
		{"complete", atSingle, []int64{atKeyHR, atSingleTx, atBlock1}, nil, "PASSED"},
		{"entry not bound", atSingle, []int64{atKeyHR, atSingleTx, atBlock1}, func(r *Receipt) { r.Entry = w.entries[atBatch] }, "FAILED ENTRY_NOT_IN_TREE"},
		{"index of a neighbour", atSingle, []int64{atKeyHR, atSingleTx, atBlock1}, func(r *Receipt) { r.Index = atBatch }, "FAILED ENTRY_NOT_IN_TREE"},
		{"transaction of another entry", atSingle, []int64{atKeyHR, atBatchTx, atBlock1}, nil, "FAILED TX_ELSEWHERE"},
		{"transaction before another's items", atBatch, []int64{atKeyHR, atSingleTx, atBlock2}, nil, "FAILED TX_ELSEWHERE"},
		{"transaction bytes of another", atSingle, []int64{atKeyHR, atSingleTx, atBlock1}, func(r *Receipt) { r.Leaves[1].Entry = w.entries[atBatchTx] }, "FAILED PART_NOT_IN_TREE"},
		{"no transaction", atSingle, []int64{atKeyHR, atBlock1}, nil, "INDETERMINATE PART_MISSING"},
		{"no transaction, no key", atSingle, []int64{atBlock1}, nil, "INDETERMINATE PART_MISSING"},
		{"no key", atSingle, []int64{atSingleTx, atBlock1}, nil, "INDETERMINATE PART_MISSING"},
		{"no block", atSingle, []int64{atKeyHR, atSingleTx}, nil, "INDETERMINATE PART_MISSING"},
		{"block before the entry", atSingle, []int64{atKeyHR, atSingleTx, atBlock0}, nil, "FAILED BLOCK_ELSEWHERE"},
		{"the block after the entry's", atSingle, []int64{atKeyHR, atSingleTx, atBlock2}, nil, "FAILED BLOCK_ELSEWHERE"},
		{"a later block, of another entry of a batch", atBatch, []int64{atKeyHR, atBatchTx, atLast}, nil, "FAILED BLOCK_ELSEWHERE"},
		{"the block after the genesis", atGenesis, []int64{atBlock1}, nil, "FAILED BLOCK_ELSEWHERE"},
		{"two blocks", atSingle, []int64{atKeyHR, atSingleTx, atBlock1, atBlock2}, nil, "FAILED PART_UNEXPECTED"},
		{"two transactions", atSingle, []int64{atKeyHR, atSingleTx, atBlock1, atBatchTx}, nil, "FAILED PART_UNEXPECTED"},
		{"an anchor as part", atSingle, []int64{atKeyHR, atSingleTx, atBlock1, atBatch}, nil, "FAILED PART_UNEXPECTED"},
		{"a fact that is no key", atSingle, []int64{atOffice, atSingleTx, atBlock1}, nil, "FAILED KEY_MISMATCH"},
		{"the key of another office", atSingle, []int64{3, atSingleTx, atBlock1}, nil, "FAILED KEY_MISMATCH"},
		{"the batch", atBatch, []int64{atKeyHR, atBatchTx, atBlock2}, nil, "PASSED"},
		{"a genesis fact with a transaction", atOffice, []int64{atBlock0, atSingleTx, atKeyHR}, nil, "FAILED TX_ELSEWHERE"},
		{"a later fact without its transaction", atFact, []int64{atFact + 1}, nil, "INDETERMINATE PART_MISSING"},
		{"a genesis fact", atOffice, []int64{atBlock0}, nil, "PASSED"},
		{"a genesis fact with a needless key", atOffice, []int64{atBlock0, atKeyHR}, nil, "FAILED PART_UNEXPECTED"},
		{"a block with another block", atBlock0, []int64{atBlock1}, nil, "FAILED PART_UNEXPECTED"},
		{"the transaction itself", atSingleTx, []int64{atKeyHR, atBlock1}, nil, "PASSED"},
		{"the transaction itself without key", atSingleTx, []int64{atBlock1}, nil, "INDETERMINATE PART_MISSING"},
		{"the genesis entry with a transaction", atGenesis, []int64{atKeyHR, atSingleTx, atBlock1}, nil, "FAILED PART_UNEXPECTED"},
	} {
		r := Receipt{Index: c.index, Entry: w.entries[c.index], Proof: w.leaf(size, c.index).Proof, Checkpoint: must1(ParseCheckpoint(w.cosigned(size)))}
		slices.Sort(c.leaves)
		for _, at := range c.leaves {
			r.Leaves = append(r.Leaves, w.leaf(size, at))
		}
		if c.change != nil {
			c.change(&r)
		}
		samples = append(samples, sample{c.name, w.network, r.text(), c.want})
	}
	return samples
}

// TestDishonestLog has logs that their validators cosigned although an entry
// contradicts its transaction.
func TestDishonestLog(t *testing.T) { check(t, dishonestLogs(t)) }

func dishonestLogs(t testing.TB) (samples []sample) {
	hr := func(m record.Message, items ...record.Entry) func(w *world) int64 {
		return func(w *world) int64 { return w.tx("HR", m, items...) + int64(len(items)) }
	}
	item := record.AnchorItem{Commitment: record.Commitment{1}, Day: 20000}
	anchors := &record.AnchorRecords{Series: "DEMO", Items: []record.AnchorItem{item}}
	one := record.AnchorEntry{Office: "HR", Series: "DEMO", Commitment: item.Commitment, Day: item.Day}
	other := one
	other.Day++
	clerk := one
	clerk.Office = "CLERK"
	fact := &record.Office{Code: "PARKS", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}
	for _, c := range []struct {
		name string
		add  func(w *world) int64
		want string
	}{
		{"honest", hr(anchors, one), "PASSED"},
		{"another day than signed", hr(anchors, other), "FAILED TX_CONTRADICTED"},
		{"in the name of another office", hr(anchors, clerk), "FAILED KEY_MISMATCH"},
		{"another record superseded", hr(&record.SupersedeRecord{Record: 6, By: 9}, record.SupersedeEntry{Office: "HR", Record: 6, By: 10}), "FAILED TX_CONTRADICTED"},
		{"an anchor where a supersession was signed", hr(&record.SupersedeRecord{Record: 6, By: 9}, one), "FAILED TX_CONTRADICTED"},
		{"a supersession where an anchor was signed", hr(anchors, record.SupersedeEntry{Office: "HR", Record: 6, By: 10}), "FAILED TX_CONTRADICTED"},
		{"another fact than proposed", hr(&record.ProposeChange{Fact: fact}, record.ProposalEntry{Office: "HR", FactHash: [32]byte{1}}), "FAILED TX_CONTRADICTED"},
		{"another fact than approved", hr(&record.ApproveChange{Proposal: 7, FactHash: [32]byte{1}}, record.FactEntry{Fact: must1(record.MarshalFact(fact))}), "FAILED TX_CONTRADICTED"},
		{"another proposal than approved", hr(&record.ApproveChange{Proposal: 7}, record.ApprovalEntry{Office: "HR", Proposal: 8}), "FAILED TX_CONTRADICTED"},
		{"another key suspended", hr(&record.SuspendKey{KeyID: record.KeyID{1}}, record.SuspensionEntry{Office: "HR", KeyID: record.KeyID{2}}), "FAILED TX_CONTRADICTED"},
		{"for another network", func(w *world) int64 {
			right := w.network.ID
			w.network.ID = record.Network{1}
			defer func() { w.network.ID = right }()
			return w.tx("HR", &record.SupersedeRecord{Record: 6, By: 9}, record.SupersedeEntry{Office: "HR", Record: 6, By: 9}) + 1
		}, "FAILED TX_CONTRADICTED"},
		{"a bad signature", func(w *world) int64 {
			at := w.tx("HR", anchors, one)
			return w.tamper(at, func(e *record.TxEntry) { e.Signature[5] ^= 1 })
		}, "FAILED BAD_TX_SIGNATURE"},
		{"a body that was not signed", func(w *world) int64 {
			at := w.tx("HR", &record.SupersedeRecord{Record: 6, By: 9}, record.SupersedeEntry{Office: "HR", Record: 6, By: 9})
			return w.tamper(at, func(e *record.TxEntry) { e.Body[len(e.Body)-1]++ })
		}, "FAILED TX_CONTRADICTED"},
		{"another nonce than signed", func(w *world) int64 {
			at := w.tx("HR", &record.SupersedeRecord{Record: 6, By: 9}, record.SupersedeEntry{Office: "HR", Record: 6, By: 9})
			return w.tamper(at, func(e *record.TxEntry) { e.Nonce[0]++ })
		}, "FAILED TX_CONTRADICTED"},
		{"a transaction with an item more than its block", func(w *world) int64 {
			at := w.tx("HR", anchors, one)
			return w.tamper(at, func(e *record.TxEntry) { e.Count = 2 })
		}, "FAILED BLOCK_ELSEWHERE"},
		{"a transaction with as many items as can be said", func(w *world) int64 {
			at := w.tx("HR", anchors, one)
			return w.tamper(at, func(e *record.TxEntry) { e.Count = math.MaxInt64 })
		}, "FAILED BLOCK_ELSEWHERE"},
		{"a block that begins after the entry", func(w *world) int64 {
			at := w.tx("HR", anchors, one)
			w.first = at + 2
			return at + 1
		}, "FAILED BLOCK_ELSEWHERE"},
		{"a block that begins within the transaction", func(w *world) int64 {
			at := w.tx("HR", anchors, one)
			w.first = at + 1
			return at + 1
		}, "FAILED BLOCK_ELSEWHERE"},
		{"a block of nothing", func(w *world) int64 {
			w.first = int64(len(w.entries))
			return w.first
		}, "FAILED BLOCK_ELSEWHERE"},
		{"a genesis of another network", func(w *world) int64 {
			return w.add(record.GenesisEntry{Network: record.Network{1}, ChainID: w.network.ChainID, Origin: w.network.Origin})
		}, "FAILED WRONG_NETWORK"},
	} {
		w := newWorld(t, testNetwork(1, 0, 0))
		index := c.add(w)
		w.endBlock()
		samples = append(samples, sample{c.name, w.network, w.receipt(int64(len(w.entries)), index), c.want})
	}
	return samples
}

// tamper changes the transaction entry at an index and rebuilds the tree. It
// gives the index of its first item.
func (w *world) tamper(at int64, change func(e *record.TxEntry)) int64 {
	entries := w.entries
	e := must1(record.ParseEntry(entries[at])).(record.TxEntry)
	change(&e)
	entries[at] = must1(record.MarshalEntry(e))
	w.entries, w.hashes = nil, nil
	for _, raw := range entries {
		w.add(must1(record.ParseEntry(raw)))
	}
	return at + 1
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	const size = atLast + 1
	signed, entry, proof := w.cosigned(size), w.entries[atSingle], w.leaf(size, atSingle).Proof
	block := w.leaf(size, atBlock1)
	large := Leaf{Index: 20, Entry: make([]byte, record.MaxEntryBytes)}
	for name, make := range map[string]func() ([]byte, error){
		"an index outside the tree": func() ([]byte, error) { return New(entry, size, proof, nil, signed) },
		"a negative index":          func() ([]byte, error) { return New(entry, -1, proof, nil, signed) },
		"a part outside the tree": func() ([]byte, error) {
			return New(entry, atSingle, proof, []Leaf{{Index: size, Entry: block.Entry}}, signed)
		},
		"a part twice":      func() ([]byte, error) { return New(entry, atSingle, proof, []Leaf{block, block}, signed) },
		"the entry as part": func() ([]byte, error) { return New(entry, atSingle, proof, []Leaf{w.leaf(size, atSingle)}, signed) },
		"no checkpoint":     func() ([]byte, error) { return New(entry, atSingle, proof, []Leaf{block}, nil) },
		"an unsigned tree":  func() ([]byte, error) { return New(entry, atSingle, proof, []Leaf{block}, w.body(size)) },
		"more than 64 KiB":  func() ([]byte, error) { return New(large.Entry, atSingle, proof, []Leaf{large}, signed) },
		"an entry over 32 KiB": func() ([]byte, error) {
			return New(append(large.Entry, 0), atSingle, proof, nil, signed)
		},
	} {
		if text, err := make(); err == nil || text != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestHostileInputs: what a stranger sends costs little memory, whatever it
// says of itself.
func TestHostileInputs(t *testing.T) {
	w := newWorld(t, testNetwork(4, 2, 1))
	r := must1(Parse(w.receipt(atLast+1, atSingle)))
	line := r.Checkpoint.Lines()[1]
	var fullProofs []Leaf
	for i := range int64(maxLeaves) {
		fullProofs = append(fullProofs, Leaf{Index: i + 10, Entry: []byte{0x80}, Proof: make([]tlog.Hash, maxProofHashes)})
	}
	withExtra := func(extra []byte) []byte {
		return proofText{extra: extra, index: r.Index, proof: r.Proof, signed: r.Checkpoint.Marshal()}.marshal()
	}
	large := r
	large.Leaves = fullProofs
	for name, text := range map[string][]byte{
		"the largest proofs":            large.text(),
		"an array said to be huge":      withExtra([]byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"a byte string said to be huge": withExtra([]byte{0x83, 0x01, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"arrays in arrays":              withExtra(bytes.Repeat([]byte{0x81}, 40_000)),
		"many signatures":               append(r.text(), strings.Repeat(line, 300)...),
		"nothing but line feeds":        bytes.Repeat([]byte{'\n'}, MaxReceiptBytes),
		"far too large":                 bytes.Repeat([]byte{'A'}, 1<<24),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v := verdictOf(t, w.network, text)
		runtime.ReadMemStats(&after)
		if v.Outcome == Passed {
			t.Errorf("%s: passed", name)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}
