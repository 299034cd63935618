package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes, the same for all programs of the project.
const (
	exitDone          = 0
	exitError         = 1
	exitUsage         = 2
	exitContradicted  = 3 // evidence contradicts what was claimed
	exitIndeterminate = 4 // nothing contradicts, but it is not shown
	exitDenied        = 5
	exitNotFound      = 6
	exitRefused       = 7 // the ledger or the state of things does not allow it
	exitUnavailable   = 8
	exitSome          = 9 // a batch of which some failed
	exitInterrupted   = 130
)

// failure is an error that knows its exit code, its stable reason and what the
// user can do about it.
type failure struct {
	code   int
	reason string // stable; empty where there is none
	next   string // what to do next; may be empty
	said   bool   // it was printed already
	result any    // printed as JSON where that is wanted; nil: nothing is
	err    error
}

func (f *failure) Error() string {
	if f.reason == "" {
		return f.err.Error()
	}
	return f.err.Error() + " (" + f.reason + ")"
}

func (f *failure) Unwrap() error { return f.err }

// failed makes a failure of one sentence.
func failed(code int, reason, next, format string, args ...any) error {
	return &failure{code: code, reason: reason, next: next, err: fmt.Errorf(format, args...)}
}

// usage is a command line that makes no sense.
func usage(format string, args ...any) error {
	return failed(exitUsage, "", "run with --help to see how it is used", format, args...)
}

// interrupted says that the user ended it.
func interrupted() error {
	return failed(exitInterrupted, "INTERRUPTED", "run the same command again to go on", "interrupted")
}

// codeOf is where every error becomes an exit code.
func codeOf(err error) int {
	f, ok := errors.AsType[*failure](err)
	switch {
	case err == nil:
		return exitDone
	case ok:
		return f.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return exitUnavailable
	}
	return exitError
}

// reasonOf gives the stable reason of an error, empty where there is none.
func reasonOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.reason
	}
	return ""
}

// complain prints an error as one sentence, and what to do next as another.
func (p *program) complain(called *cobra.Command, err error) {
	f, ok := errors.AsType[*failure](err)
	if ok && f.said {
		return
	}
	if ok && f.result != nil && p.output == "json" {
		err = errors.Join(err, p.show(f.result, nil))
	}
	command := ""
	if _, verb, ok := strings.Cut(called.CommandPath(), " "); ok {
		command = verb + ": "
	}
	fmt.Fprintf(p.stderr, "muniment: %s%s\n", command, printable(err.Error()))
	if ok && f.next != "" {
		fmt.Fprintf(p.stderr, "muniment: %s\n", printable(f.next))
	}
}

// nextOf gives what to do about an error, empty where there is nothing to say.
func nextOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.next
	}
	return ""
}
