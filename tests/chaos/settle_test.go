//go:build chaos

package chaos

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// status asks a running node how it does, by the operator's socket.
func (m *member) status(t *testing.T) (*apiv1.StatusResponse, error) {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+m.home.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return apiv1.NewOperatorsClient(conn).Status(ctx, &apiv1.StatusRequest{})
}

// together waits until all nodes take part and have one log, nearly: under load they
// are a block apart (I-13).
func (c *city) together(t *testing.T) time.Duration {
	t.Helper()
	return eventually(t, "all nodes are at one height", func() bool {
		var least, most uint64
		for i, m := range c.nodes {
			s, err := m.status(t)
			if err != nil || s.CatchingUp {
				return false
			}
			if i == 0 || s.Height < least {
				least = s.Height
			}
			most = max(most, s.Height)
		}
		return most-least <= 1
	})
}

// goesOn waits until all nodes have two blocks more than any has now. There is load.
func (c *city) goesOn(t *testing.T) {
	t.Helper()
	var height uint64
	for _, m := range c.nodes {
		if s, err := m.status(t); err == nil {
			height = max(height, s.Height)
		}
	}
	eventually(t, "the network goes on", func() bool {
		return !slices.ContainsFunc(c.nodes, func(m *member) bool {
			s, err := m.status(t)
			return err != nil || s.Height < height+2
		})
	})
}

// settle says how long that took.
func (c *city) settle(t *testing.T) {
	t.Helper()
	t.Logf("all nodes agree after %.1f s", c.together(t).Seconds())
}
