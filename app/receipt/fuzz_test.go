package receipt

import (
	"bytes"
	"testing"

	"filippo.io/torchwood"
)

// sameBytes is what every fuzz target demands: what is accepted is written
// again as it was, what is refused gives nothing.
func sameBytes(t *testing.T, in, out []byte, err error) {
	t.Helper()
	if err == nil && !bytes.Equal(in, out) {
		t.Errorf("read\n%q\nwrote\n%q", in, out)
	}
}

func FuzzParseReceipt(f *testing.F) {
	networks := goldenNetworks()
	for _, g := range goldens(f) {
		f.Add(g.text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		sameBytes(t, text, r.textOf(err), err)
		if err != nil && (r.Entry != nil || r.Leaves != nil || r.Checkpoint.Body != nil) {
			t.Errorf("an error with a result: %+v", r)
		}
		for name, n := range networks {
			v := verdictOf(t, n, text)
			if (err != nil) != (reasonOf(v) == "FAILED MALFORMED") {
				t.Errorf("%s: parse says %v, the verdict %s", name, err, reasonOf(v))
			}
			if v.Text() == "" {
				t.Error("a verdict without text")
			}
		}
	})
}

func (r Receipt) textOf(err error) []byte {
	if err != nil {
		return nil
	}
	return r.text()
}

func FuzzParseStateReceipt(f *testing.F) {
	n := goldenNetworks()["solo"]
	for _, g := range goldens(f) {
		f.Add(g.text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseState(text)
		if err == nil {
			again, err := NewState(r.Entry, r.Index, r.Proof, r.Key, r.Value, r.StateProof, r.Checkpoint.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			sameBytes(t, text, again, nil)
		}
		if _, err := VerifyState(n, text, nil); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseLegality(f *testing.F) {
	l := newLife(f, goldenNetworks()["solo"])
	f.Add(must1(newLegality(l.world, l.items)))
	f.Add(l.receipt(int64(len(l.entries)), l.items))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseLegality(text)
		if err == nil {
			sameBytes(t, text, r.legalText(), nil)
		}
		if v := legalVerdict(t, l.network, text); (err != nil) != (reasonOf(v) == "FAILED MALFORMED") {
			t.Errorf("parse says %v, the verdict %s", err, reasonOf(v))
		}
	})
}

// FuzzParseCertificate: what is read is written again alike, and nothing but the
// whole certificate passes.
func FuzzParseCertificate(f *testing.F) {
	d := newDestruction(f, goldenNetworks()["solo"], fate{})
	good := certificateOf(f, d)
	proven, _, _ := bytes.Cut(good, []byte(proofEnds))
	f.Add(good)
	f.Add([]byte(CertificateTitle + "\n" + proofBegins + "part legality 1\nApart holds 1\nBpart state 1\nCpart report 1\nDpart text 1\nE" + proofEnds))
	f.Fuzz(func(t *testing.T, text []byte) {
		statement, p, attestations, err := ParseCertificate(text)
		if err != nil {
			if statement != nil || p.Legality != nil || p.Reports != nil || attestations != nil {
				t.Error("an error with a result")
			}
		} else {
			again := bytes.NewBufferString(CertificateTitle)
			again.Write(statement)
			p.write(again)
			again.Write(attestations)
			sameBytes(t, text, again.Bytes(), nil)
		}
		v := certificateVerdict(t, d.network, text)
		if v.Outcome == Passed && !bytes.HasPrefix(text, proven) {
			t.Error("another certificate passes")
		}
	})
}

func FuzzParseCheckpoint(f *testing.F) {
	w := newWorld(f, testNetwork(4, 2, 1))
	f.Add(w.cosigned(atLast + 1))
	f.Add(w.body(atLast))
	f.Add([]byte("a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— a AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, signed []byte) {
		c, err := ParseCheckpoint(signed)
		if err != nil {
			if c.Body != nil || c.Size != 0 {
				t.Errorf("an error with a result: %+v", c)
			}
			return
		}
		sameBytes(t, signed, c.Marshal(), nil)
		again, err := Assemble(c.Body, c.Lines()...)
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, signed, again, nil)
		merged, err := Merge(signed, signed)
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, signed, merged, nil)
	})
}

// FuzzParsePolicy: a policy inside a network file is read by torchwood alike.
func FuzzParsePolicy(f *testing.F) {
	n := testNetwork(4, 2, 1)
	text := n.Marshal()
	at := bytes.Index(text, []byte("log "))
	f.Add(text[at:])
	f.Add(testNetwork(1, 0, 0).PolicyFor(LogVKey(n.Origin, n.Eras[0].Logs[0]).Hash()))
	f.Fuzz(func(t *testing.T, policy []byte) {
		n, err := ParseNetwork(append(bytes.Clone(text[:at]), policy...))
		if err != nil {
			return
		}
		for _, e := range n.Eras {
			for _, l := range e.Logs {
				if _, err := torchwood.ParsePolicy(n.PolicyFor(LogVKey(n.Origin, l).Hash())); err != nil {
					t.Errorf("torchwood refuses a policy: %v", err)
				}
			}
			if _, err := e.evaluator(n.Origin); err != nil {
				t.Errorf("the era has no evaluator: %v", err)
			}
		}
	})
}

func FuzzParseNetwork(f *testing.F) {
	f.Add(testNetwork(1, 0, 0).Marshal())
	f.Add(testNetwork(4, 2, 2).Marshal())
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := ParseNetwork(text)
		if err == nil {
			sameBytes(t, text, n.Marshal(), nil)
		} else if n.Nodes != nil || n.Eras != nil || n.Origin != "" {
			t.Errorf("an error with a result: %+v", n)
		}
	})
}

func FuzzParseVKey(f *testing.F) {
	f.Add(LogVKey("records.example.org/demo", [32]byte{1}).String())
	f.Add(CosignerVKey("witness.example.org", [32]byte{2}).String())
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParseVKey(text); err == nil {
			sameBytes(t, []byte(text), []byte(k.String()), nil)
		}
	})
}
