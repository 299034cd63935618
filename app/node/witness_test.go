package node

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// cosignedBy adds a witness's cosignature to the tree head of a receipt.
func cosignedBy(t testing.TB, text []byte, name string, key ed25519.PrivateKey) []byte {
	t.Helper()
	r, err := receipt.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	line, err := receipt.Cosign(r.Checkpoint.Body, name, key, time.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := receipt.Assemble(r.Checkpoint.Body, append(slices.Clone(r.Checkpoint.Lines()), line)...)
	if err != nil {
		t.Fatal(err)
	}
	with, err := receipt.New(r.Entry, r.Index, r.Proof, r.Leaves, signed)
	if err != nil {
		t.Fatal(err)
	}
	return with
}

// TestWitnessesComeChangeAndLeave: each decision about the witnesses opens an era;
// the network file follows for whoever knows their names; with the cosignatures of
// the witness of its era a receipt is witnessed, and by no other key.
func TestWitnessesComeChangeAndLeave(t *testing.T) {
	c := newCity(t, 1)
	c.open(0)
	n := c.nodes[0]
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	const name = "witness.example.org/library"
	listed := func(seeds ...string) *record.Witnesses {
		f := new(record.Witnesses)
		for _, seed := range seeds {
			f.Witnesses = append(f.Witnesses, record.Witness{Code: "LIBRARY", PublicKey: public(officeKey(seed)), NameHash: sha256.Sum256([]byte(name))})
			f.Threshold = 1
		}
		return f
	}
	for i, step := range []struct {
		what string
		fact *record.Witnesses
		with map[string]receipt.Reason // of the verdict on a receipt, by whose cosignature it has; empty: witnessed
	}{
		{"comes", listed("first"), map[string]receipt.Reason{"first": "", "second": receipt.UnknownSigner}},
		{"has another key", listed("second"), map[string]receipt.Reason{"first": receipt.EraContradicted, "second": ""}},
		{"leaves", listed(), map[string]receipt.Reason{"first": receipt.EraContradicted, "second": receipt.EraContradicted}},
	} {
		enact(t, n, step.fact)
		era := i + 2
		result, _ := submit(t, n, anchor(t, n, fmt.Sprint("of era ", era)))
		text := receiptOf(t, n, result.TxIndex+1)
		if _, err := c.homes[0].UpToDate(); i < 2 {
			if refusal, ok := errors.AsType[*receipt.Refusal](err); !ok || refusal.Reason != receipt.UnknownWitness {
				t.Errorf("a witness %s: the network file without its name: %v", step.what, err)
			}
		}
		network, err := c.homes[0].UpToDate(name)
		if err != nil {
			t.Fatal(err)
		}
		if last := network.Eras[len(network.Eras)-1]; len(network.Eras) != era || len(last.Witnesses) != len(step.fact.Witnesses) || last.WitnessThreshold != len(last.Witnesses) {
			t.Errorf("a witness %s: era %d has %+v", step.what, len(network.Eras), last.Witnesses)
		}
		if v := verified(t, network, text); v.Era != era || v.Grade != receipt.GradeCity {
			t.Errorf("a witness %s: a receipt without it is of era %d, grade %s", step.what, v.Era, v.Grade)
		}
		for seed, want := range step.with {
			v, err := receipt.Verify(network, cosignedBy(t, text, name, officeKey(seed)))
			if err != nil {
				t.Fatal(err)
			}
			witnessed := v.Outcome == receipt.Passed && v.Grade == receipt.GradeWitnessed && len(v.Witnesses) == 1
			if want == "" && !witnessed || want != "" && (v.Outcome == receipt.Passed || v.Reasons[0] != want) {
				t.Errorf("a witness %s: with the cosignature of the %s key: %s, want %q", step.what, seed, v.Text(), want)
			}
		}
	}
	for _, problem := range n.health.alarms {
		t.Errorf("alarm: %s", problem)
	}
}
