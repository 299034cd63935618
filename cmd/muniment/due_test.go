package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// dueList is what due and disposition dry-run print as JSON.
type dueList struct {
	Items  []dueItem       `json:"items"`
	Totals json.RawMessage `json:"totals"`
}

func (l dueList) indexes() []uint64 {
	var list []uint64
	for _, i := range l.Items {
		list = append(list, i.Index)
	}
	return list
}

// shelf is a hall with a record in each standing.
type shelf struct {
	*hallDesk
	due, young, old, undated, held, waiting, permanent, unruled, locked uint64
	hold                                                                string
}

func newShelf(t testing.TB) shelf {
	t.Helper()
	d := newHall(t)
	permits := d.keep("DEMO-PERMITS", "2029-12-31", "2030-06-01", "1899-12-31", "", "2020-01-01", "2021-01-01")
	s := shelf{hallDesk: d, due: permits[0], young: permits[1], old: permits[2], undated: permits[3], held: permits[4], locked: permits[5],
		waiting: d.keep("DEMO-MAIL", "2020-01-01")[0], permanent: d.keep("DEMO-MINUTES", "2020-01-01")[0], unruled: d.keep("DEMO-OTHER", "2020-01-01")[0]}
	s.hold = d.hold(s.held)
	disposition := d.propose(s.locked)
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	return s
}

func TestDueList(t *testing.T) {
	s := newShelf(t)
	var list dueList
	s.json("CLERK", &list, "due")
	if got := fmt.Sprint(list.indexes()); got != fmt.Sprint([]uint64{s.due, s.old}) {
		t.Errorf("what is due: %s", got)
	}
	s.json("CLERK", &list, "due", "--standing", "all")
	want := map[uint64]string{s.due: "due", s.young: "not-yet", s.old: "due", s.undated: "waiting", s.held: "held", s.locked: "locked",
		s.waiting: "waiting", s.permanent: "permanent", s.unruled: "no-rule"}
	for _, i := range list.Items {
		if i.Standing != want[i.Index] || i.Department != "PERMITS" {
			t.Errorf("record %d is %s, want %s", i.Index, i.Standing, want[i.Index])
		}
		delete(want, i.Index)
	}
	if len(want) != 0 {
		t.Errorf("not listed: %v", want)
	}
	var totals dueTotals
	if err := json.Unmarshal(list.Totals, &totals); err != nil || totals.Records != 9 || totals.LedgerDay != "2031-01-01" {
		t.Errorf("totals %s, %v", list.Totals, err)
	}
	text := s.as("CLERK", "due", "--series", "DEMO-PERMITS", "--standing", "not-yet,held,locked", "--from", "2020-01-01").stdout
	for _, line := range []string{
		fmt.Sprintf("%d  PERMITS  DEMO-PERMITS  2030-06-01  not-yet  from 2031-06-02 on", s.young),
		fmt.Sprintf("%d  PERMITS  DEMO-PERMITS  2020-01-01  held     by hold %s", s.held, s.hold),
		"under disposition",
		"4 records: 1 locked, 1 held, 1 not-yet, 1 due; by ledger day 2031-01-01",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(s.as("CLERK", "due", "--standing", "all", "--format", "csv").stdout)).ReadAll()
	if err != nil || len(rows) != 10 || rows[0][0] != "record" || rows[1][0] != numeral(s.due) || rows[1][6] != "2031-01-01" {
		t.Errorf("as CSV: %v, %q", err, rows)
	}
	if got := s.as("CLERK", "due", "--format", "json", "--department", "POLICE").stdout; !json.Valid([]byte(got)) || !strings.Contains(got, `"items": []`) {
		t.Errorf("nothing as JSON: %s", got)
	}
	s.json("CLERK", &list, "due", "--standing", "all", "--limit", "2")
	if len(list.Items) != 2 {
		t.Errorf("--limit 2 lists %d", len(list.Items))
	}
}

// TestDryRun: each record is due, not yet, held or blocked, and the totals are
// those of what is listed.
func TestDryRun(t *testing.T) {
	s := newShelf(t)
	var list dueList
	check := func(want map[uint64]string, total dryTotals) {
		t.Helper()
		for _, i := range list.Items {
			if i.Class != want[i.Index] {
				t.Errorf("record %d is %s, want %s", i.Index, i.Class, want[i.Index])
			}
		}
		var got dryTotals
		if err := json.Unmarshal(list.Totals, &got); err != nil || len(list.Items) != len(want) {
			t.Errorf("%d items, %v", len(list.Items), err)
		}
		total.LedgerDay, total.LogSize = got.LedgerDay, got.LogSize
		if got != total || got.LedgerDay != "2031-01-01" || got.LogSize == 0 {
			t.Errorf("totals %+v, want %+v", got, total)
		}
	}
	s.json("PERMITS", &list, "disposition", "dry-run")
	check(map[uint64]string{s.due: "due", s.young: "not-yet", s.old: "blocked", s.undated: "blocked", s.held: "held", s.locked: "blocked",
		s.waiting: "blocked", s.permanent: "blocked", s.unruled: "blocked"}, dryTotals{Records: 9, Due: 1, NotYet: 1, Held: 1, Blocked: 6})
	s.json("PERMITS", &list, "disposition", "dry-run", numeral(s.due), numeral(s.held), "1")
	check(map[uint64]string{s.due: "due", s.held: "held", 1: "blocked"}, dryTotals{Records: 3, Due: 1, Held: 1, Blocked: 1})
	s.json("PERMITS", &list, "disposition", "dry-run", numeral(s.old))
	check(map[uint64]string{s.old: "due"}, dryTotals{Records: 1, Due: 1})
	text := s.as("PERMITS", "disposition", "dry-run", "--series", "DEMO-PERMITS").stdout
	for _, line := range []string{
		"by hold " + s.hold, "from 2031-06-02 on", "before 1900 or undated: alone, with the administrator's approval",
		"missing:", "6 records: 1 due, 1 not yet, 1 held, 3 blocked; by ledger day 2031-01-01",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(s.as("PERMITS", "disposition", "dry-run", "--format", "csv", "1").stdout)).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][12] != "blocked" || rows[1][13] != "there is no such record" {
		t.Errorf("as CSV: %v, %q", err, rows)
	}
}

func TestWhy(t *testing.T) {
	s := newShelf(t)
	for record, says := range map[uint64][]string{
		s.due:       {"due on ledger day 2031-01-01: since 2031-01-01", "1 year after created (schedule DEMO version 1", "CLERK, CHIEF_ADMIN"},
		s.young:     {"not-yet on ledger day 2031-01-01: from 2031-06-02 on"},
		s.old:       {"before 1900 or undated", "STATE_RECORDS"},
		s.undated:   {"undated", "waiting"},
		s.held:      {"held on ledger day", "by hold " + s.hold, "ANTICIPATED, placed by COUNSEL on 2031-01-01: stands; the action is open"},
		s.waiting:   {"waiting", "until audited"},
		s.permanent: {"permanent"},
		s.unruled:   {"no rule is in force"},
		s.locked:    {"under disposition"},
	} {
		got := s.as("AUDIT", "why", numeral(record)).stdout
		for _, want := range says {
			if !strings.Contains(got, want) {
				t.Errorf("record %d: no %q in\n%s", record, want, got)
			}
		}
	}
	var why whyResult
	s.json("CLERK", &why, "why", numeral(s.held))
	if why.Record.Standing != "held" || len(why.Holds) != 1 || len(why.Rules) != 1 || len(why.Lines) == 0 || why.Rules[0].Rule != "1 year after created" {
		t.Errorf("as JSON: %+v", why)
	}
	s.fails(exitNotFound, "(NOT_FOUND)", "--office", "CLERK", "why", "1")
}
