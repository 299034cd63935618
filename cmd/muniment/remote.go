package main

import (
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

// remoteCodes gives the exit code of each gRPC code.
var remoteCodes = map[codes.Code]int{
	codes.Canceled:           exitInterrupted,
	codes.InvalidArgument:    exitUsage,
	codes.DeadlineExceeded:   exitUnavailable,
	codes.NotFound:           exitNotFound,
	codes.AlreadyExists:      exitRefused,
	codes.PermissionDenied:   exitDenied,
	codes.ResourceExhausted:  exitUnavailable,
	codes.FailedPrecondition: exitRefused,
	codes.Aborted:            exitRefused,
	codes.OutOfRange:         exitRefused,
	codes.Unavailable:        exitUnavailable,
	codes.Unauthenticated:    exitDenied,
}

// remote turns the error of a call into a failure: the node's sentence, made
// harmless, its stable reason, and what to do next.
func remote(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	if f := handshake(s); f != nil {
		return f
	}
	code, known := remoteCodes[s.Code()]
	if !known {
		code = exitError
	}
	reason := strings.ToUpper(s.Code().String())
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

// handshake recognises connections that ended before a call was made.
func handshake(s *status.Status) error {
	if s.Code() != codes.Unavailable {
		return nil
	}
	switch text := s.Message(); {
	case strings.Contains(text, identity.ErrOtherServer.Error()):
		return failed(exitContradicted, "OTHER_SERVER", "somebody else answers at this address, or the node has a new certificate: ask whoever runs it",
			"%w", identity.ErrOtherServer)
	case strings.Contains(text, "remote error: tls:"):
		return failed(exitDenied, "UNAUTHENTICATED", "muniment key list shows the access key: a governing office must have registered it, and this clock must be right",
			"the node does not accept a certificate of this office's access key")
	}
	return failed(exitUnavailable, "UNAVAILABLE", "see whether the node runs, then run the same command again", "%s", shortened(s.Message()))
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
