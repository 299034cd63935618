package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/tap"
)

// A call is arriving as long as its client may still send of what it asks: a unary one
// until its request is there, a stream until it ends. Each can make the node keep a
// message and a window, and does so before any interceptor runs. So whoever calls is
// looked at, and its arriving calls are counted, when the headers are there.

type arrivedKey struct{}

// arrive decides on a call by its headers. It runs before anything that the client
// sends is kept; the connection waits for it.
func (s *Server) arrive(ctx context.Context, info *tap.Info) (context.Context, error) {
	method := info.FullMethodName
	if _, known := permissions[method]; !known && !forNodes[method] {
		return ctx, nil // gRPC says that there is no such method
	}
	c, err := s.authority.allow(ctx, method)
	if err == nil {
		if err = s.quota.room(c.payer(), s.limits.calls); err == nil {
			err = s.arriving.enter(c.payer(), s.limits.arriving)
		}
		if err != nil {
			s.pause(ctx)
		}
	}
	if err != nil {
		return ctx, s.concluded(method, c, err)
	}
	arrived := sync.OnceFunc(func() { s.arriving.leave(c.payer()) })
	context.AfterFunc(ctx, arrived)
	if unary[method] {
		ctx = context.WithValue(ctx, arrivedKey{}, arrived)
	}
	return s.limits.bound(ctx, info)
}

// pause makes the connection of whoever calls too much wait for its refusal: a
// refusal costs as much as many a call, and who is refused at once calls again.
func (s *Server) pause(ctx context.Context) {
	over := time.NewTimer(s.limits.pause)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
	}
}

// arrived says that the request of a unary call is there.
func arrived(ctx context.Context) {
	if leave, ok := ctx.Value(arrivedKey{}).(func()); ok {
		leave()
	}
}
