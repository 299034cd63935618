package rpc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// visitor is a caller from a host, on a connection that is none.
type visitor struct {
	net.Conn
	host string
	gone bool
}

func (v *visitor) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(v.host), Port: 1} }
func (v *visitor) Close() error         { v.gone = true; return nil }

// queue is a listener to whom visitors come one after the other.
type queue struct {
	net.Listener
	next *visitor
}

func (q *queue) Accept() (net.Conn, error) { return q.next, nil }

// TestCrowd: who has to go where all places are taken.
func TestCrowd(t *testing.T) {
	var q queue
	c := Crowd(&q, 4).(*crowd)
	var all []*visitor
	come := func(host string) *guest {
		q.next = &visitor{host: host}
		all = append(all, q.next)
		return must(c.Accept()).(*guest)
	}
	gone := func(want ...int) {
		t.Helper()
		var got []int
		for i, v := range all {
			if v.gone {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("gone are %v, want %v", got, want)
		}
	}
	come("203.0.113.1")
	come("203.0.113.7")
	come("203.0.113.7")
	known := come("203.0.113.7")
	gone()
	come("203.0.113.7")
	gone(1) // the oldest of the host with most
	come("203.0.113.2")
	gone(1, 2)
	left := 0
	known.welcome(func() { left++ })
	come("203.0.113.3")
	gone(1, 2) // there was a place again
	for range 6 {
		come("203.0.113.9")
	}
	if all[3].gone {
		t.Error("who is known has lost its connection")
	}
	known.Close()
	known.Close()
	if left != 1 {
		t.Errorf("it has left %d times", left)
	}
	if c.count != 4 {
		t.Errorf("%d strangers, want 4", c.count)
	}
}

// TestStrangersMakeRoom: connections that dawdle keep nobody out, and those that
// have shown who they are stay.
func TestStrangersMakeRoom(t *testing.T) {
	c := newCity(t, func(l *limits) { l.connections = 4 })
	established := apiv1.NewAuditorsClient(c.as("AUDIT"))
	if _, err := established.Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Fatal(err)
	}
	var idle []net.Conn
	for range 40 {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		idle = append(idle, conn)
	}
	if _, err := apiv1.NewAuditorsClient(c.as("DPW")).Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("a newcomer: %v", err)
	}
	if _, err := established.Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("who was there before: %v", err)
	}
	for i, conn := range idle[:36] {
		conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Fatalf("connection %d of 40 is open, with 4 places", i)
		}
	}
}

// TestConnectionsOfAnOffice: one that has too many is refused, until others go, and
// takes nothing from other offices.
func TestConnectionsOfAnOffice(t *testing.T) {
	c := newCity(t, func(l *limits) { l.visits = 2 })
	open := func() error {
		conn := c.as("DPW")
		_, err := apiv1.NewAuditorsClient(conn).Checkpoint(within10s(t), &apiv1.CheckpointRequest{})
		return err
	}
	first := c.as("DPW")
	if _, err := apiv1.NewAuditorsClient(first).Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if err := open(); grpcstatus.Code(err) != codes.Unavailable {
		t.Errorf("a connection too many: %v", err)
	}
	if c.lines("connection refused", "reason=BUSY") == 0 {
		t.Errorf("the log does not say why:\n%s", c.log.String())
	}
	if _, err := apiv1.NewAuditorsClient(c.as("AUDIT")).Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("another office: %v", err)
	}
	first.Close()
	eventually(t, "room after one has left", func() bool { return open() == nil })
}

// TestNobodyCountsTwice: what is counted of connections goes with them.
func TestNobodyCountsTwice(t *testing.T) {
	c := newCity(t, nil)
	for i := range 20 {
		conn, err := tls.Dial("tcp", c.address, c.clientTLS("DPW"))
		if err != nil {
			t.Fatal(fmt.Errorf("connection %d: %w", i, err))
		}
		if i%2 == 0 {
			conn.NetConn().Close() // in the middle of what the server does
			continue
		}
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
	eventually(t, "all have left", func() bool {
		c.server.visits.mu.Lock()
		defer c.server.visits.mu.Unlock()
		return len(c.server.visits.runs) == 0
	})
}
