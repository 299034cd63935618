package retention

import (
	"fmt"
	"time"
)

// Day is a civil day as the number of days since 1970-01-01, in the proleptic
// Gregorian calendar. Earlier days are negative. It has no time zone.
type Day int32

// The calendar of rules and facts runs from 0001-01-01 to 9999-12-31.
const (
	MinDay Day = -719162
	MaxDay Day = 2932896
)

// DayOf gives the day of a date. Months and days beyond their range are carried
// over, as time.Date does; what lies outside the calendar gives its first or
// last day.
func DayOf(year int, month time.Month, day int) Day {
	const limit = 1 << 24 // far outside the calendar; keeps the sums below from overflowing
	y := int64(max(-limit, min(limit, year)))
	m := int64(max(-limit, min(limit, int(month)))) - 1
	d := int64(max(-limit, min(limit, day)))
	y, m = y+floorDiv(m, 12), m-12*floorDiv(m, 12)
	return clamp(daysBefore(y, m) + d - 1)
}

// Date gives year, month and day of the month.
func (d Day) Date() (year int, month time.Month, day int) {
	const days400 = 400*365 + 97
	// Years are counted from 1 March of the year 0, so that the leap day comes last.
	n := int64(d) + 719468
	era := floorDiv(n, days400)
	n -= era * days400                                // day of the era, 0 to 146,096
	y := (n - n/1460 + n/36524 - n/(days400-1)) / 365 // year of the era, 0 to 399
	n -= 365*y + y/4 - y/100                          // day of that year, 0 to 365
	m := (5*n + 2) / 153                              // month of that year, 0 is March
	day = int(n-(153*m+2)/5) + 1
	year = int(y + era*400 + (m+2)/12)
	return year, time.Month((m+2)%12 + 1), day
}

// String gives the date as in 2031-01-31.
func (d Day) String() string {
	year, month, day := d.Date()
	return fmt.Sprintf("%04d-%02d-%02d", year, int(month), day)
}

// words gives the date as in 31 January 2031.
func (d Day) words() string {
	year, month, day := d.Date()
	return fmt.Sprintf("%d %s %d", day, month, year)
}

// ParseDay reads a date as in 2031-01-31, of the years 1 to 9999.
func ParseDay(text string) (Day, error) {
	if len(text) != len("2031-01-31") || text[4] != '-' || text[7] != '-' {
		return 0, fmt.Errorf("parse day %.20q: write year, month and day as in 2031-01-31", text)
	}
	var numbers [3]int
	for i, part := range [3]string{text[:4], text[5:7], text[8:]} {
		for _, c := range []byte(part) {
			if c < '0' || c > '9' {
				return 0, fmt.Errorf("parse day %.20q: write year, month and day as in 2031-01-31", text)
			}
			numbers[i] = 10*numbers[i] + int(c-'0')
		}
	}
	d := DayOf(numbers[0], time.Month(numbers[1]), numbers[2])
	if d.String() != text {
		return 0, fmt.Errorf("parse day %q: the calendar has no such day", text)
	}
	return d, nil
}

// Unit is what a period is counted in.
type Unit uint8

const (
	Days Unit = iota + 1
	Months
	Years
)

// Valid tells whether u is one of the units.
func (u Unit) Valid() bool { return u >= Days && u <= Years }

// String gives the plural: days, months, years.
func (u Unit) String() string { return nameOf(unitNames, uint8(u)) }

// Add gives the last day of a period of n units that runs from day d. Months
// and years lead to the same day of the month, or to its last day where the
// month is shorter: 31 January and one month is 28 or 29 February. The sum is
// at most [MaxDay]. Add never decreases when d or n grows.
func Add(d Day, n uint32, u Unit) Day {
	d = clamp(int64(d))
	switch {
	case n == 0:
		return d
	case u == Days:
		return clamp(int64(d) + int64(n))
	case u == Months:
		return addMonths(d, int64(n))
	case u == Years:
		return addMonths(d, 12*int64(n))
	}
	return MaxDay
}

func addMonths(d Day, n int64) Day {
	year, month, day := d.Date()
	m := 12*int64(year) + int64(month) - 1 + n
	if m >= 12*10000 {
		return MaxDay
	}
	first := daysBefore(m/12, m%12)
	length := daysBefore((m+1)/12, (m+1)%12) - first
	return Day(first + min(int64(day), length) - 1)
}

// EndOfYear gives the last day of the year in which d lies. A fiscal year ends
// on the last day before the first of its start month; start is not read for a
// calendar year, and must be a month for a fiscal year.
func EndOfYear(d Day, kind YearKind, start time.Month) Day {
	year, month, _ := clamp(int64(d)).Date()
	if kind != FiscalYear {
		start = time.January
	}
	if month >= start {
		year++
	}
	return clamp(daysBefore(int64(year), int64(start)-1) - 1)
}

// daysBefore counts the days from 1970-01-01 to the first of a month; month 0
// is January.
func daysBefore(year, month int64) int64 {
	if month += 10; month < 12 { // the year begins with March, so that the leap day comes last
		year--
	} else {
		month -= 12
	}
	return 365*year + floorDiv(year, 4) - floorDiv(year, 100) + floorDiv(year, 400) + (153*month+2)/5 - 719468
}

func clamp(d int64) Day { return Day(max(int64(MinDay), min(int64(MaxDay), d))) }

// floorDiv divides and rounds down, for negative a as well; b is positive.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
