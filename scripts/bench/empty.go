package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// emptyServer answers Registry with nothing: the ceiling of a unary call over
// TLS 1.3 with client certificates.
type emptyServer struct {
	apiv1.UnimplementedAuditorsServer
}

func (emptyServer) Registry(context.Context, *apiv1.RegistryRequest) (*apiv1.RegistryResponse, error) {
	return &apiv1.RegistryResponse{}, nil
}

// emptyAddress is how to reach the child.
type emptyAddress struct {
	Address     string
	Server      []byte // certificate, DER
	Certificate []byte // of the client, DER
	Key         []byte // its seed
}

// serveEmpty is the child. It answers each line with its address.
func serveEmpty(_ string, in *bufio.Scanner, out *json.Encoder) error {
	_, node, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	_, access, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	a := emptyAddress{}
	if a.Server, err = identity.ServerCertificate(rand.Reader, node, "node-empty", time.Now()); err != nil {
		return err
	}
	client, err := issueAccount(access, "AUDIT")
	if err != nil {
		return err
	}
	a.Certificate, a.Key = client.Certificate[0], client.PrivateKey.(ed25519.PrivateKey).Seed()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.Address = listener.Addr().String()
	check := func(cert *x509.Certificate) error {
		return identity.Check(cert, access.Public().(ed25519.PublicKey), time.Now())
	}
	own := tls.Certificate{Certificate: [][]byte{a.Server}, PrivateKey: node}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(identity.ServerConfig(own, check))), grpc.MaxConcurrentStreams(256))
	apiv1.RegisterAuditorsServer(server, emptyServer{})
	go func() { _ = server.Serve(listener) }() // until Stop
	for in.Scan() {
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	server.Stop()
	return in.Err()
}

// issueAccount makes a new account certificate of an office, with its key.
func issueAccount(access ed25519.PrivateKey, office string) (tls.Certificate, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	account := identity.Account{Office: code(office), ID: "00000000000be9c4"}
	der, err := identity.Issue(rand.Reader, access, account, public, time.Now().Add(-time.Minute), 12*time.Hour)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// dial opens connections to a server that is pinned by its certificate.
func dial(address string, client tls.Certificate, server []byte, n int) ([]*grpc.ClientConn, error) {
	config, err := identity.ClientConfig(client, server)
	if err != nil {
		return nil, err
	}
	conns := make([]*grpc.ClientConn, n)
	for i := range conns {
		conns[i], err = grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(4<<20)))
		if err != nil {
			return nil, errors.Join(err, hangUp(conns[:i]))
		}
	}
	return conns, nil
}

func hangUp(conns []*grpc.ClientConn) error {
	var errs []error
	for _, c := range conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// flood makes n calls with so many in flight at once, and gives the time that
// all of them took together and that of each in milliseconds.
func flood(n, inFlight int, call func(worker, i int) error) (time.Duration, samples, error) {
	times := make(samples, n)
	errs := make([]error, inFlight)
	var workers sync.WaitGroup
	begin := time.Now()
	for w := range inFlight {
		workers.Go(func() {
			for i := w; i < n; i += inFlight {
				at := time.Now()
				if err := call(w, i); err != nil {
					errs[w] = fmt.Errorf("call %d: %w", i, err)
					return
				}
				times[i] = milliseconds(time.Since(at))
			}
		})
	}
	workers.Wait()
	return time.Since(begin), times, errors.Join(errs...)
}
