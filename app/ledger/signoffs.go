package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// covered tells whether each role can be filled by an office of its own: an
// office that has several of them fills one (S0.21).
func covered(roles []record.Role, offices []record.Office) bool {
	fills := make([]int, len(offices)) // role of each office plus one; 0: free
	for role := range roles {
		if !place(roles, offices, fills, role, make([]bool, len(offices))) {
			return false
		}
	}
	return true
}

// place finds an office for a role, moving others along augmenting paths.
func place(roles []record.Role, offices []record.Office, fills []int, role int, tried []bool) bool {
	for n, office := range offices {
		if tried[n] || !slices.Contains(office.Roles, roles[role]) {
			continue
		}
		tried[n] = true
		if fills[n] == 0 || place(roles, offices, fills, fills[n]-1, tried) {
			fills[n] = role + 1
			return true
		}
	}
	return false
}
