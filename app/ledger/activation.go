package ledger

import "github.com/muniment/muniment/app/record"

// ActivationOf gives the activation of a series for an office, the last one.
func ActivationOf(v View, series, office record.Code) (record.Activation, bool, error) {
	return factOf[record.Activation](v, StateKeyActivation(series, office))
}

// changeActivation opens a series for an office, or gives it a new review day.
func changeActivation(v View, f *record.Activation, at record.Index, proposed, today record.Day) ([]Value, Code, error) {
	if code, err := departmentOf(v, f.Office); err != nil || code != OK {
		return nil, code, err
	}
	if f.Assessed >= proposed || f.Review < today {
		return nil, CodeBadAssessment, nil
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return nil, 0, err
	}
	now, known, err := ActivationOf(v, f.Series, f.Office)
	switch {
	case err != nil:
		return nil, 0, err
	case known && now == *f:
		return nil, CodeNoChange, nil
	}
	if code, err := ruled(v, today, f.Series); err != nil || code != OK {
		return nil, code, err
	}
	return []Value{{StateKeyActivation(f.Series, f.Office), factValue(at, fact)}}, OK, nil
}

// departmentOf tells whether an office is registered and keeps records of its own.
func departmentOf(v View, code record.Code) (Code, error) {
	office, known, err := OfficeOf(v, code)
	switch {
	case err != nil:
		return 0, err
	case !known:
		return CodeUnknownOffice, nil
	case !isDepartment(office):
		return CodeWrongRole, nil
	}
	return OK, nil
}

// ruled tells whether each series has a rule in force.
func ruled(v View, today record.Day, series ...record.Code) (Code, error) {
	for _, s := range series {
		rules, err := adoptedRules(v, s)
		if err != nil {
			return 0, err
		}
		if len(InForce(rules, today)) == 0 {
			return CodeNoRule, nil
		}
	}
	return OK, nil
}
