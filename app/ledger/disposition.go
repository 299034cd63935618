package ledger

import "github.com/muniment/muniment/app/record"

func (a *act) proposeDisposition(m *record.ProposeDisposition) (Code, error) {
	return CodeUnsupportedChange, nil
}
func (a *act) approveDisposition(m *record.ApproveDisposition) (Code, error) {
	return CodeUnsupportedChange, nil
}
func (a *act) withdraw(m *record.WithdrawDisposition) (Code, error) {
	return CodeUnsupportedChange, nil
}
func (a *act) recordNotice(m *record.RecordNotice) (Code, error) { return CodeUnsupportedChange, nil }
func (a *act) lock(m *record.LockDisposition) (Code, error)      { return CodeUnsupportedChange, nil }
func (a *act) report(m *record.ReportErasure) (Code, error)      { return CodeUnsupportedChange, nil }
func (a *act) signedByCustodian() (bool, error)                  { return false, nil }

// recorded tells whether a refusal becomes an entry.
func recorded(code Code) bool { return false }

func (a *act) recordRefusal(code Code) (Result, error) { return refusal(code), nil }
