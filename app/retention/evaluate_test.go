package retention

import (
	"strings"
	"testing"
	"time"
)

// explanation writes the lines of a verdict as staff see them.
func explanation(v Verdict) string {
	var b strings.Builder
	for _, step := range v.Why {
		b.WriteString(strings.Repeat("  ", step.Depth) + step.Text + "\n")
	}
	return b.String()
}

// An explained case is a verdict with the lines that staff see.
type explained struct {
	name, rule string
	facts      Facts
	today      string
	want       []string
}

func explanations(t *testing.T) []explained {
	f := Facts{Created: day(t, "2024-01-15"), FiscalStart: time.July, Series: "CT-MAIL"}
	audited := f
	audited.Audits = []Audit{{day(t, "2024-06-30"), day(t, "2027-06-30")}}
	merged := f
	merged.Series = "CT-MERGED"
	merged.File = &Facts{Created: day(t, "1999-09-09"), Events: []Fact{{Terminated, day(t, "2020-02-29")}}, Series: "CT-FILES"}
	needed := Facts{Undated: true, Events: []Fact{{NeedEnded, day(t, "2024-03-01")}}}
	return []explained{
		{"the later one decides", "later of (3 years after created, until audited)", audited, "2027-02-01", []string{
			"later of two periods: kept until 29 June 2027",
			"  3 years after created (15 January 2024): ended on 15 January 2027",
			"  until audited (the audit of the fiscal year that ends 30 June 2024 was posted 30 June 2027): kept until 29 June 2027",
		}},
		{"an audit is missing", "later of (3 years after created, until audited)", f, "2026-01-01", []string{
			"later of two periods: kept until each of them has ended",
			"  3 years after created (15 January 2024): kept until 15 January 2027",
			"  until audited: the audit of the fiscal year that ends 30 June 2024 has not been posted",
		}},
		{"the earlier one decides", "earlier of (until completed, 20 years after created, permanent)", f, "2026-01-01", []string{
			"earlier of three periods: kept until 15 January 2044",
			"  until completed: the day on which the project was completed has not been recorded",
			"  20 years after created (15 January 2024): kept until 15 January 2044",
			"  permanent: kept for good",
		}},
		{"two facts are missing", "earlier of (until completed, until suspended)", f, "2026-01-01", []string{
			"earlier of two periods: kept, since facts are missing",
			"  until completed: the day on which the project was completed has not been recorded",
			"  until suspended: the day on which the project was suspended has not been recorded",
		}},
		{"the end of a fiscal year", "2 years after the end of the fiscal year of created", f, "2025-01-01", []string{
			"2 years after the end of the fiscal year of created (15 January 2024, in the year that ends 30 June 2024): kept until 30 June 2026",
		}},
		{"another series", "as the corresponding series", f, "2030-01-01", []string{
			"as the corresponding series (CT-MAIL): ended on 15 January 2026",
			"  2 years after created (15 January 2024): ended on 15 January 2026",
		}},
		{"another series, whose records go into a file", "as the corresponding series", merged, "2030-01-01", []string{
			"as the corresponding series (CT-MERGED): kept until 28 February 2075",
			"  with the file of series CT-FILES: kept until 28 February 2075",
			"    55 years after terminated (29 February 2020): kept until 28 February 2075",
		}},
		{"a circle of series", "as series CT-LOOP", f, "2030-01-01", []string{
			"as series CT-LOOP: kept, since facts are missing",
			"  as series CT-LOOP: kept, since facts are missing",
			"    as series CT-LOOP: a rule of series CT-LOOP that can be reached without further detours is missing",
		}},
		{"no series is named", "as the corresponding series", Facts{}, "2030-01-01", []string{
			"as the corresponding series: the series to which the record corresponds has not been named",
		}},
		{"a series without a rule", "as series CT-X", f, "2030-01-01", []string{
			"as series CT-X: a rule in force for series CT-X is missing",
		}},
		{"a file", "with the file of series CT-FILES", merged, "2030-01-01", []string{
			"with the file of series CT-FILES: kept until 28 February 2075",
			"  55 years after terminated (29 February 2020): kept until 28 February 2075",
		}},
		{"no file", "with the file of series CT-FILES", f, "2030-01-01", []string{
			"with the file of series CT-FILES: the file of series CT-FILES into which the record was merged has not been recorded",
		}},
		{"a need", "as long as needed, at most 60 days", f, "2024-02-01", []string{
			"as long as needed, at most 60 days (created 15 January 2024, still needed): kept until 15 March 2024",
		}},
		{"a need of an undated record", "as long as needed, at most 60 days", needed, "2024-03-02", []string{
			"as long as needed, at most 60 days (undated, needed until 1 March 2024): ended on 1 March 2024",
		}},
		{"review and notice", "after archival review: after 30 days of notice: 1 year after created", f, "2024-02-01", []string{
			"after archival review: kept until 15 January 2025; before destruction an archivist reviews the record",
			"  after 30 days of notice: kept until 15 January 2025; before destruction the person concerned is given 30 days of notice",
			"    1 year after created (15 January 2024): kept until 15 January 2025",
		}},
		{"local policy", "later of (none, indefinite)", f, "2224-02-01", []string{
			"later of two periods: kept for good",
			"  none: the record may be disposed of at any time",
			"  indefinite: kept for good by local policy",
		}},
		{"nothing to wait for", "after archival review: none", f, "2024-02-01", []string{
			"after archival review: may end at any time; before destruction an archivist reviews the record",
			"  none: the record may be disposed of at any time",
		}},
		{"nothing is destroyed", "after archival review: permanent", f, "2024-02-01", []string{
			"after archival review: kept for good",
			"  permanent: kept for good",
		}},
		{"undated", "1 year after created", Facts{Undated: true}, "2024-02-01", []string{
			"1 year after created: the date of the record is not known",
		}},
		{"longer than the calendar", "9000 years after created", f, "9999-12-31", []string{
			"9000 years after created (15 January 2024): kept until the end of the calendar",
		}},
	}
}

// Explanations are read by records officers; here they are read by us.
func TestExplanations(t *testing.T) {
	lookup := schedule(t, [2]string{"CT-MAIL", "2 years after created"}, [2]string{"CT-FILES", "55 years after terminated"},
		[2]string{"CT-MERGED", "with the file of series CT-FILES"}, [2]string{"CT-LOOP", "as series CT-LOOP"})
	for _, c := range explanations(t) {
		v := Evaluate(rule(t, c.rule), c.facts, day(t, c.today), lookup)
		if got, want := explanation(v), strings.Join(c.want, "\n")+"\n"; got != want {
			t.Errorf("%s: got\n%swant\n%s", c.name, got, want)
		}
	}
}

// A corner is a case on the edge of a rule's meaning, on 1 January 2032.
type corner struct {
	name, rule string
	facts      Facts
	status     Status
	due        string // "" if the status has none
}

var cornerRules = [][2]string{
	{"A", "as series B"}, {"B", "as series C"}, {"C", "1 day after created"}, {"LOOP", "as series LOOP"},
	{"SELF", "as the corresponding series"}, {"REVIEW", "after archival review: 1 day after created"},
}

func corners(t *testing.T) []corner {
	dated := Facts{Created: day(t, "2024-01-15"), FiscalStart: time.July}
	with := func(change func(*Facts)) Facts {
		f := dated
		change(&f)
		return f
	}
	return []corner{
		{"a case that was opened and closed again", "1 year after closed", with(func(f *Facts) {
			f.Events = []Fact{{Closed, day(t, "2026-05-05")}, {Closed, day(t, "2025-05-05")}}
		}), Due, "2027-05-06"},
		{"an event before the record", "1 year after closed", with(func(f *Facts) {
			f.Events = []Fact{{Closed, day(t, "1850-02-28")}}
		}), Due, "1851-03-01"},
		{"an event on a day to come", "until closed", with(func(f *Facts) { f.Events = []Fact{{Closed, day(t, "2050-01-01")}} }), NotYet, "2050-01-02"},
		{"the date of the record is no event", "1 year after created", with(func(f *Facts) {
			f.Undated, f.Events = true, []Fact{{Created, day(t, "2001-01-01")}}
		}), Waiting, ""},
		{"an audit is no event", "until audited", with(func(f *Facts) { f.Events = []Fact{{Audited, day(t, "2025-01-01")}} }), Waiting, ""},
		{"an audit of the year before", "until audited", with(func(f *Facts) {
			f.Audits = []Audit{{day(t, "2023-06-30"), day(t, "2024-04-01")}}
		}), Waiting, ""},
		{"an audit through the last day but one", "until audited", with(func(f *Facts) {
			f.Audits = []Audit{{day(t, "2024-06-29"), day(t, "2024-12-01")}}
		}), Waiting, ""},
		{"the first audit that covers the year", "until audited", with(func(f *Facts) {
			f.Audits = []Audit{{day(t, "2025-06-30"), day(t, "2025-12-01")}, {day(t, "2026-06-30"), day(t, "2026-12-01")}}
		}), Due, "2025-12-01"},
		{"an audit, and no fiscal year", "until audited", with(func(f *Facts) {
			f.FiscalStart, f.Audits = 0, []Audit{{MaxDay, 0}}
		}), Waiting, ""},
		{"the end of a fiscal year, and no fiscal year", "until the end of the fiscal year of created", with(func(f *Facts) { f.FiscalStart = 13 }), Waiting, ""},
		{"the end of a calendar year needs none", "until the end of the calendar year of created", with(func(f *Facts) { f.FiscalStart = 0 }), Due, "2025-01-01"},
		{"a need that ended after its maximum", "as long as needed, at most 1 year", with(func(f *Facts) {
			f.Events = []Fact{{NeedEnded, day(t, "2029-01-01")}}
		}), Due, "2025-01-16"},
		{"an undated record that is needed", "as long as needed, at most 1 year", Facts{Undated: true}, Waiting, ""},
		{"two series on", "as series B", dated, Due, "2024-01-17"},
		{"three series on", "as series A", dated, Waiting, ""},
		{"a circle", "as series LOOP", dated, Waiting, ""},
		{"a circle by name", "as the corresponding series", with(func(f *Facts) { f.Series = "SELF" }), Waiting, ""},
		{"a file of another series", "with the file of series C", with(func(f *Facts) { f.File = &Facts{Series: "B"} }), Waiting, ""},
		{"the file counts, not the record", "with the file of series C", with(func(f *Facts) {
			f.File = &Facts{Created: day(t, "2029-12-31"), Series: "C"}
		}), Due, "2030-01-02"},
		{"what reaches the end of the calendar", "9000 years after created", dated, NotYet, "10000-01-01"},
		{"a day beyond the calendar", "1 day after closed", with(func(f *Facts) { f.Events = []Fact{{Closed, 1<<31 - 1}} }), NotYet, "10000-01-01"},
		{"a day before the calendar", "1 day after closed", with(func(f *Facts) { f.Events = []Fact{{Closed, -1 << 31}} }), Due, "0001-01-03"},
		{"some wait, the earliest is over", "earlier of (until closed, 1 day after created)", dated, Due, "2024-01-17"},
		{"some wait, the earliest is to come", "earlier of (until closed, 9 years after created)", dated, NotYet, "2033-01-16"},
		{"some wait, the rest never ends", "earlier of (permanent, until closed)", dated, Waiting, ""},
		{"never wins over waiting", "later of (until closed, permanent)", dated, Never, ""},
		{"waiting wins over days", "later of (1 day after created, until closed)", dated, Waiting, ""},
	}
}

func TestEvaluateCornerCases(t *testing.T) {
	lookup := schedule(t, cornerRules...)
	for _, c := range corners(t) {
		v := Evaluate(rule(t, c.rule), c.facts, day(t, "2032-01-01"), lookup)
		due := ""
		if v.Status == Due || v.Status == NotYet {
			due = v.Due.String()
		}
		if v.Status != c.status || due != c.due {
			t.Errorf("%s: %s %s, want %s %s: %v", c.name, v.Status, due, c.status, c.due, v.Why)
		}
	}
	dated := Facts{Created: day(t, "2024-01-15")}
	if v := Evaluate(rule(t, "earlier of (none, as series REVIEW)"), dated, 0, lookup); !v.Review {
		t.Error("the review that another series asks for is lost")
	}
	beyond := rule(t, "9000 years after created")
	if long, short := Evaluate(beyond, dated, 1<<31-1, nil), Judge(beyond, dated, 1<<31-1, nil); long.Status != NotYet || short.Status != NotYet {
		t.Errorf("a day after the calendar makes the record %s and %s", long.Status, short.Status)
	}
}

// A rule that no parser gave keeps the record.
func TestEvaluateUnreadableRules(t *testing.T) {
	f := Facts{FiscalStart: time.July}
	for name, r := range map[string]Rule{
		"no kind":             {},
		"unknown kind":        {Kind: 200},
		"no event":            {Kind: After, Count: 1, Unit: Days},
		"later of nothing":    {Kind: Later},
		"earlier of nothing":  {Kind: Earlier},
		"review of nothing":   {Kind: Review},
		"notice of nothing":   {Kind: Notice},
		"later of a bad one":  {Kind: Later, Rules: []Rule{{Kind: None}, {}}},
		"a file of no series": {Kind: Merge},
	} {
		if v := Evaluate(r, f, MaxDay, nil); v.Status != Waiting || len(v.Missing) == 0 {
			t.Errorf("%s: %+v, want waiting", name, v)
		}
	}
	if v := Evaluate(Rule{Kind: After, Count: 1, Unit: 9, Event: Created}, f, MaxDay, nil); v.Status != NotYet {
		t.Errorf("an unknown unit: %+v, want not yet", v)
	}
}

func TestNoticeIsTheLongest(t *testing.T) {
	for _, c := range []struct {
		rule  string
		count uint32
		unit  Unit
	}{
		{"later of (after 30 days of notice: none, after 14 days of notice: none)", 30, Days},
		{"later of (after 1 month of notice: none, after 1 year of notice: none)", 1, Years},
		{"later of (after 30 days of notice: none, after 1 month of notice: none)", 31, Days}, // neither is always longer
		{"earlier of (after 61 days of notice: none, after 2 months of notice: none)", 62, Days},
		{"after 10 days of notice: after 1 month of notice: none", 1, Months},
		{"none", 0, 0},
	} {
		v := Judge(rule(t, c.rule), Facts{}, 0, nil)
		if v.NoticeCount != c.count || v.NoticeUnit != c.unit {
			t.Errorf("%q: %d %s of notice, want %d %s", c.rule, v.NoticeCount, v.NoticeUnit, c.count, c.unit)
		}
	}
}

// Lists of a million records are judged without garbage.
func TestJudgeDoesNotAllocate(t *testing.T) {
	r := rule(t, "later of (3 years after created, until audited, as series CT-A, after archival review: 1 year after the end of the fiscal year of closed)")
	f := Facts{
		Created: day(t, "2024-01-15"), FiscalStart: time.July, Events: []Fact{{Closed, day(t, "2025-01-01")}},
		Audits: []Audit{{day(t, "2024-06-30"), day(t, "2025-06-30")}},
	}
	lookup := schedule(t, [2]string{"CT-A", "as long as needed, at most 2 years"})
	var v Verdict
	if n := testing.AllocsPerRun(100, func() { v = Judge(r, f, 0, lookup) }); n != 0 || v.Status != NotYet {
		t.Errorf("%v allocations, %s", n, v.Status)
	}
}

func BenchmarkJudge(b *testing.B) {
	f := Facts{
		Created: day(b, "2024-01-15"), FiscalStart: time.July, Events: []Fact{{Closed, day(b, "2025-01-01")}},
		Audits: []Audit{{day(b, "2024-06-30"), day(b, "2025-06-30")}},
	}
	for _, text := range []string{"3 years after created", "later of (3 years after created, until audited)", "later of (3 years after created, until superseded)"} {
		r := rule(b, text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(r, f, 20000, nil)
			}
		})
	}
}
