package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readNumbers are the numbers that were read in schedules of the State Library.
var readNumbers = map[string]bool{
	"S2-010": true, "S2-020": true, "S1-550": true,
	"ADMIN-001": true, "ADMIN-002": true, "ADMIN-003": true, "ADMIN-004": true, "ADMIN-005": true, "ADMIN-006": true,
}

const shippedDir = "../../ops/schedules"

// Every authority file that is shipped is in order, has verified rows alone and
// no number that was not read, and says what it is.
func TestShippedSchedules(t *testing.T) {
	files := must(filepath.Glob(filepath.Join(shippedDir, "*.toml")))
	rows, codes := 0, map[string]string{}
	for _, file := range files {
		a, err := parseAuthority(must(os.ReadFile(file)))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		demo := filepath.Base(file) == "demo.toml"
		if demonstration(a.code) != demo || demo && a.state {
			t.Errorf("%s: schedule %s, of the state: %t", file, a.code, a.state)
		}
		for i := range a.series {
			s := &a.series[i]
			code := string(s.rule.Series)
			if codes[code] != "" {
				t.Errorf("%s: series %s is in %s, too", file, code, codes[code])
			}
			codes[code] = file
			switch {
			case demo:
				if !s.rule.Series.Demonstration() || s.verified || s.number != "" || !strings.Contains(ruleText(&s.rule), demonstrationText) {
					t.Errorf("%s: series %s passes for a records schedule", file, code)
				}
			case !s.verified || s.citation == "" || s.description == "":
				t.Errorf("%s: series %s is not verified, or has no citation", file, code)
			case s.number != "" && (!readNumbers[s.number] || s.number != code):
				t.Errorf("%s: series %s has the number %q, which nobody has read", file, code, s.number)
			case s.rule.Transitory || s.rule.NoticeDays < 1 || s.rule.NoticeHeights < 2 || s.rule.Series.Demonstration():
				t.Errorf("%s: series %s lacks safeguards", file, code)
			}
			if !demo {
				rows++
			}
			if example := a.example(&s.rule); !strings.Contains(example, "2026-01-01") {
				t.Errorf("%s: series %s: example %q", file, code, example)
			}
		}
	}
	if rows != 43 || len(files) != 8 {
		t.Errorf("%d rows in %d files, want 43 in 8", rows, len(files))
	}
}

// The table in the README lists what is there.
func TestShippedSchedulesAreListed(t *testing.T) {
	readme := string(must(os.ReadFile(filepath.Join(shippedDir, "README.md"))))
	for _, file := range must(filepath.Glob(filepath.Join(shippedDir, "*.toml"))) {
		a := must(parseAuthority(must(os.ReadFile(file))))
		row := "| `" + filepath.Base(file) + "` | " + string(a.code) + " | "
		at := strings.Index(readme, row)
		if at < 0 {
			t.Errorf("README.md has no row for %s", file)
			continue
		}
		line, _, _ := strings.Cut(readme[at:], "\n")
		if !strings.HasSuffix(line, "| "+numeral(uint64(len(a.series)))+" |") {
			t.Errorf("README.md says %q, and %s has %d series", line, file, len(a.series))
		}
	}
}

// What a rule means is said by an example.
func TestExamples(t *testing.T) {
	for file, examples := range map[string]map[string]string{
		"ct-personnel.toml": {
			"CT-16-2-8H-01": "created 2026-01-01, superseded 2027-01-01: due from 2033-01-02",
			"CT-16-2-8H-02": "created 2026-01-01, terminated 2027-01-01: due from 2082-01-02",
			"CT-16-2-8H-08": "created 2026-01-01, audited 2027-01-01: due from 2029-01-02",
			"CT-16-2-8H-15": "created 2026-01-01, superseded 2027-01-01: due from 2027-01-02",
			"CT-16-2-8H-19": "created 2026-01-01: kept while this is missing: the series to which the record corresponds",
		},
		"ct-state-general.toml": {"ADMIN-005": "created 2026-01-01: due from 2037-01-01"},
		"ct-architecture.toml":  {"CT-DAS-ARCH-1": "created 2026-01-01, demolished 2027-01-01: due from 2028-01-02; an archivist reviews it first"},
		"ct-land-records.toml":  {"CT-7-35EE-9": "created 2026-01-01: kept for good"},
		"ct-education.toml":     {"CT-SPECIAL-ED": "created 2026-01-01, inactive 2027-01-01: due from 2033-01-02; the person concerned is notified 1 day before"},
		"demo.toml":             {"DEMO-LOANS": "created 2026-01-01, need ended 2027-01-01: due from 2026-03-03"},
	} {
		a := must(parseAuthority(must(os.ReadFile(filepath.Join(shippedDir, file)))))
		for i := range a.series {
			rule := &a.series[i].rule
			if want := examples[string(rule.Series)]; want != "" && a.example(rule) != want {
				t.Errorf("%s: %q, want %q", rule.Series, a.example(rule), want)
			}
		}
	}
}
