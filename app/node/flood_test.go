package node

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/tests/ports"
)

// flood opens connections to an address from another one, some hundreds in a
// second, and keeps each open until the other side closes it: some say nothing,
// some begin a handshake. It gives how many are open, and how many there were.
func flood(t testing.TB, from, to string) (open, all *atomic.Int64) {
	t.Helper()
	const callers, pause = 60, 150 * time.Millisecond // at most 400 in a second
	open, all = new(atomic.Int64), new(atomic.Int64)
	done := make(chan struct{})
	var busy sync.WaitGroup
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	for range callers {
		busy.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
				}
				conn, err := dialer.Dial("tcp", to)
				if err != nil {
					continue
				}
				open.Add(1)
				if all.Add(1)%2 == 0 {
					conn.Write([]byte{34, 10, 32}) // the first bytes of a handshake
				}
				busy.Go(func() {
					defer open.Add(-1)
					defer conn.Close()
					closed := make(chan struct{})
					go func() {
						defer close(closed)
						for buffer := make([]byte, 256); ; {
							if _, err := conn.Read(buffer); err != nil {
								return
							}
						}
					}()
					select {
					case <-closed:
					case <-done:
					}
				})
			}
		})
	}
	t.Cleanup(func() { close(done); busy.Wait() })
	return open, all
}

// TestFloodOfHandshakes: connections that say nothing, or stop in the middle of a
// handshake, do not keep a member out, who connects from outside alone.
func TestFloodOfHandshakes(t *testing.T) {
	for name, from := range map[string]string{"from another address": "127.0.0.2", "from the member's address": "127.0.0.1"} {
		t.Run(name, func(t *testing.T) {
			c := newCity(t, 1)
			c.configs[0].P2P.Peers = nil // it does not know where the member is
			keys, err := OpenKeys(c.homes[1], passphrase)
			if err != nil {
				t.Fatal(err)
			}
			card, err := MakeCard(keys, ports.Free(t), "127.0.0.1:1", time.Now()) // at its address another port
			if err != nil {
				t.Fatal(err)
			}
			if err := c.homes[0].KeepCard(card); err != nil {
				t.Fatal(err)
			}
			c.open(0)
			if err := c.nodes[0].Start(); err != nil {
				t.Fatal(err)
			}
			open, all := flood(t, from, c.configs[0].P2P.Listen)
			eventually(t, "the flood", func() bool { return all.Load() >= 600 })
			c.open(1)
			if err := c.nodes[1].Start(); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			eventually(t, "the member connects", func() bool { return c.nodes[0].Status().Peers == 1 && c.nodes[1].Status().Peers == 1 })
			t.Logf("connected after %v, with %d open of %d connections", time.Since(start).Round(time.Millisecond), open.Load(), all.Load())
			submit(t, c.nodes[1], anchor(t, c.nodes[1], "in the flood"))
		})
	}
}
