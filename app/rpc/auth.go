package rpc

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// caller is who makes a call: an account with the roles of its office, or a node.
type caller struct {
	identity.Account
	roles []record.Role
	node  *record.Node // as registered; nil: an account
}

// name is what the log and the quotas call a caller.
func (c caller) name() string {
	switch {
	case c.node != nil:
		return "node " + receipt.NodeID(c.node.NodeKey[:])
	case c.Office != "":
		return c.Account.String()
	}
	return "none" // of an operator, or of one who is nobody any more
}

// payer is who answers for the calls of a caller: all that it does counts together.
func (c caller) payer() string {
	if c.node != nil {
		return c.name()
	}
	return "office " + string(c.Office)
}

// authority decides who a certificate is, by the committed state.
type authority struct {
	view func() ledger.View
	keys func(identity.Issuer) (record.KeyID, bool, error) // full key id of an issuer
	now  func() time.Time

	grants sync.Map // identity.Issuer -> grant; at most as many as there are registered keys
}

// grant is what the state said of an access key when it was last asked. It holds
// for as long as the state has the same root; anchors do not change it.
type grant struct {
	root  statetree.Hash
	id    record.KeyID
	key   record.Key    // active
	roles []record.Role // of its office, which is active
}

// connect decides on a new connection: form, validity, state and signature. It
// is the only place that checks the signature: a connection keeps its certificate.
func (a *authority) connect(cert *x509.Certificate) error {
	if identity.IsNode(cert) {
		if _, err := a.member(cert); err != nil {
			return err
		}
		if _, err := identity.CheckNode(cert); err != nil {
			return refuse(reasonUnauthenticated, "%v", err)
		}
		return nil
	}
	_, key, err := a.standing(cert)
	if err != nil {
		return err
	}
	err = identity.Check(cert, ed25519.PublicKey(key.PublicKey[:]), a.now())
	switch {
	case errors.Is(err, identity.ErrExpired):
		return errCertificateExpired
	case err != nil:
		return refuse(reasonUnauthenticated, "%v", err)
	}
	return nil
}

var errCertificateExpired = refuse(reasonCertificateExpired, "the account certificate is outside its validity: issue a new one")

// identify decides on a call over a connection that connect has let in.
func (a *authority) identify(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, refuse(reasonUnauthenticated, "the call has no connection")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) != 1 {
		return caller{}, refuse(reasonUnauthenticated, "the connection has no certificate")
	}
	return a.current(info.State.PeerCertificates[0])
}

// current tells who a certificate that connect has let in stands for now.
func (a *authority) current(cert *x509.Certificate) (caller, error) {
	if identity.IsNode(cert) {
		return a.member(cert)
	}
	if now := a.now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return caller{}, errCertificateExpired
	}
	c, _, err := a.standing(cert)
	return c, err
}

// member reads which node a certificate claims to be of and whether the ledger
// lists it now.
func (a *authority) member(cert *x509.Certificate) (caller, error) {
	key, err := identity.ClaimNode(cert)
	if err != nil {
		return caller{}, refuse(reasonUnauthenticated, "%v", err)
	}
	node, ok, err := ledger.NodeOf(a.view(), record.KeyIDOf(key))
	if err != nil {
		return caller{}, err
	}
	if !ok || node.Removed {
		return caller{}, refuse(reasonUnknownKey, "no node with this key is registered")
	}
	return caller{node: &node}, nil
}

// standing reads who a certificate claims to be and whether the office and its
// access key are active now.
func (a *authority) standing(cert *x509.Certificate) (caller, record.Key, error) {
	account, issuer, err := identity.Claim(cert)
	if err != nil {
		return caller{}, record.Key{}, refuse(reasonUnauthenticated, "%v", err)
	}
	view := a.view()
	known, ok := a.grants.Load(issuer)
	g, _ := known.(grant)
	if !ok || g.root != view.StateRoot() || g.key.Office != account.Office {
		if g, err = a.granted(view, account, issuer, g.id); err != nil {
			return caller{}, record.Key{}, err
		}
		a.grants.Store(issuer, g)
	}
	return caller{Account: account, roles: g.roles}, g.key, nil
}

// granted asks the state; id is the key's id where it was found before.
func (a *authority) granted(view ledger.View, account identity.Account, issuer identity.Issuer, id record.KeyID) (grant, error) {
	unknown := refuse(reasonUnknownKey, "no access key of %s is registered that issued this certificate", account.Office)
	if id == (record.KeyID{}) {
		found, ok, err := a.keys(issuer)
		if err != nil {
			return grant{}, err
		}
		if !ok {
			return grant{}, unknown
		}
		id = found
	}
	key, ok, err := ledger.KeyOf(view, id)
	if err != nil {
		return grant{}, err
	}
	if !ok || key.Key.Use != record.UseAccess || key.Key.Office != account.Office {
		return grant{}, unknown
	}
	office, ok, err := ledger.OfficeOf(view, account.Office)
	if err != nil {
		return grant{}, err
	}
	if !ok || office.Status != record.StatusActive || key.Suspended != 0 || key.Key.Status != record.StatusActive {
		return grant{}, refuse(reasonSuspended, "office %s or its access key is suspended", account.Office)
	}
	return grant{root: view.StateRoot(), id: id, key: key.Key, roles: office.Roles}, nil
}

// allow decides whether whoever makes a call may call its method.
func (a *authority) allow(ctx context.Context, method string) (caller, error) {
	c, err := a.identify(ctx)
	if err != nil {
		return caller{}, err
	}
	switch {
	case c.node != nil && !forNodes[method]:
		return c, refuse(reasonDenied, "a node may not call %s: use the certificate of an office's account", method)
	case c.node == nil && !may(c.roles, method):
		return c, denied(c.Office, method)
	}
	return c, nil
}

func may(roles []record.Role, method string) bool {
	permitted := permissions[method]
	return slices.ContainsFunc(roles, func(r record.Role) bool { return slices.Contains(permitted, r) })
}
