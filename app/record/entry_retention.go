package record

import (
	"github.com/muniment/muniment/app/retention"
)

// MaxCited is how many entries another entry may cite in one list. Whoever makes
// an entry keeps to it.
const MaxCited = 64

// EventsEntry records that something happened to Count records. Which they are
// is in the body of its transaction; likewise below.
type EventsEntry struct {
	Office Code
	Event  retention.Event
	Day    Day
	Count  int64
}

// FilingEntry records which series Count records follow, or which file they are part of.
type FilingEntry struct {
	Office Code
	Series Code  // empty with File
	File   Index // 0 with Series
	Count  int64
}

// AuditEntry records that the accounts of a department are audited up to a day.
type AuditEntry struct {
	Office     Code
	Department Code
	Through    Day
}

// HoldEntry places a hold. It names no scope: that is in the body of its transaction.
type HoldEntry struct {
	Office   Code
	HoldKind HoldKind
	Issues   uint32
	Late     int64 // locked dispositions without an end that it reaches: it came too late for these
}

// ExtensionEntry widens a hold or adds issues to it.
type ExtensionEntry struct {
	Office Code
	Hold   Index
	Issues uint32
	Late   int64 // as in HoldEntry
}

// ResolutionEntry closes an issue of a hold; issue 0 is the action itself.
type ResolutionEntry struct {
	Office Code
	Hold   Index
	Issue  uint32
}

// ReleaseEntry ends a hold.
type ReleaseEntry struct {
	Office Code
	Hold   Index
}

// DispositionEntry opens a disposition of Count records. Hash is that of the
// signed body: what authorizations and the lock bind.
type DispositionEntry struct {
	Office Code
	Series Code
	Action Action
	Count  int64
	Hash   [32]byte
}

// AuthorizationEntry is an office's approval of a disposition.
type AuthorizationEntry struct {
	Office      Code
	Disposition Index
	Hash        [32]byte
}

// WithdrawalEntry ends a disposition that was not locked.
type WithdrawalEntry struct {
	Office      Code
	Disposition Index
}

// NoticeEntry records that the persons concerned were notified.
type NoticeEntry struct {
	Office      Code
	Disposition Index
	Day         Day
}

// LockEntry makes a disposition final. An ItemEntry for each record follows.
type LockEntry struct {
	Office         Code
	Disposition    Index
	Day            Day     // ledger day of the lock
	Authorizations []Index // authorization entries that counted, ascending
	Standing       Index   // fact entry of the standing authorization; 0: none
	Notice         Index   // notice entry; 0: none was needed
	Count          int64
}

// ItemEntry says why one record could be locked: it was due on a day under
// rules and by facts that are other entries, and no hold stood against it.
type ItemEntry struct {
	Disposition Index
	Record      Index
	Due         Day     // first day on which disposition could be asked; 0 where the action does not wait for one
	Rules       []Index // fact entries of the schedule rules that bound it, ascending
	Facts       []Index // entries of the events, filings and supersessions that counted, ascending
	Audit       Index   // audit entry that counted; 0: none
}

// ReportEntry records what one of those who must report did under a lock.
type ReportEntry struct {
	Office      Code  // of the department or archive that reports; empty for a custodian
	Custodian   KeyID // zero for an office
	Disposition Index
	Outcome     Outcome
	Preserved   int64 // records that were preserved
}

// RefusalEntry records that a step of a disposition was refused: a refusal receipt.
type RefusalEntry struct {
	Office      Code
	Code        uint32 // of package ledger
	Disposition Index  // 0 for a proposal
	Record      Index  // first record that stands against it; 0: none does
	Hold        Index  // hold on that record; 0: none
}

// WithholdingEntry records the decision to withhold parts of a record from
// copies. Redaction is the hash of what is withheld (commitment.Redaction).
type WithholdingEntry struct {
	Office    Code
	Record    Index
	Redaction [32]byte
}

// AcknowledgmentEntry is a governing office's word that the clock is right again.
type AcknowledgmentEntry struct {
	Office Code
	Jump   Index
}

// Kind tells the kind of the entry; likewise below.
func (EventsEntry) Kind() Kind         { return KindEvents }
func (FilingEntry) Kind() Kind         { return KindFiling }         // Kind is KindFiling
func (AuditEntry) Kind() Kind          { return KindAudit }          // Kind is KindAudit
func (HoldEntry) Kind() Kind           { return KindHold }           // Kind is KindHold
func (ExtensionEntry) Kind() Kind      { return KindExtension }      // Kind is KindExtension
func (ResolutionEntry) Kind() Kind     { return KindResolution }     // Kind is KindResolution
func (ReleaseEntry) Kind() Kind        { return KindRelease }        // Kind is KindRelease
func (DispositionEntry) Kind() Kind    { return KindDisposition }    // Kind is KindDisposition
func (AuthorizationEntry) Kind() Kind  { return KindAuthorization }  // Kind is KindAuthorization
func (WithdrawalEntry) Kind() Kind     { return KindWithdrawal }     // Kind is KindWithdrawal
func (NoticeEntry) Kind() Kind         { return KindNotice }         // Kind is KindNotice
func (LockEntry) Kind() Kind           { return KindLock }           // Kind is KindLock
func (ItemEntry) Kind() Kind           { return KindItem }           // Kind is KindItem
func (ReportEntry) Kind() Kind         { return KindReport }         // Kind is KindReport
func (RefusalEntry) Kind() Kind        { return KindRefusal }        // Kind is KindRefusal
func (WithholdingEntry) Kind() Kind    { return KindWithholding }    // Kind is KindWithholding
func (AcknowledgmentEntry) Kind() Kind { return KindAcknowledgment } // Kind is KindAcknowledgment

func (e EventsEntry) fields() []any      { return []any{e.Office, e.Event, e.Day, e.Count} }
func (e FilingEntry) fields() []any      { return []any{e.Office, e.Series, e.File, e.Count} }
func (e AuditEntry) fields() []any       { return []any{e.Office, e.Department, e.Through} }
func (e HoldEntry) fields() []any        { return []any{e.Office, e.HoldKind, e.Issues, e.Late} }
func (e ExtensionEntry) fields() []any   { return []any{e.Office, e.Hold, e.Issues, e.Late} }
func (e ResolutionEntry) fields() []any  { return []any{e.Office, e.Hold, e.Issue} }
func (e ReleaseEntry) fields() []any     { return []any{e.Office, e.Hold} }
func (e DispositionEntry) fields() []any { return []any{e.Office, e.Series, e.Action, e.Count, e.Hash} }
func (e AuthorizationEntry) fields() []any {
	return []any{e.Office, e.Disposition, e.Hash}
}
func (e WithdrawalEntry) fields() []any { return []any{e.Office, e.Disposition} }
func (e NoticeEntry) fields() []any     { return []any{e.Office, e.Disposition, e.Day} }
func (e LockEntry) fields() []any {
	return []any{e.Office, e.Disposition, e.Day, cited(e.Authorizations), e.Standing, e.Notice, e.Count}
}
func (e ItemEntry) fields() []any {
	return []any{e.Disposition, e.Record, e.Due, cited(e.Rules), cited(e.Facts), e.Audit}
}
func (e ReportEntry) fields() []any {
	return []any{e.Office, e.Custodian, e.Disposition, e.Outcome, e.Preserved}
}
func (e RefusalEntry) fields() []any {
	return []any{e.Office, e.Code, e.Disposition, e.Record, e.Hold}
}
func (e WithholdingEntry) fields() []any    { return []any{e.Office, e.Record, e.Redaction} }
func (e AcknowledgmentEntry) fields() []any { return []any{e.Office, e.Jump} }

// cited makes an absent list the empty one, not null.
func cited(list []Index) []Index {
	if list == nil {
		return []Index{}
	}
	return list
}

// retentionEntry reads the kinds of this file.
func (r *reader) retentionEntry(k Kind) Entry {
	switch k {
	case KindEvents:
		return EventsEntry{Office: r.code(), Event: retention.Event(r.enum()), Day: Day(r.int32()), Count: r.number()}
	case KindFiling:
		return FilingEntry{Office: r.code(), Series: r.code(), File: r.index(), Count: r.number()}
	case KindAudit:
		return AuditEntry{Office: r.code(), Department: r.code(), Through: Day(r.int32())}
	case KindHold:
		return HoldEntry{Office: r.code(), HoldKind: HoldKind(r.enum()), Issues: uint32(r.int32()), Late: r.number()}
	case KindExtension:
		return ExtensionEntry{Office: r.code(), Hold: r.index(), Issues: uint32(r.int32()), Late: r.number()}
	case KindResolution:
		return ResolutionEntry{Office: r.code(), Hold: r.index(), Issue: uint32(r.int32())}
	case KindRelease:
		return ReleaseEntry{Office: r.code(), Hold: r.index()}
	case KindAcknowledgment:
		return AcknowledgmentEntry{Office: r.code(), Jump: r.index()}
	}
	return r.dispositionEntry(k)
}

func (r *reader) dispositionEntry(k Kind) Entry {
	switch k {
	case KindDisposition:
		e := DispositionEntry{Office: r.code(), Series: r.code(), Action: Action(r.enum()), Count: r.number()}
		r.fixed(e.Hash[:])
		return e
	case KindAuthorization:
		e := AuthorizationEntry{Office: r.code(), Disposition: r.index()}
		r.fixed(e.Hash[:])
		return e
	case KindWithdrawal:
		return WithdrawalEntry{Office: r.code(), Disposition: r.index()}
	case KindNotice:
		return NoticeEntry{Office: r.code(), Disposition: r.index(), Day: Day(r.int32())}
	case KindLock:
		return LockEntry{Office: r.code(), Disposition: r.index(), Day: Day(r.int32()),
			Authorizations: r.indexes(), Standing: r.index(), Notice: r.index(), Count: r.number()}
	case KindItem:
		return ItemEntry{Disposition: r.index(), Record: r.index(), Due: Day(r.int32()),
			Rules: r.indexes(), Facts: r.indexes(), Audit: r.index()}
	case KindReport:
		e := ReportEntry{Office: r.code()}
		r.fixed(e.Custodian[:])
		e.Disposition, e.Outcome, e.Preserved = r.index(), Outcome(r.enum()), r.number()
		return e
	case KindRefusal:
		return RefusalEntry{Office: r.code(), Code: uint32(r.int32()), Disposition: r.index(), Record: r.index(), Hold: r.index()}
	case KindWithholding:
		e := WithholdingEntry{Office: r.code(), Record: r.index()}
		r.fixed(e.Redaction[:])
		return e
	}
	return r.memberEntry(k)
}
