package receipt

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// retiredWorld is a log whose first era is over, and its network as it is then.
func retiredWorld(t testing.TB) (*world, Network) {
	w := newWorld(t, testNetwork(4, 0, 0))
	n, err := w.network.Extend(w.opens(opening{era: keepersOf("a", "b", "c", "d").era(2, 0, record.Witnesses{}), by: keepersOf("0", "1", "2", "3")}))
	if err != nil {
		t.Fatal(err)
	}
	return w, n
}

// TestProofsWanted finds what the trees in files of all kinds lack, and the
// network that has it holds them good.
func TestProofsWanted(t *testing.T) {
	w, n := retiredWorld(t)
	pin := n.Eras[0].Closed.Size
	prove := func(from int64) Consistency {
		return Consistency{From: from, To: pin, Proof: must1(tlog.ProveTree(pin, from, w))}
	}
	small, large := w.receipt(atBlock1+1, atSingle), w.receipt(atLast+1, atSingle)
	bare := func(list []Consistency) (sizes [][2]int64) {
		for _, p := range list {
			if p.Proof != nil {
				t.Errorf("a proof from nowhere: %v", p)
			}
			sizes = append(sizes, [2]int64{p.From, p.To})
		}
		return sizes
	}
	bundle := slicesJoin([]byte("any bytes\n"), large, []byte{0, 1, 2}, small, small)
	for _, c := range []struct {
		name string
		n    Network
		file []byte
		want [][2]int64
	}{
		{"a receipt", n, small, [][2]int64{{atBlock1 + 1, pin}}},
		{"a checkpoint alone", n, must1(Parse(small)).Checkpoint.Marshal(), [][2]int64{{atBlock1 + 1, pin}}},
		{"several in a file", n, bundle, [][2]int64{{atBlock1 + 1, pin}, {atLast + 1, pin}}},
		{"one of them known", n.WithProofs(prove(atLast + 1)), bundle, [][2]int64{{atBlock1 + 1, pin}}},
		{"the era is open", w.network, bundle, nil},
		{"nothing", n, nil, nil},
		{"cut off", n, small[:len(small)/2], nil},
		{"too few signatures", n, small[:bytes.LastIndex(small, []byte("— "))-120], nil},
	} {
		got := bare(c.n.ProofsWanted(c.file))
		if len(got) != len(c.want) || len(got) > 0 && (got[0] != c.want[0] || got[len(got)-1] != c.want[len(got)-1]) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	wanted := n.ProofsWanted(small)[0]
	for name, c := range map[string]struct {
		proof tlog.TreeProof
		ok    bool
	}{"the proof": {prove(atBlock1 + 1).Proof, true}, "of another tree": {prove(atLast + 1).Proof, false}, "none": {nil, false}} {
		p := wanted
		if p.Proof = c.proof; (n.CheckProof(p) == nil) != c.ok {
			t.Errorf("%s: %v", name, n.CheckProof(p))
		}
	}
	for name, c := range map[string]struct {
		n    Network
		want string
	}{
		"without":          {n, "INDETERMINATE KEYS_RETIRED"},
		"with it":          {n.WithProofs(prove(atBlock1 + 1)), "PASSED"},
		"with another":     {n.WithProofs(prove(atLast + 1)), "INDETERMINATE KEYS_RETIRED"},
		"with a false one": {n.WithProofs(Consistency{From: atBlock1 + 1, To: pin, Proof: prove(atLast + 1).Proof}), "FAILED ERA_CONTRADICTED"},
	} {
		if v := verdictOf(t, c.n, small); reasonOf(v) != c.want {
			t.Errorf("%s: got %s, want %s", name, reasonOf(v), c.want)
		}
	}
	// State receipts inside other files are judged by the same network.
	if v, err := VerifyState(n.WithProofs(prove(atLast+1)), newWorld(t, w.network).stateReceipt("height/1"), nil); err != nil || v.Outcome != Passed {
		t.Errorf("a state receipt: %s, %v", reasonOf(v), err)
	}
}

func slicesJoin(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func consistencyFile(t testing.TB) []byte {
	w, n := retiredWorld(t)
	pin := n.Eras[0].Closed.Size
	return MarshalConsistency(n.Origin, []Consistency{
		{From: atLast + 1, To: pin, Proof: must1(tlog.ProveTree(pin, atLast+1, w))},
		{From: atBlock1 + 1, To: pin, Proof: must1(tlog.ProveTree(pin, atBlock1+1, w))},
	})
}

func TestConsistencyFile(t *testing.T) {
	text := consistencyFile(t)
	origin, proofs, err := ParseConsistency(text)
	if err != nil || len(proofs) != 2 || proofs[0].From != atBlock1+1 || origin != "records.example.org/demo" {
		t.Fatalf("got %v, %v", proofs, err)
	}
	for i := range text {
		if origin, proofs, err := ParseConsistency(text[:i]); err == nil && !bytes.Equal(MarshalConsistency(origin, proofs), text[:i]) || err != nil && (origin != "" || proofs != nil) {
			t.Errorf("the first %d bytes are read as something else", i)
		}
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= flip
			if origin, proofs, err := ParseConsistency(changed); err == nil && !bytes.Equal(MarshalConsistency(origin, proofs), changed) || err != nil && (origin != "" || proofs != nil) {
				t.Errorf("byte %d: a changed file is read as something else", i)
			}
		}
	}
	lines := strings.SplitAfter(string(text), "\n")
	for name, bad := range map[string]string{
		"nothing":                   "",
		"another title":             strings.Replace(string(text), "/v1", "/v2", 1),
		"no origin":                 lines[0] + strings.Join(lines[2:], ""),
		"no proof":                  lines[0] + lines[1],
		"a hash before the proof":   lines[0] + lines[1] + lines[3] + lines[2],
		"a proof twice":             string(text) + strings.Join(lines[2:], ""),
		"to a smaller tree":         strings.Replace(string(text), "proof 8 ", "proof 9999 ", 1),
		"of a size with a zero":     strings.Replace(string(text), "proof 8 ", "proof 08 ", 1),
		"of an empty tree":          strings.Replace(string(text), "proof 8 ", "proof 0 ", 1),
		"no line feed at the end":   strings.TrimSuffix(string(text), "\n"),
		"an empty line":             string(text) + "\n",
		"carriage returns":          strings.ReplaceAll(string(text), "\n", "\r\n"),
		"more hashes than any tree": lines[0] + lines[1] + lines[2] + strings.Repeat(lines[3], 2*maxProofHashes+1),
		"too large":                 strings.Repeat("x", MaxConsistencyBytes+1),
	} {
		if _, _, err := ParseConsistency([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseConsistency(f *testing.F) {
	f.Add(consistencyFile(f))
	f.Add([]byte(consistencyTitle + "\norigin a\nproof 1 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		origin, proofs, err := ParseConsistency(text)
		if err != nil {
			if origin != "" || proofs != nil {
				t.Errorf("an error with a result: %q %v", origin, proofs)
			}
			return
		}
		sameBytes(t, text, MarshalConsistency(origin, proofs), nil)
	})
}

// TestProofsOfABundle: what is inside a CAR file is found too.
func TestProofsOfABundle(t *testing.T) {
	w, n := retiredWorld(t)
	small := w.receipt(atBlock1+1, atSingle)
	layout := must1(commitment.Arrange("raw/1", []byte("minutes"), nil))
	var key commitment.RecordKey
	state := commitment.NewState(key, uint32(len(layout.Segments)))
	manifest, leaves, err := commitment.Commit(state, layout)
	if err != nil {
		t.Fatal(err)
	}
	copied := must1(commitment.NewCopy(manifest, leaves, state, layout.Segments, nil))
	if got := n.ProofsWanted(must1(commitment.MarshalBundle(copied, [][]byte{small}))); len(got) != 1 || got[0].From != atBlock1+1 {
		t.Errorf("got %v", got)
	}
}

// TestNetworkWithCards: lines come from cards of nodes of the era in force alone,
// and validators that have left go.
func TestNetworkWithCards(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	four, next := keepersOf("0", "1", "2", "3"), keepersOf("0", "1", "2", "new")
	n := extended(t, w.network, w.opens(opening{era: next.era(2, 0, record.Witnesses{}), by: four}))
	card := func(k keepers, i int, port string, issued int64) Card {
		c := Card{P2P: "127.0.0.1:26656", GRPC: "127.0.0.1:" + port, Issued: issued, Node: &record.Node{NodeKey: publicOf(k[i].node), LogKey: publicOf(k[i].log), CosignerKey: publicOf(k[i].cosigner)}}
		c.Certificate = []byte(port)
		return c
	}
	got := n.WithCards([]Card{
		card(next, 3, "8001", 5), card(next, 3, "8002", 9), card(next, 3, "8003", 7), // the latest counts
		card(four, 3, "8004", 99),                  // has left
		card(keepersOf("stranger"), 0, "8005", 99), // was never there
		card(keepers{{next[0].node, next[0].log, testKey("another cosigner")}}, 0, "8006", 99), // another key than in the era
		card(next, 1, "8007", 1), // has moved
	})
	want := map[string]string{}
	for i, port := range []string{"7450", "8007", "7452", "8002"} {
		c := card(next, i, port, 1)
		want[c.ID()] = "127.0.0.1:" + port
	}
	if len(got.Nodes) != len(want) {
		t.Errorf("%d nodes, want %d", len(got.Nodes), len(want))
	}
	for _, node := range got.Nodes {
		if want[node.ID] != node.Address {
			t.Errorf("node %s at %s, want %q", node.ID, node.Address, want[node.ID])
		}
	}
	if again := n.WithCards(nil); len(again.Nodes) != 3 {
		t.Errorf("without cards: %d nodes, want the 3 that stay", len(again.Nodes))
	}
	all := n
	all.Nodes = all.Nodes[:0:0]
	for _, node := range w.network.Nodes {
		if c := card(four, 3, "1", 1); node.ID == c.ID() {
			all.Nodes = append(all.Nodes, node)
		}
	}
	if again := all.WithCards(nil); len(again.Nodes) != 1 {
		t.Error("the last node line is gone")
	}
}
