package receipt

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// officeOf names the office whose act an entry is; empty where it names none.
func officeOf(e record.Entry) record.Code {
	switch e := e.(type) {
	case record.AnchorEntry:
		return e.Office
	case record.SupersedeEntry:
		return e.Office
	case record.EventsEntry:
		return e.Office
	case record.FilingEntry:
		return e.Office
	case record.AuditEntry:
		return e.Office
	case record.HoldEntry:
		return e.Office
	case record.ExtensionEntry:
		return e.Office
	case record.ResolutionEntry:
		return e.Office
	case record.ReleaseEntry:
		return e.Office
	case record.ProposalEntry:
		return e.Office
	case record.ApprovalEntry:
		return e.Office
	case record.SuspensionEntry:
		return e.Office
	case record.AcknowledgmentEntry:
		return e.Office
	}
	return officeOfDisposition(e)
}

func officeOfDisposition(e record.Entry) record.Code {
	switch e := e.(type) {
	case record.DispositionEntry:
		return e.Office
	case record.AuthorizationEntry:
		return e.Office
	case record.WithdrawalEntry:
		return e.Office
	case record.NoticeEntry:
		return e.Office
	case record.LockEntry:
		return e.Office
	case record.ReportEntry:
		return e.Office
	case record.RefusalEntry:
		return e.Office
	case record.WithholdingEntry:
		return e.Office
	}
	return ""
}

// statesOfRecords is states for entries about records, holds and the clock.
func (p parts) statesOfRecords(m record.Message, entry record.Entry, index int64) bool {
	switch e := entry.(type) {
	case record.EventsEntry:
		s, ok := m.(*record.RecordEvents)
		return ok && s.Event == e.Event && s.Day == e.Day && int64(len(s.Records)) == e.Count
	case record.FilingEntry:
		s, ok := m.(*record.FileRecords)
		return ok && s.Series == e.Series && s.File == e.File && int64(len(s.Records)) == e.Count
	case record.AuditEntry:
		s, ok := m.(*record.PostAuditedThrough)
		return ok && s.Department == e.Department && s.Through == e.Through
	case record.HoldEntry:
		s, ok := m.(*record.PlaceHold)
		return ok && s.Kind == e.HoldKind && s.Issues == e.Issues
	case record.ExtensionEntry:
		s, ok := m.(*record.ExtendHold)
		return ok && s.Hold == e.Hold && s.Issues == e.Issues
	case record.ResolutionEntry:
		s, ok := m.(*record.ResolveIssue)
		return ok && s.Hold == e.Hold && s.Issue == e.Issue
	case record.ReleaseEntry:
		s, ok := m.(*record.ReleaseHold)
		return ok && s.Hold == e.Hold
	case record.AcknowledgmentEntry:
		s, ok := m.(*record.AcknowledgeJump)
		return ok && s.Jump == e.Jump
	}
	return p.statesOfDisposition(m, entry, index)
}

func (p parts) statesOfDisposition(m record.Message, entry record.Entry, index int64) bool {
	switch e := entry.(type) {
	case record.DispositionEntry:
		s, ok := m.(*record.ProposeDisposition)
		return ok && s.Series == e.Series && s.Action == e.Action && int64(len(s.Records)) == e.Count && e.Hash == p.tx.BodyHash
	case record.AuthorizationEntry:
		s, ok := m.(*record.ApproveDisposition)
		return ok && s.Disposition == e.Disposition && s.Hash == e.Hash
	case record.WithdrawalEntry:
		s, ok := m.(*record.WithdrawDisposition)
		return ok && s.Disposition == e.Disposition
	case record.NoticeEntry:
		s, ok := m.(*record.RecordNotice)
		return ok && s.Disposition == e.Disposition && s.Day == e.Day
	case record.LockEntry: // first of its transaction, its items behind it
		s, ok := m.(*record.LockDisposition)
		return ok && s.Disposition == e.Disposition && index == p.txIndex+1 && e.Count == p.tx.Count-1
	case record.ItemEntry:
		s, ok := m.(*record.LockDisposition)
		return ok && s.Disposition == e.Disposition && index > p.txIndex+1
	case record.ReportEntry:
		s, ok := m.(*record.ReportErasure)
		counted := ok && (s.Outcome == record.OutcomePreserved || int64(len(s.Preserved)) == e.Preserved)
		return counted && s.Disposition == e.Disposition && s.Outcome == e.Outcome
	case record.RefusalEntry:
		return p.tx.Count == 1 && refuses(m, e)
	case record.DepartureEntry:
		s, ok := m.(*record.LeaveCustody)
		return ok && s.Set == e.Set && s.Departure == e.Departure
	case record.WithholdingEntry:
		s, ok := m.(*record.Withhold)
		return ok && s.Record == e.Record && s.Redaction == e.Redaction
	}
	return false
}

// refuses tells whether a message is the step that a refusal speaks of.
func refuses(m record.Message, e record.RefusalEntry) bool {
	switch m := m.(type) {
	case *record.ProposeDisposition:
		return e.Disposition == 0 && (e.Record == 0 || slices.Contains(m.Records, e.Record))
	case *record.ApproveDisposition:
		return e.Disposition == m.Disposition
	case *record.LockDisposition:
		return e.Disposition == m.Disposition
	case *record.RecordNotice:
		return e.Disposition == m.Disposition
	}
	return false
}
