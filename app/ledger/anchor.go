package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// anchor judges a batch of records. It reads each item once, in order, and
// names the first bad one.
func (a *act) anchor(m *record.AnchorRecords) (Result, error) {
	series, adopted, code, err := a.openSeries(m.Series, m.Custody)
	switch {
	case err != nil || code != OK:
		return refusal(code), err
	case series.Batched:
		return refusal(CodeBatchedSeries), nil
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
	a.markSince(m.Series, adopted)
	return Result{TxIndex: a.first, Count: int64(len(m.Items)), Bad: -1}, nil
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
