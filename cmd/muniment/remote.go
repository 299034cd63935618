package main

import (
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/identity"
)

// errorDomain is that of every ErrorInfo of a node.
const errorDomain = "muniment"

// maxRemoteText bounds what is printed of a node's own words.
const maxRemoteText = 400

// remoteCodes gives the exit code of each gRPC code, and the reason where a
// node gave none.
var remoteCodes = map[codes.Code]struct {
	exit   int
	reason string
}{
	codes.Canceled:           {exitInterrupted, "CANCELED"},
	codes.InvalidArgument:    {exitUsage, "MALFORMED"},
	codes.DeadlineExceeded:   {exitUnavailable, "DEADLINE"},
	codes.NotFound:           {exitNotFound, "NOT_FOUND"},
	codes.AlreadyExists:      {exitRefused, "ALREADY_EXISTS"},
	codes.PermissionDenied:   {exitDenied, "DENIED"},
	codes.ResourceExhausted:  {exitUnavailable, "BUSY"},
	codes.FailedPrecondition: {exitRefused, "FAILED_PRECONDITION"},
	codes.Aborted:            {exitRefused, "ABORTED"},
	codes.OutOfRange:         {exitRefused, "OUT_OF_RANGE"},
	codes.Unimplemented:      {exitError, "UNIMPLEMENTED"},
	codes.Unavailable:        {exitUnavailable, "UNAVAILABLE"},
	codes.Unauthenticated:    {exitDenied, "UNAUTHENTICATED"},
}

// remote turns the error of a call into a failure: the node's sentence, made
// harmless, its stable reason, and what to do next.
func remote(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	if s.Code() == codes.Unavailable && len(s.Details()) == 0 {
		return unreachable(errors.New(s.Message()))
	}
	code, reason := exitError, "INTERNAL"
	if known, ok := remoteCodes[s.Code()]; ok {
		code, reason = known.exit, known.reason
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == errorDomain && stable(info.Reason) {
			reason = info.Reason
		}
	}
	if reason == "TOO_LARGE" {
		code = exitRefused
	}
	return failed(code, reason, adviceOn[reason], "%s", shortened(s.Message()))
}

// unreachable is the failure of a connection on which no call was made.
func unreachable(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, identity.ErrOtherServer.Error()):
		return failed(exitContradicted, "OTHER_SERVER", "somebody else answers at this address, or the node has a new certificate: ask whoever runs it",
			"%w", identity.ErrOtherServer)
	case strings.Contains(text, "remote error: tls:"):
		return failed(exitDenied, "UNAUTHENTICATED", adviceOn["UNAUTHENTICATED"], "the node does not accept a certificate of this office's access key")
	}
	return failed(exitUnavailable, "UNAVAILABLE", adviceOn["UNAVAILABLE"], "%s", shortened(noAnswer(err.Error())))
}

// noAnswer says in one sentence that a connection could not be made, from what
// gRPC or the dialer says of it: the address follows "dial tcp", its cause last.
func noAnswer(text string) string {
	_, dialed, ok := strings.Cut(strings.TrimRight(text, `"`), "dial tcp")
	address, cause, named := strings.Cut(strings.TrimSpace(dialed), ": ")
	cause = strings.TrimPrefix(cause, "connect: ")
	switch {
	case ok && named && address != "":
		return "no node answers at " + address + " (" + cause + "): is munimentd running there?"
	case ok && named:
		return "the address of the node is not known (" + cause + ")"
	}
	return "the connection to the node broke: " + text
}

// stable tells whether a reason has the form that is promised.
func stable(reason string) bool {
	for _, c := range []byte(reason) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(reason) > 0 && len(reason) <= 63
}

// shortened makes a sentence of a node fit to be printed.
func shortened(text string) string {
	text = printable(strings.ToValidUTF8(text, "\ufffd"))
	if utf8.RuneCountInString(text) <= maxRemoteText {
		return text
	}
	return string([]rune(text)[:maxRemoteText]) + "..."
}
