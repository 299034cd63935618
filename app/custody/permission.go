package custody

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Caller is who asks: an account of an office, with the office's roles. Whoever
// makes one vouches for it.
type Caller struct {
	Office  record.Code
	Account string // pseudonym: 16 hexadecimal digits
	Roles   []record.Role
}

// Purpose is why content is read. It stands in the access log.
type Purpose string

// The purposes.
const (
	CaseWork      Purpose = "CASE_WORK"
	PublicRequest Purpose = "PUBLIC_REQUEST"
	Legal         Purpose = "LEGAL"
	Audit         Purpose = "AUDIT"
	Operation     Purpose = "OPERATION"
)

// Purposes lists every purpose.
func Purposes() []Purpose { return []Purpose{CaseWork, PublicRequest, Legal, Audit, Operation} }

// foreign is what an office with a role may read of other offices' records, and
// for which purpose. Its own records an office reads for every purpose. A role
// that is not here reads nothing of others: neither who runs a node, nor who
// decides on schedules, nor who examines the ledger.
var foreign = []struct {
	role     record.Role
	purposes []Purpose
}{
	{record.RoleClerk, []Purpose{CaseWork, PublicRequest}}, // keeps the city's records, answers requests for them
	{record.RoleCounsel, []Purpose{Legal}},                 // holds, claims, review before disclosure
}

// mayRead tells whether the caller may read records of an office for a purpose.
func (c Caller) mayRead(office record.Code, p Purpose) bool {
	if c.Office == office {
		return true
	}
	for _, f := range foreign {
		if slices.Contains(c.Roles, f.role) && slices.Contains(f.purposes, p) {
			return true
		}
	}
	return false
}

// mayFile tells whether the caller may file redactions of an office's records.
func (c Caller) mayFile(office record.Code) bool {
	return c.Office == office || slices.Contains(c.Roles, record.RoleClerk) || slices.Contains(c.Roles, record.RoleCounsel)
}

// maySeeRedactions tells whether the caller may see the redactions that were filed
// of an office's records, which say where something is hidden: who may file them,
// and who is asked to approve an erasure by them.
func (c Caller) maySeeRedactions(office record.Code) bool {
	approves := func(r record.Role) bool {
		return r == record.RoleChiefAdmin || r == record.RoleStateRecords || r == record.RoleStateArchivist
	}
	return c.mayFile(office) || slices.ContainsFunc(c.Roles, approves)
}

// mayDeposit tells whether the caller may deposit for its own office.
func (c Caller) mayDeposit() bool { return slices.Contains(c.Roles, record.RoleDepartment) }
