package rpc

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Caller is who makes a call: an account with the roles of its office.
type Caller struct {
	identity.Account
	Roles []record.Role
}

// authority decides who a certificate is, by the committed state.
type authority struct {
	view func() ledger.View
	keys func(identity.Issuer) (record.KeyID, bool, error) // full key id of an issuer
	now  func() time.Time

	issuers sync.Map // identity.Issuer -> record.KeyID; as many as there are registered keys
}

// connect decides on a new connection: form, validity, signature and state.
func (a *authority) connect(cert *x509.Certificate) error {
	_, key, err := a.standing(cert)
	if err != nil {
		return err
	}
	return identity.Check(cert, ed25519.PublicKey(key.Key.PublicKey[:]), a.now())
}

// caller decides on a call over a connection that connect has let in.
func (a *authority) caller(ctx context.Context) (Caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Caller{}, refuse(reasonUnauthenticated, "no connection")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) != 1 {
		return Caller{}, refuse(reasonUnauthenticated, "the connection has no certificate")
	}
	cert := info.State.PeerCertificates[0]
	if now := a.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return Caller{}, refuse(reasonCertificateExpired, "the account certificate is outside its validity: issue a new one")
	}
	c, _, err := a.standing(cert)
	return c, err
}

// standing reads who a certificate claims to be and whether the office and its
// access key are active now.
func (a *authority) standing(cert *x509.Certificate) (Caller, ledger.KeyState, error) {
	account, issuer, err := identity.Claim(cert)
	if err != nil {
		return Caller{}, ledger.KeyState{}, refuse(reasonUnauthenticated, "%v", err)
	}
	id, ok, err := a.keyID(issuer)
	if err != nil {
		return Caller{}, ledger.KeyState{}, err
	}
	view := a.view()
	var key ledger.KeyState
	if ok {
		if key, ok, err = ledger.KeyOf(view, id); err != nil {
			return Caller{}, ledger.KeyState{}, err
		}
	}
	if !ok || key.Key.Use != record.UseAccess || key.Key.Office != account.Office {
		return Caller{}, ledger.KeyState{}, refuse(reasonUnknownKey, "no access key of %s is registered that issued this certificate", account.Office)
	}
	office, ok, err := ledger.OfficeOf(view, account.Office)
	if err != nil {
		return Caller{}, ledger.KeyState{}, err
	}
	if !ok || office.Status != record.StatusActive || key.Suspended != 0 || key.Key.Status != record.StatusActive {
		return Caller{}, ledger.KeyState{}, refuse(reasonSuspended, "office %s or its access key is suspended", account.Office)
	}
	return Caller{Account: account, Roles: office.Roles}, key, nil
}

func (a *authority) keyID(issuer identity.Issuer) (record.KeyID, bool, error) {
	if id, ok := a.issuers.Load(issuer); ok {
		return id.(record.KeyID), true, nil
	}
	id, ok, err := a.keys(issuer)
	if err != nil || !ok {
		return record.KeyID{}, false, err
	}
	a.issuers.Store(issuer, id)
	return id, true, nil
}

// allow decides whether the caller may call a method.
func (a *authority) allow(ctx context.Context, method string) (Caller, error) {
	c, err := a.caller(ctx)
	if err != nil {
		return Caller{}, err
	}
	if !may(c.Roles, method) {
		return Caller{}, refuse(reasonDenied, "no role of office %s may call %s", c.Office, method)
	}
	return c, nil
}

func may(roles []record.Role, method string) bool {
	permitted := permissions[method]
	return slices.ContainsFunc(roles, func(r record.Role) bool { return slices.Contains(permitted, r) })
}

type callerKey struct{}

func callerOf(ctx context.Context) Caller { return ctx.Value(callerKey{}).(Caller) }

func (a *authority) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	c, err := a.allow(ctx, info.FullMethod)
	if err != nil {
		return nil, status(err)
	}
	ctx, cancel := withDeadline(context.WithValue(ctx, callerKey{}, c))
	defer cancel()
	resp, err := next(ctx, req)
	return resp, status(err)
}

func (a *authority) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	c, err := a.allow(s.Context(), info.FullMethod)
	if err != nil {
		return status(err)
	}
	return status(next(srv, &checkedStream{ServerStream: s, authority: a, method: info.FullMethod,
		ctx: context.WithValue(s.Context(), callerKey{}, c)}))
}

// checkedStream asks again before each message in or out, so that a suspension
// ends a stream that is under way.
type checkedStream struct {
	grpc.ServerStream
	authority *authority
	method    string
	ctx       context.Context
}

func (s *checkedStream) Context() context.Context { return s.ctx }

func (s *checkedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	_, err := s.authority.allow(s.ServerStream.Context(), s.method)
	return err
}

func (s *checkedStream) SendMsg(m any) error {
	if _, err := s.authority.allow(s.ServerStream.Context(), s.method); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}

// defaultDeadline bounds a call whose caller set no deadline.
const defaultDeadline = time.Minute

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultDeadline)
}

// recovered turns a panic of a handler into an error: one bad request must not
// end the process, which holds no state that a handler could have broken.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = errors.Join(*err, fmt.Errorf("handler: %v", r))
	}
}
