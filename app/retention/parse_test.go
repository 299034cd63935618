package retention

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// spellings has each form of the language at least once.
var spellings = []string{
	"none", "permanent", "indefinite",
	"until superseded",
	"1 day after created", "30 days after election", "1 month after created", "18 months after closed", "1 year after list-ended", "99999 years after created",
	"until the end of the fiscal year of created", "10 years after the end of the calendar year of closed",
	"later of (3 years after created, until audited)",
	"earlier of (until completed, until suspended, later of (1 year after created, until audited))",
	"as series CT-16-2-8H-08", "as series 0A", "as the corresponding series", "with the file of series S1-550",
	"as long as needed, at most 2 years",
	"after archival review: 1 year after demolished",
	"after 30 days of notice: 6 years after inactive",
	"later of (after archival review: as series A.B, after 1 month of notice: as the corresponding series)",
}

func TestParseGivesBackItsText(t *testing.T) {
	for _, text := range spellings {
		r, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
		} else if got := r.String(); got != text {
			t.Errorf("Parse(%q) is written %q", text, got)
		}
	}
}

func TestParseFields(t *testing.T) {
	got := rule(t, "later of (3 years after created, 10 months after the end of the fiscal year of closed, with the file of series CT-1)")
	want := Rule{Kind: Later, Rules: []Rule{
		{Kind: After, Count: 3, Unit: Years, Event: Created},
		{Kind: YearEnd, Count: 10, Unit: Months, Event: Closed, Year: FiscalYear},
		{Kind: Merge, Series: "CT-1"},
	}}
	if !got.Equal(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseErrors(t *testing.T) {
	nested := func(n int) string {
		return strings.Repeat("after archival review: ", n) + "none"
	}
	list := func(n int) string {
		return "later of (" + strings.TrimSuffix(strings.Repeat("none, ", n), ", ") + ")"
	}
	for text, want := range map[string]string{
		"":                                 `retention rule, character 1: the end begins no rule: write a period such as "3 years after created", or begin with until`,
		"forever":                          `character 1: "forever" begins no rule`,
		"Permanent":                        `character 1: "Permanent" begins no rule`,
		" permanent":                       `character 1: " permanent" begins no rule`,
		"permanent ":                       `character 10: " " is left over: end the rule here`,
		"nonexistent":                      `character 5: "xistent" is left over`,
		"3  years after created":           `character 3: " years" is no unit: write days, months or years`,
		"3 weeks after created":            `character 3: "weeks" is no unit: write days, months or years`,
		"1 years after created":            `character 3: "years" is no unit: write day, month or year`,
		"2 year after created":             `character 3: "year" is no unit: write days, months or years`,
		"0 years after created":            `character 1: "0" is no count: write a number from 1 to 99999 without leading zeros`,
		"03 years after created":           `character 1: "03" is no count`,
		"100000 years after created":       `character 1: "100000" is no count`,
		"99999999999999 days after closed": `character 1: "99999999999999" is no count`,
		"3 years":                          `character 8: the end stands where " after " belongs: write it there`,
		"3 years after clsoed":             `character 15: "clsoed" is no event: write one of created, closed, audited,`,
		"3 years after ":                   `character 15: the end is no event`,
		"until createdx":                   `character 7: "createdx" is no event`,
		"until the end of the school year of created": `character 22: "school" is no kind of year: write calendar or fiscal`,
		"until the end of the fiscal year":            `character 28: " year" stands where " year of " belongs`,
		"later of (permanent)":                        `character 20: later of one part: write ", " and another rule`,
		"later of (none; none)":                       `character 15: ";" stands within the list`,
		"later of (none, none":                        `character 21: the end stands within the list: write ", " and another rule, or ")"`,
		"later of (none,none)":                        `write ", "`,
		"later of ()":                                 `character 11: ")" begins no rule`,
		"as series ct-1":                              `character 11: "ct-1" is no series code: write 1 to 16 of A to Z`,
		"as series 203-555-0100":                      `character 11: "203-555-0100" is no series code`,
		"as series -1":                                `"-1" is no series code`,
		"as series ABCDEFGHIJKLMNOPQ":                 `is no series code`,
		"with the file of series ":                    `the end is no series code`,
		"as long as needed, at most years":            `"years" is no count`,
		"after 30 days: none":                         `character 14: ":" stands where " of notice: " belongs`,
		"after archival review":                       `character 7: "archival" is no count`,
		"until audited\n":                             `character 14: "\n" is left over`,
		nested(5):                                     "more than 5 deep",
		list(9):                                       "more than 8 parts",
		"later of (" + list(8) + ", " + list(8) + ", " + list(8) + ")":         "more than 24 terms",
		strings.Repeat("x", MaxText+1):                                         "2049 characters, and may have 2048",
		"1 day after created, 2 days after created":                            `is left over`,
		"later of (3 years after created, until audited), whichever later":     `is left over`,
		"3 years or until audited":                                             `character 8: " or" stands where " after " belongs`,
		"after 30 days of notice: after 30 days of notice: 6 years after born": `"born" is no event`,
	} {
		r, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrRule) {
			t.Errorf("Parse(%.60q): %v, want %q", text, err, want)
		}
		if !r.Equal(Rule{}) {
			t.Errorf("Parse(%.60q) gives %+v with its error", text, r)
		}
	}
	if _, err := Parse(nested(4)); err != nil {
		t.Errorf("depth 5: %v", err)
	}
	if _, err := Parse(list(8)); err != nil {
		t.Errorf("8 parts: %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	none := Rule{Kind: None}
	for name, r := range map[string]Rule{
		"no kind":                {},
		"unknown kind":           {Kind: 13},
		"permanent with a count": {Kind: Permanent, Count: 1},
		"permanent with parts":   {Kind: Permanent, Rules: []Rule{none}},
		"after without event":    {Kind: After, Count: 3, Unit: Years},
		"after unknown event":    {Kind: After, Count: 3, Unit: Years, Event: 17},
		"count without unit":     {Kind: After, Count: 3, Event: Created},
		"unit without count":     {Kind: After, Unit: Years, Event: Created},
		"unknown unit":           {Kind: After, Count: 3, Unit: 4, Event: Created},
		"count too large":        {Kind: After, Count: MaxCount + 1, Unit: Years, Event: Created},
		"after with a year":      {Kind: After, Count: 3, Unit: Years, Event: Created, Year: FiscalYear},
		"year end without year":  {Kind: YearEnd, Event: Created},
		"later of one":           {Kind: Later, Rules: []Rule{none}},
		"later of nine":          {Kind: Later, Rules: slices.Repeat([]Rule{none}, 9)},
		"later of a bad one":     {Kind: Later, Rules: []Rule{none, {}}},
		"later with an event":    {Kind: Later, Event: Created, Rules: []Rule{none, none}},
		"merge without series":   {Kind: Merge},
		"follow a bad code":      {Kind: Follow, Series: "ct"},
		"series where none is":   {Kind: None, Series: "CT"},
		"need without a maximum": {Kind: Need},
		"review of nothing":      {Kind: Review},
		"notice of no length":    {Kind: Notice, Rules: []Rule{none}},
		"notice of two rules":    {Kind: Notice, Count: 1, Unit: Days, Rules: []Rule{none, none}},
	} {
		if err := r.Check(); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}

// The limits hold for rules that were never text as well.
func TestCheckLimits(t *testing.T) {
	deep := func(depth int) Rule {
		r := Rule{Kind: Permanent}
		for range depth - 1 {
			r = Rule{Kind: Review, Rules: []Rule{r}}
		}
		return r
	}
	wide := func(terms int) Rule { // the whole, three lists of seven, and a rest
		list := Rule{Kind: Later, Rules: slices.Repeat([]Rule{{Kind: None}}, 6)}
		r := Rule{Kind: Later, Rules: []Rule{list, list, list}}
		for range terms - 22 {
			r.Rules = append(r.Rules, Rule{Kind: None})
		}
		return r
	}
	for _, c := range []struct {
		name string
		rule Rule
		ok   bool
	}{
		{"depth 5", deep(MaxDepth), true}, {"depth 6", deep(MaxDepth + 1), false},
		{"24 terms", wide(MaxTerms), true}, {"25 terms", wide(MaxTerms + 1), false},
	} {
		if err := c.rule.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := Parse(c.rule.String()); (err == nil) != c.ok {
			t.Errorf("%s as text: %v", c.name, err)
		}
	}
}

// Each byte of each spelling, changed in each bit and taken away: an error, or
// another rule whose spelling that is.
func TestParseEachByteChanged(t *testing.T) {
	for _, text := range spellings {
		original := rule(t, text)
		for i := range text {
			for bit := range 8 {
				changed := []byte(text)
				changed[i] ^= 1 << bit
				checkReading(t, string(changed), original)
			}
			checkReading(t, text[:i]+text[i+1:], original)
			checkReading(t, text[:i], original)
		}
	}
}

func checkReading(t *testing.T, text string, original Rule) {
	t.Helper()
	r, err := Parse(text)
	switch {
	case err != nil && !r.Equal(Rule{}):
		t.Errorf("Parse(%q) gives %q and an error", text, r)
	case err == nil && r.Equal(original):
		t.Errorf("Parse(%q) gives %q: two spellings of a rule", text, r)
	case err == nil && r.String() != text:
		t.Errorf("Parse(%q) is written %q", text, r)
	}
}

func TestNames(t *testing.T) {
	for i, e := range Events() {
		back, err := ParseEvent(e.String())
		if err != nil || back != e || !e.Valid() || int(e) != i+1 {
			t.Errorf("event %d: %q is read as %d, %v", i+1, e, back, err)
		}
	}
	if n := len(Events()); n != int(Disposed) || len(eventDays) != n {
		t.Errorf("%d events, %d texts, want %d", n, len(eventDays), Disposed)
	}
	for s := Due; s <= Never; s++ {
		if back, err := ParseStatus(s.String()); err != nil || back != s || !s.Valid() {
			t.Errorf("status %d: %q is read as %d, %v", s, s, back, err)
		}
	}
	for _, text := range []string{"", "Created", "born", "unknown(0)"} {
		if e, err := ParseEvent(text); err == nil || e != 0 {
			t.Errorf("ParseEvent(%q) = %d, want an error", text, e)
		}
		if s, err := ParseStatus(text); err == nil || s != 0 {
			t.Errorf("ParseStatus(%q) = %d, want an error", text, s)
		}
	}
	for _, name := range []string{Event(17).String(), Unit(4).String(), YearKind(3).String(), Kind(13).String(), Status(0).String()} {
		if !strings.HasPrefix(name, "unknown(") {
			t.Errorf("a number without a name is written %q", name)
		}
	}
	if Event(0).Valid() || Event(17).Valid() || Unit(0).Valid() || Unit(4).Valid() || YearKind(3).Valid() || Kind(0).Valid() || Kind(13).Valid() || Status(5).Valid() {
		t.Error("a number without a name is valid")
	}
}
