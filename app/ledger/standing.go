package ledger

import "github.com/muniment/muniment/app/record"

// maxDaysBack is how long before its proposal an authorization may begin.
const maxDaysBack = 31

// StandingOf gives the standing authorization stated in fact entry i.
func StandingOf(v View, i record.Index) (record.StandingAuthorization, bool, error) {
	return factOf[record.StandingAuthorization](v, StateKeyStanding(i))
}

// changeStanding authorizes dispositions in advance.
func changeStanding(v View, f *record.StandingAuthorization, at record.Index, proposed, today record.Day) ([]Value, Code, error) {
	if code, err := departmentOf(v, f.Office); err != nil || code != OK {
		return nil, code, err
	}
	if ahead := int64(f.From) - int64(proposed); ahead < -maxDaysBack || ahead > maxDaysAhead || f.Until < today {
		return nil, CodeBadEffectiveDay, nil
	}
	if code, err := ruled(v, today, f.Series...); err != nil || code != OK {
		return nil, code, err
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return nil, 0, err
	}
	return []Value{{StateKeyStanding(at), factValue(at, fact)}}, OK, nil
}
