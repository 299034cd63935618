package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// anchor judges a batch of records. It reads each item once, in order, and
// names the first bad one.
func (a *act) anchor(m *record.AnchorRecords) (Result, error) {
	series, code, err := a.seriesFor(m)
	if err != nil || code != OK {
		return refusal(code), err
	}
	seen := make(map[record.Commitment]struct{}, len(m.Items))
	for i := range m.Items {
		it := &m.Items[i]
		if it.Flags&record.FlagUndated == 0 && !allowedDay(it.Day, series.Granularity) {
			return Result{Code: CodeBadDay, Bad: i}, nil
		}
		if seen[it.Commitment] = struct{}{}; len(seen) == i {
			return Result{Code: CodeDuplicateInBatch, Bad: i}, nil
		}
		at, anchored, err := a.view.AnchorIndex(a.office.Code, it.Commitment)
		if err != nil {
			return Result{}, err
		}
		if anchored {
			return Result{Code: CodeAlreadyAnchored, TxIndex: at, Bad: i}, nil
		}
	}
	return Result{TxIndex: a.first, Count: int64(len(m.Items)), Bad: -1}, nil
}

// seriesFor finds the series of a batch and tells whether the office may anchor under it.
func (a *act) seriesFor(m *record.AnchorRecords) (record.Series, Code, error) {
	if !slices.Contains(a.office.Roles, record.RoleDepartment) {
		return record.Series{}, CodeWrongRole, nil
	}
	series, known, err := SeriesOf(a.view, m.Series)
	switch {
	case err != nil:
		return record.Series{}, 0, err
	case !known:
		return record.Series{}, CodeUnknownSeries, nil
	case series.Status != record.StatusActive:
		return record.Series{}, CodeSeriesInactive, nil
	case len(series.Departments) > 0 && !slices.Contains(series.Departments, a.office.Code):
		return record.Series{}, CodeWrongOffice, nil
	}
	if m.Custody != "" {
		_, known, err := CustodianSetOf(a.view, m.Custody)
		if err != nil {
			return record.Series{}, 0, err
		}
		if !known {
			return record.Series{}, CodeUnknownCustody, nil
		}
	}
	return series, OK, nil
}

// supersede judges the statement that one record replaces another.
func (a *act) supersede(m *record.SupersedeRecord) (Code, error) {
	if !slices.Contains(a.office.Roles, record.RoleDepartment) {
		return CodeWrongRole, nil
	}
	for _, i := range [...]record.Index{m.Record, m.By} {
		if int64(i) >= int64(a.first) {
			return CodeUnknownRecord, nil
		}
		e, err := entryOf(a.view, i)
		if err != nil {
			return 0, err
		}
		anchored, ok := e.(record.AnchorEntry)
		if !ok {
			return CodeUnknownRecord, nil
		}
		if anchored.Office != a.office.Code {
			return CodeWrongOffice, nil
		}
	}
	l, _, err := LifecycleOf(a.view, m.Record)
	if err != nil {
		return 0, err
	}
	if l.Supersession != 0 {
		return CodeAlreadySuperseded, nil
	}
	l.SupersededBy, l.SupersededOn = m.By, a.today
	l.Supersession = a.add(record.SupersedeEntry{Office: a.office.Code, Record: m.Record, By: m.By})
	a.set(StateKeyLifecycle(m.Record), lifecycleValue(l))
	return OK, nil
}
