//go:build chaos

package chaos

import (
	"testing"
	"time"
)

// TestThin is a network, a kill, and a partition.
func TestThin(t *testing.T) {
	c := newCity(t)
	c.startAll(t)
	c.adopt(t)
	r := c.record(t)
	pause(t, 5*time.Second)
	c.nodes[1].kill(t)
	pause(t, 4*time.Second)
	c.start(t, c.nodes[1])
	c.nodes[1].serves(t)
	pause(t, 2*time.Second)
	c.part(t, []int{3}, []int{1, 2, 4})
	pause(t, 5*time.Second)
	c.mend(t)
	pause(t, 3*time.Second)
	history := r.finish(t)
	c.audit(t, history)
}
