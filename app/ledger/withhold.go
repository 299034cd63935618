package ledger

import "github.com/muniment/muniment/app/record"

// maxDecisions is with how many decisions about parts of a record its lifecycle
// takes no further withholding. An erasure is never refused for them: one office
// can withhold as often as it likes, and must not stand in its way by that.
const maxDecisions = 64

// withhold judges the decision to withhold parts of a record from copies. It
// erases nothing and binds nobody: several offices may decide the same or
// otherwise, and what was anchored before stays what it is.
func (a *act) withhold(m *record.Withhold) (Code, error) {
	decides := a.hasRole(record.RoleClerk, record.RoleCounsel)
	if !decides && !a.hasRole(owners[:]...) {
		return CodeWrongRole, nil
	}
	anchor, ok, err := AnchorOf(a.view, m.Record)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return CodeUnknownRecord, nil
	case !decides && anchor.Office != a.office.Code:
		return CodeWrongOffice, nil
	}
	l, _, err := LifecycleOf(a.view, m.Record)
	switch {
	case err != nil:
		return 0, err
	case len(l.Decisions) >= maxDecisions:
		return CodeTooManyDecisions, nil
	}
	l.withDecision(a.add(record.WithholdingEntry{Office: a.office.Code, Record: m.Record, Redaction: m.Redaction}))
	a.set(StateKeyLifecycle(m.Record), lifecycleValue(l))
	return OK, nil
}
