//go:build chaos

package chaos

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestFaults brings every kind of fault over a network under load.
func TestFaults(t *testing.T) {
	c := newCity(t)
	c.startAll(t)
	c.adopt(t)
	r := c.record(t)
	pause(t, 2*time.Second)
	n := &nemesis{city: c, random: rand.New(rand.NewPCG(*seed, 1))}
	n.run(t, *rounds)
	c.settle(t)
	history := r.finish(t)
	c.settle(t)
	c.audit(t, history)
}
