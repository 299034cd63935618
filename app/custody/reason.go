package custody

import (
	"errors"
	"fmt"
)

// Reason is the stable code of a refusal. Clients and tests rely on it.
type Reason string

// The reasons.
const (
	Denied             Reason = "DENIED"              // the caller may not do that, or not for that purpose
	Malformed          Reason = "MALFORMED"           // the request does not have its form
	NotFound           Reason = "NOT_FOUND"           // no such record is kept here
	Destroyed          Reason = "DESTROYED"           // the record was destroyed
	PartlyDestroyed    Reason = "PARTLY_DESTROYED"    // parts of the record were destroyed: only a copy can be made
	TooLarge           Reason = "TOO_LARGE"           // the content is larger than this custodian takes
	SizeMismatch       Reason = "SIZE_MISMATCH"       // the stream has another length than was declared
	CommitmentMismatch Reason = "COMMITMENT_MISMATCH" // the content does not have the expected commitment
	ProfileRefused     Reason = "PROFILE_REFUSED"     // the content cannot be cut by the profile
	UnknownSeries      Reason = "UNKNOWN_SERIES"      // the series is not registered, not active, or not the office's
	UnknownCustody     Reason = "UNKNOWN_CUSTODY"     // the custodian set is not registered, or this node is not in it
	Expired            Reason = "EXPIRED"             // the last day of the deposit has passed
	TooFarAhead        Reason = "TOO_FAR_AHEAD"       // the last day of the deposit is further away than an anchor may name
	AlreadyDeposited   Reason = "ALREADY_DEPOSITED"   // the commitment was deposited with other facts
	NoSuchSegment      Reason = "NO_SUCH_SEGMENT"     // a selector is malformed or finds nothing
	NoSuchRedaction    Reason = "NO_SUCH_REDACTION"   // no redaction of that hash was filed
	TooManyRedactions  Reason = "TOO_MANY_REDACTIONS" // so many redactions of the record were filed that no more are kept
	Locked             Reason = "LOCKED"              // a disposition is to erase the record, or parts of it
	Quarantined        Reason = "QUARANTINED"         // what was erased came back with a restored ring, and is not erased again yet
	Behind             Reason = "BEHIND"              // the ledger of this node may lack a lock: it is catching up
	Busy               Reason = "BUSY"                // the same deposit is under way
	AuditUnavailable   Reason = "AUDIT_UNAVAILABLE"   // the access log cannot be written, so nothing is given out
	Damaged            Reason = "DAMAGED"             // what is stored is not what was stored
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{Denied, Malformed, NotFound, Destroyed, PartlyDestroyed, TooLarge, SizeMismatch, CommitmentMismatch, ProfileRefused,
		UnknownSeries, UnknownCustody, Expired, TooFarAhead, AlreadyDeposited, NoSuchSegment, NoSuchRedaction,
		TooManyRedactions, Locked, Quarantined, Behind, Busy, AuditUnavailable, Damaged}
}

// Error is a refusal: a reason and one sentence that may be shown to the caller.
type Error struct {
	Reason Reason
	text   string
	cause  error
}

func (e *Error) Error() string { return e.text }

// Unwrap gives what lies behind the refusal, for logs.
func (e *Error) Unwrap() error { return e.cause }

// ReasonOf gives the reason of a refusal; ok is false for any other error.
func ReasonOf(err error) (reason Reason, ok bool) {
	if e, is := errors.AsType[*Error](err); is {
		return e.Reason, true
	}
	return "", false
}

func refuse(reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, text: fmt.Sprintf(format, args...)}
}

func refuseFor(cause error, reason Reason, format string, args ...any) error {
	return &Error{Reason: reason, text: fmt.Sprintf(format, args...), cause: cause}
}
