package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/receipt"
)

// TestLegalityOfALockedRecord is verified before it is written, and of no other record.
func TestLegalityOfALockedRecord(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02", "2019-01-03")
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "AUDIT", "legality", numeral(r[0]), "-o", d.path("none"))
	if exists(d.path("none")) {
		t.Error("something was written for a record that is not locked")
	}
	disposition := d.propose(r...)
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	shown := d.as("AUDIT", "legality", numeral(r[1]), "-o", d.path("legality"))
	if !strings.Contains(shown.stdout, "legality: PASSED") || !strings.Contains(shown.stderr, "next: muniment-verify") {
		t.Errorf("%q, %q", shown.stdout, shown.stderr)
	}
	text, holds, both := strings.Cut(string(must(os.ReadFile(d.path("legality")))), heldDomain)
	if v := must(receipt.VerifyLegality(d.hall.network, []byte(text), nil)); v.Outcome != receipt.Passed {
		t.Errorf("what was written: %s %s", v.Outcome, v.Detail)
	}
	if n := strings.Count("\n"+holds, "\nc2sp.org/tlog-proof@v1\n"); !both || n != 5 {
		t.Errorf("%d receipts prove that no hold stood, want that of the record and four of the state", n)
	}
	var got struct{ Verdict receipt.Verdict }
	raw := d.as("AUDIT", "legality", numeral(r[1]), "--output", "json", "-o", d.path("again"))
	if err := json.Unmarshal([]byte(raw.stdout), &got); err != nil || got.Verdict.Outcome != receipt.Passed {
		t.Errorf("as JSON: %v, %s", err, raw.stdout)
	}
}
