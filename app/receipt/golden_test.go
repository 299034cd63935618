package receipt

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files and vectors anew")

// golden is a receipt in testdata with its network.
type golden struct {
	name    string
	network string
	state   bool
	text    []byte
}

func goldenNetworks() map[string]Network {
	return map[string]Network{"solo": testNetwork(1, 0, 0), "city": testNetwork(4, 2, 1)}
}

func goldens(t testing.TB) []golden {
	solo, city := newWorld(t, goldenNetworks()["solo"]), newWorld(t, goldenNetworks()["city"])
	life := newLife(t, goldenNetworks()["solo"])
	end := int64(len(life.entries))
	const size = atLast + 1
	return []golden{
		{"anchor", "solo", false, solo.receipt(atBlock1+1, atSingle)},
		{"anchor-witnessed", "city", false, city.receipt(size, atSingle)},
		{"anchor-of-batch", "city", false, city.receipt(size, atBatch)},
		{"supersession", "solo", false, solo.receipt(atBlock2+1, atSupersede)},
		{"executed-change", "city", false, city.receipt(size, atFact)},
		{"block", "solo", false, solo.receipt(size, atBlock1)},
		{"batch", "solo", false, life.receipt(end, life.batch)},
		{"hold", "solo", false, life.receipt(end, life.hold)},
		{"refusal", "solo", false, life.receipt(end, life.refused)},
		{"lock", "solo", false, life.receipt(end, life.lock)},
		{"item", "solo", false, life.receipt(end, life.items)},
		{"custodian-report", "solo", false, life.receipt(end, life.report)},
		{"state-present", "city", true, city.stateReceipt("height/2")},
		{"state-absent", "solo", true, solo.stateReceipt("height/99")},
	}
}

func (g golden) verify(t testing.TB, networks map[string]Network, text []byte) Verdict {
	t.Helper()
	if !g.state {
		return verdictOf(t, networks[g.network], text)
	}
	v, err := VerifyState(networks[g.network], text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// file compares with a file of testdata, or writes it.
func file(t *testing.T, path string, got []byte) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: the bytes have changed; if that is meant, change docs/spec first and run with -rewrite", path)
	}
}

func TestGolden(t *testing.T) {
	networks := goldenNetworks()
	for name, n := range networks {
		file(t, filepath.Join("testdata", name+".mun"), n.Marshal())
	}
	for _, g := range goldens(t) {
		file(t, filepath.Join("testdata", g.name+".receipt"), g.text)
		if len(g.text) > 4096 {
			t.Errorf("%s: %d bytes, want at most 4,096", g.name, len(g.text))
		}
		v := g.verify(t, networks, g.text)
		if v.Outcome != Passed {
			t.Errorf("%s: got %s (%s)", g.name, reasonOf(v), v.Detail)
		}
		file(t, filepath.Join("testdata", g.name+".txt"), []byte(v.Text()))
		file(t, filepath.Join("testdata", g.name+".json"), append(must1(json.MarshalIndent(v, "", "  ")), '\n'))
	}
}

// TestEveryByteOfEveryGolden changes, drops and cuts at every byte. Two kinds
// of change give other sound texts, which must not state what the golden one
// states: a state receipt of absence may speak of another key that is absent,
// and cosignatures that the quorum can spare may be cut off.
func TestEveryByteOfEveryGolden(t *testing.T) {
	networks := goldenNetworks()
	for _, g := range goldens(t) {
		whole := g.verify(t, networks, g.text)
		for i := range g.text {
			for _, flip := range []byte{0x04, 1 << (i % 8)} {
				changed := bytes.Clone(g.text)
				changed[i] ^= flip
				v := g.verify(t, networks, changed)
				if otherKey := g.name == "state-absent" && v.State != nil && v.State.Key != whole.State.Key; v.Outcome == Passed && !otherKey {
					t.Errorf("%s: byte %d changed by %#x: passed", g.name, i, flip)
				}
			}
			v := g.verify(t, networks, g.text[:i])
			fewer := g.text[max(i-1, 0)] == '\n' && len(v.Validators)+len(v.Witnesses) < len(whole.Validators)+len(whole.Witnesses)
			if v.Outcome == Passed && !fewer {
				t.Errorf("%s: the first %d bytes: passed", g.name, i)
			}
			if v := g.verify(t, networks, append(bytes.Clone(g.text[:i]), g.text[i+1:]...)); v.Outcome == Passed {
				t.Errorf("%s: without byte %d: passed", g.name, i)
			}
		}
		if v := g.verify(t, networks, append(bytes.Clone(g.text), '\n')); v.Outcome == Passed {
			t.Errorf("%s: with a line feed more: passed", g.name)
		}
	}
}

// TestFormsAreNotMixed: a receipt is no state receipt and the reverse.
func TestFormsAreNotMixed(t *testing.T) {
	networks := goldenNetworks()
	for _, g := range goldens(t) {
		g.state = !g.state
		if v := g.verify(t, networks, g.text); reasonOf(v) != "FAILED MALFORMED" {
			t.Errorf("%s: got %s", g.name, reasonOf(v))
		}
	}
}

// TestSplices puts every part of one valid receipt into every other one. The
// trees differ, so nothing may pass.
func TestSplices(t *testing.T) {
	for _, n := range []Network{testNetwork(1, 0, 0), testNetwork(4, 2, 1)} {
		w := newWorld(t, n)
		var valid []Receipt
		for _, at := range [][2]int64{{atBlock1 + 1, atSingle}, {atBlock2 + 1, atSingle}, {atBlock2 + 1, atBatch}, {atBlock2 + 2, atSupersede}, {atLast + 1, atSingle}, {atLast, atFact}} {
			valid = append(valid, must1(Parse(w.receipt(at[0], at[1]))))
		}
		for i, a := range valid {
			for j, b := range valid {
				if a.Checkpoint.Size == b.Checkpoint.Size {
					continue
				}
				for name, text := range splices(a, b) {
					if bytes.Equal(text, a.text()) || bytes.Equal(text, b.text()) {
						continue // the parts are the same
					}
					if v := verdictOf(t, n, text); v.Outcome == Passed {
						t.Errorf("%s of receipt %d in receipt %d: passed", name, j, i)
					}
				}
			}
		}
	}
}

// splices gives the receipt a with each part of b in place of its own.
func splices(a, b Receipt) map[string][]byte {
	all := map[string][]byte{}
	add := func(name string, change func(r *Receipt)) {
		r := a
		r.Leaves = append([]Leaf(nil), a.Leaves...)
		r.Checkpoint.Signatures = append(r.Checkpoint.Signatures[:0:0], r.Checkpoint.Signatures...)
		change(&r)
		all[name] = r.text()
	}
	add("index", func(r *Receipt) { r.Index = b.Index })
	add("entry", func(r *Receipt) { r.Entry = b.Entry })
	add("proof", func(r *Receipt) { r.Proof = b.Proof })
	add("index and entry", func(r *Receipt) { r.Index, r.Entry = b.Index, b.Entry })
	add("entry and proof", func(r *Receipt) { r.Index, r.Entry, r.Proof = b.Index, b.Entry, b.Proof })
	add("checkpoint", func(r *Receipt) { r.Checkpoint = b.Checkpoint })
	add("checkpoint body", func(r *Receipt) { r.Checkpoint.Body = b.Checkpoint.Body })
	add("signatures", func(r *Receipt) { r.Checkpoint.Signatures = b.Checkpoint.Signatures })
	for i := range a.Checkpoint.Signatures {
		add(fmt.Sprint("signature ", i), func(r *Receipt) { r.Checkpoint.Signatures[i] = b.Checkpoint.Signatures[i] })
	}
	add("leaves", func(r *Receipt) { r.Leaves = b.Leaves })
	for i := range min(len(a.Leaves), len(b.Leaves)) {
		add(fmt.Sprint("leaf ", i), func(r *Receipt) { r.Leaves[i] = b.Leaves[i] })
		add(fmt.Sprint("leaf entry ", i), func(r *Receipt) { r.Leaves[i].Entry = b.Leaves[i].Entry })
		add(fmt.Sprint("leaf index ", i), func(r *Receipt) { r.Leaves[i].Index = b.Leaves[i].Index })
		add(fmt.Sprint("leaf proof ", i), func(r *Receipt) { r.Leaves[i].Proof = b.Leaves[i].Proof })
	}
	return all
}

// vectors is docs/spec/vectors/receipt.json: what the twin must agree on.
type vectors struct {
	Networks  map[string]string `json:"networks"`
	Cases     []vector          `json:"cases"`
	Mutations []mutation        `json:"mutations"`
}

type vector struct {
	Name    string   `json:"name"`
	Network string   `json:"network"`
	Form    int      `json:"form"` // 1 receipt, 2 state receipt
	Text    string   `json:"text"`
	ToPin   []string `json:"to_pin,omitempty"` // consistency proof, base64
	Want    string   `json:"want"`             // outcome and reason
	// What a verdict that passed states: grade, Unix seconds, Unix nanoseconds.
	Grade     string `json:"grade,omitempty"`
	NotAfter  string `json:"not_after,omitempty"`
	NotBefore string `json:"not_before,omitempty"`
}

// mutation changes one byte of the text of a case.
type mutation struct {
	Case string `json:"case"`
	At   int    `json:"at"`
	Byte byte   `json:"byte"`
	Want string `json:"want"`
}

func makeVectors(t testing.TB) vectors {
	networks := goldenNetworks()
	old := newWorld(t, networks["solo"])
	closed := networks["solo"]
	first := closed.Eras[0]
	first.Closed = &Pin{Size: atLast + 1, Root: must1(tlog.TreeHash(atLast+1, old))}
	closed.Eras = []Era{first, networks["city"].Eras[0]}
	networks["closed"] = must1(ParseNetwork(closed.Marshal()))

	v := vectors{Networks: map[string]string{}}
	for name, n := range networks {
		v.Networks[name] = string(n.Marshal())
	}
	add := func(c vector, text []byte, toPin tlog.TreeProof) {
		verdict, err := VerifyWith(networks[c.Network], text, toPin)
		if c.Form == formState {
			verdict, err = VerifyState(networks[c.Network], text, toPin)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range toPin {
			c.ToPin = append(c.ToPin, h.String())
		}
		c.Text, c.Want, c.Grade = string(text), reasonOf(verdict), verdict.Grade
		if verdict.NotAfter != nil {
			c.NotAfter = fmt.Sprint(verdict.NotAfter.Time.Unix())
		}
		if verdict.NotBefore != nil {
			c.NotBefore = fmt.Sprint(verdict.NotBefore.Time.UnixNano())
		}
		v.Cases = append(v.Cases, c)
	}
	for _, g := range goldens(t) {
		form := formReceipt
		if g.state {
			form = formState
		}
		add(vector{Name: g.name, Network: g.network, Form: form}, g.text, nil)
		add(vector{Name: g.name + ", closed", Network: "closed", Form: form}, g.text, nil)
	}
	add(vector{Name: "closed, with proof", Network: "closed", Form: formReceipt}, old.receipt(atBlock1+1, atSingle), must1(tlog.ProveTree(atLast+1, atBlock1+1, old)))
	add(vector{Name: "closed, with another proof", Network: "closed", Form: formReceipt}, old.receipt(atBlock1+1, atSingle), must1(tlog.ProveTree(atLast+1, atBlock2+1, old)))
	for _, s := range slices.Concat(missingLinks(t), dishonestLogs(t), dishonestLifeSamples(t)) {
		add(vector{Name: s.name, Network: "solo", Form: formReceipt}, s.text, nil)
	}
	for _, s := range gradedSamples(t) {
		add(vector{Name: s.name, Network: "city", Form: formReceipt}, s.text, nil)
	}
	for _, g := range goldens(t) {
		for i := range 60 {
			at := (i*7919 + 13) % len(g.text)
			changed := bytes.Clone(g.text)
			changed[at] = [...]byte{changed[at] ^ 1, changed[at] ^ 0x20, '\n', 'A', '0'}[i%5]
			if bytes.Equal(changed, g.text) {
				continue
			}
			v.Mutations = append(v.Mutations, mutation{g.name, at, changed[at], reasonOf(g.verify(t, networks, changed))})
		}
	}
	return v
}

func TestVectors(t *testing.T) {
	v := makeVectors(t)
	if len(v.Mutations) < 400 {
		t.Errorf("%d mutations, want 400 or more", len(v.Mutations))
	}
	for _, m := range v.Mutations {
		if strings.HasPrefix(m.Want, string(Passed)) && m.Case != "state-absent" { // may speak of another key
			t.Errorf("%s, byte %d: a mutation passes", m.Case, m.At)
		}
	}
	file(t, filepath.Join("..", "..", "docs", "spec", "vectors", "receipt.json"), append(must1(json.MarshalIndent(v, "", " ")), '\n'))
}
