package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// newOffices gives a desk with the keys of offices, and their city.
func newOffices(t testing.TB, offices ...string) *staffDesk {
	t.Helper()
	d := newDesk(t)
	for _, office := range offices {
		d.must("key", "new", "--office", office)
	}
	c := newCity(t, must(d.places.loadConfig()).Keys)
	d.pin(c)
	return &staffDesk{desk: d, city: c}
}

// localSchedule is an authority file of some series that are kept two years.
func localSchedule(version, series int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "schedule = \"LOCAL\"\nversion = %d\neffective = 2026-01-01\n", version)
	for i := range series {
		fmt.Fprintf(&b, "[[series]]\ncode = \"X-%d\"\ntitle = \"T\"\nrule = \"2 years after created\"\naction = \"destroy\"\napprovals = [\"CLERK\"]\n", i)
	}
	return b.String()
}

// A proposal that was cut off goes on with the rules that are missing.
func TestProposalGoesOnWhereItWasCutOff(t *testing.T) {
	d := newOffices(t, "CLERK", "IT")
	file := d.file("local.toml", localSchedule(1, 5))
	left := 3
	d.city.set(hooks{submit: func() error {
		if left--; left < 0 {
			return refusal(codes.Unavailable, "STOPPING", "the node stops")
		}
		return nil
	}})
	d.fails(exitUnavailable, "rule of X-3, 4 of 5: ", "--office", "CLERK", "schedule", "propose", file)
	d.city.set(hooks{})
	var got proposedSchedule
	d.json("CLERK", &got, "schedule", "propose", file)
	if got.Stated != 2 || got.Already != 3 || !got.Proposed || got.Adopted {
		t.Errorf("the second run: %+v", got)
	}
	d.as("IT", "schedule", "approve", numeral(uint64(got.Proposal)), "--file", file)
	var shown scheduleResult
	d.json("IT", &shown, "schedule", "show", "LOCAL")
	if shown.Status != "in force" || len(shown.Rules) != 5 || shown.Root != got.Root {
		t.Errorf("afterwards: %+v", shown)
	}
	// Another version replaces it.
	second := d.file("second.toml", localSchedule(2, 4))
	d.json("CLERK", &got, "schedule", "propose", second)
	d.as("IT", "schedule", "approve", numeral(uint64(got.Proposal)))
	var list struct{ Schedules []scheduleResult }
	d.json("IT", &list, "schedule", "list")
	if len(list.Schedules) != 2 || list.Schedules[0].Status != "replaced by version 2" || list.Schedules[1].Status != "in force" {
		t.Errorf("two versions: %+v", list.Schedules)
	}
	if r := d.as("IT", "series", "list"); strings.Contains(r.stdout, "X-4") || !strings.Contains(r.stdout, "X-3: a rule is in force") {
		t.Errorf("series of the second version: %q", r.stdout)
	}
}

// A proposal is not signed when the rules that were stated are others than those
// that it adopts.
func TestProposalOfOtherRules(t *testing.T) {
	d := newOffices(t, "CLERK", "IT")
	var got proposedSchedule
	d.json("CLERK", &got, "schedule", "propose", d.file("local.toml", localSchedule(1, 2)))
	d.act("CLERK", &record.ProposeChange{Fact: &record.ScheduleRule{Schedule: "LOCAL", Version: 1, Series: "Y", Rule: retention.Rule{Kind: retention.Permanent},
		Action: record.ActionPermanent, Approvals: []record.Role{record.RoleClerk}, NoticeDays: 1, NoticeHeights: 2, FiscalStart: 7}})
	d.refused("IT", "(WRONG_ROOT)", "schedule", "approve", numeral(uint64(got.Proposal)))
	d.refused("IT", "(WRONG_ROOT)", "office", "approve", numeral(uint64(got.Proposal)))
	d.refused("CLERK", "(OTHER_RULE)", "schedule", "propose", d.path("local.toml"))
}

// With the day of its review an activation ends; a new one opens the series again.
func TestOverdueAssessment(t *testing.T) {
	signers := []string{"IT", "COUNSEL", "CLERK", "PURCHASING"}
	d := newOffices(t, append([]string{"PERMITS"}, signers...)...)
	var got proposedSchedule
	d.json("CLERK", &got, "schedule", "propose", d.file("local.toml", localSchedule(1, 1)))
	d.as("IT", "schedule", "approve", numeral(uint64(got.Proposal)))
	papers := d.anchorJSON(exitDone, "--office", "PERMITS", d.file("a.txt", "assessment"), d.file("m.txt", "data map")).Records
	today := record.LedgerDay(d.city.time)
	activate := func(review record.Day) {
		t.Helper()
		proposal := d.acted("PERMITS", "series", "activate", "X-0", "--granularity", "day", "--assessment", papers[0].CID, "--data-map", numeral(papers[1].Index),
			"--assessed", "2026-01-01", "--review", review.String())
		for _, office := range signers {
			d.as(office, "series", "approve", proposal)
		}
	}
	activate(today + 3)
	day := today.String()
	d.as("PERMITS", "anchor", "--series", "X-0", "--date", day, d.file("one.txt", "one"))
	d.city.time += int64(5 * 24 * time.Hour)
	now := d.now().Add(5 * 24 * time.Hour)
	d.now = func() time.Time { return now }
	d.city.clock = d.now
	d.refused("PERMITS", "(ASSESSMENT_OVERDUE)", "anchor", "--series", "X-0", "--date", day, d.file("two.txt", "two"))
	if r := d.as("PERMITS", "series", "list"); !strings.Contains(r.stdout, "X-0 for PERMITS: no new records: the impact assessment was to be reviewed by "+(today+3).String()) {
		t.Errorf("series list: %q", r.stdout)
	}
	activate(today + 100)
	d.as("PERMITS", "anchor", "--series", "X-0", "--date", day, d.path("two.txt"))
}

// What is stated of more than 4,096 records takes several transactions, and one
// that is refused says how far it came.
func TestEventsOfManyRecords(t *testing.T) {
	d := newOffices(t, "PERMITS")
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY"}
	for i := range 4096 {
		m.Items = append(m.Items, record.AnchorItem{Commitment: record.Commitment{1, byte(i), byte(i >> 8)}, Day: 20000})
	}
	first := d.act("PERMITS", m).Index
	for i := range m.Items {
		m.Items[i].Commitment[0] = 2
	}
	second := d.act("PERMITS", m).Index
	both := []string{fmt.Sprintf("%d-%d", first, first+4095), fmt.Sprintf("%d-%d", second, second+99)}
	var got eventResult
	d.json("PERMITS", &got, append([]string{"event", "record", "closed", "--day", "2026-01-31"}, both...)...)
	if got.Records != 4196 || len(got.Acts) != 2 {
		t.Errorf("%d records in %d transactions", got.Records, len(got.Acts))
	}
	d.json("PERMITS", &got, "event", "record", "terminated", "--day", "2026-01-31", both[0])
	if got.Records != 4096 || len(got.Acts) != 1 {
		t.Errorf("%d records in %d transactions", got.Records, len(got.Acts))
	}
	d.refused("PERMITS", fmt.Sprintf("stated of the records up to %d, not of those from %d: ", first+4095, second-2),
		"event", "record", "resolved", "--day", "2026-01-31", both[0], fmt.Sprintf("%d-%d", second-2, second))
	// Dates are as exact as those of the series.
	permit := numeral(d.anchorJSON(exitDone, "--office", "PERMITS", "--series", "DEMO-PERMITS", "--date", "2026-01-05", d.file("p.txt", "permit")).Records[0].Index)
	if r := d.as("PERMITS", "event", "record", "closed", "--day", "2026-01-07", permit); !strings.Contains(r.stderr, "2026-01-31 stands for 2026-01-07") {
		t.Errorf("stderr %q", r.stderr)
	}
	d.refused("PERMITS", "(BAD_DAY)", "event", "record", "closed", "--day", "2026-01-09", permit) // the same month
	d.as("PERMITS", "event", "record", "closed", "--day", "2026-02-09", permit)
}

// A batch that needs more leaves than every batch has is refused before anything is sent.
func TestBatchThatIsTooLarge(t *testing.T) {
	d := newOffices(t, "CLERK", "IT", "PERMITS")
	file := strings.ReplaceAll(localSchedule(1, 1), "X-0", "DEMO-MINUTES") + "batched = true\n"
	var got proposedSchedule
	d.json("CLERK", &got, "schedule", "propose", d.file("local.toml", file))
	d.as("IT", "schedule", "approve", numeral(uint64(got.Proposal)))
	big := d.file("big.csv", strings.Repeat("a,b\n", commitment.BatchLeaves))
	d.refused("PERMITS", "a batch has 1024", "anchor", "--batch", "--series", "DEMO-MINUTES", "--profile", "csv/1;d=,", big)
	if d.city.deposits != 0 {
		t.Errorf("%d deposits", d.city.deposits)
	}
	var done batchResult
	d.json("PERMITS", &done, "anchor", "--batch", "--series", "DEMO-MINUTES", big)
	if v := d.city.vault[must(commitmentOf(d, done))]; v.m.N != commitment.BatchLeaves || v.header.Profile != batchProfile {
		t.Errorf("a manifest of %d leaves, profile %s", v.m.N, v.header.Profile)
	}
	if done.Day != record.LedgerDay(d.city.time).String() {
		t.Errorf("the batch stands for %s", done.Day)
	}
}

func commitmentOf(d *staffDesk, done batchResult) (record.Commitment, error) {
	e, ok := d.city.entry(record.Index(done.Index)).(record.AnchorEntry)
	if !ok || e.Flags != record.FlagBatch || commitment.Commitment(e.Commitment).CID() != done.CID {
		return record.Commitment{}, errors.New("no batch")
	}
	return e.Commitment, nil
}

// Whose sign-off is missing, where offices have several roles: each counts for one.
func TestUnsigned(t *testing.T) {
	office := func(code record.Code, roles ...record.Role) *record.Office {
		return &record.Office{Code: code, Roles: roles, Status: record.StatusActive}
	}
	r := registry{facts: []record.Fact{
		office("DPW", record.RoleDepartment, record.RoleIT), office("IT", record.RoleIT), office("HALL", record.RoleClerk, record.RoleCounsel, record.RoleIT),
		office("LAW", record.RoleCounsel), office("BUY", record.RoleProcurement, record.RoleIT),
	}}
	for signed, want := range map[string]string{
		"":                    "DPW, IT, COUNSEL, CLERK, PROCUREMENT",
		"DPW":                 "IT, COUNSEL, CLERK, PROCUREMENT", // the office that asks fills no other role
		"DPW HALL":            "IT, COUNSEL, PROCUREMENT",
		"DPW HALL LAW":        "IT, PROCUREMENT",
		"DPW HALL LAW IT":     "PROCUREMENT",
		"DPW HALL LAW BUY":    "IT",
		"DPW HALL LAW IT BUY": "",
		"HALL LAW IT BUY":     "DPW",
		"DPW NOBODY":          "IT, COUNSEL, CLERK, PROCUREMENT",
	} {
		if got := strings.Join(r.unsigned(strings.Fields(signed), "DPW", activationRoles), ", "); got != want {
			t.Errorf("signed by %q: waits for %q, want %q", signed, got, want)
		}
	}
}

// Which version is in force, and what that means for anchors.
func TestIntake(t *testing.T) {
	rule := func(schedule record.Code, version uint32, batched bool) *record.ScheduleRule {
		return &record.ScheduleRule{Schedule: schedule, Version: version, Series: "X", Batched: batched}
	}
	version := func(schedule record.Code, n uint32, effective record.Day) *record.Schedule {
		return &record.Schedule{Code: schedule, Version: n, Effective: effective}
	}
	activated := &record.Activation{Series: "X", Office: "DPW", Granularity: record.GranularityYear, Review: 150}
	for name, test := range map[string]struct {
		facts  []record.Fact
		want   intake
		reason string
	}{
		"nothing":               {nil, intake{}, "UNKNOWN_SERIES"},
		"a draft":               {[]record.Fact{rule("A", 1, false)}, intake{}, "UNKNOWN_SERIES"},
		"in force later":        {[]record.Fact{rule("A", 1, false), version("A", 1, 101)}, intake{}, "UNKNOWN_SERIES"},
		"not activated":         {[]record.Fact{rule("A", 1, false), version("A", 1, 100)}, intake{}, "SERIES_INACTIVE"},
		"activated":             {[]record.Fact{rule("A", 1, false), version("A", 1, 100), activated}, intake{granularity: record.GranularityYear}, ""},
		"batched by one of two": {[]record.Fact{rule("A", 1, false), rule("B", 1, true), version("A", 1, 100), version("B", 1, 9), activated}, intake{record.GranularityYear, true}, ""},
		"batched before":        {[]record.Fact{rule("A", 1, true), rule("A", 2, false), version("A", 1, 90), version("A", 2, 100), activated}, intake{granularity: record.GranularityYear}, ""},
		"left out afterwards":   {[]record.Fact{rule("A", 1, false), version("A", 1, 90), version("A", 2, 100), activated}, intake{}, "UNKNOWN_SERIES"},
		"review overdue": {[]record.Fact{rule("A", 1, false), version("A", 1, 90),
			&record.Activation{Series: "X", Office: "DPW", Granularity: record.GranularityYear, Review: 99}}, intake{}, "ASSESSMENT_OVERDUE"},
		"another's": {[]record.Fact{rule("A", 1, false), version("A", 1, 90),
			&record.Activation{Series: "X", Office: "LAW", Granularity: record.GranularityYear, Review: 150}}, intake{}, "SERIES_INACTIVE"},
	} {
		got, err := registry{facts: test.facts}.intake("X", "DPW", 100)
		if got != test.want || reasonOf(err) != test.reason {
			t.Errorf("%s: %+v, %v; want %+v and %q", name, got, err, test.want, test.reason)
		}
	}
}

// Every command prints JSON that names what it shows.
func TestSeriesAsJSON(t *testing.T) {
	d := newOffices(t, "PERMITS")
	var list struct{ Series []map[string]any }
	d.json("PERMITS", &list, "series", "list")
	var names []string
	for _, s := range list.Series {
		names = append(names, fmt.Sprint(s["series"], " ", s["status"], " ", s["demonstration"], " ", s["departments"]))
	}
	want := []string{"DEMO-MINUTES active true <nil>", "DEMO-OLD inactive true <nil>", "DEMO-PERMITS active true [PERMITS]"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("series list: %q, want %q", names, want)
	}
	var schedules map[string]json.RawMessage
	d.json("PERMITS", &schedules, "schedule", "list")
	if string(schedules["schedules"]) != "[]" {
		t.Errorf("schedule list: %s", schedules["schedules"])
	}
}
