package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

func TestNetworkRoundTrip(t *testing.T) {
	n := testNetwork(4, 2, 1)
	closed := n
	closed.Eras = []Era{n.Eras[0], n.Eras[0]}
	closed.Eras[0].Closed = &Pin{Size: 7, Root: tlog.Hash{1}}
	for _, c := range []Network{n, closed, testNetwork(1, 0, 0)} {
		text := c.Marshal()
		back, err := ParseNetwork(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !bytes.Equal(back.Marshal(), text) || back.Fingerprint() != sha256.Sum256(text) {
			t.Errorf("got\n%s\nwant\n%s", back.Marshal(), text)
		}
	}
}

// TestNetworkOrder: Marshal puts lists into order, whatever order they had.
func TestNetworkOrder(t *testing.T) {
	n := testNetwork(4, 2, 1)
	want := n.Marshal()
	n.Nodes[0], n.Nodes[3] = n.Nodes[3], n.Nodes[0]
	e := &n.Eras[0]
	e.Logs[0], e.Logs[2] = e.Logs[2], e.Logs[0]
	e.Validators[1], e.Validators[2] = e.Validators[2], e.Validators[1]
	e.Witnesses[0], e.Witnesses[1] = e.Witnesses[1], e.Witnesses[0]
	if !bytes.Equal(n.Marshal(), want) {
		t.Error("the file depends on the order of its lists")
	}
}

func TestNetworkEveryByte(t *testing.T) {
	n := testNetwork(2, 1, 1)
	text := n.Marshal()
	fingerprint := n.Fingerprint()
	for i := range text {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= flip
			// Some changes make another sound file (a port, an origin): then
			// the fingerprint tells. Keys, hashes and certificates guard the rest.
			if got, err := ParseNetwork(changed); err == nil && got.Fingerprint() == fingerprint {
				t.Fatalf("byte %d: a changed file has the same fingerprint", i)
			} else if err != nil && len(got.Eras)+len(got.Nodes)+len(got.Origin) != 0 {
				t.Fatalf("byte %d: an error with a result", i)
			}
		}
	}
	for i := range text {
		if _, err := ParseNetwork(text[:i]); err == nil {
			t.Errorf("the first %d bytes are taken for a file", i)
		}
	}
}

func TestNetworkRefusals(t *testing.T) {
	n := testNetwork(4, 2, 1)
	text := string(n.Marshal())
	line := func(prefix string) string {
		at := strings.Index(text, "\n"+prefix) + 1
		return text[at : at+strings.IndexByte(text[at:], '\n')+1]
	}
	replace := func(old, new string) string { return strings.Replace(text, old, new, 1) }
	for name, changed := range map[string]string{
		"empty":                        "",
		"another version":              replace("muniment/network/v1", "muniment/network/v2"),
		"carriage returns":             strings.ReplaceAll(text, "\n", "\r\n"),
		"a comment":                    text + "# comment\n",
		"an empty line":                replace("\nera", "\n\nera"),
		"two line feeds at the end":    text + "\n",
		"no line feed at the end":      strings.TrimSuffix(text, "\n"),
		"two spaces":                   replace("chain ", "chain  "),
		"an unknown line":              replace("\nera 1", "\nfoo bar\nera 1"),
		"upper case hex":               replace("network "+fmt.Sprintf("%x", n.ID), "network "+fmt.Sprintf("%X", n.ID)),
		"a line twice":                 replace(line("chain"), line("chain")+line("chain")),
		"nodes out of order":           replace(line("node"), "") + line("node"),
		"a node twice":                 replace(line("node"), line("node")+line("node")),
		"a port with a zero":           replace("127.0.0.1:7450", "127.0.0.1:07450"),
		"a port of zero":               replace("127.0.0.1:7450", "127.0.0.1:0"),
		"no port":                      replace("127.0.0.1:7450", "127.0.0.1"),
		"a host with a slash":          replace("127.0.0.1:7450", "127.0.0.1/a:7450"),
		"an address of another form":   replace("127.0.0.1:7450", "[0:0::1]:7450"),
		"era 2 first":                  replace("era 1", "era 2"),
		"no era":                       text[:strings.Index(text, "era 1")],
		"no log":                       text[:strings.Index(text, "log ")] + text[strings.Index(text, "witness "):],
		"no validator":                 strings.ReplaceAll(text, "witness node-", "witness mode-"),
		"a lower threshold":            replace("group city 3 ", "group city 2 "),
		"a threshold by name":          replace("group city 3 ", "group city all "),
		"witness threshold too high":   replace("group witnesses 1 ", "group witnesses 3 "),
		"another quorum":               replace("quorum city", "quorum witnessed"),
		"quorum none":                  replace("quorum city", "quorum none"),
		"the last era closed":          text + "closed 3 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a second era without a close": text + "era 2\n" + text[strings.Index(text, "log "):],
		"a label of the groups":        strings.ReplaceAll(text, "witness-0", "city"),
		"a label in upper case":        strings.ReplaceAll(text, "witness-0", "Witness-0"),
		"an origin with a hash sign":   strings.ReplaceAll(text, n.Origin, "records.example.org#demo"),
		"no cosigner's type":           replace(line("witness node-"), strings.Replace(line("witness node-"), "+B", "+A", 1)),
		"too large":                    text + strings.Repeat("x", MaxNetworkBytes),
	} {
		if changed == text {
			t.Errorf("%s: the test changes nothing", name)
		}
		if _, err := ParseNetwork([]byte(changed)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestNobodyCountsTwice: the same key under two names, or in two roles.
func TestNobodyCountsTwice(t *testing.T) {
	for name, change := range map[string]func(e *Era){
		"two validators with one key":   func(e *Era) { e.Validators[0].Cosigner = e.Validators[1].Cosigner },
		"two witnesses with one key":    func(e *Era) { e.Witnesses[0].Key = e.Witnesses[1].Key },
		"a validator as witness":        func(e *Era) { e.Witnesses[0].Key = e.Validators[0].Cosigner },
		"a log key as cosigner":         func(e *Era) { e.Validators[0].Cosigner = e.Logs[0] },
		"a log twice":                   func(e *Era) { e.Logs[0] = e.Logs[1] },
		"a witness in the city's name":  func(e *Era) { e.Witnesses[0].Name = "records.example.org/demo/node-x" },
		"a witness in the log's name":   func(e *Era) { e.Witnesses[0].Name = "records.example.org/demo" },
		"two validators with one node":  func(e *Era) { e.Validators[0].NodeID = e.Validators[1].NodeID },
		"a validator without a node id": func(e *Era) { e.Validators[0].NodeID = "" },
	} {
		n := testNetwork(4, 2, 1)
		change(&n.Eras[0])
		if _, err := ParseNetwork(n.Marshal()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCertificateOfTheNode(t *testing.T) {
	n := testNetwork(2, 0, 0)
	n.Nodes[0].Certificate, n.Nodes[1].Certificate = n.Nodes[1].Certificate, n.Nodes[0].Certificate
	if _, err := ParseNetwork(n.Marshal()); err == nil {
		t.Error("nodes with exchanged certificates: accepted")
	}
	n = testNetwork(1, 0, 0)
	n.Nodes[0].Certificate[len(n.Nodes[0].Certificate)-1] ^= 1
	if _, err := ParseNetwork(n.Marshal()); err == nil {
		t.Error("a certificate with a bad signature: accepted")
	}
}

func TestCityThreshold(t *testing.T) {
	for validators, want := range map[int]int{1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5, 10: 7} {
		if got := cityThreshold(validators); got != want || 3*got <= 2*validators {
			t.Errorf("%d validators: got %d, want %d", validators, got, want)
		}
	}
}

func TestVKeyEveryByte(t *testing.T) {
	for _, k := range []VKey{LogVKey("records.example.org/demo", [32]byte{1}), CosignerVKey("witness.example.org", [32]byte{2})} {
		text := k.String()
		if got, err := ParseVKey(text); err != nil || got != k {
			t.Fatalf("got %v, %v", got, err)
		}
		for i := range text {
			changed := []byte(text)
			changed[i] ^= 1
			if got, err := ParseVKey(string(changed)); err == nil {
				t.Errorf("byte %d: got %v", i, got)
			}
		}
	}
}

func TestEras(t *testing.T) {
	old := newWorld(t, testNetwork(1, 0, 0))
	const size = atLast + 1
	text := old.receipt(atBlock1+1, atSingle)
	next := testNetwork(4, 0, 0).Eras[0]
	next.Logs, next.Validators = next.Logs[1:], next.Validators[1:]
	network := func(pin Pin) Network {
		n := old.network
		first := n.Eras[0]
		first.Closed = &pin
		n.Eras = []Era{first, next}
		return must1(ParseNetwork(n.Marshal()))
	}
	root := must1(tlog.TreeHash(size, old))
	proof := must1(tlog.ProveTree(size, atBlock1+1, old))
	for _, c := range []struct {
		name  string
		pin   Pin
		proof tlog.TreeProof
		want  string
	}{
		{"closed, with a consistency proof", Pin{size, root}, proof, "PASSED"},
		{"closed, without", Pin{size, root}, nil, "INDETERMINATE KEYS_RETIRED"},
		{"closed, with the proof of another tree", Pin{size, root}, must1(tlog.ProveTree(size, atBlock2+1, old)), "FAILED ERA_CONTRADICTED"},
		{"closed with this very tree", Pin{atBlock1 + 1, must1(tlog.TreeHash(atBlock1+1, old))}, nil, "PASSED"},
		{"closed with another tree of this size", Pin{atBlock1 + 1, root}, nil, "FAILED ERA_CONTRADICTED"},
		{"closed before this tree", Pin{atBlock1, root}, proof, "FAILED ERA_CONTRADICTED"},
		{"a pin of another history", Pin{size, tlog.Hash{1}}, proof, "FAILED ERA_CONTRADICTED"},
	} {
		v, err := VerifyWith(network(c.pin), text, c.proof)
		if err != nil || reasonOf(v) != c.want {
			t.Errorf("%s: got %s, want %s (%s, %v)", c.name, reasonOf(v), c.want, v.Detail, err)
		}
	}
	state := old.stateReceipt("height/1")
	v, err := VerifyState(network(Pin{size + 1, root}), state, nil)
	if err != nil || reasonOf(v) != "INDETERMINATE KEYS_RETIRED" {
		t.Errorf("state receipt: got %s, %v", reasonOf(v), err)
	}
}

func TestUnknownOrigin(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	n := w.network
	n.Origin = "records.example.com/other"
	n = must1(ParseNetwork(n.Marshal()))
	if v := verdictOf(t, n, w.receipt(atLast+1, atSingle)); reasonOf(v) != "INDETERMINATE UNKNOWN_ORIGIN" {
		t.Errorf("got %s", reasonOf(v))
	}
}

// TestUnsoundNetwork: a network that no file could hold is an error.
func TestUnsoundNetwork(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	n := w.network
	n.Eras = []Era{{Validators: n.Eras[0].Validators}}
	if v, err := Verify(n, w.receipt(atLast+1, atSingle)); err == nil || v.Outcome != "" {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestCosignRefuses(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	body, key := w.body(atLast+1), testKey("cosigner 0")
	k := CosignerVKey("a", publicOf(key))
	line := must1(Cosign(body, "a", key, 5))
	if at, err := CheckCosignature(body, k, line); err != nil || at != 5 {
		t.Errorf("got %d, %v", at, err)
	}
	if _, err := CheckCosignature(w.body(atLast), k, line); err == nil {
		t.Error("a cosignature of another tree is good")
	}
	if _, err := CheckCosignature(body, CosignerVKey("b", publicOf(key)), line); err == nil {
		t.Error("a cosignature of another name is good")
	}
	for name, bad := range map[string]func() (string, error){
		"no body":      func() (string, error) { return Cosign(nil, "a", key, 5) },
		"a name":       func() (string, error) { return Cosign(body, "a b", key, 5) },
		"no time":      func() (string, error) { return Cosign(body, "a", key, 0) },
		"a far time":   func() (string, error) { return Cosign(body, "a", key, maxUnixSeconds+1) },
		"no log body":  func() (string, error) { return SignCheckpoint([]byte("x\n"), key) },
		"an extension": func() (string, error) { return SignCheckpoint(append(bytes.Clone(body), "more\n"...), key) },
	} {
		if line, err := bad(); err == nil || line != "" {
			t.Errorf("%s: signed", name)
		}
	}
	if NodeID(key.Public().(ed25519.PublicKey)) == NodeID(testKey("x").Public().(ed25519.PublicKey)) {
		t.Error("two nodes with one id")
	}
}

func TestMerge(t *testing.T) {
	w := newWorld(t, testNetwork(4, 0, 0))
	body := w.body(atLast + 1)
	log0, log1 := must1(SignCheckpoint(body, testKey("log 0"))), must1(SignCheckpoint(body, testKey("log 1")))
	a := must1(Assemble(body, w.cosignature(body, 2, 7), log0, w.cosignature(body, 0, 5)))
	b := must1(Assemble(body, log1, w.cosignature(body, 1, 6), w.cosignature(body, 2, 9)))
	want := must1(Assemble(body, log0, w.cosignature(body, 0, 5), w.cosignature(body, 1, 6), w.cosignature(body, 2, 7)))
	if got, err := Merge(a, b); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got\n%s%v\nwant\n%s", got, err, want)
	}
	s, err := w.network.CheckCheckpoint(want, nil)
	if err != nil || s.Grade != GradeCity || len(s.Validators) != 3 || s.CityTime != 7 {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := Merge(a, w.cosigned(atLast)); err == nil {
		t.Error("checkpoints of two trees are merged")
	}
}
