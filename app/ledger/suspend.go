package ledger

import (
	"bytes"

	"github.com/muniment/muniment/app/record"
)

// suspend judges the immediate suspension of a key, of whichever office and
// use, by one governing office.
func (a *act) suspend(m *record.SuspendKey) (Code, error) {
	if _, code, err := a.governing(); err != nil || code != OK {
		return code, err
	}
	key, known, err := KeyOf(a.view, m.KeyID)
	if err != nil {
		return 0, err
	}
	if !known {
		return CodeUnknownTarget, nil
	}
	if m.SinceHeight > a.header.Height {
		return CodeBadHeight, nil
	}
	if key.Status != record.StatusActive {
		// What may still change is how far back its approvals are void.
		further := m.SinceHeight != 0 && (key.Since == 0 || m.SinceHeight < key.Since)
		if !further {
			return CodeAlreadySuspended, nil
		}
	} else {
		key.Status, key.Suspended = record.StatusSuspended, a.header.Height
	}
	key.Since = m.SinceHeight
	a.add(record.SuspensionEntry{Office: a.office.Code, KeyID: m.KeyID, SinceHeight: m.SinceHeight})
	values, err := keyValues(key)
	if err != nil {
		return 0, err
	}
	a.values = append(a.values, values...)
	return lockout(a.view, values)
}

// lockout refuses values under which no quorum of governing offices could
// decide on offices and keys any more: nobody could ever let the city in again.
func lockout(v View, values []Value) (Code, error) {
	after := patched{v, values}
	g, err := security(after)
	if err != nil {
		return 0, err
	}
	var able []record.Code
	for _, office := range g.Offices {
		signs, err := canSign(after, office)
		if err != nil {
			return 0, err
		}
		if signs {
			able = append(able, office)
		}
	}
	if !quorum(g, able) {
		return CodeLockout, nil
	}
	return OK, nil
}

// canSign tells whether an office is active and has an active signing key.
func canSign(v View, code record.Code) (bool, error) {
	office, known, err := OfficeOf(v, code)
	if err != nil || !known || office.Status != record.StatusActive {
		return false, err
	}
	ids, err := SigningKeysOf(v, code)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		key, known, err := KeyOf(v, id)
		if err != nil {
			return false, err
		}
		if known && key.Status == record.StatusActive {
			return true, nil
		}
	}
	return false, nil
}

// patched is a view with a few state values in place of its own.
type patched struct {
	View
	values []Value
}

func (p patched) Value(key []byte) ([]byte, bool, error) {
	for _, v := range p.values {
		if bytes.Equal(v.Key, key) {
			return v.Value, true, nil
		}
	}
	return p.View.Value(key)
}
