package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// TestProposeDue: the dry run says what the real run does, which leaves out what
// is to be proposed alone and what is proposed already.
func TestProposeDue(t *testing.T) {
	d := newHall(t)
	due := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02", "2019-01-03", "1890-01-01", "2030-12-01", "")
	already := d.propose(due[2])
	args := []string{"disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy", "--due"}
	size := d.hall.View().Head().Size
	var plan, real proposeResult
	d.json("PERMITS", &plan, append(args, "--dry-run")...)
	if got := d.hall.View().Head().Size; got != size || !plan.DryRun {
		t.Errorf("the dry run made %d entries", got-size)
	}
	d.json("PERMITS", &real, args...)
	want := proposeTotals{Records: 4, Proposed: 2, Alone: 1, Already: 1}
	if plan.Totals != want || real.Totals != want || real.DryRun {
		t.Errorf("totals of the dry run %+v, of the real one %+v, want %+v", plan.Totals, real.Totals, want)
	}
	if len(real.Dispositions) != 1 || real.Dispositions[0].First != record.Index(due[0]) || real.Dispositions[0].Last != record.Index(due[1]) ||
		!slices.Equal(real.Alone, []record.Index{record.Index(due[3])}) || real.Already[0].Record != record.Index(due[2]) || numeral(real.Already[0].Disposition) != already {
		t.Errorf("proposed: %+v", real)
	}
	d.json("PERMITS", &real, args...)
	if len(real.Dispositions) != 0 || real.Totals != (proposeTotals{Records: 4, Alone: 1, Already: 3}) {
		t.Errorf("once more: %+v", real)
	}
	text := d.as("PERMITS", append(args, "--dry-run", "--through", "1899-12-31")...)
	if !strings.Contains(text.stdout, fmt.Sprintf("each to be proposed alone: %d", due[3])) || !strings.Contains(text.stdout, "1 record: 0 proposed, 1 alone, 0 already, 0 blocked") ||
		!strings.Contains(text.stderr, "nothing was signed") {
		t.Errorf("as text: %q, %q", text.stdout, text.stderr)
	}
}

// TestProposeNothingDue says so, and where the records stand.
func TestProposeNothingDue(t *testing.T) {
	d := newHall(t)
	args := []string{"disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy", "--due"}
	if r := d.as("PERMITS", args...); !strings.Contains(r.stderr, "nothing is due, and nothing was signed: the office has no records of series DEMO-PERMITS") {
		t.Errorf("without records: %q", r.stderr)
	}
	d.keep("DEMO-PERMITS", "2030-12-01", "2030-12-02")
	r := d.as("PERMITS", args...)
	if !strings.Contains(r.stdout, "not due  2 records: 2 not-yet; by ledger day 2031-01-01") ||
		!strings.Contains(r.stderr, "nothing is due, and nothing was signed: muniment due --series DEMO-PERMITS --standing all") || strings.Contains(r.stderr, "next:") {
		t.Errorf("before the day: %q, %q", r.stdout, r.stderr)
	}
	due := d.keep("DEMO-PERMITS", "2019-01-01")
	d.propose(due...)
	if r = d.as("PERMITS", args...); strings.Contains(r.stdout, "not due") || !strings.Contains(r.stderr, "what is due is proposed already") {
		t.Errorf("all proposed: %q, %q", r.stdout, r.stderr)
	}
}

// TestDispositionShowWhoTouchedHolds: no lock is promised that is always refused.
func TestDispositionShowWhoTouchedHolds(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02")
	disposition := d.propose(r...)
	d.approve(disposition)
	hold := d.acted("COUNSEL", "hold", "place", "--kind", "litigation", "--matter", "x", numeral(r[1]))
	show := func() (shown dispositionResult, text string) {
		t.Helper()
		d.json("IT", &shown, "disposition", "show", disposition)
		said := d.as("IT", "disposition", "show", disposition)
		return shown, said.stdout + said.stderr
	}
	shown, text := show()
	if len(shown.Touched) != 1 || shown.Touched[0].Part != "" || shown.Earliest == "" || !strings.Contains(text, "COUNSEL placed, extended or released hold "+hold) ||
		!strings.Contains(text, "it may neither approve nor lock") || !strings.Contains(text, "next: muniment disposition lock") {
		t.Errorf("held by an office without a part: %+v\n%s", shown, text)
	}
	d.as("COUNSEL", "hold", "resolve", hold, "--action-closed")
	d.as("CLERK", "hold", "release", hold)
	shown, text = show()
	if len(shown.Touched) != 2 || shown.Touched[1].Office != "CLERK" || shown.Touched[1].Part != "approved" || shown.Earliest != "" {
		t.Errorf("released by an office that approved: %+v", shown)
	}
	for _, want := range []string{"CLERK placed, extended or released hold " + hold + " on these records since the proposal: it also approved, so that every lock is refused",
		"it has to be proposed anew", "next: muniment disposition withdraw " + disposition} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	d.refused("IT", "(SAME_OFFICE)", "disposition", "lock", disposition)
}

// TestProposeMany: more than one transaction takes becomes several dispositions.
func TestProposeMany(t *testing.T) {
	d := newHall(t)
	dates := make([]string, record.MaxRecords)
	for i := range dates {
		dates[i] = "2019-01-01"
	}
	many := append(d.keep("DEMO-PERMITS", dates...), d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-01")...)
	var got proposeResult
	d.json("PERMITS", &got, "disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy", "--due")
	if len(got.Dispositions) != 2 || got.Dispositions[0].Records != record.MaxRecords || got.Dispositions[1].Records != 2 || got.Totals.Proposed != len(many) {
		t.Errorf("proposed: %+v", got.Dispositions)
	}
	var list dueList
	d.json("PERMITS", &list, "disposition", "dry-run", fmt.Sprintf("%d-%d", many[0], many[record.MaxRecords-1]), numeral(many[record.MaxRecords]))
	if len(list.Items) != record.MaxRecords+1 || !strings.Contains(string(list.Totals), `"due": 4097`) {
		t.Errorf("dry run of %d items, %s", len(list.Items), list.Totals)
	}
}

// TestProposeManyAndOneRefused: what was proposed is shown, and what ended it.
func TestProposeManyAndOneRefused(t *testing.T) {
	d := newHall(t)
	dates := make([]string, record.MaxRecords)
	for i := range dates {
		dates[i] = "2019-01-01"
	}
	many, young := d.keep("DEMO-PERMITS", dates...), d.keep("DEMO-PERMITS", "2030-12-01")[0]
	r := d.run("--office", "PERMITS", "--output", "json", "disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy",
		fmt.Sprintf("%d-%d", many[0], many[len(many)-1]), numeral(young))
	var got struct {
		proposeResult
		Refused refusalResult `json:"refused"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != exitRefused || len(got.Dispositions) != 1 || got.Totals.Proposed != record.MaxRecords ||
		got.Refused.Refused != "NOT_DUE" || got.Refused.Record != record.Index(young) || got.Refused.Entry == 0 {
		t.Errorf("exit code %d, %+v, %v", r.code, got, err)
	}
}

// TestDryRunOfNamedRecords lists what stands against each.
func TestDryRunOfNamedRecords(t *testing.T) {
	s := newShelf(t)
	args := func(action string, records ...uint64) []string {
		list := []string{"disposition", "propose", "--series", "DEMO-PERMITS", "--dry-run", "--action", action}
		if action == "transfer" {
			list = append(list, "--to", "STATE")
		}
		for _, r := range records {
			list = append(list, numeral(r))
		}
		return list
	}
	var got proposeResult
	s.json("PERMITS", &got, args("destroy", s.due, s.young, s.held, s.old)...)
	if got.Totals != (proposeTotals{Records: 4, Proposed: 1, Blocked: 3}) || got.Blocked[0].Index != s.young || got.Dispositions[0].First != record.Index(s.due) {
		t.Errorf("destroy: %+v", got)
	}
	s.json("PERMITS", &got, args("transfer", s.due, s.young, s.held, s.old)...)
	if got.Totals != (proposeTotals{Records: 4, Proposed: 2, Blocked: 2}) {
		t.Errorf("transfer: %+v", got)
	}
	if text := s.as("PERMITS", args("destroy", s.held)...).stdout; !strings.Contains(text, fmt.Sprintf("record %d is held: by hold %s", s.held, s.hold)) {
		t.Errorf("as text: %s", text)
	}
}

// TestDispositionShow: what it has, what is missing, when it can be locked.
func TestDispositionShow(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02")
	disposition := d.propose(r...)
	var shown dispositionResult
	show := func() string {
		t.Helper()
		d.json("AUDIT", &shown, "disposition", "show", disposition)
		r := d.as("AUDIT", "disposition", "show", disposition)
		return r.stdout + r.stderr
	}
	text := show()
	if shown.Status != "OPEN" || !slices.Equal(shown.Records, r) || fmt.Sprint(shown.Missing) != "[CLERK CHIEF_ADMIN]" || shown.Earliest != "" || shown.NoticeHeights != 1 {
		t.Errorf("proposed: %+v", shown)
	}
	for _, want := range []string{"missing      approval by an office with the role CHIEF_ADMIN", "0 days and 1 block after the last approval", "next: muniment disposition approve " + disposition} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	d.approve(disposition)
	text = show()
	if len(shown.Missing) != 0 || shown.Earliest != "2031-01-01" || len(shown.Approvals) != 2 || shown.Approvals[0].GoodUntil != "2031-06-30" {
		t.Errorf("approved: %+v", shown)
	}
	if !strings.Contains(text, "from 2031-01-01 on, and 1 block after the last approval") || !strings.Contains(text, "next: muniment disposition lock") {
		t.Errorf("approved:\n%s", text)
	}
	d.as("IT", "disposition", "lock", disposition)
	if text = show(); shown.Status != "LOCKED" || len(shown.Reports) != 1 || shown.Reports[0].Reporter != "PERMITS" || !strings.Contains(text, "of PERMITS is due") {
		t.Errorf("locked: %+v\n%s", shown, text)
	}
	d.as("PERMITS", "disposition", "confirm", disposition)
	if show(); shown.Status != "COMPLETE" || shown.Reports[0].Entry == 0 {
		t.Errorf("reported: %+v", shown)
	}
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "CLERK", "disposition", "show", numeral(r[0]))
}

// TestDispositionReport lists every disposition, and leaves out refusals.
func TestDispositionReport(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02", "2030-12-01")
	locked, withdrawn := d.propose(r[0]), d.propose(r[1])
	d.refused("PERMITS", "(NOT_DUE)", "disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy", numeral(r[2]))
	d.approve(locked)
	d.as("IT", "disposition", "lock", locked)
	d.as("PERMITS", "disposition", "withdraw", withdrawn)
	rows, err := csv.NewReader(strings.NewReader(d.as("AUDIT", "disposition", "report", "--format", "csv").stdout)).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != locked || rows[1][10] != "LOCKED" || rows[1][8] != "CLERK 2031-01-01; CHIEF 2031-01-01" || rows[1][13] != "1" || rows[2][10] != "WITHDRAWN" {
		t.Errorf("as CSV: %v, %q", err, rows)
	}
	var report dispositionReport
	d.json("AUDIT", &report, "disposition", "report")
	if len(report.Dispositions) != 2 || len(report.Totals) != 2 || report.Totals[0] != (reportTotal{"LOCKED", "DESTROY", 1, 1}) {
		t.Errorf("as JSON: %+v", report)
	}
	if text := d.as("AUDIT", "disposition", "report").stdout; !strings.Contains(text, "WITHDRAWN DESTROY: 1 disposition, 1 record") {
		t.Errorf("as text: %s", text)
	}
	if got := d.as("AUDIT", "disposition", "report", "--format", "json", "--department", "CLERK").stdout; !json.Valid([]byte(got)) || !strings.Contains(got, `"dispositions": []`) {
		t.Errorf("of an office without any: %s", got)
	}
	var list struct{ Dispositions []dispositionInfo }
	d.json("AUDIT", &list, "disposition", "list", "--open")
	if len(list.Dispositions) != 1 || numeral(list.Dispositions[0].Index) != locked {
		t.Errorf("open ones: %+v", list)
	}
	if text := d.as("AUDIT", "disposition", "list").stdout; !strings.Contains(text, "0 of 1 report") || !strings.Contains(text, "WITHDRAWN") {
		t.Errorf("list: %s", text)
	}
}

// TestHoldListAndShow: what stands, what a release waits for, what is released.
func TestHoldListAndShow(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01")[0]
	hold := d.acted("COUNSEL", "hold", "place", "--kind", "foi-request", "--issues", "2", "--matter", "x", "--department", "PERMITS", "--to", "2019-12-31")
	if text := d.as("CLERK", "hold", "show", hold).stdout; !strings.Contains(text, "stands; the action is open, 2 issues open: 1-2") || !strings.Contains(text, "all records of PERMITS") {
		t.Errorf("show: %s", text)
	}
	d.as("COUNSEL", "hold", "resolve", hold, "--action-closed")
	d.as("COUNSEL", "hold", "resolve", hold, "--issue", "1")
	d.as("COUNSEL", "hold", "resolve", hold, "--issue", "2")
	var list struct{ Holds []holdInfo }
	d.json("CLERK", &list, "hold", "list", "--record", numeral(r))
	if len(list.Holds) != 1 || list.Holds[0].Kind != "FOI_REQUEST" || len(list.Holds[0].OpenIssues) != 0 || list.Holds[0].state() != "stands; it can be released" {
		t.Errorf("on the record: %+v", list.Holds)
	}
	d.as("CLERK", "hold", "release", hold)
	d.json("CLERK", &list, "hold", "list")
	if len(list.Holds) != 0 {
		t.Errorf("that stand: %+v", list.Holds)
	}
	if text := d.as("CLERK", "hold", "list", "--all").stdout; !strings.Contains(text, "released by CLERK, entry") {
		t.Errorf("all: %s", text)
	}
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "CLERK", "hold", "show", numeral(r))
}
