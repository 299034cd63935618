package retention

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func day(t testing.TB, text string) Day {
	t.Helper()
	d, err := ParseDay(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func rule(t testing.TB, text string) Rule {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// schedule is a Lookup over rules written as text.
func schedule(t testing.TB, rules ...[2]string) Lookup {
	t.Helper()
	var series []string
	var parsed []Rule
	for _, r := range rules {
		series, parsed = append(series, r[0]), append(parsed, rule(t, r[1]))
	}
	return func(code string) (Rule, bool) {
		i := slices.Index(series, code)
		if i < 0 {
			return Rule{}, false
		}
		return parsed[i], true
	}
}

// Periods that recur in the table.
const (
	auditedOrThree = "later of (until audited, 3 years after created)"
	intoFile       = "with the file of series CT-16-2-8H-13"
	corresponding  = "as the corresponding series"
)

// What the rows miss when nothing but the date of the record is known.
const (
	noAudit      = "the audit of the fiscal year that ends 30 June 2024"
	noFile       = "the file of series CT-16-2-8H-13 into which the record was merged"
	noSeries     = "the series to which the record corresponds"
	noSuperseded = "the day on which the record was superseded"
	noList       = "the day on which the list ended"
	noElection   = "the day of the election"
	noEnd        = "the day of termination"
)

// sixtyRows are the retention entries of the requirements, section 2.3, in the
// language. until is the last day of the period of a record made on 29 February
// 2024, given all of rowFacts; missing is what the row waits for
// when the date is all that is known. Where the source says "3 years or until
// audited" without saying which, the later is written.
var sixtyRows = []struct {
	number              int
	series, rule, until string
	missing             string
}{
	{1, "affirmative action plan", "later of (7 years after created, until superseded)", "2032-05-31", noSuperseded},
	{2, "applications for employment, hired", intoFile, "2084-06-30", noFile},
	{3, "applications for employment, not hired", "5 years after created", "2029-02-28", ""},
	{4, "arbitration folder", "5 years after created", "2029-02-28", ""},
	{5, "certification and exam request forms", "1 year after list-ended", "2025-12-31", noList},
	{6, "certification of eligibles", "1 year after list-ended", "2025-12-31", noList},
	{7, "correspondence on personnel action", "3 years after created", "2027-02-28", ""},
	{8, "credit union deductions", auditedOrThree, "2027-02-28", noAudit},
	{9, "health benefit form after termination", "1 year after terminated", "2030-06-30", noEnd},
	{10, "employee history cards", "55 years after terminated", "2084-06-30", noEnd},
	{11, "performance appraisals", intoFile, "2084-06-30", noFile},
	{12, "time sheets", auditedOrThree, "2027-02-28", noAudit},
	{13, "former employees' permanent files", "55 years after terminated", "2084-06-30", noEnd},
	{14, "inquiry on availability for appointment", "5 years after created", "2029-02-28", ""},
	{15, "job specifications", "until superseded", "2032-05-31", noSuperseded},
	{16, "longevity increases", auditedOrThree, "2027-02-28", noAudit},
	{17, "medical certificates", intoFile, "2084-06-30", noFile},
	{18, "monthly personnel status reports", "1 year after created", "2025-02-28", ""},
	// The in-house plan is a series of the town's own.
	{19, "MPS exam and records", "later of (5 years after created, as series LOCAL-MPS)", "2030-02-28", "a rule in force for series LOCAL-MPS"},
	{20, "notice of personnel action", intoFile, "2084-06-30", noFile},
	{21, "personnel position change", "3 years after created", "2027-02-28", ""},
	{22, "record of overtime pay", auditedOrThree, "2027-02-28", noAudit},
	{23, "records of grievances", "5 years after created", "2029-02-28", ""},
	{24, "records of recruitment", "5 years after created", "2029-02-28", ""},
	{25, "request for temporary service", "1 year after created", "2025-02-28", ""},
	{26, "S2-010 affirmative action plans and reports", "later of (5 years after created, until superseded)", "2032-05-31", noSuperseded},
	{27, "S2-020 affirmative action initiatives", "later of (2 years after created, until superseded)", "2032-05-31", noSuperseded},
	{28, "ADMIN-001 communications on agency functions", corresponding, "2027-02-28", noSeries},
	{29, "ADMIN-002 electronic messages", corresponding, "2027-02-28", noSeries},
	{30, "ADMIN-003 social media", corresponding, "2027-02-28", noSeries},
	{31, "ADMIN-004 web site content", corresponding, "2027-02-28", noSeries},
	{32, "ADMIN-005 accident reports", "10 years after the end of the calendar year of created", "2034-12-31", ""},
	// Made at an accreditation, kept until the next.
	{33, "ADMIN-006 accreditation", "later of (5 years after created, until accredited)", "2029-02-28", "the day of the next accreditation"},
	{34, "S1-550 completed disposition authorisations", "25 years after created", "2049-02-28", ""},
	{35, "architectural records, completed", "after archival review: 1 year after demolished", "2051-08-08", "the day on which the structure was demolished"},
	{36, "architectural records, suspended", "20 years after suspended", "2045-03-03", "the day on which the project was suspended"},
	{37, "architectural tracings", "earlier of (until completed, until suspended)", "2025-03-03", "the day on which the project was completed, the day on which the project was suspended"},
	{38, "absentee: envelopes of rejected ballots", "60 days after election", "2025-01-04", noElection},
	{39, "absentee: depository envelopes", "180 days after election", "2025-05-04", noElection},
	{40, "clerk's affidavit of receipt times", "180 days after election", "2025-05-04", noElection},
	{41, "executed absentee applications", "60 days after election", "2025-01-04", noElection},
	{42, "land records and indexes", "permanent", "never", ""},
	// The charge makes a series of its own: a rule knows no "if".
	{43, "personnel records (state)", "later of (2 years after created, 2 years after closed)", "2027-05-05", "the day on which the case or file was closed"},
	{43, "personnel records (state), a charge filed", "later of (2 years after created, 2 years after closed, until disposed)", "2030-01-02", "the day on which the case or file was closed, the day of the final disposition of the charge"},
	{44, "student category A record", "50 years after left", "2073-06-16", "the day of leaving or graduating"},
	// The source asks for notice and names no time; each town writes its own.
	{45, "special education records", "after 30 days of notice: 6 years after inactive", "2025-06-30", "the day on which the record became inactive"},
	{46, "body-worn recordings, non-evidentiary", "90 days after created", "2024-05-29", ""},
	{47, "recordings that are evidence", "4 years after created", "2028-02-29", ""},
	{48, "annual reports, annual meetings", "permanent", "never", ""},
	{49, "annual tax levy", auditedOrThree, "2027-02-28", noAudit},
	{50, "bank statements, bills, checks", auditedOrThree, "2027-02-28", noAudit},
	{51, "by-laws", "permanent", "never", ""},
	{52, "correspondence", "2 years after created", "2026-02-28", ""},
	{53, "deeds and easements", "permanent", "never", ""},
	{54, "foreclosure files", "1 year after closed", "2026-05-05", "the day on which the case or file was closed"},
	{55, "insurance", auditedOrThree, "2027-02-28", noAudit},
	{56, "litigation files", "5 years after resolved", "2030-07-04", "the day on which the matter was resolved"},
	{57, "meeting records and minutes", "permanent", "never", ""},
	{58, "newspaper clippings", "2 years after created", "2026-02-28", ""},
	{59, "web site", "until superseded", "2032-05-31", noSuperseded},
	{60, "transitory e-mail", "none", "any time", ""},
}

var rowRules = [][2]string{
	{"CT-16-2-8H-07", "3 years after created"}, {"CT-16-2-8H-13", "55 years after terminated"}, {"LOCAL-MPS", "6 years after created"},
}

// rowFacts gives a record of which only the date is known, and the same record
// with everything that any row asks for.
func rowFacts(t *testing.T) (bare, full Facts) {
	events := []Fact{
		{Superseded, day(t, "2032-05-31")}, {Terminated, day(t, "2029-06-30")}, {ListEnded, day(t, "2024-12-31")},
		{Accredited, day(t, "2028-10-01")}, {Demolished, day(t, "2050-08-08")}, {Suspended, day(t, "2025-03-03")},
		{Completed, day(t, "2026-09-09")}, {Election, day(t, "2024-11-05")}, {Closed, day(t, "2025-05-05")},
		{Resolved, day(t, "2025-07-04")}, {Left, day(t, "2023-06-16")}, {Inactive, day(t, "2019-06-30")}, {Disposed, day(t, "2030-01-02")},
	}
	bare = Facts{Created: day(t, "2024-02-29"), FiscalStart: time.July}
	full = bare
	full.Events = events
	full.Audits = []Audit{{day(t, "2023-06-30"), day(t, "2024-04-01")}, {day(t, "2024-06-30"), day(t, "2027-03-01")}}
	full.Series = "CT-16-2-8H-07"
	full.File = &Facts{Created: day(t, "2001-01-01"), Events: events, Series: "CT-16-2-8H-13"}
	return bare, full
}

func TestSixtyRows(t *testing.T) {
	bare, full := rowFacts(t)
	lookup := schedule(t, rowRules...)
	seen := map[int]bool{}
	for _, row := range sixtyRows {
		seen[row.number] = true
		r := rule(t, row.rule)
		check := func(f Facts, today Day, lookup Lookup, want Status) Verdict {
			t.Helper()
			v := Evaluate(r, f, today, lookup)
			if v.Status != want {
				t.Errorf("row %d, %s: %q on %s is %s, want %s: %v", row.number, row.series, row.rule, today, v.Status, want, v.Why)
			}
			return v
		}
		switch row.until {
		case "never":
			check(full, MaxDay, lookup, Never)
		case "any time":
			check(full, full.Created, lookup, Due)
		default:
			last := day(t, row.until)
			check(full, last, lookup, NotYet)
			if v := check(full, last+1, lookup, Due); v.Due != last+1 {
				t.Errorf("row %d, %s: due %s, want %s", row.number, row.series, v.Due, last+1)
			}
		}
		if row.missing != "" {
			v := check(bare, MaxDay, nil, Waiting)
			if got := strings.Join(v.Missing, ", "); got != row.missing {
				t.Errorf("row %d, %s: missing %q, want %q", row.number, row.series, got, row.missing)
			}
		} else if v := Evaluate(r, bare, MaxDay, nil); v.Status == Waiting {
			t.Errorf("row %d, %s: waits for %q, want nothing", row.number, row.series, v.Missing)
		}
		if got, want := Evaluate(r, full, 0, lookup).Review, row.number == 35; got != want {
			t.Errorf("row %d, %s: archival review %t, want %t", row.number, row.series, got, want)
		}
		if got, want := Evaluate(r, full, 0, lookup).NoticeCount > 0, row.number == 45; got != want {
			t.Errorf("row %d, %s: notice %t, want %t", row.number, row.series, got, want)
		}
	}
	for n := 1; n <= 60; n++ {
		if !seen[n] {
			t.Errorf("row %d is not written", n)
		}
	}
}

// S1.12: the City archives all e-mail indefinitely; 200 years later it is kept.
func TestS1_12_LocalIndefiniteNeverDue(t *testing.T) {
	created := day(t, "2026-03-01")
	for _, text := range []string{"indefinite", "later of (2 years after created, indefinite)", "as series CITY-MAIL"} {
		v := Evaluate(rule(t, text), Facts{Created: created}, Add(created, 200, Years), schedule(t, [2]string{"CITY-MAIL", "indefinite"}))
		if v.Status != Never || v.Due != 0 {
			t.Errorf("%q after 200 years: %s, due %s, want never", text, v.Status, v.Due)
		}
	}
}

// S2.2: transaction data is kept while needed, and at most for the time set.
func TestS2_2_OperationalNeedHasAMaximum(t *testing.T) {
	r := rule(t, "as long as needed, at most 60 days")
	f := Facts{Created: day(t, "2026-01-31")}
	for _, c := range []struct{ ended, last string }{
		{"", "2026-04-01"}, {"2026-02-10", "2026-02-10"}, {"2027-01-01", "2026-04-01"},
	} {
		f.Events = nil
		if c.ended != "" {
			f.Events = []Fact{{NeedEnded, day(t, c.ended)}}
		}
		last := day(t, c.last)
		if v := Evaluate(r, f, last, nil); v.Status != NotYet {
			t.Errorf("need ended %q: %s on %s, want not yet: %v", c.ended, v.Status, last, v.Why)
		}
		if v := Evaluate(r, f, last+1, nil); v.Status != Due {
			t.Errorf("need ended %q: %s on %s, want due: %v", c.ended, v.Status, last+1, v.Why)
		}
	}
}

// S1.11: a local rule may lengthen a state minimum, never shorten it.
var comparisons = []struct {
	local, state string
	want         bool
}{
	{"3 years after created", "3 years after created", true},
	{"7 years after created", "3 years after created", true},
	{"2 years after created", "3 years after created", false},
	{"36 months after created", "3 years after created", true},
	{"35 months after created", "3 years after created", false},
	{"1096 days after created", "3 years after created", true},
	{"1095 days after created", "3 years after created", false}, // a leap day may lie between
	{"1 month after created", "28 days after created", true},
	{"1 month after created", "29 days after created", false},
	{"7 years after closed", "3 years after created", false}, // nobody says that it is closed later
	{"later of (3 years after created, until audited)", "3 years after created", true},
	{"earlier of (3 years after created, until audited)", "3 years after created", false},
	{"3 years after created", "earlier of (3 years after created, until audited)", true},
	{"3 years after created", "later of (3 years after created, until audited)", false},
	{"later of (until audited, 5 years after created)", "later of (3 years after created, until audited)", true},
	{"permanent", "later of (3 years after created, until audited)", true},
	{"indefinite", "after archival review: as series CT-1", true},
	{"3 years after created", "permanent", false},
	{"3 years after created", "none", true},
	{"none", "1 day after created", false},
	{"3 years after the end of the fiscal year of created", "3 years after created", true},
	{"3 years after the end of the fiscal year of created", "3 years after the end of the calendar year of created", false},
	{"9 years after created", "3 years after the end of the calendar year of created", false},
	{"5 years after created", "after archival review: 3 years after created", false},
	{"after archival review: 3 years after created", "3 years after created", true},
	{"after 30 days of notice: 6 years after inactive", "after 14 days of notice: 6 years after inactive", true},
	{"after 14 days of notice: 6 years after inactive", "after 1 month of notice: 6 years after inactive", false},
	{"as series CT-1", "as series CT-1", true},
	{"as series CT-1", "as series CT-2", false},
	{"3 years after created", "earlier of (as series CT-1, 3 years after created)", false}, // CT-1 may ask for a review
	{"as long as needed, at most 2 years", "as long as needed, at most 1 year", true},
	{"as long as needed, at most 1 year", "as long as needed, at most 2 years", false},
	{"2 years after created", "as long as needed, at most 2 years", true},
}

func TestS1_11_LocalNotShorter(t *testing.T) {
	for _, c := range comparisons {
		if got := NotShorter(rule(t, c.local), rule(t, c.state)); got != c.want {
			t.Errorf("NotShorter(%q, state %q) = %t, want %t", c.local, c.state, got, c.want)
		}
	}
	valid := rule(t, "3 years after created")
	if NotShorter(Rule{Kind: Permanent, Count: 1}, valid) || NotShorter(valid, Rule{}) {
		t.Error("a rule that does not pass its check was compared")
	}
}
