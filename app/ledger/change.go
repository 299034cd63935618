package ledger

import (
	"bytes"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// change gives what executing a proposal by the fact entry at sets, or why that
// cannot be done now.
func (a *act) change(p Proposal, at record.Index) ([]Value, Code, error) {
	switch f := p.Fact.(type) {
	case *record.Office:
		return a.unlessLockout(changeOffice(a.view, f, at))
	case *record.Key:
		return a.unlessLockout(changeKey(a.view, f, at, a.header.Height))
	case *record.ScheduleRule:
		return changeRule(a.view, f, at)
	case *record.Schedule:
		return changeSchedule(a.view, f, at, a.today)
	case *record.Activation:
		return changeActivation(a.view, f, at, p.Day, a.today)
	case *record.StandingAuthorization:
		return changeStanding(a.view, f, at, p.Day, a.today)
	case *record.Node:
		return a.openingEra(at)(changeNode(a.view, f, at))
	case *record.Witnesses:
		return a.openingEra(at)(changeWitnesses(a.view, f, at))
	case *record.CustodianSet:
		return changeCustodianSet(a.view, f, at)
	case *record.Upgrade:
		return changeVersion(a.view, f, at, a.header.Height)
	}
	return nil, CodeUnsupportedChange, nil
}

// unlessLockout lets a change pass after which somebody can still decide.
func (a *act) unlessLockout(values []Value, code Code, err error) ([]Value, Code, error) {
	if err == nil && code == OK {
		code, err = lockout(a.view, values)
	}
	if err != nil || code != OK {
		return nil, code, err
	}
	return values, OK, nil
}

func changeOffice(v View, f *record.Office, at record.Index) ([]Value, Code, error) {
	now, known, err := OfficeOf(v, f.Code)
	if err != nil {
		return nil, 0, err
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return nil, 0, err
	}
	if known {
		before, err := record.MarshalFact(&now)
		if err != nil {
			return nil, 0, err
		}
		if bytes.Equal(before, fact) {
			return nil, CodeNoChange, nil
		}
	}
	return []Value{{StateKeyOffice(f.Code), factValue(at, fact)}}, OK, nil
}

// changeKey registers a key, or suspends one that is registered. Nothing else
// about a key ever changes.
func changeKey(v View, f *record.Key, at record.Index, height int64) ([]Value, Code, error) {
	_, known, err := OfficeOf(v, f.Office)
	if err != nil {
		return nil, 0, err
	}
	if !known {
		return nil, CodeUnknownOffice, nil
	}
	now, registered, err := KeyOf(v, f.ID())
	if err != nil {
		return nil, 0, err
	}
	if registered {
		suspended := now.Key
		suspended.Status = record.StatusSuspended
		switch {
		case now.Key == *f:
			return nil, CodeNoChange, nil
		case suspended != *f:
			return nil, CodeKeyRegistered, nil
		}
		values, err := keyValues(KeyState{Key: *f, Registered: now.Registered, Suspended: height})
		return values, OK, err
	}
	if f.Status != record.StatusActive {
		return nil, CodeBadFact, nil
	}
	taken, err := isNodeKey(v, f.ID())
	if err != nil {
		return nil, 0, err
	}
	if taken {
		return nil, CodeKeyRegistered, nil
	}
	values, err := keyValues(KeyState{Key: *f, Registered: at})
	if err != nil || f.Use != record.UseSigning {
		return values, OK, err
	}
	ids, err := SigningKeysOf(v, f.Office)
	if err != nil {
		return nil, 0, err
	}
	return append(values, Value{StateKeySigning(f.Office), keyIDsValue(withKeyID(ids, f.ID()))}), OK, nil
}

func keyValues(k KeyState) ([]Value, error) {
	value, err := keyValue(k)
	if err != nil {
		return nil, err
	}
	return []Value{{StateKeyKey(k.ID()), value}}, nil
}

// faultOf says what makes a fact of sound shape unfit to be stated, whatever
// the state is; it is empty for a fit one.
func faultOf(f record.Fact) string {
	var codes []record.Code
	switch f := f.(type) {
	case *record.Office:
		codes = []record.Code{f.Code}
	case *record.Key:
		codes = []record.Code{f.Office}
	case *record.CustodianSet:
		codes = []record.Code{f.Code}
	case *record.Series:
		codes = []record.Code{f.Code}
	case *record.ScheduleRule:
		codes = append(ruleCodes(&f.Rule), f.Schedule, f.Series)
	case *record.Schedule:
		codes = []record.Code{f.Code}
	case *record.Activation:
		codes = []record.Code{f.Series, f.Office}
	case *record.StandingAuthorization:
		codes = append(slices.Clone(f.Series), f.Office)
	case *record.Witnesses:
		for _, w := range f.Witnesses {
			codes = append(codes, w.Code)
		}
	}
	for _, c := range codes {
		if looksPersonal(c) {
			return "code " + string(c) + " has seven digits in a row, like a telephone or insurance number"
		}
	}
	return ""
}

// ruleCodes lists the series that a rule refers to.
func ruleCodes(r *retention.Rule) []record.Code {
	var codes []record.Code
	if r.Series != "" {
		codes = append(codes, record.Code(r.Series))
	}
	for i := range r.Rules {
		codes = append(codes, ruleCodes(&r.Rules[i])...)
	}
	return codes
}

// looksPersonal tells whether a code holds a number that could name a person:
// seven digits in a row when points and hyphens are left out, as in a telephone
// or an insurance number. A registered code is for ever, so this is refused at
// the door.
func looksPersonal(c record.Code) bool {
	digits := 0
	for i := range len(c) {
		switch b := c[i]; {
		case b >= 'A' && b <= 'Z':
			digits = 0
		case b >= '0' && b <= '9':
			if digits++; digits == 7 {
				return true
			}
		}
	}
	return false
}
