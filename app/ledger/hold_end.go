package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// releasers are the roles that may release holds, others' holds.
var releasers = []record.Role{
	record.RoleCounsel, record.RoleAuditor, record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords,
}

// resolveIssue judges the statement that an issue of a hold is resolved, or
// that the action itself is closed.
func (a *act) resolveIssue(m *record.ResolveIssue) (Code, error) {
	h, code, err := a.standingHold(m.Hold)
	if err != nil || code != OK {
		return code, err
	}
	at, resolved := slices.BinarySearch(h.Resolved, m.Issue)
	switch {
	case h.Office != a.office.Code && !a.hasRole(record.RoleCounsel, record.RoleClerk):
		return CodeWrongRole, nil
	case m.Issue > h.Issues:
		return CodeUnknownIssue, nil
	case resolved:
		return CodeIssueResolved, nil
	}
	a.add(record.ResolutionEntry{Office: a.office.Code, Hold: m.Hold, Issue: m.Issue})
	h.Resolved = slices.Insert(h.Resolved, at, m.Issue)
	h.Closers = withCode(h.Closers, a.office.Code)
	a.set(StateKeyHold(m.Hold), h.value())
	return OK, nil
}

// releaseHold judges the end of a hold: all must be closed, and another office
// than those that placed, extended and closed it says so.
func (a *act) releaseHold(m *record.ReleaseHold) (Code, error) {
	h, code, err := a.standingHold(m.Hold)
	switch {
	case err != nil || code != OK:
		return code, err
	case !a.hasRole(releasers...):
		return CodeWrongRole, nil
	case slices.ContainsFunc(h.Parts, func(p HoldPart) bool { return p.Office == a.office.Code }),
		slices.Contains(h.Closers, a.office.Code):
		return CodeSameOffice, nil
	case !h.Closed():
		return CodeOpenIssues, nil
	}
	h.Released = a.add(record.ReleaseEntry{Office: a.office.Code, Hold: m.Hold})
	h.By, h.ReleasedOn = a.office.Code, a.today
	a.set(StateKeyHold(m.Hold), h.value())
	return OK, a.unmark(m.Hold, &h)
}

// unmark notes the release where the hold covered more than listed records.
func (a *act) unmark(hold record.Index, h *Hold) error {
	var keys [][]byte
	for i := range h.Parts {
		s := &h.Parts[i].Scope
		if key := StateKeyHeld(s.Department, s.Series); !s.Empty() {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, slices.Compare)
	for _, key := range slices.CompactFunc(keys, slices.Equal) {
		marks, err := marksOf(a.view, key)
		if err != nil {
			return err
		}
		for i := range marks {
			if marks[i].hold == hold {
				marks[i].release = h.Released
			}
		}
		a.set(key, marksValue(marks))
	}
	return nil
}

// hasRole tells whether the signer's office has one of the roles.
func (a *act) hasRole(roles ...record.Role) bool {
	return slices.ContainsFunc(a.office.Roles, func(role record.Role) bool { return slices.Contains(roles, role) })
}
