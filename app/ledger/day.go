package ledger

import (
	"fmt"
	"time"

	"github.com/muniment/muniment/app/record"
)

// Days of the years 1 to 9999, the only ones that a record may bear.
const (
	minDay record.Day = -719162 // 0001-01-01
	maxDay record.Day = 2932896 // 9999-12-31
)

// RoundUp gives the day under which a series of granularity g lists a record of
// that day: the day itself, the last day of its month, or 31 December of its
// year. Rounding up can only lengthen retention.
func RoundUp(day record.Day, g record.Granularity) record.Day {
	year, month, _ := civil(day).Date()
	switch g {
	case record.GranularityMonth:
		return dayOf(time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC))
	case record.GranularityYear:
		return dayOf(time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC))
	}
	return day
}

// allowedDay tells whether a series of granularity g may list a record under that day.
func allowedDay(day record.Day, g record.Granularity) bool {
	return day >= minDay && day <= maxDay && RoundUp(day, g) == day
}

// granularityOf tells how exactly an office dates facts about its records of a
// series: as genesis says or as the activation says, and where both do, the
// less exact counts.
func granularityOf(v View, series, office record.Code) (record.Granularity, error) {
	s, stated, err := SeriesOf(v, series)
	if err != nil {
		return 0, err
	}
	activation, activated, err := ActivationOf(v, series, office)
	if err == nil && !stated && !activated {
		err = fmt.Errorf("read series %s of a record of %s: it was never opened: %w", series, office, errDamaged)
	}
	return max(s.Granularity, activation.Granularity), err
}

// civil gives midnight UTC of a day.
func civil(day record.Day) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// dayOf is the inverse of civil.
func dayOf(t time.Time) record.Day { return record.Day(t.Unix() / 86400) }
