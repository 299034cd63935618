package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/receipt"
)

// TestExemptionLogs: what a copy or a bundle hides by a redaction, and who decided
// it; and what it hides without a decision.
func TestExemptionLogs(t *testing.T) {
	d, index := ownersRecord(t)
	var done redactionResult
	d.json("PERMITS", &done, "redact", "withhold", d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2"))
	d.as("COUNSEL", "redact", "decide", index, "--redaction", done.Redaction)
	for _, command := range []string{"copy", "evidence"} {
		out := d.path(command)
		said := d.as("PERMITS", command, index, "--redaction", done.Redaction, "--hide", "rows 3", "--log", out+".json", "-o", out+".car")
		if !strings.Contains(said.stderr, "what is not disclosed is in ") {
			t.Errorf("%s: %s", command, said.stderr)
		}
		var log receipt.ExemptionLog
		if err := json.Unmarshal(must(os.ReadFile(out+".json")), &log); err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, i := range log.Items {
			got[strings.Join(append([]string{i.Decision, i.Code}, i.Offices...), " ")]++
		}
		if got["WITHHELD CT-1-210-b-2 COUNSEL PERMITS"] != 2 || got["WITHHELD - COUNSEL PERMITS"] != 1 || got["NO DECISION RECORDED "] == 0 {
			t.Errorf("%s: %v", command, got)
		}
		d.as("PERMITS", command, index, "--redaction", done.Redaction, "--log", out+".csv", "-o", out+".car")
		d.as("PERMITS", command, index, "--redaction", done.Redaction, "--log", out+".log", "-o", out+".car")
		if csv := string(must(os.ReadFile(out + ".csv"))); !strings.HasPrefix(csv, "item,cid,first,last,of,decision,code,") {
			t.Errorf("%s: as CSV %q", command, csv)
		}
		if text := string(must(os.ReadFile(out + ".log"))); !strings.HasPrefix(text, "EXEMPTION LOG\n") || !strings.Contains(text, "CT-1-210-b-2 of CT-FOI, dated 2026-11-01") || strings.Contains(text, "owner") {
			t.Errorf("%s: as text\n%s", command, text)
		}
	}
}

// TestEvidenceForACourt prefills what is known of a bundle, and swears to nothing.
func TestEvidenceForACourt(t *testing.T) {
	d, index := ownersRecord(t)
	d.as("PERMITS", "evidence", index, "-o", d.path("whole.car"), "--court", d.path("court.txt"))
	text, digest := string(must(os.ReadFile(d.path("court.txt")))), sha256.Sum256(must(os.ReadFile(d.path("whole.car"))))
	for _, want := range []string{"A. Certification by the custodian (Conn. Code Evid. 9-3A; CGS 52-180)", "B. Attestation by the clerk (CGS 1-210(a))", "Fed. R. Evid. 902(13)", "Fed. R. Evid. 902(14)",
		"record " + index + " of PERMITS", hex.EncodeToString(digest[:16]), hex.EncodeToString(digest[16:]), "Signature              ____", "1 receipt verified"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 76 {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}
}
