package rpc

import (
	"errors"
	"net"

	"google.golang.org/grpc/credentials"
)

// admission is TLS of the public listener. After the handshake, in which connect
// has decided on the certificate, it counts the connection for its office or node:
// one that has too many loses the new one, and takes no place from the others.
type admission struct {
	credentials.TransportCredentials
	server *Server
}

// ServerHandshake is the handshake of a new connection.
func (a admission) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := a.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	if err := a.admit(raw, info); err != nil {
		reason, _ := reasonOf(err)
		a.server.refusedConnection(reason)
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, info, nil
}

func (a admission) admit(raw net.Conn, info credentials.AuthInfo) error {
	secured, ok := info.(credentials.TLSInfo)
	if !ok || len(secured.State.PeerCertificates) != 1 {
		return refuse(reasonUnauthenticated, "the connection has no certificate")
	}
	c, err := a.server.authority.current(secured.State.PeerCertificates[0])
	if err != nil {
		return err
	}
	payer, visits := c.payer(), &a.server.visits
	if err := visits.enter(payer, a.server.limits.visits); err != nil {
		return err
	}
	left := func() { visits.leave(payer) }
	if g, ok := raw.(*guest); ok {
		g.welcome(left)
		return nil
	}
	left() // a listener that bounds nothing
	return nil
}

// Clone gives the same.
func (a admission) Clone() credentials.TransportCredentials {
	return admission{a.TransportCredentials.Clone(), a.server}
}
