package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/custody"
)

type callerKey struct{}

func callerOf(ctx context.Context) caller { return ctx.Value(callerKey{}).(caller) }

// call is the way of every unary call over the network to its handler.
func (s *Server) call(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	arrived(ctx)
	c, err := s.authority.allow(ctx, info.FullMethod)
	defer func() { err = s.concluded(info.FullMethod, c, err) }()
	defer recovered(&err)
	if err == nil {
		err = s.quota.enter(c.payer(), s.limits.calls)
	}
	if err != nil {
		return nil, err
	}
	defer s.quota.leave(c.payer())
	s.options.Handled(info.FullMethod)
	return next(context.WithValue(ctx, callerKey{}, c), req)
}

// stream is the way of every streaming call. A handler that waits for a client
// which neither reads nor writes cannot be woken; it is left behind, gRPC ends
// the stream, and with it the wait.
func (s *Server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	c, err := s.authority.allow(stream.Context(), info.FullMethod)
	defer func() { err = s.concluded(info.FullMethod, c, err) }()
	if err == nil {
		err = s.quota.enter(c.payer(), s.limits.calls)
	}
	if err != nil {
		return err
	}
	s.options.Handled(info.FullMethod)
	checked := &checkedStream{
		ServerStream: stream, authority: s.authority, method: info.FullMethod, limits: s.limits,
		ctx: context.WithValue(stream.Context(), callerKey{}, c), stalled: make(chan struct{}, 1),
	}
	done := make(chan error, 1)
	s.running.Go(func() {
		defer s.quota.leave(c.payer())
		done <- handled(func() error { return next(srv, checked) })
	})
	select {
	case err := <-done:
		return err
	case <-checked.stalled:
		return refuse(reasonDeadline, "nothing has moved on this stream for %v: start again", s.limits.stalled)
	}
}

// operate is the way of every call of operators. Health.Watch is a stream and
// waits for as long as the operator does.
func (s *Server) operate(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() { err = s.concluded(info.FullMethod, caller{}, err) }()
	defer recovered(&err)
	return next(ctx, req)
}

// concluded writes a line for a call that was refused or failed and gives the
// status for the caller. The line has method, account and reason, and never what
// was asked or answered; only what went wrong inside is told in full.
func (s *Server) concluded(method string, c caller, err error) error {
	if err == nil {
		return nil
	}
	reason, _ := reasonOf(err)
	attributes := []any{"method", method, "account", c.name(), "reason", reason}
	level := slog.LevelInfo
	if inside[reason] {
		level = slog.LevelError
		if refused, ok := errors.AsType[*custody.Error](err); ok {
			err = errors.Join(err, refused.Unwrap())
		}
		attributes = append(attributes, "err", err)
	}
	s.options.Log.Log(context.Background(), level, "call did not succeed", attributes...)
	return status(err)
}

// recovered turns a panic of a handler into an error: one bad request must not
// end the process, which holds no state that a handler could have broken.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("BUG: %v\n%s", r, debug.Stack())
	}
}

// handled runs a handler.
func handled(handler func() error) (err error) {
	defer recovered(&err)
	return handler()
}

// checkedStream asks again before each message in or out, so that a suspension
// ends a stream that is under way, and tells when a message does not get through.
type checkedStream struct {
	grpc.ServerStream
	authority *authority
	method    string
	limits    limits
	ctx       context.Context
	stalled   chan struct{}
}

func (s *checkedStream) Context() context.Context { return s.ctx }

func (s *checkedStream) RecvMsg(m any) error {
	if err := s.moved(func() error { return s.ServerStream.RecvMsg(m) }); err != nil {
		return err
	}
	_, err := s.authority.allow(s.ctx, s.method)
	return err
}

func (s *checkedStream) SendMsg(m any) error {
	if _, err := s.authority.allow(s.ctx, s.method); err != nil {
		return err
	}
	return s.moved(func() error { return s.ServerStream.SendMsg(m) })
}

// moved moves one message.
func (s *checkedStream) moved(move func() error) error {
	timer := time.AfterFunc(s.limits.stalled, func() {
		select {
		case s.stalled <- struct{}{}:
		default:
		}
	})
	defer timer.Stop()
	err := move()
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return moveError(err, s.limits.messageBytes)
}
