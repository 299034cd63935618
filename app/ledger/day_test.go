package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

func TestRoundUp(t *testing.T) {
	tests := []struct {
		name        string
		granularity record.Granularity
		day, want   string
	}{
		{"a day is itself", record.GranularityDay, "2031-02-01", "2031-02-01"},
		{"a month ends on its last day", record.GranularityMonth, "2031-02-01", "2031-02-28"},
		{"in a leap year too", record.GranularityMonth, "2028-02-01", "2028-02-29"},
		{"but not in 1900", record.GranularityMonth, "1900-02-11", "1900-02-28"},
		{"the last day stays", record.GranularityMonth, "2031-01-31", "2031-01-31"},
		{"December", record.GranularityMonth, "2031-12-01", "2031-12-31"},
		{"a year ends on 31 December", record.GranularityYear, "2031-01-01", "2031-12-31"},
		{"which stays", record.GranularityYear, "2031-12-31", "2031-12-31"},
		{"before 1970", record.GranularityYear, "1635-10-15", "1635-12-31"},
		{"the first of all days", record.GranularityMonth, "0001-01-01", "0001-01-31"},
	}
	for _, test := range tests {
		if got := ledger.RoundUp(day(test.day), test.granularity); got != day(test.want) {
			t.Errorf("%s: RoundUp(%s, %s) = %s, want %s", test.name, test.day, test.granularity, date(got), test.want)
		}
	}
}

// TestRoundUpOnlyLengthens walks 400 years: the rounded day is not earlier, is
// in the same month or year, and rounds to itself.
func TestRoundUpOnlyLengthens(t *testing.T) {
	for d := day("1800-01-01"); d < day("2200-01-01"); d++ {
		for _, g := range []record.Granularity{record.GranularityDay, record.GranularityMonth, record.GranularityYear} {
			up := ledger.RoundUp(d, g)
			limit := map[record.Granularity]record.Day{record.GranularityDay: 0, record.GranularityMonth: 30, record.GranularityYear: 365}[g]
			if up < d || up-d > limit || ledger.RoundUp(up, g) != up {
				t.Fatalf("RoundUp(%s, %s) = %s", date(d), g, date(up))
			}
		}
	}
}
