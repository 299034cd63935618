package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// The offices that sign off besides the one that asks.
var (
	activationRoles = []record.Role{record.RoleIT, record.RoleCounsel, record.RoleClerk, record.RoleProcurement}
	standingRoles   = []record.Role{record.RoleIT, record.RoleClerk, record.RoleStateArchivist, record.RoleStateRecords}
)

// policy says who decides on a fact.
type policy struct {
	may    func(record.Office) bool   // propose and approve it
	enough func([]record.Office) bool // active offices whose approvals count, each once
}

// policyOf gives the policy for a fact; ok is false for facts that nobody can change.
func policyOf(v View, f record.Fact) (p policy, ok bool, err error) {
	switch f := f.(type) {
	case *record.Office, *record.Key, *record.Node, *record.Witnesses, *record.Upgrade:
		p, err = governed(v, record.SubjectSecurity)
	case *record.CustodianSet:
		p, err = governed(v, record.SubjectRecords)
	case *record.ScheduleRule:
		if p, err = governed(v, record.SubjectRecords); err == nil {
			p.enough = func(offices []record.Office) bool { return slices.ContainsFunc(offices, p.may) }
		}
	case *record.Schedule:
		if p, err = governed(v, record.SubjectRecords); err == nil && f.State {
			p = p.with(record.RoleStateRecords)
		}
	case *record.Activation:
		p = signedOff(f.Office, activationRoles)
	case *record.StandingAuthorization:
		p = signedOff(f.Office, standingRoles)
	default:
		return policy{}, false, nil
	}
	return p, err == nil, err
}

// governed leaves the decision to the offices that govern a subject.
func governed(v View, s record.Subject) (policy, error) {
	g, err := governorsOf(v, s)
	return policy{
		may:    func(o record.Office) bool { return slices.Contains(g.Offices, o.Code) },
		enough: func(offices []record.Office) bool { return quorum(g, codesOf(offices)) },
	}, err
}

// with wants the approval of an office with a role besides.
func (p policy) with(role record.Role) policy {
	has := func(o record.Office) bool { return slices.Contains(o.Roles, role) }
	return policy{
		may:    func(o record.Office) bool { return p.may(o) || has(o) },
		enough: func(offices []record.Office) bool { return p.enough(offices) && slices.ContainsFunc(offices, has) },
	}
}

// signedOff wants an office's own approval, and that further offices fill the roles, each one of them.
func signedOff(by record.Code, roles []record.Role) policy {
	return policy{
		may: func(o record.Office) bool {
			return o.Code == by || slices.ContainsFunc(roles, func(r record.Role) bool { return slices.Contains(o.Roles, r) })
		},
		enough: func(offices []record.Office) bool {
			return contains(offices, by) && covered(roles, without(offices, by))
		},
	}
}

// isDepartment tells whether an office keeps records of its own: a department,
// or the library, whose head alone decides on its records.
func isDepartment(o record.Office) bool {
	return slices.Contains(o.Roles, record.RoleDepartment) || slices.Contains(o.Roles, record.RoleLibraryCEO)
}

// without leaves an office out of a list.
func without(offices []record.Office, code record.Code) []record.Office {
	return slices.DeleteFunc(slices.Clone(offices), func(o record.Office) bool { return o.Code == code })
}

// contains tells whether an office is in a list.
func contains(offices []record.Office, code record.Code) bool {
	return slices.ContainsFunc(offices, func(o record.Office) bool { return o.Code == code })
}

func codesOf(offices []record.Office) []record.Code {
	codes := make([]record.Code, len(offices))
	for i, o := range offices {
		codes[i] = o.Code
	}
	return codes
}
