package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Opening is how a series takes the records of an office.
type Opening struct {
	Granularity record.Granularity
	Batched     bool // by AnchorBatch alone
}

// OpeningOf tells how a series takes the records of an office on a ledger day.
// The code says why it does not: UNKNOWN_SERIES, SERIES_INACTIVE, WRONG_OFFICE
// or ASSESSMENT_OVERDUE.
func OpeningOf(v View, series, office record.Code, today record.Day) (Opening, Code, error) {
	adopted, err := adoptedRules(v, series)
	if err != nil {
		return Opening{}, 0, err
	}
	return opening(v, series, office, today, InForce(adopted, today))
}

// opening does so with the rules in force. A demonstration series may be open
// from genesis; every other one needs a rule and an activation.
func opening(v View, series, office record.Code, today record.Day, rules []AdoptedRule) (Opening, Code, error) {
	o, code, err := registered(v, series, office, len(rules) > 0)
	if err != nil {
		return Opening{}, 0, err
	}
	if code != OK && len(rules) > 0 {
		activation, known, err := ActivationOf(v, series, office)
		switch {
		case err != nil:
			return Opening{}, 0, err
		case !known:
			return Opening{}, CodeSeriesInactive, nil
		case activation.Review < today:
			return Opening{}, CodeAssessmentOverdue, nil
		}
		o, code = Opening{Granularity: activation.Granularity}, OK
	}
	if code != OK {
		return Opening{}, code, nil
	}
	for _, r := range rules {
		if r, err = r.withRule(v, series); err != nil {
			return Opening{}, 0, err
		}
		o.Batched = o.Batched || r.Rule.Batched
	}
	return o, OK, nil
}

// registered tells how a series takes records because genesis says so. Where a
// schedule covers it, only a demonstration series is worth the look-up.
func registered(v View, code, office record.Code, covered bool) (Opening, Code, error) {
	if covered && !code.Demonstration() {
		return Opening{}, CodeUnknownSeries, nil
	}
	series, known, err := SeriesOf(v, code)
	switch {
	case err != nil:
		return Opening{}, 0, err
	case !known:
		return Opening{}, CodeUnknownSeries, nil
	case series.Status != record.StatusActive:
		return Opening{}, CodeSeriesInactive, nil
	case len(series.Departments) > 0 && !slices.Contains(series.Departments, office):
		return Opening{}, CodeWrongOffice, nil
	}
	return Opening{Granularity: series.Granularity}, OK, nil
}

// openSeries tells how a series takes the records of the signer, and gives what
// was adopted for it.
func (a *act) openSeries(series, custody record.Code) (Opening, []AdoptedRule, Code, error) {
	if !slices.Contains(a.office.Roles, record.RoleDepartment) {
		return Opening{}, nil, CodeWrongRole, nil
	}
	adopted, err := adoptedRules(a.view, series)
	if err != nil {
		return Opening{}, nil, 0, err
	}
	o, code, err := opening(a.view, series, a.office.Code, a.today, InForce(adopted, a.today))
	if err != nil || code != OK || custody == "" {
		return o, adopted, code, err
	}
	_, known, err := CustodianSetOf(a.view, custody)
	switch {
	case err != nil:
		return Opening{}, nil, 0, err
	case !known:
		return Opening{}, nil, CodeUnknownCustody, nil
	}
	return o, adopted, OK, nil
}

// markSince notes the first anchor of a series under versions whose first day
// was after their adoption: which rules a record was anchored under depends on
// its index alone.
func (a *act) markSince(series record.Code, adopted []AdoptedRule) {
	marked := false
	for i := range adopted {
		if r := &adopted[i]; r.Since == 0 && r.From() <= a.today {
			r.Since, marked = a.first, true
		}
	}
	if marked {
		a.set(StateKeyRules(series), rulesValue(adopted))
	}
}
