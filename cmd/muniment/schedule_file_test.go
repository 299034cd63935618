package main

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// sampleAuthority has each setting, and each kind of value, at least once.
const sampleAuthority = `# A schedule for tests.
schedule = "CT-TEST"
version = 3
state = true
effective = 2026-01-01
authority = "The \"authority\" of tests"
citation = "Regs. 1-2"

[[series]]
code = "CT-1-A"
number = "S9-010"
title = "Permits"
description = "Permits and their files"
citation = "Regs. 1-2-3"
verified = true
rule = "later of (3 years after created, until audited)"
action = "destroy"
approvals = ["STATE_RECORDS", "CLERK", "CHIEF_ADMIN"]
notice_days = 30
notice_heights = 100
fiscal_start = 1

[[series]]
code = "CT-1-B"
title = "Notes"
rule = "none"
action = "destroy"
approvals = []
transitory = true
batched = true

[[series]]
code = "CT-1-C"
title = "Land records"
rule = "permanent"
action = "transfer"
approvals = ["CLERK"]
`

const sampleCSV = "schedule,number,title,description,rule,disposition,approvals,citation,effective date,code,version,state,authority,schedule citation,verified,notice days,notice heights,fiscal start,transitory,batched\n" +
	"CT-TEST,S9-010,Permits,Permits and their files,\"later of (3 years after created, until audited)\",destroy,STATE_RECORDS CLERK CHIEF_ADMIN,Regs. 1-2-3,2026-01-01,CT-1-A,3,true,\"The \"\"authority\"\" of tests\",Regs. 1-2,true,30,100,1,,\n" +
	"CT-TEST,,Notes,,none,destroy,,,2026-01-01,CT-1-B,3,true,\"The \"\"authority\"\" of tests\",Regs. 1-2,,,,,true,true\n" +
	"CT-TEST,,Land records,,permanent,transfer,CLERK,,2026-01-01,CT-1-C,3,true,\"The \"\"authority\"\" of tests\",Regs. 1-2,,,,,,\n"

func TestAuthorityFile(t *testing.T) {
	a, err := parseAuthority([]byte(sampleAuthority))
	if err != nil {
		t.Fatal(err)
	}
	if a.code != "CT-TEST" || a.version != 3 || !a.state || a.effective.String() != "2026-01-01" || a.authority != `The "authority" of tests` || a.citation != "Regs. 1-2" || len(a.series) != 3 {
		t.Errorf("the schedule is %+v", a)
	}
	first := a.series[0]
	want := record.ScheduleRule{Schedule: "CT-TEST", Version: 3, Series: "CT-1-A", Rule: first.rule.Rule, Action: record.ActionDestroy,
		Approvals: []record.Role{record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords}, NoticeDays: 30, NoticeHeights: 100, FiscalStart: 1}
	if !reflect.DeepEqual(first.rule, want) || first.rule.Rule.String() != "later of (3 years after created, until audited)" || first.number != "S9-010" || !first.verified {
		t.Errorf("the first series is %+v", first)
	}
	if last := a.series[2].rule; last.NoticeDays != 1 || last.NoticeHeights != 2 || last.FiscalStart != 7 || last.Action != record.ActionTransfer {
		t.Errorf("what is left out stands as %+v", last)
	}
	fact, err := a.fact()
	if err != nil || fact.Count != 3 || fact.Root == ([32]byte{}) {
		t.Errorf("the closing fact is %+v, %v", fact, err)
	}
	reversed := authority{code: a.code, version: a.version, state: a.state, effective: a.effective}
	for i := range a.series {
		reversed.series = append([]authoritySeries{a.series[i]}, reversed.series...)
	}
	if again := must(reversed.fact()); *again != *fact {
		t.Errorf("the order of the file changes the root: %s and %s", hex.EncodeToString(again.Root[:]), hex.EncodeToString(fact.Root[:]))
	}
	again, err := parseAuthority(a.text())
	if err != nil || !reflect.DeepEqual(again, a) {
		t.Errorf("written and read again: %+v, %v", again, err)
	}
}

func TestCSVIsTheSame(t *testing.T) {
	want := must(parseAuthority([]byte(sampleAuthority)))
	for name, text := range map[string]string{"plain": sampleCSV, "with a byte order mark": byteOrderMark + sampleCSV, "with CR LF": strings.ReplaceAll(sampleCSV, "\n", "\r\n")} {
		got, err := parseCSV([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	a := must(parseCSV([]byte("schedule,number,title,description,rule,disposition,approvals,citation,effective date\nL-1,S2-010,T,,permanent,permanent,CLERK,,2026-01-01\n")))
	if a.version != 1 || a.state || a.series[0].rule.Series != "S2-010" || a.series[0].verified {
		t.Errorf("the least table gives %+v", a)
	}
}

// Each case changes one thing in the sample and names the fault.
func TestAuthorityFaults(t *testing.T) {
	long := strings.Repeat("x", 2001)
	for _, test := range []struct{ old, new, want string }{
		{`schedule = "CT-TEST"`, `schedule = "ct"`, `schedule: "ct" is not a code`},
		{`version = 3`, `version = 0`, "version: write a number from 1"},
		{`version = 3`, `version = -1`, `line 3: version: "-1" is not a number`},
		{`version = 3`, `version = 3` + "\nversion = 4", "line 4: "},
		{`effective = 2026-01-01`, ``, "effective: \"\" is no date: write the first day in force, such as 2031-01-01"},
		{`effective = 2026-01-01`, `effective = "2026-01-01"`, "line 5: effective: write a date"},
		{`effective = 2026-01-01`, `effective = 2026-02-30`, "effective: "},
		{`effective = 2026-01-01`, `effective = 0000-01-01`, "effective: "},
		{`state = true`, "state = true\nowner = 1", `line 5: "owner" does not belong here`},
		{`number = "S9-010"`, `numbr = "S9-010"`, `line 11: "numbr" does not belong here`},
		{`code = "CT-1-B"`, `code = "CT-1-A"`, "line 23: series CT-1-A: it is there twice"},
		{`code = "CT-1-B"`, `code = "ct-1-b"`, `line 23: series "ct-1-b": it is not a code`},
		{`code = "CT-1-B"`, ``, `line 23: series "": it is not a code`},
		{`code = "CT-1-B"`, `code = "A555-01-23"`, "line 23: series A555-01-23: code A555-01-23 has seven digits in a row"},
		{`title = "Notes"`, ``, "line 23: series CT-1-B: it has no title"},
		{`title = "Notes"`, `title = "` + long[:201] + `"`, "title: it has 201 bytes, and may have 200"},
		{`title = "Notes"`, `title = "a\tb"`, "title: it has characters that cannot be printed"},
		{`description = "Permits and their files"`, `description = "` + long + `"`, "it has 2001 bytes, and may have 2000"},
		{`rule = "none"`, `rule = "forever"`, `line 23: series CT-1-B: retention rule, character 1: "forever" begins no rule`},
		{`rule = "none"`, ``, "line 23: series CT-1-B: retention rule"},
		{`rule = "none"`, `rule = "as series 12"`, "line 23: series CT-1-B: "},
		{`rule = "permanent"`, `rule = "permanent "`, "line 32: series CT-1-C: "},
		{`action = "transfer"`, `action = "burn"`, `line 32: series CT-1-C: action "burn": write destroy, transfer or permanent`},
		{`action = "transfer"`, `action = "destroy"`, "line 32: series CT-1-C: the rule is permanent and the action destroy"},
		{`approvals = ["CLERK"]`, `approvals = ["BOSS"]`, `line 32: series CT-1-C: approval by "BOSS": it is not a role`},
		{`approvals = ["CLERK"]`, `approvals = ["CLERK", "CLERK"]`, "line 32: series CT-1-C: approval by CLERK is there twice"},
		{`approvals = ["CLERK"]`, `approvals = []`, "line 32: series CT-1-C: transitory records need no approvals, and all others need one at least"},
		{`transitory = true`, ``, "line 23: series CT-1-B: transitory records need no approvals"},
		{`notice_heights = 100`, `notice_heights = 1`, "line 9: series CT-1-A: the notice must be at least a day and two heights"},
		{`notice_days = 30`, `notice_days = 0`, "line 9: series CT-1-A: the notice"},
		{`fiscal_start = 1`, `fiscal_start = 13`, "line 9: series CT-1-A: the fiscal year starts in month 1 to 12"},
		{`citation = "Regs. 1-2"`, "citation = \"Regs. 1-2\"\n[series]", "a series begins with [[series]], in double brackets"},
		{`version = 3`, "version = 3\nVersion = 4", `line 4: "Version" does not belong here`},
		{`code = "CT-1-B"`, "code = \"CT-1-B\"\nCode = \"CT-1-D\"", `line 25: "Code" does not belong here`},
		{`state = true`, "a.b = 1", `line 4: "a.b" does not belong here`},
	} {
		text := strings.Replace(sampleAuthority, test.old, test.new, 1)
		if text == sampleAuthority {
			t.Fatalf("%q changes nothing", test.old)
		}
		a, err := parseAuthority([]byte(text))
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "malformed") {
			t.Errorf("%q instead of %q: %v, want %q", test.new, test.old, err, test.want)
		}
		if !reflect.DeepEqual(a, authority{}) {
			t.Errorf("%q instead of %q gives %+v with its error", test.new, test.old, a)
		}
	}
}

func TestSizesOfSchedules(t *testing.T) {
	head, _, _ := strings.Cut(sampleAuthority, "[[series]]")
	series := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("[[series]]\ncode = \"A" + numeral(uint64(i)) + "\"\ntitle = \"T\"\nrule = \"permanent\"\naction = \"permanent\"\napprovals = [\"CLERK\"]\n")
		}
		return head + b.String()
	}
	if a, err := parseAuthority([]byte(series(record.MaxScheduleRules))); err != nil || len(a.series) != record.MaxScheduleRules {
		t.Errorf("%d series: %v", record.MaxScheduleRules, err)
	}
	for name, text := range map[string]string{"no series": head, "too many": series(record.MaxScheduleRules + 1), "too large": head + strings.Repeat("# x\n", maxAuthorityBytes/4)} {
		if a, err := parseAuthority([]byte(text)); err == nil || !reflect.DeepEqual(a, authority{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := parseAuthority([]byte(strings.ReplaceAll(series(100), "permanent", "forever")))
	bad, _ := err.(faults)
	if len(bad) < maxFaults || len(bad) > 3*maxFaults || !strings.Contains(bad.Error(), "faults, the first: ") {
		t.Errorf("%d faults are told: %v", len(bad), bad)
	}
}

func TestCSVFaults(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"schedule,number", "number", `line 1: column "schedule" is missing`},
		{"fiscal start", "fiscal", `line 1: "fiscal" is no column of a schedule`},
		{"fiscal start", "number", `line 1: column "number" is there twice`},
		{"Schedule", "", ""},
		{"2026-01-01,CT-1-A", "01/01/2026,CT-1-A", "column effective date: "},
		{"2026-01-01,CT-1-B", "2026-01-02,CT-1-B", "line 3: column effective date: \"2026-01-02\", and \"2026-01-01\" in the first row"},
		{"CT-1-B,3", "CT-1-B,4", "line 3: column version: "},
		{"CT-1-A,3,true", "CT-1-A,3,yes", `line 2: column state: "yes": write true or false`},
		{"30,100,1", "30,0100,1", `line 2: column notice heights: "0100" is not a number`},
		{"30,100,1", "30,4294967296,1", `line 2: column notice heights: "4294967296" is not a number`},
		{"Notes", `No"tes`, "line 3: "},
		{"Notes,", "Notes,,", "line 3: "},
		{"CT-1-C", "CT-1-B", "line 4: series CT-1-B: it is there twice"},
		{"none,destroy", "nothing,destroy", "line 3: series CT-1-B: retention rule"},
		{"CLERK,,2026", "CLERC,,2026", "line 4: series CT-1-C: approval by"},
	} {
		text := strings.Replace(sampleCSV, test.old, test.new, 1)
		if test.old == "Schedule" {
			text = ""
		}
		a, err := parseCSV([]byte(text))
		if err == nil || !strings.Contains(err.Error(), test.want) || text == sampleCSV {
			t.Errorf("%q instead of %q: %v, want %q", test.new, test.old, err, test.want)
		}
		if !reflect.DeepEqual(a, authority{}) {
			t.Errorf("%q instead of %q gives %+v with its error", test.new, test.old, a)
		}
	}
	if _, err := parseCSV([]byte(strings.ReplaceAll(sampleCSV, "2026-01-01", "1 January"))); err == nil || !strings.Contains(err.Error(), `effective: "1 January" is no date`) {
		t.Errorf("a date in words: %v", err)
	}
	header, _, _ := strings.Cut(sampleCSV, "\n")
	for name, text := range map[string]string{"no rows": header + "\n", "too large": sampleCSV + strings.Repeat("\n", maxAuthorityBytes)} {
		if _, err := parseCSV([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Each byte of each form, changed in each bit: refused with nothing, or another
// schedule, which reads back from its own text.
func TestSchedulesFlippedAtEveryByte(t *testing.T) {
	original := must(parseAuthority([]byte(sampleAuthority)))
	for name, form := range map[string]struct {
		text  string
		parse func([]byte) (authority, error)
	}{"TOML": {string(original.text()), parseAuthority}, "CSV": {sampleCSV, parseCSV}} {
		refused, other := 0, 0
		for i := range form.text {
			for bit := range 8 {
				changed := []byte(form.text)
				changed[i] ^= 1 << bit
				a, err := form.parse(changed)
				if err != nil {
					refused++
					if !reflect.DeepEqual(a, authority{}) {
						t.Fatalf("%s, byte %d bit %d: %+v with %v", name, i, bit, a, err)
					}
					continue
				}
				other++
				if reflect.DeepEqual(a, original) && changed[i] != '#' { // a line that says the default, made a comment
					t.Errorf("%s, byte %d, %q for %q: the same schedule", name, i, changed[i], form.text[i])
				}
				if again, err := parseAuthority(a.text()); err != nil || !reflect.DeepEqual(again, a) {
					t.Errorf("%s, byte %d bit %d: written and read again: %v", name, i, bit, err)
				}
			}
		}
		if refused < other || other == 0 {
			t.Errorf("%s: %d refused, %d other schedules", name, refused, other)
		}
	}
}

func FuzzAuthority(f *testing.F) {
	f.Add([]byte(sampleAuthority))
	f.Add([]byte("schedule = \"A\"\nversion = 1\neffective = 2026-01-01\n[[series]]\ncode = \"B\"\ntitle = \"é\"\nrule = \"permanent\"\naction = \"permanent\"\napprovals = [\"CLERK\"]\n"))
	f.Add([]byte("series = [{code = \"A\"}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkAuthority(t, text, parseAuthority) })
}

func FuzzScheduleCSV(f *testing.F) {
	f.Add([]byte(sampleCSV))
	f.Add([]byte("schedule,number,title,description,rule,disposition,approvals,citation,effective date\nA,B,C,,permanent,permanent,CLERK,,2026-01-01\n"))
	f.Fuzz(func(t *testing.T, text []byte) { checkAuthority(t, text, parseCSV) })
}

func checkAuthority(t *testing.T, text []byte, parse func([]byte) (authority, error)) {
	a, err := parse(text)
	if err != nil {
		if bad, ok := err.(faults); !ok || len(bad) == 0 || !reflect.DeepEqual(a, authority{}) {
			t.Fatalf("%T %v gives %+v", err, err, a)
		}
		return
	}
	again, err := parseAuthority(a.text())
	if err != nil || !reflect.DeepEqual(again, a) {
		t.Fatalf("written and read again: %v\n%s", err, a.text())
	}
	if _, err := a.fact(); err != nil {
		t.Fatalf("no closing fact: %v", err)
	}
}
