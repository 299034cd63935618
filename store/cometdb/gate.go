package cometdb

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/config"
)

// Gate stands between CometBFT and the store while a node stops, before the
// views of this package and before the ledger's application. CometBFT's
// goroutines for peers may outlive its Stop by a moment, and Pebble panics on a
// read after Close. Once the gate is closed, a late call never returns, which
// is harmless in a process that ends; what was on its way is waited for.
//
// The zero Gate is open.
type Gate struct {
	mu     sync.Mutex
	closed bool
	live   int           // calls and iterators under way
	idle   chan struct{} // closed when the gate is closed and live is 0
}

// Provider is the package's Provider with this gate before every view.
func (g *Gate) Provider(db *pebble.DB) config.DBProvider { return provider(db, g) }

// Close closes the gate and waits until nothing is under way, at most for the
// given time. It returns false where something still is: then the store must
// not be closed.
func (g *Gate) Close(wait time.Duration) bool {
	g.mu.Lock()
	if !g.closed {
		g.closed, g.idle = true, make(chan struct{})
		if g.live == 0 {
			close(g.idle)
		}
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-idle:
		return true
	case <-timer.C:
		return false
	}
}

// Enter is called before, and the function it returns after, each use of the
// store by what may outlive CometBFT's Stop. A nil Gate is always open.
func (g *Gate) Enter() (leave func()) {
	if g == nil {
		return func() {}
	}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		select {} // see Gate
	}
	g.live++
	g.mu.Unlock()
	return g.leave
}

func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.live--; g.live == 0 && g.closed {
		close(g.idle)
	}
}
