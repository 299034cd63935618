package retention

import "time"

// A Fact is an event and its day.
type Fact struct {
	Event Event
	Day   Day
}

// An Audit says that the years up to and including Through have been audited,
// and on which day that was posted.
type Audit struct {
	Through, Posted Day
}

// Facts are what the ledger knows of one record.
type Facts struct {
	Created Day  // date of the record
	Undated bool // Created is unknown
	// Events may stand in any order. When one is there more than once, the latest
	// day counts: a case that is opened and closed again begins its period anew.
	// Created and Audited are not looked for here.
	Events      []Fact
	Audits      []Audit    // of the department, ascending
	FiscalStart time.Month // first month of the fiscal year
	Series      string     // named for the record, for rules that follow the corresponding series; or ""
	File        *Facts     // into which the record was merged, a file of File.Series; or nil
}

// Lookup gives the rule that binds in another series.
type Lookup func(series string) (Rule, bool)

// A gap is a fact that is missing: what, and what is the matter with it.
type gap struct {
	what, lacks string
}

func (g gap) String() string { return g.what + " " + g.lacks }

var (
	gapDate     = gap{eventDays[Created-1], "is not known"}
	gapFiscal   = gap{"the first month of the fiscal year", "is not known"}
	gapNamed    = gap{"the series to which the record corresponds", "has not been named"}
	gapReadable = gap{"a rule that can be read", "is missing"}
)

// when gives the day of an event, or what is missing.
func (f *Facts) when(event Event) (Day, gap, bool) {
	switch {
	case !event.Valid():
		return 0, gapReadable, false
	case event == Audited:
		return f.audited()
	case event == Created && f.Undated:
		return 0, gapDate, false
	case event == Created:
		return clamp(int64(f.Created)), gap{}, true
	}
	latest, found := MinDay, false
	for _, fact := range f.Events {
		if fact.Event == event {
			latest, found = max(latest, fact.Day), true
		}
	}
	if !found {
		return 0, gap{eventDays[event-1], "has not been recorded"}, false
	}
	return clamp(int64(latest)), gap{}, true
}

// audited gives the day on which the audit of the record's fiscal year was
// posted. An audit through a later day covers it too.
func (f *Facts) audited() (Day, gap, bool) {
	end, missing, ok := f.fiscalEnd()
	if !ok {
		return 0, missing, false
	}
	for _, audit := range f.Audits {
		if audit.Through >= end {
			return clamp(int64(audit.Posted)), gap{}, true
		}
	}
	return 0, gap{"the audit of the fiscal year that ends " + end.words(), "has not been posted"}, false
}

// fiscalEnd gives the last day of the record's fiscal year.
func (f *Facts) fiscalEnd() (Day, gap, bool) {
	switch {
	case f.Undated:
		return 0, gapDate, false
	case !f.fiscal():
		return 0, gapFiscal, false
	}
	return EndOfYear(f.Created, FiscalYear, f.FiscalStart), gap{}, true
}

// fiscal tells whether the fiscal year is known.
func (f *Facts) fiscal() bool {
	return f.FiscalStart >= time.January && f.FiscalStart <= time.December
}
