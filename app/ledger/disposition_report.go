package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// report judges what one of those who must report says it did.
func (a *act) report(m *record.ReportErasure) (Code, error) {
	d, known, err := DispositionOf(a.view, m.Disposition)
	switch {
	case err != nil:
		return 0, err
	case !known:
		return CodeUnknownDisposition, nil
	case d.Lock == 0:
		return CodeNotLocked, nil
	}
	n := slices.IndexFunc(d.Reports, func(r Report) bool {
		return r.Office == a.office.Code && r.Custodian == a.custodian
	})
	switch {
	case n < 0:
		return CodeNoReportDue, nil
	case d.Reports[n].Entry != 0:
		return CodeAlreadyReported, nil
	}
	preserved, code, err := a.preserved(m, d)
	if err != nil || code != OK {
		return code, err
	}
	d.Reports = slices.Clone(d.Reports)
	d.Reports[n].Entry = a.add(record.ReportEntry{
		Office: a.office.Code, Custodian: a.custodian, Disposition: m.Disposition, Outcome: m.Outcome, Preserved: int64(len(preserved)),
	})
	for _, i := range preserved {
		if err := a.unlock(i, m.Disposition); err != nil {
			return 0, err
		}
	}
	if !slices.ContainsFunc(d.Reports, func(r Report) bool { return r.Entry == 0 }) {
		d.Status = DispositionComplete
		err = a.complete(m.Disposition, d)
	}
	a.setDisposition(m.Disposition, d)
	return OK, err
}

// complete ends a disposition whose reports are all in. What was erased of a
// record is a decision about it from now on, and the rest of it is free.
func (a *act) complete(at record.Index, d Disposition) error {
	err := a.setLocks(func(locks []record.Index) []record.Index {
		return slices.DeleteFunc(locks, func(i record.Index) bool { return i == at })
	})
	if err != nil || d.Action != record.ActionRedact {
		return err
	}
	erased, err := a.erasedAnything(d)
	if err != nil || !erased {
		return err
	}
	records, err := RecordsOf(a.view, d)
	if err != nil {
		return err
	}
	for _, i := range records {
		l, _, err := LifecycleOf(a.view, i)
		if err != nil {
			return err
		}
		if l.withDecision(at); l.Disposition == at {
			l.Disposition = 0
		}
		a.set(StateKeyLifecycle(i), lifecycleValue(l))
	}
	return nil
}

// erasedAnything tells whether a report on a redaction, which is of one record,
// says that it was carried out.
func (a *act) erasedAnything(d Disposition) (bool, error) {
	for _, r := range d.Reports {
		var e record.Entry
		if r.Entry > a.first {
			e = a.items[r.Entry-a.first-1]
		} else {
			var err error
			if e, err = entryOf(a.view, r.Entry); err != nil {
				return false, err
			}
		}
		report, ok := e.(record.ReportEntry)
		if !ok {
			return false, fmt.Errorf("read report on a redaction: entry %d is none: %w", r.Entry, errDamaged)
		}
		if report.Outcome == record.OutcomeDone && report.Preserved == 0 {
			return true, nil
		}
	}
	return false, nil
}

// preserved lists the records of a disposition that a report says were preserved.
func (a *act) preserved(m *record.ReportErasure, d Disposition) ([]record.Index, Code, error) {
	if m.Outcome == record.OutcomeDone && len(m.Preserved) == 0 {
		return nil, OK, nil
	}
	records, err := RecordsOf(a.view, d)
	if err != nil || m.Outcome == record.OutcomePreserved {
		return records, OK, err
	}
	for n, i := range m.Preserved {
		if _, ours := slices.BinarySearch(records, i); !ours {
			a.bad = n
			return nil, CodeUnknownRecord, nil
		}
	}
	return m.Preserved, OK, nil
}

// unlock takes a record that was preserved out of the disposition under which it
// was locked: it lives on, under its holds and its rule.
func (a *act) unlock(i, disposition record.Index) error {
	l, _, err := LifecycleOf(a.view, i)
	if err != nil || l.Disposition != disposition {
		return err
	}
	l.Disposition = 0
	a.set(StateKeyLifecycle(i), lifecycleValue(l))
	return nil
}
