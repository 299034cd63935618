package rpc

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/custody"
)

// What a Node returns where a transaction has no outcome.
var (
	ErrBusy           = errors.New("node is busy")
	ErrShare          = errors.New("the office has its share of the node under way")
	ErrStopping       = errors.New("node is stopping")
	ErrOutcomeUnknown = errors.New("outcome of the transaction is not known yet")
)

// Domain is the domain of every ErrorInfo.
const Domain = "muniment"

// The stable reasons of this package; the others are those of package custody.
const (
	reasonUnauthenticated    = "UNAUTHENTICATED"
	reasonCertificateExpired = "CERTIFICATE_EXPIRED"
	reasonUnknownKey         = "UNKNOWN_KEY"
	reasonSuspended          = "SUSPENDED"
	reasonDenied             = "DENIED"
	reasonNotCustodian       = "NOT_CUSTODIAN"
	reasonMalformed          = "MALFORMED"
	reasonTooLarge           = "TOO_LARGE"
	reasonNotFound           = "NOT_FOUND"
	reasonBusy               = "BUSY"
	reasonStopping           = "STOPPING"
	reasonOutcomeUnknown     = "OUTCOME_UNKNOWN"
	reasonDeadline           = "DEADLINE"
	reasonCanceled           = "CANCELED"
	reasonNotDone            = "NOT_DONE" // to operators alone: what they asked for went wrong
	reasonInternal           = "INTERNAL"
)

// grpcCodes gives the gRPC code of each reason. It is the only place where
// gRPC codes are chosen.
var grpcCodes = map[string]codes.Code{
	reasonUnauthenticated:    codes.Unauthenticated,
	reasonCertificateExpired: codes.Unauthenticated,
	reasonUnknownKey:         codes.Unauthenticated,
	reasonSuspended:          codes.PermissionDenied,
	reasonDenied:             codes.PermissionDenied,
	reasonNotCustodian:       codes.FailedPrecondition,
	reasonMalformed:          codes.InvalidArgument,
	reasonTooLarge:           codes.ResourceExhausted,
	reasonNotFound:           codes.NotFound,
	reasonBusy:               codes.ResourceExhausted,
	reasonStopping:           codes.Unavailable,
	reasonOutcomeUnknown:     codes.DeadlineExceeded,
	reasonDeadline:           codes.DeadlineExceeded,
	reasonCanceled:           codes.Canceled,
	reasonNotDone:            codes.Internal,
	reasonInternal:           codes.Internal,

	string(custody.Destroyed):          codes.NotFound,
	string(custody.PartlyDestroyed):    codes.FailedPrecondition,
	string(custody.SizeMismatch):       codes.InvalidArgument,
	string(custody.CommitmentMismatch): codes.InvalidArgument,
	string(custody.ProfileRefused):     codes.InvalidArgument,
	string(custody.UnknownSeries):      codes.FailedPrecondition,
	string(custody.UnknownCustody):     codes.FailedPrecondition,
	string(custody.Expired):            codes.FailedPrecondition,
	string(custody.TooFarAhead):        codes.FailedPrecondition,
	string(custody.AlreadyDeposited):   codes.AlreadyExists,
	string(custody.NoSuchSegment):      codes.InvalidArgument,
	string(custody.NoSuchRedaction):    codes.NotFound,
	string(custody.TooManyRedactions):  codes.FailedPrecondition,
	string(custody.Locked):             codes.FailedPrecondition,
	string(custody.Quarantined):        codes.Unavailable,
	string(custody.Behind):             codes.Unavailable,
	string(custody.AuditUnavailable):   codes.Unavailable,
	string(custody.Damaged):            codes.DataLoss,
}

// inside are the reasons that are the node's trouble and not the caller's.
var inside = map[string]bool{reasonInternal: true, string(custody.AuditUnavailable): true, string(custody.Damaged): true}

// refusal is a bad request: a stable reason and one sentence.
type refusal struct {
	reason string
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(reason, format string, args ...any) error {
	return &refusal{reason: reason, text: fmt.Sprintf(format, args...)}
}

// status maps an error to what the client sees: a code, a reason and a
// sentence. An error that is nobody's fault but the node's shows no detail.
func status(err error) error {
	if err == nil {
		return nil
	}
	reason, text := reasonOf(err)
	s := grpcstatus.New(grpcCodes[reason], text)
	if detailed, err := s.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: Domain}); err == nil {
		s = detailed
	}
	return s.Err()
}

func reasonOf(err error) (reason, text string) {
	if reason, ok := custody.ReasonOf(err); ok {
		if _, known := grpcCodes[string(reason)]; known {
			return string(reason), err.Error()
		}
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason, r.text
	}
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		return reasonOutcomeUnknown, "the outcome is not known yet: submit the same transaction again"
	case errors.Is(err, ErrStopping):
		return reasonStopping, "the node is stopping: try again later"
	case errors.Is(err, ErrShare):
		return reasonBusy, "the office has as many transactions under way as the network takes of one office: wait until some are committed, then submit this one again"
	case errors.Is(err, ErrBusy):
		return reasonBusy, "the node is busy: try again later"
	case errors.Is(err, context.DeadlineExceeded):
		return reasonDeadline, "the deadline has passed: try again with more time"
	case errors.Is(err, context.Canceled):
		return reasonCanceled, "the call was canceled"
	}
	return reasonInternal, "the node could not answer: its log says why"
}

// moveError gives a reason to what gRPC says when a message of a stream cannot
// be read or written: nothing of it is the node's fault. The client has been told
// by gRPC itself, without a reason; this one is for the log.
func moveError(err error, messageBytes int) error {
	switch grpcstatus.Code(err) {
	case codes.ResourceExhausted:
		return refuse(reasonTooLarge, "a message is larger than %d bytes: send the content in chunks", messageBytes)
	case codes.Internal, codes.Unimplemented, codes.InvalidArgument:
		return refuse(reasonMalformed, "a message is not of this service")
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled, codes.Unavailable:
		return context.Canceled
	}
	return err
}
