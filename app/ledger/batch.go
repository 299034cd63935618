package ledger

import "github.com/muniment/muniment/app/record"

// anchorBatch judges the batch of a ledger day: one record that stands for all
// that an office keeps under a series on that day.
func (a *act) anchorBatch(m *record.AnchorBatch) (Code, error) {
	series, adopted, code, err := a.openSeries(m.Series, m.Custody)
	switch {
	case err != nil || code != OK:
		return code, err
	case !series.Batched:
		return CodeNotBatched, nil
	}
	_, exists, err := BatchOf(a.view, a.office.Code, m.Series, a.today)
	switch {
	case err != nil:
		return 0, err
	case exists:
		return CodeBatchExists, nil
	}
	at, anchored, err := a.view.AnchorIndex(a.office.Code, m.Commitment)
	switch {
	case err != nil:
		return 0, err
	case anchored:
		a.inTheWay = at
		return CodeAlreadyAnchored, nil
	}
	at = a.add(record.AnchorEntry{
		Office: a.office.Code, Series: m.Series, Custody: m.Custody, Commitment: m.Commitment,
		Day: RoundUp(a.today, series.Granularity), Flags: record.FlagBatch,
	})
	a.anchors = []Anchor{{Office: a.office.Code, Commitment: m.Commitment, Index: at}}
	a.set(StateKeyBatch(a.office.Code, m.Series, a.today), batchValue(at))
	a.markSince(m.Series, adopted)
	return OK, nil
}

// BatchOf gives the anchor entry of the batch of an office, a series and a ledger day.
func BatchOf(v View, office, series record.Code, day record.Day) (record.Index, bool, error) {
	key := StateKeyBatch(office, series, day)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return 0, false, err
	}
	r := open(value, 1)
	at := r.index()
	if err := r.end(key); err != nil {
		return 0, false, err
	}
	return at, true, nil
}

// batchValue is [1, index of the anchor entry].
func batchValue(at record.Index) []byte { return appendNumber(newValue(1), at) }
