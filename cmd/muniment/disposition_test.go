package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (d *staffDesk) disposition(index string) ledger.Disposition {
	d.t.Helper()
	got, known, err := ledger.DispositionOf(d.view(), must(parseIndex(index)))
	if err != nil || !known {
		d.t.Fatalf("disposition %s: known %t, %v", index, known, err)
	}
	return got
}

// propose proposes the destruction of records and gives the disposition.
func (d *staffDesk) propose(records ...uint64) string {
	d.t.Helper()
	args := []string{"disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy"}
	for _, r := range records {
		args = append(args, numeral(r))
	}
	var got proposeResult
	d.json("PERMITS", &got, args...)
	if len(got.Dispositions) != 1 || got.DryRun || got.Totals != (proposeTotals{Records: len(records), Proposed: len(records)}) {
		d.t.Fatalf("proposed: %+v", got)
	}
	return numeral(uint64(got.Dispositions[0].Index))
}

// approve has both offices approve that must.
func (d *staffDesk) approve(disposition string) {
	d.t.Helper()
	for _, office := range []string{"CLERK", "CHIEF"} {
		d.as(office, "disposition", "approve", disposition)
	}
}

// TestDispositionToItsLock: proposed, approved by distinct offices, locked, and
// reported by the office that took over.
func TestDispositionToItsLock(t *testing.T) {
	d := newStaff(t)
	r := d.anchored("2020-05-01", "a", "b", "c")
	disposition := d.propose(r...)
	d.refused("PERMITS", "(SAME_OFFICE)", "disposition", "approve", disposition)
	d.refused("COUNSEL", "(WRONG_ROLE)", "disposition", "approve", disposition)
	shown := d.as("CLERK", "disposition", "approve", disposition)
	if want := fmt.Sprintf("approving: DESTROY 3 records of PERMITS, series DEMO-PERMITS: records %s", fewText(r)); !strings.Contains(shown.stderr, want) {
		t.Errorf("approve says %q, want %q", shown.stderr, want)
	}
	d.refused("CLERK", "(ALREADY_APPROVED)", "disposition", "approve", disposition)
	d.refused("IT", "(MISSING_APPROVAL)", "disposition", "lock", disposition)
	d.as("CHIEF", "disposition", "approve", disposition)
	d.refused("CLERK", "(WRONG_ROLE)", "disposition", "lock", disposition)
	d.as("IT", "disposition", "lock", disposition)
	if got := d.disposition(disposition); got.Status != ledger.DispositionLocked || got.Count != 3 || len(got.Approvals) != 2 {
		t.Errorf("after the lock: %+v", got)
	}
	d.refused("IT", "(DISPOSITION_CLOSED)", "disposition", "lock", disposition)
	d.refused("PERMITS", "(DISPOSITION_CLOSED)", "disposition", "withdraw", disposition)
	d.refused("PERMITS", "(NO_REPORT_DUE)", "disposition", "confirm", disposition)
	d.refused("PERMITS", fmt.Sprintf("record %d: ", r[0]), "disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy", numeral(r[0]))
	if late := d.as("COUNSEL", "hold", "place", "--kind", "litigation", "--matter", "x", numeral(r[0])); !strings.Contains(late.stderr, "after the lock of 1 disposition") {
		t.Errorf("a hold after the lock: %q", late.stderr)
	}
}

// TestTransferIsConfirmed by the office that takes custody over.
func TestTransferIsConfirmed(t *testing.T) {
	d := newStaff(t)
	r := d.anchored(dayText(d.today()-30), "a", "b")
	args := []string{"disposition", "propose", "--series", "DEMO-PERMITS", "--action", "transfer", "--to", "COUNSEL", numeral(r[0]), numeral(r[1])}
	var got proposeResult
	d.json("PERMITS", &got, args...)
	disposition := numeral(uint64(got.Dispositions[0].Index))
	d.refused("CHIEF", "(NOT_LOCKED)", "disposition", "confirm", disposition)
	d.approve(disposition)
	if r := d.as("IT", "disposition", "lock", disposition); !strings.Contains(r.stderr, "COUNSEL takes custody over") {
		t.Errorf("lock says %q", r.stderr)
	}
	d.as("COUNSEL", "disposition", "confirm", disposition, "--preserved", numeral(r[1]))
	d.refused("COUNSEL", "(ALREADY_REPORTED)", "disposition", "confirm", disposition, "--nothing-done")
	for n, want := range []bool{true, false} {
		l, _, err := ledger.LifecycleOf(d.view(), record.Index(r[n]))
		if locked := l.Disposition != 0; err != nil || locked != want {
			t.Errorf("record %d is locked: %t, %v; want %t", r[n], locked, err, want)
		}
	}
}

// today is the ledger day after the last block.
func (d *staffDesk) today() record.Day { return record.LedgerDay(d.view().Head().Time) }

// TestRefusalsAreReceipts: what the law refuses is an entry, whose receipt is
// verified, and the sentence says what stands against it.
func TestRefusalsAreReceipts(t *testing.T) {
	d := newStaff(t)
	r := d.anchored("2020-05-01", "a", "b")
	young := d.anchored(dayText(d.today()-200), "young")[0]
	propose := []string{"disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy"}

	// a period that runs
	before := d.view().Head().Size
	got := d.refused("PERMITS", fmt.Sprintf("(record %d); the refusal is recorded as entry", young), append(propose, numeral(r[0]), numeral(young))...)
	var entry uint64
	_, after, _ := strings.Cut(got.stderr, "recorded as entry ")
	if _, err := fmt.Sscan(after, &entry); err != nil || !strings.Contains(got.stderr, "(NOT_DUE)") || !strings.Contains(got.stderr, fmt.Sprintf("muniment why %d explains it; muniment receipt %d", young, entry)) {
		t.Fatalf("refused: %q", got.stderr)
	}
	if grown := d.view().Head().Size - before; grown != 3 {
		t.Errorf("the log grew by %d entries, want transaction, refusal and block", grown)
	}
	d.as("PERMITS", "receipt", numeral(entry), "-o", d.path("refusal"))
	v := must(receipt.Verify(d.city.network, must(os.ReadFile(d.path("refusal")))))
	if e, ok := v.Entry.(record.RefusalEntry); !ok || v.Outcome != receipt.Passed || e.Record != record.Index(young) || ledger.Code(e.Code) != ledger.CodeNotDue || v.Signed.Office != "PERMITS" {
		t.Errorf("refusal receipt: %+v of %+v", v.Outcome, v.Entry)
	}

	// a hold between approval and lock
	disposition := d.propose(r...)
	d.approve(disposition)
	hold := d.acted("COUNSEL", "hold", "place", "--kind", "anticipated", "--matter", "x", numeral(r[1]))
	d.refused("IT", fmt.Sprintf("(record %d, hold %s); the refusal is recorded", r[1], hold), "disposition", "lock", disposition)
	var said refusalResult
	raw := d.run("--office", "IT", "--output", "json", "disposition", "lock", disposition)
	if err := json.Unmarshal([]byte(raw.stdout), &said); err != nil || raw.code != exitRefused || said.Refused != "HELD" || said.Record != record.Index(r[1]) ||
		numeral(uint64(said.Hold)) != hold || numeral(uint64(said.Disposition)) != disposition || said.Entry != said.Transaction+1 {
		t.Errorf("as JSON: %d, %s, %v", raw.code, raw.stdout, err)
	}
	d.refused("PERMITS", "(HELD)", append(propose, numeral(r[1]))...)
	d.city.set(hooks{lie: func(r *apiv1.SubmitResponse) { r.Reason = "NOT_DUE" }})
	d.fails(exitContradicted, "the node says NOT_DUE, entry", "--office", "IT", "disposition", "lock", disposition)
	d.city.set(hooks{lie: func(r *apiv1.SubmitResponse) { r.FirstIndex = entry }})
	d.fails(exitContradicted, "(RECEIPT_OF_ANOTHER)", "--office", "IT", "disposition", "lock", disposition)
	d.city.set(hooks{})
	d.as("COUNSEL", "hold", "resolve", hold, "--action-closed")
	d.as("CLERK", "hold", "release", hold)
	d.refused("IT", "or placed or released a hold on its records since the proposal (SAME_OFFICE)", "disposition", "lock", disposition) // CLERK approved, and released a hold since
	d.as("PERMITS", "disposition", "withdraw", disposition)
	d.refused("CHIEF", "(DISPOSITION_CLOSED)", "disposition", "approve", disposition)
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "CHIEF", "disposition", "approve", numeral(r[0]))
}

// TestNoticeToThePersonsConcerned is stated by a day that is not in the future.
func TestNoticeToThePersonsConcerned(t *testing.T) {
	d := newStaff(t)
	disposition := d.propose(d.anchored("2020-05-01", "a")...)
	d.fails(exitUsage, "on which day?", "--office", "PERMITS", "disposition", "notice", disposition)
	d.refused("PERMITS", "(BAD_DAY)", "disposition", "notice", disposition, "--day", dayText(d.today()+2))
	d.refused("CLERK", "(WRONG_OFFICE)", "disposition", "notice", disposition, "--day", "2026-01-31")
	d.as("PERMITS", "disposition", "notice", disposition, "--day", "2026-01-31")
	if got := d.disposition(disposition); got.Notice == 0 || dayText(got.NoticeDay) != "2026-01-31" {
		t.Errorf("notice: %+v", got)
	}
}

// TestDispositionMistakes are found before anything is signed.
func TestDispositionMistakes(t *testing.T) {
	d := newStaff(t)
	size := d.view().Head().Size
	for _, test := range []struct {
		says string
		args []string
	}{
		{"give --series CODE", []string{"--action", "destroy", "5"}},
		{"which action?", []string{"--series", "DEMO-PERMITS", "5"}},
		{"which action?", []string{"--series", "DEMO-PERMITS", "--action", "burn", "5"}},
		{"of which records?", []string{"--series", "DEMO-PERMITS", "--action", "destroy"}},
		{"of which records?", []string{"--series", "DEMO-PERMITS", "--action", "destroy", "--due", "5"}},
		{"days go with --due", []string{"--series", "DEMO-PERMITS", "--action", "destroy", "--from", "2020-01-01", "5"}},
		{"a transfer names", []string{"--series", "DEMO-PERMITS", "--action", "transfer", "5"}},
		{"a transfer names", []string{"--series", "DEMO-PERMITS", "--action", "destroy", "--to", "STATE", "5"}},
		{"not a code", []string{"--series", "permits", "--action", "destroy", "5"}},
		{"not an entry index", []string{"--series", "DEMO-PERMITS", "--action", "destroy", "--standing", "-1", "5"}},
	} {
		d.fails(exitUsage, test.says, append([]string{"--office", "PERMITS", "disposition", "propose"}, test.args...)...)
	}
	for _, args := range [][]string{
		{"disposition", "approve"}, {"disposition", "approve", "x"}, {"disposition", "lock", "1", "2"}, {"disposition", "notice", "1", "--day", "May"},
		{"disposition", "confirm", "1", "--nothing-done", "--preserved", "2"}, {"disposition", "dry-run", "5", "--series", "DEMO-PERMITS"},
		{"disposition", "dry-run", "--standing", "lost"}, {"disposition", "report", "--format", "pdf"}, {"due", "--format", "pdf"}, {"due", "--standing", "lost"},
		{"due", "--department", "permits"}, {"due", "5"}, {"why"}, {"why", "x"}, {"clock", "acknowledge"}, {"clock", "acknowledge", "x"}, {"clock", "x"},
	} {
		d.fails(exitUsage, "", append([]string{"--office", "PERMITS"}, args...)...)
	}
	if got := d.view().Head().Size; got != size {
		t.Errorf("the log grew from %d to %d entries", size, got)
	}
}

func TestMissingRoles(t *testing.T) {
	for _, test := range []struct {
		what    string
		roles   []string
		offices [][]string
		want    string
	}{
		{"nobody has approved", []string{"CLERK", "CHIEF_ADMIN"}, nil, "CLERK,CHIEF_ADMIN"},
		{"each role has its office", []string{"CLERK", "CHIEF_ADMIN"}, [][]string{{"CHIEF_ADMIN"}, {"CLERK"}}, ""},
		{"an office with both roles fills one", []string{"CLERK", "CHIEF_ADMIN"}, [][]string{{"CLERK", "CHIEF_ADMIN"}}, "CHIEF_ADMIN"},
		{"an office gives way to another", []string{"CLERK", "CHIEF_ADMIN"}, [][]string{{"CLERK", "CHIEF_ADMIN"}, {"CLERK"}}, ""},
		{"an office without the role", []string{"CLERK"}, [][]string{{"AUDITOR"}}, "CLERK"},
	} {
		if got := strings.Join(missingRoles(test.roles, test.offices), ","); got != test.want {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}

func TestFewText(t *testing.T) {
	for want, list := range map[string][]uint64{
		"": nil, "338-345, 350-357": {338, 339, 340, 341, 342, 343, 344, 345, 350, 351, 352, 353, 354, 355, 356, 357},
		"1, 3, 5, 7-8": {1, 3, 5, 7, 8}, "1, 3, 5, 7-8 and 3 more": {1, 3, 5, 7, 8, 10, 11, 13},
	} {
		if got := fewText(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
}

func TestListText(t *testing.T) {
	for want, list := range map[string][]uint64{"": nil, "3": {3}, "3-4": {3, 4}, "3, 5-9, 12": {3, 5, 6, 7, 8, 9, 12}} {
		if got := listText(list); got != want {
			t.Errorf("%v: %q, want %q", list, got, want)
		}
	}
}
