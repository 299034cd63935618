package retention

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every day of the calendar, against the standard library's.
func TestDayAgreesWithTime(t *testing.T) {
	at := time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)
	for d := MinDay; d <= MaxDay; d++ {
		year, month, dayOfMonth := d.Date()
		wantYear, wantMonth, wantDay := at.Date()
		if year != wantYear || month != wantMonth || dayOfMonth != wantDay {
			t.Fatalf("day %d is %d-%d-%d, want %s", d, year, month, dayOfMonth, at.Format(time.DateOnly))
		}
		if back := DayOf(year, month, dayOfMonth); back != d {
			t.Fatalf("DayOf(%d, %d, %d) = %d, want %d", year, month, dayOfMonth, back, d)
		}
		at = at.AddDate(0, 0, 1)
	}
	if year, _, _ := at.Date(); year != 10000 {
		t.Errorf("MaxDay is the day before %s, want 10000-01-01", at)
	}
}

func TestDayOfCarriesAndClamps(t *testing.T) {
	for _, c := range []struct {
		year  int
		month time.Month
		day   int
		want  string
	}{
		{2024, 13, 1, "2025-01-01"}, {2024, 0, 1, "2023-12-01"}, {2024, -11, 1, "2023-01-01"}, {2024, -12, 1, "2022-12-01"},
		{2023, time.February, 29, "2023-03-01"}, {2024, time.March, 0, "2024-02-29"}, {1900, time.February, 29, "1900-03-01"},
		{0, time.December, 31, "0001-01-01"}, {10000, time.January, 1, "9999-12-31"},
		{math.MaxInt, math.MaxInt, math.MaxInt, "9999-12-31"}, {math.MinInt, math.MinInt, math.MinInt, "0001-01-01"},
	} {
		if got := DayOf(c.year, c.month, c.day).String(); got != c.want {
			t.Errorf("DayOf(%d, %d, %d) = %s, want %s", c.year, c.month, c.day, got, c.want)
		}
	}
}

// Days outside the calendar have a date as well; nothing panics on them.
func TestDateOfAnyDay(t *testing.T) {
	for _, d := range []Day{math.MinInt32, MinDay - 1, MaxDay + 1, math.MaxInt32} {
		year, month, dayOfMonth := d.Date()
		want := time.Unix(int64(d)*86400, 0).UTC()
		if wantYear, wantMonth, wantDay := want.Date(); year != wantYear || month != wantMonth || dayOfMonth != wantDay {
			t.Errorf("day %d is %d-%d-%d, want %s", d, year, month, dayOfMonth, want)
		}
	}
}

func TestParseDay(t *testing.T) {
	for _, text := range []string{"0001-01-01", "1899-12-31", "1900-02-28", "1969-12-31", "1970-01-01", "2000-02-29", "2031-01-31", "9999-12-31"} {
		d, err := ParseDay(text)
		if err != nil || d.String() != text {
			t.Errorf("ParseDay(%q) = %s, %v", text, d, err)
		}
	}
	for text, want := range map[string]string{
		"":            "write year, month and day",
		"2031-1-31":   "write year, month and day",
		"2031-01-31 ": "write year, month and day",
		"2031/01/31":  "write year, month and day",
		"+031-01-31":  "write year, month and day",
		"2031-01-3١":  "write year, month and day", // an Arabic digit has two bytes
		"0000-12-31":  "no such day",
		"2031-02-29":  "no such day",
		"1900-02-29":  "no such day",
		"2031-00-10":  "no such day",
		"2031-13-01":  "no such day",
		"2031-12-32":  "no such day",
		"2031-12-00":  "no such day",
	} {
		if d, err := ParseDay(text); err == nil || d != 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDay(%q) = %s, %v, want an error with %q", text, d, err, want)
		}
	}
}

func TestAdd(t *testing.T) {
	for _, c := range []struct {
		name, day string
		n         uint32
		unit      Unit
		want      string
	}{
		{"a month to a shorter one", "2023-01-31", 1, Months, "2023-02-28"},
		{"a month to a leap February", "2024-01-31", 1, Months, "2024-02-29"},
		{"a month to one of 30 days", "2024-03-31", 1, Months, "2024-04-30"},
		{"a month from the end of a short one", "2023-02-28", 1, Months, "2023-03-28"},
		{"two months at once do not lose days", "2023-01-31", 2, Months, "2023-03-31"},
		{"over the end of the year", "2023-11-30", 3, Months, "2024-02-29"},
		{"thirteen months", "2023-12-31", 13, Months, "2025-01-31"},
		{"a year from a leap day", "2024-02-29", 1, Years, "2025-02-28"},
		{"four years from a leap day", "2024-02-29", 4, Years, "2028-02-29"},
		{"over 1900, which has no leap day", "1896-02-29", 4, Years, "1900-02-28"},
		{"over 2000, which has one", "1996-02-29", 4, Years, "2000-02-29"},
		{"before 1970", "1969-12-31", 1, Days, "1970-01-01"},
		{"before 1900", "1850-08-31", 6, Months, "1851-02-28"},
		{"55 years from before 1900", "1899-07-01", 55, Years, "1954-07-01"},
		{"first year of the calendar", "0001-01-31", 1, Months, "0001-02-28"},
		{"no period", "2024-02-29", 0, Years, "2024-02-29"},
		{"to the last day of the calendar", "9998-12-31", 1, Years, "9999-12-31"},
		{"in the last year", "9999-11-30", 1, Months, "9999-12-30"},
		{"days beyond the calendar", "9999-12-31", 1, Days, "9999-12-31"},
		{"months beyond the calendar", "9999-12-01", 1, Months, "9999-12-31"},
		{"years beyond the calendar", "9999-01-01", 1, Years, "9999-12-31"},
		{"more years than there are", "2024-01-01", math.MaxUint32, Years, "9999-12-31"},
		{"more days than there are", "0001-01-01", math.MaxUint32, Days, "9999-12-31"},
		{"a unit that is none", "2024-01-01", 1, 9, "9999-12-31"},
	} {
		if got := Add(day(t, c.day), c.n, c.unit).String(); got != c.want {
			t.Errorf("%s: %s and %d %s is %s, want %s", c.name, c.day, c.n, c.unit, got, c.want)
		}
	}
	if got := Add(math.MinInt32, 1, Days); got != MinDay+1 {
		t.Errorf("a day before the calendar counts as its first: got %s", got)
	}
}

func TestEndOfYear(t *testing.T) {
	for _, c := range []struct {
		day   string
		kind  YearKind
		start time.Month
		want  string
	}{
		{"2024-01-01", CalendarYear, time.July, "2024-12-31"},
		{"2024-12-31", CalendarYear, 0, "2024-12-31"},
		{"2024-06-30", FiscalYear, time.July, "2024-06-30"},
		{"2024-07-01", FiscalYear, time.July, "2025-06-30"},
		{"2023-03-01", FiscalYear, time.March, "2024-02-29"},
		{"2024-03-01", FiscalYear, time.March, "2025-02-28"},
		{"2024-05-05", FiscalYear, time.January, "2024-12-31"},
		{"2024-12-01", FiscalYear, time.December, "2025-11-30"},
		{"1899-09-09", FiscalYear, time.October, "1899-09-30"},
		{"0001-01-01", FiscalYear, time.July, "0001-06-30"},
		{"9999-06-30", FiscalYear, time.July, "9999-06-30"},
		{"9999-07-01", FiscalYear, time.July, "9999-12-31"}, // the calendar ends first
		{"9999-07-01", CalendarYear, 0, "9999-12-31"},
	} {
		if got := EndOfYear(day(t, c.day), c.kind, c.start).String(); got != c.want {
			t.Errorf("end of the %s year from %s of %s is %s, want %s", c.kind, c.start, c.day, got, c.want)
		}
	}
}

func anyDay() *rapid.Generator[Day] {
	return rapid.Custom(func(t *rapid.T) Day {
		return Day(rapid.Int32Range(int32(MinDay)-400, int32(MaxDay)+400).Draw(t, "day"))
	})
}

func nearDay() *rapid.Generator[Day] {
	return rapid.Custom(func(t *rapid.T) Day {
		return Day(rapid.Int32Range(-40000, 40000).Draw(t, "day"))
	})
}

// A later day or a longer period never ends earlier, in the sum as in the end
// of the year.
func TestAddIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, step := anyDay().Draw(t, "a"), rapid.Int32Range(0, 40).Draw(t, "step")
		n, more := rapid.Uint32Range(0, MaxCount).Draw(t, "n"), rapid.Uint32Range(0, 3).Draw(t, "more")
		unit := Unit(rapid.IntRange(int(Days), int(Years)).Draw(t, "unit"))
		if got, least := Add(a+Day(step), n+more, unit), Add(a, n, unit); got < least {
			t.Fatalf("Add(%s + %d, %d + %d, %s) = %s, less than %s", a, step, n, more, unit, got, least)
		}
		if got := Add(a, n, unit); got < min(a, MaxDay) || got > MaxDay {
			t.Fatalf("Add(%s, %d, %s) = %s lies before the day or after the calendar", a, n, unit, got)
		}
		kind := YearKind(rapid.IntRange(int(CalendarYear), int(FiscalYear)).Draw(t, "kind"))
		start := time.Month(rapid.IntRange(1, 12).Draw(t, "start"))
		if got, least := EndOfYear(a+Day(step), kind, start), EndOfYear(a, kind, start); got < least || least < min(a, MaxDay) {
			t.Fatalf("EndOfYear(%s + %d) = %s, EndOfYear(%s) = %s", a, step, got, a, least)
		}
		if got, end := EndOfYear(EndOfYear(a, kind, start), kind, start), EndOfYear(a, kind, start); got != end {
			t.Fatalf("the end of a year lies in another year: %s, %s", end, got)
		}
	})
}

// The bounds on spans in days hold from every day of 400 years on, which is all
// the calendar there is.
func TestSpanBounds(t *testing.T) {
	spans := []span{{1, Months}, {2, Months}, {3, Months}, {6, Months}, {11, Months}, {12, Months}, {13, Months}, {1, Years}, {3, Years}, {4, Years}, {5, Years}, {8, Years}, {100, Years}}
	for _, s := range spans {
		least, most := s.days()
		for d := Day(0); d < 146097; d++ {
			if n := uint64(Add(d, s.count, s.unit) - d); n < least || n > most {
				t.Fatalf("%d %s from %s are %d days, want %d to %d", s.count, s.unit, d, n, least, most)
			}
		}
	}
}
