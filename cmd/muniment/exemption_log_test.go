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
			if i.Code != "CT-1-210-b-2" {
				continue
			}
			if len(i.DecidedBy) != 2 || i.DecidedBy[0].Office != "PERMITS" || i.DecidedBy[0].Entry != i.Entry || i.DecidedBy[1].Office != "COUNSEL" || i.DecidedBy[1].Entry <= i.Entry || i.DecidedBy[1].LedgerDay == "" {
				t.Errorf("%s: decided by %+v", command, i.DecidedBy)
			}
			if i.Verified != "yes" || i.Citation != "Conn. Gen. Stat. 1-210(b)(2)" || !strings.HasPrefix(i.Subject, "Personnel") {
				t.Errorf("%s: code %q, %q, %q", command, i.Citation, i.Subject, i.Verified)
			}
		}
		if numeral(uint64(log.Record)) != index || log.Department != "PERMITS" || log.Series != "DEMO-MINUTES" || log.Date == "" {
			t.Errorf("%s: of record %d, %s, %s, %s", command, log.Record, log.Department, log.Series, log.Date)
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

// TestExemptionLogByAnotherFile: codes are explained by the file that the
// redaction cites, and by no other.
func TestExemptionLogByAnotherFile(t *testing.T) {
	d, index := ownersRecord(t)
	const own = "authority = \"TOWN\"\ndated = 2031-01-01\n[[exemption]]\ncode = \"T-1\"\nsubject = \"Names of owners\"\ncitation = \"Ordinance 7\"\n"
	codes := d.file("own.toml", own)
	other := d.file("other.toml", strings.Replace(own, "2031-01-01", "2030-01-01", 1))
	var done redactionResult
	d.json("PERMITS", &done, "redact", "withhold", "--exemptions", codes, d.plan(index, "--hide", "rows 2", "--code", "T-1", "--exemptions", codes))
	log := func(args ...string) (text, said string) {
		r := d.as("PERMITS", append([]string{"evidence", index, "--redaction", done.Redaction, "--log", d.path("log.txt"), "-o", d.path("e.car")}, args...)...)
		return string(must(os.ReadFile(d.path("log.txt")))), r.stderr
	}
	const line, missing = "Code        T-1 of TOWN, dated 2031-01-01", "give the file of TOWN of 2031-01-01 with --exemptions FILE"
	if text, said := log("--exemptions", codes); strings.Contains(said, missing) || !strings.Contains(text, line+" (unverified)\nCitation    Ordinance 7\nSubject     Names of owners\n") {
		t.Errorf("by its file: %s\n%s", said, text)
	}
	for _, args := range [][]string{nil, {"--exemptions", other}} {
		if text, said := log(args...); !strings.Contains(said, missing) || !strings.Contains(text, line+"\nDecided by") || strings.Contains(text, "Citation") {
			t.Errorf("by %v: %s\n%s", args, said, text)
		}
	}
	d.fails(exitUsage, "give --log FILE", "--office", "PERMITS", "evidence", index, "--exemptions", codes, "-o", d.path("f.car"))
	d.fails(exitNotFound, "(NO_SUCH_FILE)", "--office", "PERMITS", "copy", index, "--redaction", done.Redaction, "--log", d.path("l"), "--exemptions", d.path("none"), "-o", d.path("f.car"))
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
