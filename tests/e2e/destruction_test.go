package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// TestAcceptanceStoryForgetting plays scripts/forget.sh, which is part three of
// `make demo`: steps 12, 14 and 20 of the acceptance story with real programs. The
// script stops at the first thing that is not as it has to be.
func TestAcceptanceStoryForgetting(t *testing.T) {
	play(t, "scripts/forget.sh",
		"== 12.", "== 14.", "(20)", "(LOCKED)", "(DESTROYED)", "(MISSING_APPROVAL)", "(PARTLY_DESTROYED)",
		"what is held is as it was", "changed.certificate: FAILED", "changed.mun.car: FAILED", "the certificate of destruction names it", "== done")
}

// reads wants a record to be given out as it was, or to be refused with a word.
func (h *hall) reads(t testing.TB, index, content, word string, code int) {
	t.Helper()
	path := filepath.Join(t.(*testing.T).TempDir(), "read")
	e := h.as(t, code, "DPW", "read", index, "-o", path)
	if code == 0 {
		if got := string(read(t, path)); got != content {
			t.Errorf("record %s is %q", index, got)
		}
		return
	}
	if !strings.Contains(e.stderr, word) {
		t.Errorf("record %s: want %s\n%s", index, word, e.stderr)
	}
	if _, err := os.Stat(path); err == nil {
		t.Errorf("record %s: refused, and %s is there", index, path)
	}
}

// TestS4_5_NoErasureWithoutDirection: a custodian destroys nothing by itself. Not
// what is due, not what is proposed, not what was approved by too few, and not what
// all have approved and nobody has locked.
func TestS4_5_NoErasureWithoutDirection(t *testing.T) {
	h := newHall(t)
	h.open(t)
	defer h.close()
	h.adopt(t, h.dial(t, "CLERK"), rule("DEMO-MINUTES", record.RoleClerk, record.RoleStateRecords))
	const content = "Minutes of a meeting that is long over.\n"
	index := h.anchor(t, "minutes.txt", []byte(content))
	untouched := func(when string) {
		t.Helper()
		if e := h.erase(t); e.Destroyed != 0 || e.Rings != 0 || len(e.Dispositions) != 0 {
			t.Errorf("%s: erased %+v", when, e)
		}
		h.reads(t, index, content, "", 0)
	}
	if due := h.as(t, 0, "DPW", "due", "--series", "DEMO-MINUTES").stdout; !strings.Contains(due, index) {
		t.Fatalf("the record is not due:\n%s", due)
	}
	untouched("due")
	d := find(t, disposition, h.as(t, 0, "DPW", "disposition", "propose", "--series", "DEMO-MINUTES", "--action", "destroy", index).stdout)
	untouched("proposed")
	h.as(t, 0, "CLERK", "disposition", "approve", d)
	if e := h.as(t, 7, "CIO", "disposition", "lock", d); !strings.Contains(e.stderr, "MISSING_APPROVAL") {
		t.Errorf("lock with one of two approvals:\n%s", e.stderr)
	}
	untouched("approved by one")
	h.as(t, 0, "OPRA", "disposition", "approve", d)
	untouched("approved by all")
	h.as(t, 0, "CIO", "disposition", "lock", d)
	h.reads(t, index, "", "LOCKED", 7)
	if e := h.erase(t); e.Destroyed != 1 || e.Rings != 1 || fmt.Sprint(e.Dispositions) != "["+d+"]" {
		t.Errorf("after the lock: erased %+v", e)
	}
	h.reads(t, index, "", "DESTROYED", 6)
}

// TestS4_7_AReasonMustBeACode: nothing is withheld or erased without an exemption
// code of an authority file that is in force.
func TestS4_7_AReasonMustBeACode(t *testing.T) {
	h := newHall(t)
	h.open(t)
	defer h.close()
	index := h.anchor(t, "report.txt", []byte("The first paragraph.\n\nThe second names a person.\n\nThe third.\n"))
	retired := write(t, filepath.Join(h.desk, "retired.toml"), []byte(`authority = "CT-FOI"
dated = 2026-11-01
title = "For a test"
citation = "none"

[[exemption]]
code = "CT-GONE"
subject = "What was exempt once"
citation = "none"
verified = false
active_to = 2020-12-31
`))
	plan := func(code int, word string, more ...string) {
		t.Helper()
		file := h.out(fmt.Sprint("plan-", len(below(t, filepath.Join(h.desk, "out"))), len(more), word))
		e := h.as(t, code, "DPW", append([]string{"redact", "plan", index, "--hide", "paragraphs 2", "-o", file}, more...)...)
		if !strings.Contains(e.stderr, word) {
			t.Errorf("plan %v: want %s\n%s", more, word, e.stderr)
		}
	}
	plan(2, "")
	plan(7, "UNKNOWN_EXEMPTION", "--code", "because")
	plan(7, "UNKNOWN_EXEMPTION", "--code", "CT-1-210-b-2X")
	plan(7, "EXEMPTION_NOT_IN_FORCE", "--code", "CT-GONE", "--exemptions", retired)

	good := h.out("good")
	h.as(t, 0, "DPW", "redact", "plan", index, "--hide", "paragraphs 2", "--code", "CT-1-210-b-2", "-o", good)
	forged := write(t, h.out("forged"), bytes.ReplaceAll(read(t, good), []byte("CT-1-210-b-2"), []byte("CT-1-210-b-2X")))
	for _, command := range []string{"withhold", "propose"} {
		if e := h.as(t, 7, "DPW", "redact", command, forged); !strings.Contains(e.stderr, "UNKNOWN_EXEMPTION") {
			t.Errorf("%s by a plan with another code:\n%s", command, e.stderr)
		}
	}
	if e := h.as(t, 0, "DPW", "redact", "list", index); hexHash.MatchString(e.stdout) {
		t.Errorf("a redaction was filed:\n%s", e.stdout)
	}
	h.reads(t, index, "The first paragraph.\n\nThe second names a person.\n\nThe third.\n", "", 0)
	h.as(t, 0, "DPW", "redact", "withhold", good)
	if e := h.as(t, 0, "DPW", "redact", "list", index); !hexHash.MatchString(e.stdout) || !strings.Contains(e.stdout, "CT-1-210-b-2") {
		t.Errorf("the redaction with a code was not filed:\n%s", e.stdout)
	}
}

// TestS2_2_ExpiredLinksAreDeletedUnderAStandingAuthorization: links are kept as long
// as needed, sixty days at most. Under an authorization of a year nobody approves each
// batch of them; a whole class dies with one key, and each link has a certificate.
func TestS2_2_ExpiredLinksAreDeletedUnderAStandingAuthorization(t *testing.T) {
	h := newHall(t)
	h.open(t)
	h.adopt(t, h.dial(t, "CLERK"), rule("DEMO-LINKS", record.RoleClerk, record.RoleStateRecords), rule("DEMO-MINUTES", record.RoleClerk))
	day := func(ahead int) string { return time.Now().AddDate(0, 0, ahead).UTC().Format(time.DateOnly) }
	proposal := find(t, disposition, h.as(t, 0, "DPW", "series", "authorize", "DEMO-LINKS", "--from", day(-1), "--until", day(300)).stdout)
	var approved ended
	for _, office := range []string{"CIO", "CLERK", "ARCHIVIST", "OPRA"} {
		approved = h.as(t, 0, office, "series", "approve", proposal, "--output", "json")
	}
	standing := h.standing(t, approved)

	links := filepath.Join(h.desk, "records", "links")
	if err := os.Mkdir(links, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		write(t, filepath.Join(links, fmt.Sprintf("link-%02d.url", i)), fmt.Appendf(nil, "https://records.example.org/share/%d%s\n", i, canary()))
	}
	h.as(t, 0, "DPW", "anchor", "--series", "DEMO-LINKS", "--date", day(-90), links)
	kept := h.anchor(t, "minutes.txt", []byte("Minutes.\n"))
	d := find(t, disposition, h.as(t, 0, "DPW", "disposition", "propose", "--series", "DEMO-LINKS", "--action", "destroy", "--due", "--standing", standing).stdout)
	h.as(t, 0, "CIO", "disposition", "lock", d)
	if e := h.erase(t); e.Destroyed != 12 || e.Rings != 1 {
		t.Errorf("erased %+v, want 12 records with one key", e)
	}
	h.reads(t, kept, "Minutes.\n", "", 0)
	certificates := h.out("certificates")
	h.as(t, 0, "DPW", "disposition", "certificates", d, "--out", certificates)
	args := []string{"--network", h.home.Network()}
	for _, file := range below(t, certificates) {
		args = append(args, filepath.Join(certificates, file))
	}
	if len(args) != 2+12 {
		t.Fatalf("certificates: %v", args)
	}
	h.close()
	out := program(t, 0, "", "muniment-verify", args...).stdout
	if strings.Count(out, ": PASSED\n") != 12 || !strings.Contains(out, "standing") {
		t.Errorf("the certificates:\n%s", out)
	}
}

// standing is the entry of the authorization that the last approval made: the one
// after it.
func (h *hall) standing(t testing.TB, approved ended) string {
	t.Helper()
	var v struct{ Index uint64 }
	if err := json.Unmarshal([]byte(approved.stdout), &v); err != nil || v.Index == 0 {
		t.Fatalf("%v: %s", err, approved.stdout)
	}
	return fmt.Sprint(v.Index + 1)
}

// TestS0_5_WithoutTheRingNothingOpens: whoever has the whole home but for the rings
// has nothing of any record, and its node does not start by itself; with them back,
// all is there.
func TestS0_5_WithoutTheRingNothingOpens(t *testing.T) {
	h := newHall(t)
	h.open(t)
	contents := map[string]string{}
	for i := range 4 {
		content := fmt.Sprintf("Minutes %d with %s.\n", i, canary())
		contents[h.anchor(t, fmt.Sprintf("minutes-%d.txt", i), []byte(content))] = content
	}
	h.close()
	rings := filepath.Join(t.TempDir(), "rings")
	if err := os.Rename(h.home.Rings(), rings); err != nil {
		t.Fatal(err)
	}
	h.operator(t, 7, "the keyring is missing: 4 records are kept here, and no ring that opens them: put rings/ back, or run munimentd restore --keyring FILE",
		"start", "--passphrase-file", h.secret)
	if out := h.operator(t, 7, "", "doctor").stdout; !strings.Contains(out, "\nbad      keyring        the keyring is missing: 4 records are kept here, and no ring that opens them\n") {
		t.Errorf("doctor says nothing of the keyring:\n%s", out)
	}
	if _, err := os.Stat(h.home.Rings()); !os.IsNotExist(err) {
		t.Errorf("the refused start has made rings/: %v", err)
	}
	h.open(t, "--without-rings")
	for index := range contents {
		h.reads(t, index, "", "NOT_FOUND", 6)
	}
	h.close()
	for index, content := range contents {
		if hits := found(t, string(h.home), map[string][]byte{"record " + index: []byte(content)}); len(hits) > 0 {
			t.Error(hits)
		}
	}
	if err := os.RemoveAll(h.home.Rings()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(rings, h.home.Rings()); err != nil {
		t.Fatal(err)
	}
	h.open(t)
	for index, content := range contents {
		h.reads(t, index, content, "", 0)
	}
	h.close()
}
