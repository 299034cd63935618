package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// TestACustodianNeverReports: what it owes stays open, and everybody can see who owes
// it. The offices name it as lost, which is on the record; that closes nothing of what
// was open, and what comes later no longer waits for it.
func TestACustodianNeverReports(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	before, _ := w.minutes(t, 0, "before")
	later, laterContent := w.minutes(t, 1, "later")
	w.copied(t, 0, 3, 2)
	silent := w.at[2].ids[0]
	w.nodes[2].kill()
	open := w.lock(t, w.at[0], before)
	w.carriesOut(t, 0, open)
	w.carriesOut(t, 1, open)
	owes := func() {
		t.Helper()
		for _, office := range []string{"DPW", "CLERK"} {
			if out := w.as(t, 0, office, "disposition", "list", "--open").stdout; !strings.HasPrefix(out, open+"  LOCKED  ") || !strings.Contains(out, "2 of 3 reports") {
				t.Errorf("%s sees among the open dispositions\n%s", office, out)
			}
		}
		if out := w.as(t, 0, "CLERK", "disposition", "show", open).stdout; strings.Count(out, " is due\n") != 1 {
			t.Errorf("the disposition is shown as\n%s", out)
		}
		if out := w.as(t, 0, "CLERK", "disposition", "report", "--format", "csv").stdout; !strings.Contains(out, ",2,1,") {
			t.Errorf("the report on dispositions says\n%s", out)
		}
		if e := w.as(t, 4, "DPW", "certificate", before, "-o", w.out("certificate")); !strings.Contains(e.stderr, "NOT COMPLETE: pending at custodian ") {
			t.Errorf("a certificate of what one custodian has not reported:\n%s", e.stderr)
		}
	}
	owes()

	// It cannot just be left out: the offices have to say that it is gone for good.
	if e := w.as(t, 7, "CLERK", "custody", "set", "CITY", "--remove", silent); !strings.Contains(e.stderr, "(CUSTODIAN_STAYS)") {
		t.Errorf("it is left out while it owes a report:\n%s", e.stderr)
	}
	proposal := find(t, regexp.MustCompile(`(?m)entry (\d+)$`), w.as(t, 0, "CLERK", "custody", "set", "CITY", "--lost", silent).stdout)
	if e := w.as(t, 0, "CIO", "office", "approve", proposal); !strings.Contains(e.stderr, "2 custodians") || !strings.Contains(e.stderr, "lost without a report of their own: ") {
		t.Errorf("what is approved reads\n%s", e.stderr)
	}
	if out := w.as(t, 0, "CLERK", "custody", "list").stdout; strings.Count(out, "  lost\n") != 1 || strings.Count(out, "  node ") != 2 {
		t.Errorf("the set is shown as\n%s", out)
	}
	owes()
	d := w.lock(t, w.at[1], later)
	w.at[0].reads(t, later, "", "LOCKED", 7)
	for i := range 2 {
		w.carriesOut(t, i, d)
	}
	w.as(t, 0, "DPW", "certificate", later, "-o", w.out("complete"))
	program(t, 0, "", "muniment-verify", "--network", w.home.Network(), w.out("complete"))

	// It is found again after all. What it kept it has to destroy, and it says so.
	w.begin(t, 2)
	until(t, "it has caught up, and has destroyed what it owed", func() bool {
		w.at[2].erase(t)
		return strings.Contains(w.at[2].try(t, "DPW", "read", before, "-o", w.out("destroyed")).stderr, "(DESTROYED)")
	})
	w.at[2].reads(t, later, "", "(", 6)
	w.as(t, 0, "DPW", "certificate", before, "-o", w.out("certificate"))
	if out := w.as(t, 0, "CLERK", "disposition", "list", "--open").stdout; strings.Contains(out, open) {
		t.Error("it has reported, and the disposition is open still")
	}
	w.quiet(t, map[string][]byte{"content": []byte(laterContent)})
	w.end(0, 1, 2, 3)
}
