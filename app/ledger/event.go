package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Posting is one statement that accounts are audited.
type Posting struct {
	Through record.Day
	Posted  record.Day   // ledger day of the statement
	Entry   record.Index // audit entry
}

// AuditsOf lists what was posted for an office, ascending.
func AuditsOf(v View, office record.Code) ([]Posting, error) {
	key := StateKeyAudited(office)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return nil, err
	}
	r := open(value, 1)
	list := make([]Posting, r.list(4))
	for i := range list {
		r.array(3)
		list[i] = Posting{Through: r.day(), Posted: r.day(), Entry: r.index()}
	}
	if err := r.end(key); err != nil {
		return nil, err
	}
	return list, nil
}

// auditedValue is [1, [[day, ledger day of the statement, index of the entry], ...]], ascending.
func auditedValue(list []Posting) []byte {
	b := appendHead(newValue(1), majorArray, uint64(len(list)))
	for _, p := range list {
		b = appendDay(appendDay(appendHead(b, majorArray, 3), p.Through), p.Posted)
		b = appendNumber(b, p.Entry)
	}
	return b
}

// recordEvents judges the statement that something happened to records on a
// day. What was said about the same event before is replaced by a later day
// alone: retention only lengthens.
func (a *act) recordEvents(m *record.RecordEvents) (Code, error) {
	if !a.keepsRecords() {
		return CodeWrongRole, nil
	}
	days := map[record.Code]bool{} // series whose granularity allows the day
	at := a.add(record.EventsEntry{Office: a.office.Code, Event: m.Event, Day: m.Day, Count: int64(len(m.Records))})
	return a.eachOwn(m.Records, func(anchor record.AnchorEntry, l *Lifecycle) (Code, error) {
		allowed, known := days[anchor.Series]
		if !known {
			g, err := granularityOf(a.view, anchor.Series, a.office.Code)
			if err != nil {
				return 0, err
			}
			allowed = allowedDay(m.Day, g) && m.Day <= RoundUp(a.today, g)
			days[anchor.Series] = allowed
		}
		before := slices.IndexFunc(l.Events, func(e RecordedEvent) bool { return e.Event == m.Event })
		if !allowed || before >= 0 && m.Day <= l.Events[before].Day {
			return CodeBadDay, nil
		}
		l.withEvent(RecordedEvent{Event: m.Event, Day: m.Day, Entry: at})
		return OK, nil
	})
}

// fileRecords judges the statement which series records follow, or which file
// they are part of. It may be corrected until they are locked.
func (a *act) fileRecords(m *record.FileRecords) (Code, error) {
	if !a.keepsRecords() {
		return CodeWrongRole, nil
	}
	var code Code
	var err error
	if m.File != 0 {
		code, err = a.judgeFile(m)
	} else {
		code, err = a.judgeFollowed(m.Series)
	}
	if err != nil || code != OK {
		return code, err
	}
	at := a.add(record.FilingEntry{Office: a.office.Code, Series: m.Series, File: m.File, Count: int64(len(m.Records))})
	return a.eachOwn(m.Records, func(_ record.AnchorEntry, l *Lifecycle) (Code, error) {
		l.Series, l.File, l.Filing = m.Series, m.File, at
		return OK, nil
	})
}

// judgeFollowed tells whether records may follow a series: one that a rule was adopted for.
func (a *act) judgeFollowed(series record.Code) (Code, error) {
	_, ruled, err := a.view.Value(StateKeyRules(series))
	if err == nil && !ruled {
		return CodeUnknownSeries, nil
	}
	return OK, err
}

// judgeFile tells whether records may become part of a file: a record of the
// same office that is no part of a file itself, so that no circle arises.
func (a *act) judgeFile(m *record.FileRecords) (Code, error) {
	_, l, code, err := a.ownRecord(m.File)
	switch {
	case err != nil || code != OK:
		return code, err
	case l.File != 0 || slices.Contains(m.Records, m.File):
		return CodeWrongSeries, nil
	}
	return OK, nil
}

// eachOwn has each record's lifecycle changed, where all are records of the
// signer's own office and not locked.
func (a *act) eachOwn(records []record.Index, change func(record.AnchorEntry, *Lifecycle) (Code, error)) (Code, error) {
	if err := a.readAhead(records); err != nil {
		return 0, err
	}
	for n, i := range records {
		anchor, l, code, err := a.ownRecord(i)
		if err == nil && code == OK {
			code, err = change(anchor, &l)
		}
		if err != nil || code != OK {
			a.bad = n
			return code, err
		}
		a.set(StateKeyLifecycle(i), lifecycleValue(l))
	}
	return OK, nil
}

// keepsRecords tells whether the signer's office may state facts about its records.
func (a *act) keepsRecords() bool {
	return slices.Contains(a.office.Roles, record.RoleDepartment) || slices.Contains(a.office.Roles, record.RoleLibraryCEO)
}

// ownRecord gives a record of the signer's own office that is not locked.
func (a *act) ownRecord(i record.Index) (record.AnchorEntry, Lifecycle, Code, error) {
	anchor, ok, err := AnchorOf(a.view, i)
	switch {
	case err != nil:
		return record.AnchorEntry{}, Lifecycle{}, 0, err
	case !ok:
		return record.AnchorEntry{}, Lifecycle{}, CodeUnknownRecord, nil
	case anchor.Office != a.office.Code:
		return record.AnchorEntry{}, Lifecycle{}, CodeWrongOffice, nil
	}
	l, _, err := LifecycleOf(a.view, i)
	if err == nil && l.Disposition != 0 {
		return record.AnchorEntry{}, Lifecycle{}, CodeAlreadyLocked, nil
	}
	return anchor, l, OK, err
}

// postAudited judges the statement that the accounts of a department are
// audited up to a day. Every record that waits for it is found to be due from
// this one value: nothing else is written, however many there are.
func (a *act) postAudited(m *record.PostAuditedThrough) (Code, error) {
	if !slices.Contains(a.office.Roles, record.RoleAuditor) {
		return CodeWrongRole, nil
	}
	department, known, err := OfficeOf(a.view, m.Department)
	if err != nil {
		return 0, err
	}
	if !known || !slices.Contains(department.Roles, record.RoleDepartment) {
		return CodeUnknownOffice, nil
	}
	list, err := AuditsOf(a.view, m.Department)
	if err != nil {
		return 0, err
	}
	last := minDay - 1
	if len(list) > 0 {
		last = list[len(list)-1].Through
	}
	if m.Through <= last || m.Through > a.today {
		return CodeWrongAuditDay, nil
	}
	at := a.add(record.AuditEntry{Office: a.office.Code, Department: m.Department, Through: m.Through})
	list = append(list, Posting{Through: m.Through, Posted: a.today, Entry: at})
	a.set(StateKeyAudited(m.Department), auditedValue(list))
	return OK, nil
}
