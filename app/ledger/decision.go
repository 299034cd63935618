package ledger

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// Decision is one about parts of a record: to withhold them, or to erase them,
// which was carried out.
type Decision struct {
	Entry     record.Index // of the withholding, or of the disposition that erased
	Erased    bool
	Redaction [32]byte    // hash of the list of these parts
	Office    record.Code // that withholds, or proposed the erasure
	Day       record.Day  // ledger day of the withholding, or of the lock
}

// DecisionsOn lists the decisions about parts of the record that entry i
// anchored, ascending. An erasure is among them once every report is in.
func DecisionsOn(v View, i record.Index) ([]Decision, error) {
	l, _, err := LifecycleOf(v, i)
	if err != nil {
		return nil, err
	}
	var all []Decision
	for _, at := range l.Decisions {
		d, err := decisionAt(v, at)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func decisionAt(v View, at record.Index) (Decision, error) {
	e, err := entryOf(v, at)
	if err != nil {
		return Decision{}, err
	}
	switch e := e.(type) {
	case record.WithholdingEntry:
		day, err := DayOf(v, at)
		return Decision{Entry: at, Redaction: e.Redaction, Office: e.Office, Day: day}, err
	case record.DispositionEntry:
		d, known, err := DispositionOf(v, at)
		if err == nil && !known {
			err = fmt.Errorf("read disposition %d: it is not there: %w", at, errDamaged)
		}
		if err != nil {
			return Decision{}, err
		}
		day, err := DayOfLock(v, d)
		return Decision{Entry: at, Erased: true, Redaction: d.Redaction, Office: d.Office, Day: day}, err
	}
	return Decision{}, fmt.Errorf("read decision at entry %d: it is none: %w", at, errDamaged)
}

// DayOfLock gives the ledger day on which a disposition was locked; 0 where it
// is not.
func DayOfLock(v View, d Disposition) (record.Day, error) {
	if d.Lock == 0 {
		return 0, nil
	}
	e, err := entryOf(v, d.Lock)
	if err != nil {
		return 0, err
	}
	lock, ok := e.(record.LockEntry)
	if !ok {
		return 0, fmt.Errorf("read lock of a disposition: entry %d is none: %w", d.Lock, errDamaged)
	}
	return lock.Day, nil
}

// ReportedIn gives what was signed as the report whose entry is entry i.
func ReportedIn(v View, i record.Index) (record.ReportErasure, error) {
	e, err := entryOf(v, i-1) // a report is the only item of its transaction
	if err != nil {
		return record.ReportErasure{}, err
	}
	tx, ok := e.(record.TxEntry)
	if !ok {
		return record.ReportErasure{}, fmt.Errorf("read report at entry %d: no transaction precedes it: %w", i, errDamaged)
	}
	m, err := record.ParseBody(tx.Body)
	report, ok := m.(*record.ReportErasure)
	if err != nil || !ok {
		return record.ReportErasure{}, fmt.Errorf("read report at entry %d: its transaction reports nothing: %w", i, errDamaged)
	}
	return *report, nil
}
