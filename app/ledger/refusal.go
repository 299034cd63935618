package ledger

import (
	"github.com/muniment/muniment/app/record"
)

// maxRefusals is how many refusals of one office and ledger day become entries.
const maxRefusals = 1000

// recorded tells whether a refusal becomes an entry, a refusal receipt: those
// because of a hold, an unexpired period, a missing approval or notice, or a
// freeze.
func recorded(code Code) bool {
	switch code {
	case CodeHeld, CodeNotDue, CodeMissingApproval, CodeNoticePeriod, CodeNoticeMissing, CodeFrozen:
		return true
	}
	return false
}

// recordRefusal makes a refusal an entry, within the quota of the office. The
// step that was refused leaves nothing else.
func (a *act) recordRefusal(code Code) (Result, error) {
	today, count, err := refusalsOf(a.view, a.office.Code)
	if err != nil {
		return Result{}, err
	}
	if today != a.today {
		count = 0
	}
	if count >= maxRefusals {
		return refusal(CodeQuota), nil
	}
	e := a.refused
	e.Office, e.Code = a.office.Code, uint32(code)
	a.items, a.values, a.anchors = nil, nil, nil
	a.add(e)
	a.set(StateKeyRefusals(a.office.Code), refusalsValue(a.today, count+1))
	a.set(StateKeyNonce(a.tx.KeyID, a.tx.Nonce), nonceValue(a.first))
	return Result{Code: code, TxIndex: a.first, Count: 1, Bad: a.bad}, nil
}

// refusalsOf gives the last ledger day with recorded refusals of an office, and their number.
func refusalsOf(v View, office record.Code) (record.Day, int64, error) {
	key := StateKeyRefusals(office)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return 0, 0, err
	}
	r := open(value, 2)
	day, count := r.day(), r.number()
	return day, count, r.end(key)
}

// refusalsValue is [1, ledger day, number of refusals].
func refusalsValue(day record.Day, count int64) []byte {
	return appendNumber(appendDay(newValue(2), day), count)
}
