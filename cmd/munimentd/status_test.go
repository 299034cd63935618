package main

import (
	"errors"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestWhatANodeAnswered: a node that gives a reason has answered, whatever the code.
func TestWhatANodeAnswered(t *testing.T) {
	refused := func(code codes.Code) error {
		s, err := status.New(code, "a deposit waits").WithDetails(&errdetails.ErrorInfo{Domain: "muniment", Reason: "BUSY"})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	const silent = "the node does not answer: nobody: look at its log"
	for _, c := range []struct {
		err  error
		says string
		exit int
	}{
		{refused(codes.ResourceExhausted), "a deposit waits", exitUnavailable},
		{refused(codes.Unavailable), "a deposit waits", exitUnavailable},
		{refused(codes.DeadlineExceeded), "a deposit waits", exitUnavailable},
		{refused(codes.FailedPrecondition), "a deposit waits", exitPrecondition},
		{refused(codes.PermissionDenied), "a deposit waits", exitPrecondition},
		{refused(codes.InvalidArgument), "a deposit waits", exitUsage},
		{refused(codes.Internal), "a deposit waits", exitError},
		{refused(codes.DataLoss), "a deposit waits", exitError},
		{status.Error(codes.Unavailable, "nobody"), silent, exitUnavailable},
		{status.Error(codes.DeadlineExceeded, "nobody"), silent, exitUnavailable},
	} {
		err := answered(c.err)
		var coded coded
		if !errors.As(err, &coded) || err.Error() != c.says || coded.code != c.exit {
			t.Errorf("%v: %v, want %q and exit code %d", c.err, err, c.says, c.exit)
		}
	}
	if err := answered(nil); err != nil {
		t.Error(err)
	}
}
