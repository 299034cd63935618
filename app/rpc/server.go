package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
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

// chunkBytes is how much of a document or a CAR file an answer's message holds.
const chunkBytes = 256 << 10

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
	// Handovers gives those that open the eras after the first so many, in order,
	// and Cards the texts of the cards of the nodes; nil: there are none.
	Handovers func(eras int64) [][]byte
	Cards     func() [][]byte
	// Heard is told which custodian has compared its records with those here: it is
	// there. Nil: nobody wants to know.
	Heard func(custodian record.KeyID)
	// Handled is told the method of each call that gets to its handler, and Refused the
	// reason of each connection that is not let in; nil: nobody counts them.
	Handled func(method string)
	Refused func(reason string)
	// What operators may ask for besides; nil where a node cannot do it.
	Erase  func(context.Context) (*apiv1.EraseResponse, error)
	Leave  func(ctx context.Context, set record.Code) (*apiv1.LeaveCustodyResponse, error)
	Backup func(ctx context.Context, path string, keyring bool) (*apiv1.BackupResponse, error)
}

// Server serves departments, records staff, auditors and other custodians on one
// listener, the log tiles on another, and operators on a third.
type Server struct {
	options     Options
	limits      limits
	authority   *authority
	visits      quota // of connections to the public listener
	arriving    quota // of calls; see arrive
	quota       quota // of calls
	door        *door // for transactions
	inquiries   quota // of lists over all records
	comparisons quota // of other custodians
	parcels     quota // from other custodians
	inventories *inventories
	exchange    exchange
	health      *health.Server
	public      *grpc.Server
	tiles       *http.Server
	reading     sync.WaitGroup // requests for tiles
	running     sync.WaitGroup // handlers of streams, also those left behind, and what they start
	operators   *grpc.Server
}

// Windows of the flow control: what a client may send ahead of its handler.
const (
	streamWindowBytes     = 1 << 20
	connectionWindowBytes = 4 << 20
)

// New makes a server that serves nothing yet.
func New(o Options) *Server { return newServer(o, standard) }

// newServer makes a server with limits and, in tests, further options of the
// public one.
func newServer(o Options, l limits, more ...grpc.ServerOption) *Server {
	s := &Server{
		options: o, limits: l, visits: newQuota(), arriving: newQuota(), quota: newQuota(), door: newDoor(l.transactions), inquiries: newQuota(), comparisons: newQuota(), parcels: newQuota(),
		inventories: &inventories{custody: o.Custody, now: o.Now}, health: health.NewServer(),
	}
	if s.options.Handled == nil {
		s.options.Handled = func(string) {}
	}
	if s.options.Refused == nil {
		s.options.Refused = func(string) {}
	}
	s.authority = &authority{view: o.Node.View, now: o.Now, keys: func(i identity.Issuer) (record.KeyID, bool, error) {
		return ledger.KeyByPrefix(i[:], o.State.Values)
	}}
	common := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(l.messageBytes),
		grpc.MaxHeaderListSize(l.headerBytes),
		grpc.MaxConcurrentStreams(l.streams),
		grpc.ConnectionTimeout(l.handshake),
		grpc.WaitForHandlers(true), // so that what they use can be closed after Stop
		// A document of a megabyte is to arrive without waiting for the window;
		// fixed, so that a client cannot make it grow.
		grpc.InitialWindowSize(streamWindowBytes),
		grpc.InitialConnWindowSize(connectionWindowBytes),
	}
	s.public = grpc.NewServer(append(append(more, common...),
		grpc.Creds(admission{credentials.NewTLS(identity.ServerConfig(o.Certificate, s.connect)), s}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 15 * time.Minute, MaxConnectionAge: l.age, MaxConnectionAgeGrace: time.Minute, Time: time.Minute, Timeout: 20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 20 * time.Second}),
		grpc.InTapHandle(s.arrive), grpc.UnaryInterceptor(s.call), grpc.StreamInterceptor(s.stream),
	)...)
	apiv1.RegisterDepartmentsServer(s.public, &departments{server: s})
	apiv1.RegisterRecordsStaffServer(s.public, &staff{server: s})
	apiv1.RegisterAuditorsServer(s.public, &auditors{server: s})
	apiv1.RegisterCustodiansServer(s.public, &custodians{server: s})
	s.operators = grpc.NewServer(append(common, grpc.InTapHandle(l.bound), grpc.UnaryInterceptor(s.operate))...)
	apiv1.RegisterOperatorsServer(s.operators, &operators{server: s})
	healthpb.RegisterHealthServer(s.operators, s.health)
	s.tiles = &http.Server{
		Handler: s.tileHandler(), TLSConfig: s.tileConfig(), ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		MaxHeaderBytes: int(l.headerBytes), ReadTimeout: l.handshake, WriteTimeout: l.call, IdleTimeout: l.call,
	}
	return s
}

// connect decides on a new connection and writes a line if it is refused: the
// client is told no more than that its certificate is bad.
func (s *Server) connect(cert *x509.Certificate) error {
	err := s.authority.connect(cert)
	if err != nil {
		reason, _ := reasonOf(err)
		s.refusedConnection(reason)
	}
	return err
}

func (s *Server) refusedConnection(reason string) {
	s.options.Refused(reason)
	s.options.Log.Info("connection refused", "reason", reason)
}

// Serve answers departments and auditors until Stop.
func (s *Server) Serve(l net.Listener) error {
	return served(s.public.Serve(Crowd(l, s.limits.connections)))
}

// ServeTiles serves the log tiles over HTTPS until Stop.
func (s *Server) ServeTiles(l net.Listener) error {
	return served(s.tiles.ServeTLS(Crowd(l, s.limits.connections), "", ""))
}

// ServeOperators answers operators until Stop.
func (s *Server) ServeOperators(l net.Listener) error {
	return served(s.operators.Serve(netutil.LimitListener(l, s.limits.connections)))
}

func served(err error) error {
	if errors.Is(err, grpc.ErrServerStopped) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Stop lets calls under way finish until ctx ends, then cuts them off. When it
// returns, no handler runs.
func (s *Server) Stop(ctx context.Context) {
	s.health.Shutdown()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.public.GracefulStop()
		s.operators.GracefulStop()
	}()
	if err := s.tiles.Shutdown(ctx); err != nil {
		s.tiles.Close()
	}
	s.reading.Wait()
	select {
	case <-done:
	case <-ctx.Done():
		s.public.Stop()
		s.operators.Stop()
		<-done
	}
	s.running.Wait()
}
