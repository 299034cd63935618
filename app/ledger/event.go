package ledger

import "github.com/muniment/muniment/app/record"

// Posting is one statement that accounts are audited.
type Posting struct {
	Through record.Day
	Posted  record.Day   // ledger day of the statement
	Entry   record.Index // audit entry
}

// AuditsOf lists what was posted for an office, ascending.
func AuditsOf(v View, office record.Code) ([]Posting, error) { return nil, nil }

func (a *act) recordEvents(m *record.RecordEvents) (Code, error) { return CodeUnsupportedChange, nil }

func (a *act) fileRecords(m *record.FileRecords) (Code, error) { return CodeUnsupportedChange, nil }

func (a *act) postAudited(m *record.PostAuditedThrough) (Code, error) {
	return CodeUnsupportedChange, nil
}
