package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/state"
)

// Limits of the listener. A request is at most one transaction of 512 KiB or
// one chunk; answers are streamed in chunks.
const (
	maxRequestBytes   = 600 << 10
	maxStreams        = 256 // per connection
	chunkBytes        = 256 << 10
	connectionTimeout = 10 * time.Second
)

// Node is what the services need of the running node. Its methods are safe for
// concurrent use.
type Node interface {
	View() ledger.View
	// Submit hands in a transaction and waits until its block is durable.
	Submit(ctx context.Context, raw []byte) (ledger.Result, int64, error)
	// Cosigned gives the newest signed and cosigned checkpoint, waiting for a
	// tree of at least size entries, and the size of its tree.
	Cosigned(ctx context.Context, size int64) (checkpoint []byte, treeSize int64, err error)
	// Status tells how the node is doing.
	Status() *apiv1.StatusResponse
}

// Options are what a server is made of.
type Options struct {
	Node        Node
	State       *state.State
	Custody     *custody.Custody // nil where the node keeps no content
	Certificate tls.Certificate  // of the node, as in the network file
	Now         func() time.Time
	Log         *slog.Logger
}

// Server serves departments and auditors on one listener and operators on another.
type Server struct {
	options   Options
	authority *authority
	health    *health.Server
	public    *grpc.Server
	operators *grpc.Server
}

// New makes a server that serves nothing yet.
func New(o Options) *Server {
	s := &Server{options: o, health: health.NewServer()}
	s.authority = &authority{view: o.Node.View, now: o.Now, keys: func(i identity.Issuer) (record.KeyID, bool, error) {
		return ledger.KeyByPrefix(i[:], o.State.Values)
	}}
	s.public = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(identity.ServerConfig(o.Certificate, s.authority.connect))),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(connectionTimeout),
		grpc.MaxHeaderListSize(16<<10),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 15 * time.Minute, Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 20 * time.Second}),
		grpc.ChainUnaryInterceptor(s.logUnary, s.authority.unary),
		grpc.ChainStreamInterceptor(s.logStream, s.authority.stream),
	)
	apiv1.RegisterDepartmentsServer(s.public, &departments{server: s})
	apiv1.RegisterAuditorsServer(s.public, &auditors{server: s})
	s.operators = grpc.NewServer(grpc.MaxRecvMsgSize(maxRequestBytes), grpc.ChainUnaryInterceptor(s.logUnary))
	apiv1.RegisterOperatorsServer(s.operators, &operators{server: s})
	healthpb.RegisterHealthServer(s.operators, s.health)
	return s
}

// Serve answers departments and auditors until Stop.
func (s *Server) Serve(l net.Listener) error { return served(s.public.Serve(l)) }

// ServeOperators answers operators until Stop.
func (s *Server) ServeOperators(l net.Listener) error { return served(s.operators.Serve(l)) }

func served(err error) error {
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Stop lets calls under way finish until ctx ends, then cuts them off.
func (s *Server) Stop(ctx context.Context) {
	s.health.Shutdown()
	done := make(chan struct{})
	go func() {
		s.public.GracefulStop()
		s.operators.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.public.Stop()
		s.operators.Stop()
		<-done
	}
}

// logUnary writes one line for a failed call: method, account and reason. It
// never writes what was asked or answered.
func (s *Server) logUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() { s.logged(ctx, info.FullMethod, err) }()
	defer recovered(&err)
	return next(ctx, req)
}

func (s *Server) logStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { s.logged(stream.Context(), info.FullMethod, err) }()
	defer recovered(&err)
	return next(srv, stream)
}

func (s *Server) logged(ctx context.Context, method string, err error) {
	if err == nil {
		return
	}
	account := "none"
	if c, cause := s.authority.caller(ctx); cause == nil {
		account = c.Account.String()
	}
	s.options.Log.Info("call refused or failed", "method", method, "account", account, "error", err.Error())
}
