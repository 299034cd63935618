package receipt

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// keepers are the nodes of an era with their private keys, all validators.
type keepers []struct{ node, log, cosigner ed25519.PrivateKey }

// keepersOf makes nodes from the labels of their keys; "2" gives the keys of
// node 2 of testNetwork, another label other ones.
func keepersOf(labels ...string) (ks keepers) {
	ks = make(keepers, len(labels))
	for i, l := range labels {
		ks[i].node, ks[i].log, ks[i].cosigner = testKey("node "+l), testKey("log "+l), testKey("cosigner "+l)
	}
	return ks
}

func (ks keepers) era(number int64, opened int64, w record.Witnesses) ledger.Era {
	e := ledger.Era{Number: number, Opened: record.Index(opened), Witnesses: w}
	for _, k := range ks {
		e.Nodes = append(e.Nodes, ledger.EraNode{NodeKey: publicOf(k.node), LogKey: publicOf(k.log), CosignerKey: publicOf(k.cosigner), Validator: true})
	}
	return e
}

// sign signs a tree by the first node's log key and the first cosigners.
func (ks keepers) sign(body []byte, origin string, cosigners int, at int64) []byte {
	lines := []string{must1(SignCheckpoint(body, ks[0].log))}
	for _, k := range ks[:cosigners] {
		name := CosignerName(origin, NodeID(k.node.Public().(ed25519.PublicKey)))
		lines = append(lines, must1(Cosign(body, name, k.cosigner, at)))
	}
	return must1(Assemble(body, lines...))
}

// eraBytes is the value that docs/spec/ledger.md gives an era.
func eraBytes(e ledger.Era) []byte {
	nodes := []any{}
	for _, n := range e.Nodes {
		validator := 0
		if n.Validator {
			validator = 1
		}
		nodes = append(nodes, []any{n.NodeKey[:], n.LogKey[:], n.CosignerKey[:], validator})
	}
	return stateValue(e.Number, e.Opened, nodes, must1(record.MarshalFact(&e.Witnesses)))
}

// opening is what a block does to open an era, and what its handover says.
type opening struct {
	era       ledger.Era
	by        keepers // the era before
	cosigners int     // how many of them sign; 0: all
	later     int     // blocks after the one that opened it
	state     []byte  // the state key of the receipt; nil: that of the era
	under     int64   // the number under which the era is kept; 0: its own
	behind    int64   // seconds by which the cosigners' clocks are behind
}

// opens adds a block whose fact opens an era, and gives the handover.
func (w *world) opens(o opening) []byte {
	opened := w.fact(&record.Office{Code: record.Code(fmt.Sprint("ERA", o.era.Number)), Roles: []record.Role{record.RoleIT}, Status: record.StatusActive})
	if o.era.Opened == 0 {
		o.era.Opened = record.Index(opened)
	}
	key := ledger.StateKeyEra(cmp.Or(o.under, o.era.Number))
	w.put(key, eraBytes(o.era))
	w.put([]byte("other"), []byte("value"))
	for range 1 + o.later {
		w.endBlock()
	}
	if o.state != nil {
		key = o.state
	}
	if o.cosigners == 0 {
		o.cosigners = len(o.by)
	}
	last := int64(len(w.entries)) - 1
	proof := must1(statetree.Prove(w.state, w.root, statetree.KeyOf(key)))
	signed := o.by.sign(w.body(last+1), w.network.Origin, o.cosigners, w.now()/second+100-o.behind)
	return must1(NewState(w.entries[last], last, w.leaf(last+1, last).Proof, key, w.values[string(key)], proof, signed))
}

func extended(t *testing.T, n Network, handover []byte, names ...string) Network {
	t.Helper()
	next, err := n.Extend(handover, names...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// reasonFor gives the reason by which a handover is refused, "" where it is not.
func reasonFor(t *testing.T, n Network, handover []byte, names ...string) Reason {
	t.Helper()
	next, err := n.Extend(handover, names...)
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("got %v, want a refusal", err)
	}
	if next.Eras != nil || next.Origin != "" {
		t.Errorf("an error with a network: %+v", next)
	}
	return refusal.Reason
}

// TestAHandoverNeedsNoClock: a chain whose clocks ran ahead for a while goes on with
// their time until the day has caught up. A tree that was cosigned then says nothing
// good about times, but a handover is not about times, and there is no other one.
func TestAHandoverNeedsNoClock(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	handover := w.opens(opening{era: keepersOf("a", "b", "c", "d").era(2, 0, record.Witnesses{}), by: keepersOf("0", "1", "2", "3"), behind: 3600})
	if v, err := VerifyState(w.network, handover, nil); err != nil || reasonOf(v) != "INDETERMINATE CLOCKS_DISAGREE" {
		t.Errorf("as a state receipt: %s, %v", reasonOf(v), err)
	}
	if n := extended(t, w.network, handover); len(n.Eras) != 2 {
		t.Errorf("%d eras", len(n.Eras))
	}
}

// TestEveryKeyReplaced: node after node gets other keys, in four eras, and a
// receipt of the first era still verifies with the file as it is then.
func TestEveryKeyReplaced(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	const size = atLast + 1
	old := w.receipt(size, atSingle)
	labels := []string{"0", "1", "2", "3"}
	n, by := w.network, keepersOf(labels...)
	for i := range labels {
		labels[i] = "new " + labels[i]
		next := keepersOf(labels...)
		n = extended(t, n, w.opens(opening{era: next.era(int64(i+2), 0, record.Witnesses{}), by: by, cosigners: 3}))
		by = next
		w.anchor("HR", 1)
		w.endBlock()
	}
	if len(n.Eras) != 5 || n.Eras[4].Closed != nil || n.Fingerprint() == w.network.Fingerprint() {
		t.Fatalf("the file has %d eras", len(n.Eras))
	}
	for _, v := range w.network.Eras[0].Validators {
		if slices.Contains(n.Eras[4].Validators, v) {
			t.Errorf("validator %s is still there", v.NodeID)
		}
	}
	pin := n.Eras[0].Closed
	if v := verdictOf(t, n, old); reasonOf(v) != "INDETERMINATE KEYS_RETIRED" {
		t.Errorf("without a proof: %s", reasonOf(v))
	}
	v, err := VerifyWith(n, old, must1(tlog.ProveTree(pin.Size, size, w)))
	if err != nil || v.Outcome != Passed || v.Era != 1 {
		t.Errorf("with the proof: %s in era %d, %v", reasonOf(v), v.Era, err)
	}
	last := int64(len(w.entries))
	signed := by.sign(w.body(last), n.Origin, 3, w.now()/second+100)
	if s, err := n.CheckCheckpoint(signed, nil); err != nil || s.Era != 5 || s.EraClosed {
		t.Errorf("the newest tree: %+v, %v", s, err)
	}
	retired := keepersOf("0", "1", "2", "3").sign(w.body(last), n.Origin, 4, w.now()/second+100)
	if _, err := n.CheckCheckpoint(retired, nil); !hasReason(err, EraContradicted) {
		t.Errorf("the newest tree by retired keys: got %v, want %s", err, EraContradicted)
	}
}

// TestALaterKeyThatLooksLikeAnEarlierOne: a cosigner that chooses a key with the key
// hash of the one before makes no receipt bad that the earlier one has signed.
func TestALaterKeyThatLooksLikeAnEarlierOne(t *testing.T) {
	by, next := keepersOf("0", "1", "2", "3"), keepersOf("0", "1", "2", "3")
	by[3].cosigner, next[3].cosigner = testKey("twin 53751"), testKey("twin 156985")
	first := testNetwork(4, 0, 0)
	id := NodeID(by[3].node.Public().(ed25519.PublicKey))
	i := slices.IndexFunc(first.Eras[0].Validators, func(v Validator) bool { return v.NodeID == id })
	first.Eras[0].Validators[i].Cosigner = publicOf(by[3].cosigner)
	w := newWorld(t, first)
	const size = atLast + 1
	signed := by.sign(w.body(size), w.network.Origin, 4, w.now()/second+100)
	n := extended(t, w.network, w.opens(opening{era: next.era(2, 0, record.Witnesses{}), by: by}))
	if a, b := n.Eras[0].Validators[i].CosignerKey(n.Origin), n.Eras[1].Validators[i].CosignerKey(n.Origin); a == b || a.Name != b.Name || a.Hash() != b.Hash() {
		t.Fatalf("%s and %s do not look alike", a, b)
	}
	proof := must1(tlog.ProveTree(n.Eras[0].Closed.Size, size, w))
	if s, err := n.CheckCheckpoint(signed, proof); err != nil || s.Era != 1 {
		t.Errorf("era %d, %v", s.Era, err)
	}
	broken := bytes.Replace(signed, signed[len(signed)-20:len(signed)-10], []byte("AAAAAAAAAA"), 1)
	if _, err := n.CheckCheckpoint(broken, proof); !hasReason(err, BadCosignature) {
		t.Errorf("a signature that is good in no era: %v", err)
	}
}

func hasReason(err error, want Reason) bool {
	refusal, ok := errors.AsType[*Refusal](err)
	return ok && refusal.Reason == want
}

func TestHandoversThatAreRefused(t *testing.T) {
	solo, four := keepersOf("0"), keepersOf("0", "1", "2", "3")
	fresh := keepersOf("a", "b", "c", "d")
	city := func() *world { return newWorld(t, testNetwork(4, 0, 0)) }
	n := testNetwork(4, 0, 0)
	none := record.Witnesses{}

	twice := city()
	second1 := twice.opens(opening{era: fresh.era(2, 0, none), by: four})
	third := twice.opens(opening{era: four.era(3, 0, none), by: fresh})
	byOld := twice.opens(opening{era: fresh.era(4, 0, none), by: fresh})
	after2, after3 := extended(t, n, second1), extended(t, extended(t, n, second1), third)

	other := newWorld(t, testNetwork(1, 0, 0))
	stranger := keepersOf("x", "y", "z", "q")
	shorter := newWorld(t, testNetwork(4, 0, 0))
	double := fresh.era(2, 0, none)
	double.Nodes[1].LogKey = double.Nodes[0].LogKey
	noValidator := fresh.era(2, 0, none)
	for i := range noValidator.Nodes {
		noValidator.Nodes[i].Validator = false
	}

	for _, c := range []struct {
		name     string
		network  Network
		handover []byte
		want     Reason
	}{
		{"as it was made", n, second1, ""},
		{"by three of four", n, city().opens(opening{era: fresh.era(2, 0, none), by: four, cosigners: 3}), ""},
		{"by two of four", n, city().opens(opening{era: fresh.era(2, 0, none), by: four, cosigners: 2}), NoQuorum},
		{"by nobody but the log", n, city().opens(opening{era: fresh.era(2, 0, none), by: four[:1], cosigners: 1}), NoQuorum},
		{"by strangers", n, city().opens(opening{era: fresh.era(2, 0, none), by: stranger}), UnknownSigner},
		{"by the keys that it opens for", n, city().opens(opening{era: fresh.era(2, 0, none), by: fresh}), UnknownSigner},
		{"replayed", after2, second1, UnknownSigner},
		{"of the era after the next", n, third, UnknownSigner},
		{"replayed, and the old keys are in force again", after3, second1, NotNextEra},
		{"that skips a number", n, city().opens(opening{era: fresh.era(3, 0, none), by: four}), NotNextEra},
		{"of another number than its key", n, city().opens(opening{era: fresh.era(3, 0, none), by: four, under: 2}), NotNextEra},
		{"of the era in force", n, city().opens(opening{era: fresh.era(1, 0, none), by: four}), NotNextEra},
		{"of a network of other keys", n, other.opens(opening{era: fresh.era(2, 0, none), by: solo}), NoQuorum},
		{"spliced from another network", after2, shorter.opens(opening{era: four.era(3, 0, none), by: stranger}), UnknownSigner},
		{"that skipped an era of the file", after2, byOld, NotNextEra},
		{"under a larger tree", n, city().opens(opening{era: fresh.era(2, 0, none), by: four, later: 1}), NotNextEra},
		{"opened by an entry of an earlier block", n, city().opens(opening{era: fresh.era(2, atLast, none), by: four}), NotNextEra},
		{"opened by the block entry", n, city().opens(opening{era: fresh.era(2, atLast+2, none), by: four}), NotNextEra},
		{"of a state that is absent", n, city().opens(opening{era: fresh.era(3, 0, none), by: four, state: ledger.StateKeyEra(2)}), NotNextEra},
		{"of another state key", n, city().opens(opening{era: fresh.era(2, 0, none), by: four, state: []byte("other")}), NotNextEra},
		{"with one key twice", n, city().opens(opening{era: double, by: four}), NotNextEra},
		{"without a validator", n, city().opens(opening{era: noValidator, by: four}), NotNextEra},
		{"that is a receipt", n, city().receipt(atLast+1, atSingle), Malformed},
		{"that is nothing", n, nil, Malformed},
	} {
		if got := reasonFor(t, c.network, c.handover); got != c.want {
			t.Errorf("a handover %s: got %q, want %q", c.name, got, c.want)
		}
	}
	if _, err := (Network{}).Extend(second1); err == nil {
		t.Error("a network without an era was extended")
	}
}

// TestHandoverNamesWitnesses: the ledger has the hash of a witness's name, the
// file its name.
func TestHandoverNamesWitnesses(t *testing.T) {
	name := "witness.example.org/library"
	key := func(label string) [32]byte { return publicOf(testKey(label)) }
	witnesses := record.Witnesses{Threshold: 1, Witnesses: []record.Witness{{Code: "CITY.1", PublicKey: key("w"), NameHash: sha256.Sum256([]byte(name))}}}
	four := keepersOf("0", "1", "2", "3")
	w := newWorld(t, testNetwork(4, 0, 0))
	handover := w.opens(opening{era: four.era(2, 0, witnesses), by: four})
	if got := reasonFor(t, w.network, handover); got != UnknownWitness {
		t.Errorf("without the name: got %q, want %q", got, UnknownWitness)
	}
	if got := reasonFor(t, w.network, handover, "witness.example.org/clerk"); got != UnknownWitness {
		t.Errorf("with another name: got %q, want %q", got, UnknownWitness)
	}
	n := extended(t, w.network, handover, "witness.example.org/clerk", name)
	if got := n.Eras[1].Witnesses; len(got) != 1 || got[0] != (Witness{Label: "w-city.1", Name: name, Key: key("w")}) || n.Eras[1].WitnessThreshold != 1 {
		t.Errorf("got %+v", got)
	}
	// What an era has named need not be told again.
	n = extended(t, n, w.opens(opening{era: keepersOf("0", "1", "2", "new").era(3, 0, witnesses), by: four}))
	if got := n.Eras[2].Witnesses[0].Name; got != name {
		t.Errorf("got %q", got)
	}
	below := w.network.Origin + "/node-x" // a name that only validators may bear
	witnesses.Witnesses[0].NameHash = sha256.Sum256([]byte(below))
	w = newWorld(t, testNetwork(4, 0, 0))
	if got := reasonFor(t, w.network, w.opens(opening{era: four.era(2, 0, witnesses), by: four}), below); got != NotNextEra {
		t.Errorf("a witness with a validator's name: got %q, want %q", got, NotNextEra)
	}
}

// TestEveryByteOfAHandover: no changed byte opens an era.
func TestEveryByteOfAHandover(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	handover := w.opens(opening{era: keepersOf("a", "b", "c", "d").era(2, 0, record.Witnesses{}), by: keepersOf("0", "1", "2", "3")})
	want := extended(t, w.network, handover).Fingerprint()
	for i := range handover {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(handover)
			changed[i] ^= flip
			if n, err := w.network.Extend(changed); err == nil && n.Fingerprint() != want {
				t.Fatalf("byte %d: another era is opened", i)
			} else if err == nil {
				t.Errorf("byte %d: a changed handover is accepted", i)
			}
		}
		if n, err := w.network.Extend(handover[:i]); err == nil && (n.Fingerprint() != want || handover[i-1] != '\n') {
			t.Errorf("the first %d bytes are a handover", i) // three of four cosignatures suffice
		}
	}
}

func FuzzExtend(f *testing.F) {
	w := newWorld(f, testNetwork(4, 0, 0))
	handover := w.opens(opening{era: keepersOf("a", "b", "c", "d").era(2, 0, record.Witnesses{}), by: keepersOf("0", "1", "2", "3")})
	want := must1(w.network.Extend(handover)).Fingerprint()
	f.Add(handover)
	f.Add(w.stateReceipt("height/1"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := w.network.Extend(text)
		switch {
		case err != nil && (n.Eras != nil || n.Nodes != nil):
			t.Errorf("an error with a result: %+v", n)
		case err == nil && n.Fingerprint() != want:
			t.Errorf("another era is opened by\n%s", text)
		}
	})
}

// handoverVectors is docs/spec/vectors/handover.json.
type handoverVectors struct {
	Network string           `json:"network"` // the file before
	Cases   []handoverVector `json:"cases"`
}

type handoverVector struct {
	Name      string   `json:"name"`
	Handovers []string `json:"handovers"` // in order
	Names     []string `json:"names,omitempty"`
	Want      string   `json:"want"` // the file after, or the reason by which the last one is refused
}

func TestHandoverVectors(t *testing.T) {
	four, fresh := keepersOf("0", "1", "2", "3"), keepersOf("0", "1", "2", "new")
	name := "witness.example.org/library"
	witnesses := record.Witnesses{Threshold: 1, Witnesses: []record.Witness{{Code: "LIBRARY", PublicKey: publicOf(testKey("w")), NameHash: sha256.Sum256([]byte(name))}}}
	w := newWorld(t, testNetwork(4, 0, 0))
	first := w.opens(opening{era: fresh.era(2, 0, record.Witnesses{}), by: four, cosigners: 3})
	second1 := w.opens(opening{era: fresh.era(3, 0, witnesses), by: fresh})
	few := newWorld(t, testNetwork(4, 0, 0)).opens(opening{era: fresh.era(2, 0, record.Witnesses{}), by: four, cosigners: 2})
	larger := newWorld(t, testNetwork(4, 0, 0)).opens(opening{era: fresh.era(2, 0, record.Witnesses{}), by: four, later: 1})

	v := handoverVectors{Network: string(w.network.Marshal())}
	add := func(name string, names []string, handovers ...[]byte) {
		c := handoverVector{Name: name, Names: names}
		n := w.network
		for _, h := range handovers {
			c.Handovers = append(c.Handovers, string(h))
			next, err := n.Extend(h, names...)
			if err != nil {
				c.Want = string(reasonFor(t, n, h, names...))
				break
			}
			n = next
			c.Want = string(n.Marshal())
		}
		v.Cases = append(v.Cases, c)
	}
	add("the cosigner of one node is another", nil, first)
	add("then a witness comes", []string{name}, first, second1)
	add("the name of the witness is missing", nil, first, second1)
	add("the first one is left out", []string{name}, second1)
	add("the first one twice", nil, first, first)
	add("too few signed", nil, few)
	add("the tree is a later one", nil, larger)
	for _, c := range v.Cases {
		if len(c.Want) == 0 || strings.HasPrefix(c.Name, "the cosigner") && !strings.HasPrefix(c.Want, "muniment/network/v1\n") {
			t.Errorf("%s: got %.60s", c.Name, c.Want)
		}
	}
	file(t, filepath.Join("..", "..", "docs", "spec", "vectors", "handover.json"), append(must1(json.MarshalIndent(v, "", " ")), '\n'))
}
