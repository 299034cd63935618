package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

func certificateOf(t testing.TB, d *destruction) []byte {
	t.Helper()
	text, err := NewCertificate(d.network, d.parts)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func certificateVerdict(t testing.TB, n Network, text []byte) Verdict {
	t.Helper()
	v, err := VerifyCertificate(n, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fates are what can become of a record, with what a certificate says of it.
func fates() []struct {
	name  string
	fate  fate
	want  string
	title string
} {
	return []struct {
		name  string
		fate  fate
		want  string
		title string
	}{
		{"destroyed", fate{released: 3}, "PASSED DESTROYED", "CERTIFICATE OF DESTRUCTION"},
		{"destroyed with a device", fate{claim: record.ClaimKey}, "PASSED DESTROYED", "CERTIFICATE OF DESTRUCTION"},
		{"destroyed by an office too", fate{office: true}, "PASSED DESTROYED", "CERTIFICATE OF DESTRUCTION"},
		{"redacted", fate{redact: true}, "PASSED REDACTED", "CERTIFICATE OF ERASURE OF PARTS OF A RECORD"},
		{"one had nothing", fate{outcomes: [2]record.ErasureOutcome{0, record.RecordAbsent}}, "PASSED DESTROYED", "CERTIFICATE OF DESTRUCTION"},
		{"none had anything", fate{outcomes: [2]record.ErasureOutcome{record.RecordAbsent, record.RecordAbsent}}, "PASSED ABSENT", "NOTHING FOUND: NO CERTIFICATE OF DESTRUCTION"},
		{"preserved", fate{outcomes: [2]record.ErasureOutcome{record.RecordPreserved, record.RecordPreserved}}, "PASSED PRESERVED", "RECORD PRESERVED: NO CERTIFICATE OF DESTRUCTION"},
		{"preserved by one", fate{outcomes: [2]record.ErasureOutcome{0, record.RecordPreserved}}, "PASSED PRESERVED", "RECORD PRESERVED: NO CERTIFICATE OF DESTRUCTION"},
		{"one is due", fate{outcomes: [2]record.ErasureOutcome{0, pending}}, "INDETERMINATE REPORTS_DUE", "NOT COMPLETE: NO CERTIFICATE OF DESTRUCTION"},
		{"both are due", fate{outcomes: [2]record.ErasureOutcome{pending, pending}}, "INDETERMINATE REPORTS_DUE", "NOT COMPLETE: NO CERTIFICATE OF DESTRUCTION"},
		{"without a text", fate{noText: true}, "INDETERMINATE PART_MISSING", "NOT COMPLETE: NO CERTIFICATE OF DESTRUCTION"},
	}
}

// found is outcome and reason, or result.
func found(v Verdict) string {
	if v.Certificate != nil {
		return string(v.Outcome) + " " + v.Certificate.Result
	}
	return reasonOf(v)
}

// TestS4_7_CertificatesOfDestruction: whatever became of a record, the
// certificate says so, and does not pass before everybody has reported.
func TestS4_7_CertificatesOfDestruction(t *testing.T) {
	for _, c := range fates() {
		d := newDestruction(t, goldenNetworks()["solo"], c.fate)
		text := certificateOf(t, d)
		v := certificateVerdict(t, d.network, text)
		if got := found(v); got != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.name, got, v.Detail, c.want)
		}
		if !bytes.HasPrefix(text, []byte(CertificateTitle+"\n"+c.title+"\n")) {
			t.Errorf("%s: it is titled %.80q", c.name, text[len(CertificateTitle):])
		}
		statement, _, attested, err := ParseCertificate(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(statement)+string(attested), "\n") {
			if len(line) > pageWidth {
				t.Errorf("%s: a line of %d columns: %s", c.name, len(line), line)
			}
		}
		for i, outcome := range c.fate.outcomes {
			if outcome == pending && !strings.Contains(v.Detail, "custodian "+hexOf(d, i)) {
				t.Errorf("%s: %q does not name custodian %d", c.name, v.Detail, i)
			}
		}
	}
}

// TestOfficesClaimNothingAboutKeys: what an office says of content that it keeps
// itself is its word, also where it signs a claim with it: it has no keyring.
func TestOfficesClaimNothingAboutKeys(t *testing.T) {
	d := newDestruction(t, goldenNetworks()["solo"], fate{office: true, word: record.ClaimKey})
	text := certificateOf(t, d)
	v := certificateVerdict(t, d.network, text)
	if got := found(v); got != "PASSED DESTROYED" {
		t.Fatalf("got %s (%s)", got, v.Detail)
	}
	if r := v.Certificate.Reports[0]; r.Office != "HR" || r.Claim != record.Claim(0).Says() {
		t.Errorf("reported %+v", r)
	}
	if bytes.Contains(text, []byte("C3: ")) || !bytes.Contains(text, []byte("by the word of whoever reports")) {
		t.Error("the certificate has a claim about keys that no custodian makes")
	}
}

func hexOf(d *destruction, custodian int) string {
	id := keyIDOf(d.custodians()[custodian])
	return hex.EncodeToString(id[:])
}

// TestCertificateGolden keeps the words.
func TestCertificateGolden(t *testing.T) {
	for name, f := range map[string]fate{"destroyed": {released: 3, office: true}, "redacted": {redact: true, claim: record.ClaimKey}, "due": {outcomes: [2]record.ErasureOutcome{0, pending}}} {
		d := newDestruction(t, goldenNetworks()["solo"], f)
		text := certificateOf(t, d)
		v := certificateVerdict(t, d.network, text)
		file(t, filepath.Join("testdata", name+".certificate"), text)
		file(t, filepath.Join("testdata", name+".certificate.txt"), []byte(v.Text()))
		file(t, filepath.Join("testdata", name+".certificate.json"), append(must1(json.MarshalIndent(v, "", "  ")), '\n'))
	}
}

// TestCertificateOfADemonstration cites no statute as if there were a schedule.
func TestCertificateOfADemonstration(t *testing.T) {
	d := newDestruction(t, goldenNetworks()["solo"], fate{})
	c, err := readCertificate(d.network.ID, d.parts)
	if err != nil {
		t.Fatal(err)
	}
	part := func(series record.Code) string {
		c.legality.Series = series
		p := &page{}
		c.rule(p)
		return p.b.String()
	}
	const says, statute = "This is a demonstration, not a records schedule.\n", "Conn. Gen. Stat. 7-109"
	if text := part("DEMO-MINUTES"); !strings.Contains(text, says) || strings.Contains(text, statute) {
		t.Errorf("of a demonstration:\n%s", text)
	}
	for _, series := range []record.Code{lifeSeries, "DEMOLITION"} {
		if text := part(series); strings.Contains(text, says) || !strings.Contains(text, statute) {
			t.Errorf("of %s:\n%s", series, text)
		}
	}
}

// TestCertificatesThatDoNotBelong put parts together that are good each.
func TestCertificatesThatDoNotBelong(t *testing.T) {
	n := goldenNetworks()["solo"]
	d, other := newDestruction(t, n, fate{}), newDestruction(t, n, fate{released: 2})
	size := int64(len(d.entries))
	for _, c := range []struct {
		name   string
		change func(p *Parts)
		want   Reason
	}{
		{"as it is", func(*Parts) {}, ""},
		{"a report less", func(p *Parts) { p.Reports = p.Reports[:1] }, PartMissing},
		{"no reports", func(p *Parts) { p.Reports = nil }, PartMissing},
		{"a report twice", func(p *Parts) { p.Reports = append(p.Reports, p.Reports[1]) }, PartUnexpected},
		{"reports in another order", func(p *Parts) { slices.Reverse(p.Reports) }, OtherRecord},
		{"another entry for a report", func(p *Parts) { p.Reports[0].Receipt = d.receipt(size, d.lock) }, OtherRecord},
		{"the text of another custodian", func(p *Parts) { p.Reports[0].Text = p.Reports[1].Text }, ReportContradicted},
		{"the text of another report", func(p *Parts) { p.Reports[0].Text = other.parts.Reports[0].Text }, ReportContradicted},
		{"the state of another key", func(p *Parts) { p.State = d.stateOf([]byte("height/3")) }, OtherRecord},
		{"no state", func(p *Parts) { p.State = d.parts.Legality }, Malformed},
		{"holds on another record", func(p *Parts) { p.Holds = append([]byte(HeldDomain), d.receipt(size, d.records+1)...) }, Malformed},
		{"a receipt for a legality file", func(p *Parts) { p.Legality = d.receipt(size, d.items) }, Malformed},
	} {
		p := d.parts
		p.Reports = slices.Clone(p.Reports)
		c.change(&p)
		_, err := readCertificate(n.ID, p)
		if got := reasonIn(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

// TestReportsThatContradictThemselves are signed by custodians that lie.
func TestReportsThatContradictThemselves(t *testing.T) {
	n := goldenNetworks()["solo"]
	text := func(change func(*record.ErasureReport)) fate { return fate{report: change} }
	signed := func(change func(*record.ReportErasure)) fate { return fate{signed: change} }
	for _, c := range []struct {
		name string
		fate fate
		want Reason
	}{
		{"honest", fate{}, ""},
		{"a stronger claim than is signed", text(func(r *record.ErasureReport) { r.Claim, r.Device = record.ClaimKey, "PKCS#11" }), ReportContradicted},
		{"a stronger claim than the text's", signed(func(m *record.ReportErasure) { m.Claim = record.ClaimKey }), ReportContradicted},
		{"a look before the lock", text(func(r *record.ErasureReport) { r.Followed = 20 }), ReportContradicted},
		{"another disposition", text(func(r *record.ErasureReport) { r.Disposition++ }), ReportContradicted},
		{"another custodian", text(func(r *record.ErasureReport) { r.Custodian[0]++ }), ReportContradicted},
		{"without the record", text(func(r *record.ErasureReport) { r.Records = r.Records[1:] }), ReportContradicted},
		{"preserved, says the text", text(func(r *record.ErasureReport) { r.Records[0].Outcome = record.RecordPreserved }), ReportContradicted},
		{"preserved, says the signature", signed(func(m *record.ReportErasure) { m.Preserved = []record.Index{m.Disposition} }), ""}, // another one
		{"another text", signed(func(m *record.ReportErasure) { m.Report[0]++ }), ReportContradicted},
		{"redacted for destroyed", text(func(r *record.ErasureReport) { r.Records[0].Outcome = record.RecordRedacted }), ReportContradicted},
	} {
		d := newDestruction(t, n, c.fate)
		_, err := readCertificate(n.ID, d.parts)
		if got := reasonIn(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

// TestEveryByteOfACertificate flips each bit of what is proven: nothing of
// it can be another. What is attested behind it is not judged.
func TestEveryByteOfACertificate(t *testing.T) {
	d := newDestruction(t, testNetwork(1, 0, 0), fate{released: 2})
	text := certificateOf(t, d)
	end := bytes.Index(text, []byte(proofEnds)) + len(proofEnds)
	begin := bytes.Index(text, []byte(proofBegins))
	for i := 0; i < end; i++ {
		if words := i < begin && i%31 == 0; !words && i%151 != 0 && !bytes.Contains(text[max(0, i-6):min(len(text), i+16)], []byte("\npart ")) {
			continue // the parts have tests of their own; for the words see below
		}
		changed := bytes.Clone(text)
		changed[i] ^= 1 << (i % 8)
		if v := certificateVerdict(t, d.network, changed); v.Outcome == Passed || v.Certificate != nil {
			t.Fatalf("byte %d of %d changed: passed", i, end)
		}
	}
	c, err := readCertificate(d.network.ID, d.parts)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte(c.statement(d.network))
	for i := range begin { // what is compared is the whole
		changed := bytes.Clone(text)
		changed[i] ^= 1
		for _, bad := range [][]byte{changed, append(bytes.Clone(text[:i]), text[i+1:]...)} {
			if statement, _, _, err := ParseCertificate(bad); err == nil && differs(statement, want) == 0 {
				t.Fatalf("byte %d of the statement is not compared", i)
			}
		}
	}
	filled := append(bytes.Clone(text), "\nsworn before the Clerk\n"...)
	if v := certificateVerdict(t, d.network, filled); found(v) != "PASSED DESTROYED" || !strings.Contains(v.Text(), "attestations") {
		t.Errorf("filled in: %s (%s)", found(v), v.Detail)
	}
}

// TestAStatementOfAnotherFate puts the words of one certificate before the proof
// of another.
func TestAStatementOfAnotherFate(t *testing.T) {
	n := goldenNetworks()["solo"]
	done := certificateOf(t, newDestruction(t, n, fate{}))
	for _, c := range fates()[6:] {
		other := certificateOf(t, newDestruction(t, n, c.fate))
		words, _, _ := bytes.Cut(done, []byte(proofBegins))
		_, proof, _ := bytes.Cut(other, []byte(proofBegins))
		v := certificateVerdict(t, n, slices.Concat(words, []byte(proofBegins), proof))
		if reasonOf(v) != "FAILED STATEMENT_ALTERED" || !strings.Contains(v.Detail, "line 3 ") {
			t.Errorf("%s: got %s (%s)", c.name, reasonOf(v), v.Detail)
		}
	}
}

// TestCertificatesOfOtherForms are refused as such.
func TestCertificatesOfOtherForms(t *testing.T) {
	d := newDestruction(t, testNetwork(1, 0, 0), fate{})
	text := certificateOf(t, d)
	part := func(old, now string) []byte { return bytes.Replace(bytes.Clone(text), []byte(old), []byte(now), 1) }
	for name, bad := range map[string][]byte{
		"nothing":              nil,
		"the title":            []byte(CertificateTitle),
		"no proof":             part(proofBegins, "--- PROOF --\n"),
		"no end":               part(proofEnds, ""),
		"an unknown part":      part("part state ", "part stale "),
		"parts in other order": part("part holds ", "part state "),
		"a number with a zero": part("part state ", "part state 0"),
		"a part of no bytes":   part("part state ", "part state 0\npart state "),
		"a part too long":      part("part state ", "part state 9"),
		"attested without end": append(bytes.Clone(text), make([]byte, maxAttestationBytes)...),
		"too large":            make([]byte, MaxCertificateBytes+1),
	} {
		if v := certificateVerdict(t, d.network, bad); reasonOf(v) != "FAILED MALFORMED" {
			t.Errorf("%s: got %s (%s)", name, reasonOf(v), v.Detail)
		}
	}
	long := d.parts
	long.Reports = slices.Clone(long.Reports)
	long.Reports[0].Text = make([]byte, MaxCertificateBytes)
	if _, err := NewCertificate(d.network, long); err == nil {
		t.Error("a certificate of more than its limit was written")
	}
}

// TestTextsOfOtherCustodians: each custodian keeps the text of its own report,
// and the certificates of two nodes make a whole one.
func TestTextsOfOtherCustodians(t *testing.T) {
	n := goldenNetworks()["solo"]
	d := newDestruction(t, n, fate{released: 2})
	whole := certificateOf(t, d)
	var halves [2]Parts
	for i := range halves {
		halves[i] = d.parts
		halves[i].Reports = slices.Clone(d.parts.Reports)
		halves[i].Reports[1-i].Text = nil
		text := must1(NewCertificate(n, halves[i]))
		if v := certificateVerdict(t, n, text); reasonOf(v) != "INDETERMINATE PART_MISSING" {
			t.Errorf("with the text of custodian %d alone: %s", i, found(v))
		}
	}
	if !halves[0].LacksTexts() {
		t.Error("a half lacks no text")
	}
	halves[0].AddTexts(halves[1])
	if halves[0].LacksTexts() {
		t.Error("the whole lacks a text")
	}
	if got := must1(NewCertificate(n, halves[0])); !bytes.Equal(got, whole) {
		t.Error("the two halves do not make the whole")
	}
	other := newDestruction(t, n, fate{claim: record.ClaimKey})
	halves[1].AddTexts(other.parts)
	if halves[1].Reports[0].Text != nil {
		t.Error("a text was taken over that no report names")
	}
}
