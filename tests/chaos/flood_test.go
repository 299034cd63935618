//go:build chaos

package chaos

import (
	"context"
	"crypto/rand"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	floodTime        = 4 * time.Second
	floodConnections = 48 // at once, to each listener
)

// flood has a stranger's machine open connections to one node's listeners, as many as
// it can, and send what means nothing, or nothing at all.
func (n *nemesis) flood(t *testing.T, struck []*member, mending func()) {
	m := struck[0]
	ctx, cancel := context.WithTimeout(t.Context(), floodTime)
	defer cancel()
	var group sync.WaitGroup
	for _, address := range []string{m.p2p(), m.grpc()} {
		for i := range floodConnections {
			group.Go(func() {
				for ctx.Err() == nil {
					conn, err := n.dialFrom(ctx, n.machines[stranger], address)
					if err != nil {
						continue
					}
					talk(ctx, conn, i%3)
				}
			})
		}
	}
	group.Wait()
	mending()
}

// talk says nothing, something, or much.
func talk(ctx context.Context, conn net.Conn, how int) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	junk := make([]byte, 1<<(5*how))
	rand.Read(junk)
	for range 100 {
		if _, err := conn.Write(junk); err != nil {
			return
		}
		if how == 0 { // slowly: wait until the other side has enough
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := conn.Read(junk); err != nil {
				return
			}
		}
	}
}
