package receipt

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// certificateVectors are what the twin in JavaScript must agree on.
type certificateVectors struct {
	Network string              `json:"network"`
	Cases   []certificateVector `json:"cases"`
}

type certificateVector struct {
	Name  string `json:"name"`
	Text  string `json:"text"`
	Want  string `json:"want"`  // outcome, and reason or result
	Proof string `json:"proof"` // likewise, whatever the statement says
}

// makeCertificateVectors has every fate, lies of custodians, parts that do not
// belong together, and changed bytes.
func makeCertificateVectors(t testing.TB) certificateVectors {
	n := goldenNetworks()["solo"]
	vectors := certificateVectors{Network: string(n.Marshal())}
	add := func(name string, text []byte) {
		v := certificateVector{Name: name, Text: string(text), Want: found(certificateVerdict(t, n, text))}
		v.Proof = v.Want
		if _, p, _, err := ParseCertificate(text); err == nil {
			if again, err := NewCertificate(n, p); err == nil {
				v.Proof = found(certificateVerdict(t, n, again))
			}
		}
		vectors.Cases = append(vectors.Cases, v)
	}
	whole := func(p Parts) []byte {
		b := bytes.NewBufferString(CertificateTitle + "\n")
		p.write(b)
		return b.Bytes()
	}
	for _, c := range fates() {
		add(c.name, certificateOf(t, newDestruction(t, n, c.fate)))
	}
	for name, f := range map[string]fate{
		"a stronger claim":   {report: func(r *record.ErasureReport) { r.Claim, r.Device = record.ClaimKey, "PKCS#11" }},
		"a look too early":   {report: func(r *record.ErasureReport) { r.Followed = 20 }},
		"without the record": {report: func(r *record.ErasureReport) { r.Records = r.Records[1:] }},
		"another text":       {signed: func(m *record.ReportErasure) { m.Report[0]++ }},
		"redacted, it says":  {report: func(r *record.ErasureReport) { r.Records[0].Outcome = record.RecordRedacted }},
	} {
		add(name, whole(newDestruction(t, n, f).parts))
	}
	d := newDestruction(t, n, fate{released: 2})
	size := int64(len(d.entries))
	for _, c := range []struct {
		name   string
		change func(p *Parts)
	}{
		{"a report less", func(p *Parts) { p.Reports = p.Reports[:1] }},
		{"a report twice", func(p *Parts) { p.Reports = append(p.Reports, p.Reports[1]) }},
		{"reports in another order", func(p *Parts) { slices.Reverse(p.Reports) }},
		{"another entry for a report", func(p *Parts) { p.Reports[0].Receipt = d.receipt(size, d.lock) }},
		{"the text of another custodian", func(p *Parts) { p.Reports[0].Text = p.Reports[1].Text }},
		{"another state", func(p *Parts) { p.State = d.stateOf([]byte("height/3")) }},
		{"holds on another record", func(p *Parts) {
			p.Holds = bytes.Replace(p.Holds, d.receipt(size, d.records), d.receipt(size, d.records+1), 1)
		}},
		{"without a hold", func(p *Parts) { p.Holds = p.Holds[:bytes.LastIndex(p.Holds, []byte(proofLine))] }},
	} {
		p := d.parts
		p.Reports = slices.Clone(p.Reports)
		c.change(&p)
		add(c.name, whole(p))
	}
	good := certificateOf(t, d)
	add("a word changed", bytes.Replace(good, []byte("Department  HR"), []byte("Department  IT"), 1))
	add("no end", bytes.Replace(good, []byte(proofEnds), nil, 1))
	add("a part too long", bytes.Replace(good, []byte("part state "), []byte("part state 9"), 1))
	add("a cosignature changed", bytes.Replace(good, []byte("\npart holds "), []byte("A\npart holds "), 1))
	slices.SortStableFunc(vectors.Cases, func(a, b certificateVector) int { return strings.Compare(a.Name, b.Name) })
	return vectors
}

// TestCertificateTwin has the second implementation judge all of them.
func TestCertificateTwin(t *testing.T) {
	node := needNode(t)
	vectors := makeCertificateVectors(t)
	differences := func() string { return twinOf(t, node, "certificate", vectors) }
	if out := differences(); !strings.HasSuffix(out, ", 0 differences\n") {
		t.Errorf("the twin disagrees:\n%s", out)
	}
	vectors.Cases[0].Proof = "PASSED PRESERVED"
	if out := differences(); !strings.HasSuffix(out, ", 1 differences\n") {
		t.Errorf("the twin agrees with what is wrong:\n%s", out)
	}
}

// TestCertificateVectors publishes one of them for each outcome.
func TestCertificateVectors(t *testing.T) {
	all, few, seen := makeCertificateVectors(t), certificateVectors{}, map[string]bool{}
	few.Network = all.Network
	for _, c := range all.Cases {
		if !seen[c.Want] {
			seen[c.Want] = true
			few.Cases = append(few.Cases, c)
		}
	}
	file(t, filepath.Join("..", "..", "docs", "spec", "vectors", "certificate.json"), append(must1(json.MarshalIndent(few, "", " ")), '\n'))
}
