package ledger

import "github.com/muniment/muniment/app/record"

// StandingOf gives the standing authorization that fact entry i states.
func StandingOf(v View, i record.Index) (record.StandingAuthorization, bool, error) {
	return factOf[record.StandingAuthorization](v, StateKeyStanding(i))
}
