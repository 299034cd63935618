package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const (
	certificateLifetime = time.Hour
	clockTolerance      = 5 * time.Minute  // how far the node's clock may be behind
	renewAfter          = 40 * time.Minute // a stream that begins then ends before the certificate

	connectTimeout = 15 * time.Second
	callTimeout    = time.Minute
	streamTimeout  = 15 * time.Minute

	maxMessageBytes = 16 << 20
	windowBytes     = 1 << 20 // what the node may send ahead on a stream
)

// session is one run's dealings with one node, in the name of an office. It is
// safe for concurrent use.
type session struct {
	program *program
	network receipt.Network
	node    receipt.Node
	account identity.Account
	signing ed25519.PrivateKey // nil unless it was asked for
	access  ed25519.PrivateKey
	stalled bool // no block comes: it was said

	mu     sync.Mutex // guards conn and until
	conn   *grpc.ClientConn
	until  time.Time // when a new certificate is due
	closed []*grpc.ClientConn
}

// open unlocks the office's keys, once for the whole process, and prepares the
// connection to a node. The signing key is opened only where something is to be
// signed.
func (p *program) open(signs bool) (*session, error) {
	c, err := p.places.loadConfig()
	if err != nil {
		return nil, err
	}
	office, err := p.actingOffice(c)
	if err != nil {
		return nil, err
	}
	network, err := p.pinnedNetwork(c)
	if err != nil {
		return nil, err
	}
	node, err := chooseNode(network, p.node)
	if err != nil {
		return nil, err
	}
	if _, ok := c.Keys[string(office)]; !ok || c.Account == "" {
		return nil, failed(exitError, "NO_KEY", "make keys with: muniment key new --office "+string(office), "there are no keys of office %s here", office)
	}
	passphrase, err := p.passphrase("passphrase of "+string(office), false)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	s := &session{program: p, network: network, node: node, account: identity.Account{Office: office, ID: c.Account}}
	if s.access, err = p.openKey(c, office, useAccess, passphrase); err != nil {
		return nil, err
	}
	if signs {
		if s.signing, err = p.openKey(c, office, useSigning, passphrase); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// close ends the connections and forgets the keys.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range append(s.closed, s.conn) {
		if conn != nil {
			conn.Close()
		}
	}
	clear(s.signing)
	clear(s.access)
}

// connection gives a connection whose certificate has time left. A connection
// that it replaces stays open for the calls that are under way on it.
func (s *session) connection(ctx context.Context) (*grpc.ClientConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.program.now()
	if s.conn != nil && now.Before(s.until) {
		return s.conn, nil
	}
	config, err := s.tlsConfig(now)
	if err != nil {
		return nil, err
	}
	if err := knock(ctx, s.node.Address, config); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(s.node.Address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithUserAgent("muniment/"+version()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithInitialWindowSize(windowBytes), grpc.WithInitialConnWindowSize(4*windowBytes))
	if err != nil {
		return nil, err
	}
	if s.conn != nil {
		s.closed = append(s.closed, s.conn)
	}
	s.conn, s.until = conn, now.Add(renewAfter)
	return conn, nil
}

// tlsConfig issues an account certificate for a key that lives as long as the
// connection, in memory, and pins the node.
func (s *session) tlsConfig(now time.Time) (*tls.Config, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := identity.Issue(rand.Reader, s.access, s.account, public, now.Add(-clockTolerance), certificateLifetime)
	if err != nil {
		return nil, err
	}
	return identity.ClientConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, s.node.Certificate)
}

// knock finds out whether the node lets this certificate in. A node that does
// not closes the connection with an alert, which a call may not live to see:
// here nothing is sent, so that the alert arrives.
func knock(ctx context.Context, address string, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		defer conn.Close()
		deadline, _ := ctx.Deadline()
		if err = conn.SetReadDeadline(deadline); err == nil {
			_, err = conn.Read(make([]byte, 1)) // the node speaks first (RFC 9113 section 3.4)
		}
	}
	if err != nil {
		return unreachable(err)
	}
	return nil
}

func (s *session) departments(ctx context.Context) (apiv1.DepartmentsClient, error) {
	conn, err := s.connection(ctx)
	if err != nil {
		return nil, err
	}
	return apiv1.NewDepartmentsClient(conn), nil
}

func (s *session) auditors(ctx context.Context) (apiv1.AuditorsClient, error) {
	conn, err := s.connection(ctx)
	if err != nil {
		return nil, err
	}
	return apiv1.NewAuditorsClient(conn), nil
}

// departmentsCall makes one call of the Departments service with the deadline
// of a single call.
func departmentsCall[Q, R any](ctx context.Context, s *session, method func(apiv1.DepartmentsClient, context.Context, *Q, ...grpc.CallOption) (*R, error), request *Q) (*R, error) {
	return unary(ctx, s, apiv1.NewDepartmentsClient, method, request)
}

// staffCall is likewise of the RecordsStaff service.
func staffCall[Q, R any](ctx context.Context, s *session, method func(apiv1.RecordsStaffClient, context.Context, *Q, ...grpc.CallOption) (*R, error), request *Q) (*R, error) {
	return unary(ctx, s, apiv1.NewRecordsStaffClient, method, request)
}

func unary[C, Q, R any](ctx context.Context, s *session, service func(grpc.ClientConnInterface) C, method func(C, context.Context, *Q, ...grpc.CallOption) (*R, error), request *Q) (*R, error) {
	conn, err := s.connection(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := method(service(conn), ctx, request)
	if err != nil {
		return nil, remote(err)
	}
	return response, nil
}

// ledgerDay is the day that consensus goes by, as far as this clock knows.
func (s *session) ledgerDay() record.Day { return record.LedgerDay(s.program.now().UnixNano()) }
