package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/receipt"
)

// TestS4_7_Certificates: before the lock there is none, before the last report it
// is not complete, and then it is verified before it is written.
func TestS4_7_Certificates(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02", "2019-01-03")
	disposition := d.propose(r...)
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "AUDIT", "certificate", numeral(r[0]), "-o", d.path("none"))
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	d.fails(exitIndeterminate, "NOT COMPLETE: pending at PERMITS", "--office", "AUDIT", "certificate", numeral(r[0]))
	d.fails(exitIndeterminate, "(REPORTS_DUE)", "--office", "AUDIT", "certificate", numeral(r[0]), "-o", d.path("early"))
	if exists(d.path("none")) || !strings.Contains(string(must(os.ReadFile(d.path("early")))), "\nNOT COMPLETE: NO CERTIFICATE OF DESTRUCTION\n") {
		t.Error("a certificate was written for nothing, or does not say that it is not complete")
	}
	shown := d.as("AUDIT", "record", "show", numeral(r[0]))
	if !strings.Contains(shown.stdout, "to be destroyed under disposition "+disposition) || !strings.Contains(shown.stdout, "of PERMITS is due") {
		t.Errorf("before the report:\n%s", shown.stdout)
	}
	d.fails(exitIndeterminate, "(REPORTS_DUE)", "--office", "AUDIT", "disposition", "certificates", disposition, "--out", d.path("half"))

	d.as("PERMITS", "disposition", "confirm", disposition)
	shown = d.as("AUDIT", "certificate", numeral(r[1]), "--disposition", disposition, "-o", d.path("certificate"))
	if !strings.Contains(shown.stdout, "DESTROYED: record "+numeral(r[1])) || !strings.Contains(shown.stderr, "next: muniment-verify") {
		t.Errorf("%q, %q", shown.stdout, shown.stderr)
	}
	if v := must(receipt.VerifyCertificate(d.hall.network, must(os.ReadFile(d.path("certificate"))))); v.Outcome != receipt.Passed || v.Certificate.Result != receipt.Destroyed {
		t.Errorf("what was written: %s %s", v.Outcome, v.Detail)
	}
	var got certificatesResult
	d.json("AUDIT", &got, "disposition", "certificates", disposition, "--out", d.path("all"))
	if got.Results["DESTROYED"] != 3 || len(got.Files) != 3 {
		t.Errorf("all: %+v", got)
	}
	for _, index := range r {
		if !exists(filepath.Join(d.path("all"), fmt.Sprintf("%d.certificate", index))) {
			t.Errorf("no certificate of record %d", index)
		}
	}
	d.fails(exitUsage, "--out DIR", "--office", "AUDIT", "disposition", "certificates", disposition)
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "AUDIT", "disposition", "certificates", numeral(r[0]), "--out", d.path("all"))
}

// TestResidualRecord: what is left of a destroyed record says what became of it.
func TestResidualRecord(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02")
	disposition := d.propose(r...)
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	d.as("PERMITS", "disposition", "confirm", disposition)
	shown := d.as("AUDIT", "record", "show", numeral(r[0]))
	for _, want := range []string{"destroyed under disposition " + disposition + ", locked on 2031-01-01, says the node", "of PERMITS: DONE, entry ", "no claim: Nothing is said about keys"} {
		if !strings.Contains(shown.stdout, want) {
			t.Errorf("no %q in\n%s", want, shown.stdout)
		}
	}
	if !strings.Contains(shown.stderr, "next: muniment certificate "+numeral(r[0])) {
		t.Errorf("next: %s", shown.stderr)
	}
	var got recordResult
	raw := d.as("AUDIT", "record", "show", numeral(r[0]), "--output", "json")
	if err := json.Unmarshal([]byte(raw.stdout), &got); err != nil || got.Residual == nil || got.Residual.Action != "DESTROY" || got.Residual.Status != "COMPLETE" || len(got.Residual.Reports) != 1 {
		t.Errorf("as JSON: %v, %+v", err, got.Residual)
	}
}
