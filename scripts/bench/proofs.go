package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const (
	lookupsInFlight = 64
	lookupConns     = 4
)

// runProofs: inclusion proofs of random entries, 64 in flight, beside an empty
// unary call over the same kind of connections.
func runProofs(b *bench) ([]result, error) {
	r := result{name: "proof look-ups over TLS, 64 in flight", unit: "proofs/s", baseline: "empty unary call",
		target: ratioAtLeast(0.4, "at least 0.4"), clients: fmt.Sprintf("%d connections, %d in flight", lookupConns, lookupsInFlight)}
	calls := b.count(60_000, 1000)
	for round := range b.rounds {
		rate, cpu, times, err := b.emptyCalls(calls)
		if err != nil {
			return nil, err
		}
		r.base, r.baseCPU = append(r.base, rate), append(r.baseCPU, cpu)
		b.logf("round %d: empty calls %s/s, p50 %s ms, p99 %s ms", round+1, number(rate), number(times.median()), number(times.quantile(0.99)))
		n, err := b.node()
		if err != nil {
			return onlyBase(err, r), nil
		}
		size, err := b.lookUp(n, calls, &r)
		if err != nil {
			return onlyBase(err, r), nil
		}
		r.note = fmt.Sprintf("random entries of a tree of %d", size)
		b.logf("round %d: proofs %s/s", round+1, number(r.ours[round]))
	}
	return []result{r}, nil
}

// lookUp asks for proofs of random entries under the newest cosigned tree.
func (b *bench) lookUp(n *node, calls int, r *result) (size uint64, err error) {
	conns, err := n.dial(auditor, lookupConns)
	if err != nil {
		return 0, err
	}
	defer func() { _ = hangUp(conns) }()
	for _, conn := range conns {
		c, err := apiv1.NewAuditorsClient(conn).Checkpoint(b.ctx, &apiv1.CheckpointRequest{})
		if err != nil {
			return 0, err
		}
		size = c.Size
	}
	m, err := b.measured(n, func() (float64, time.Duration, error) {
		took, _, err := flood(calls, lookupsInFlight, func(worker, _ int) error {
			request := &apiv1.InclusionProofRequest{Index: mathrand.Uint64N(size), Size: size}
			p, err := apiv1.NewAuditorsClient(conns[worker%len(conns)]).InclusionProof(b.ctx, request)
			if err == nil && size > 1 && (len(p.Hashes) == 0 || bytes.Equal(p.Hashes[0], make([]byte, 32))) {
				err = fmt.Errorf("no proof of entry %d", request.Index)
			}
			return err
		})
		return float64(calls), took, err
	})
	if err != nil {
		return 0, err
	}
	m.disk = 0
	r.add(m)
	return size, nil
}

// emptyCalls measures the ceiling: calls per second, processor time of both
// sides per call (microseconds), and the time of each call.
func (b *bench) emptyCalls(calls int) (rate, cpu float64, times samples, err error) {
	c, err := b.startChild("empty")
	if err != nil {
		return 0, 0, nil, err
	}
	defer func() { _ = c.stop() }()
	var a emptyAddress
	if err := c.ask("address", &a); err != nil {
		return 0, 0, nil, fmt.Errorf("empty server: %w", err)
	}
	own := tls.Certificate{Certificate: [][]byte{a.Certificate}, PrivateKey: ed25519.NewKeyFromSeed(a.Key)}
	conns, err := dial(a.Address, own, a.Server, lookupConns)
	if err != nil {
		return 0, 0, nil, err
	}
	defer func() { _ = hangUp(conns) }()
	call := func(conn *grpc.ClientConn) error {
		_, err := apiv1.NewAuditorsClient(conn).Registry(context.Background(), &apiv1.RegistryRequest{})
		return err
	}
	for _, conn := range conns {
		if err := call(conn); err != nil {
			return 0, 0, nil, err
		}
	}
	before := usageNow(c)
	took, times, err := flood(calls, lookupsInFlight, func(worker, _ int) error { return call(conns[worker%len(conns)]) })
	used, _ := usageNow(c).since(before)
	return float64(calls) / took.Seconds(), used.Seconds() * 1e6 / float64(calls), times, err
}
