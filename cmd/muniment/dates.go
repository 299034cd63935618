package main

import (
	"time"

	"github.com/muniment/muniment/app/record"
)

// dayOf is the civil day of a moment in the time zone that it carries.
func dayOf(t time.Time) record.Day {
	return record.Day(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// parseDay reads a date as YYYY-MM-DD.
func parseDay(text string) (record.Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1 {
		return 0, usage("date %q is no day of the calendar: write it as YYYY-MM-DD", printable(text))
	}
	return dayOf(t), nil
}

// wantedDay reads the date that a flag must give.
func wantedDay(flag, text string) (record.Day, error) {
	if text == "" {
		return 0, usage("on which day? give %s YYYY-MM-DD", flag)
	}
	return parseDay(text)
}

func dayText(d record.Day) string {
	return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly)
}

// roundUp gives the day that a series of a granularity states for d: never an
// earlier one, so that retention can only get longer (docs/spec/ledger.md).
func roundUp(d record.Day, g record.Granularity) record.Day {
	t := time.Unix(int64(d)*86400, 0).UTC()
	switch g {
	case record.GranularityMonth:
		t = time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	case record.GranularityYear:
		t = time.Date(t.Year(), time.December, 31, 0, 0, 0, 0, time.UTC)
	}
	return dayOf(t)
}
