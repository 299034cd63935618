package keyring

import (
	"sync/atomic"
	"time"
)

// pace lets long work of a rotation give way to those who write: they wait for the
// disk, and what runs between would have the processor and the disk's queue for itself.
type pace struct{ writing atomic.Int32 }

const (
	paceStates = 256 // states that are copied or read back without a look at who writes: a millisecond
	paceTurn   = 250 * time.Microsecond
	paceTurns  = 8 // after which the work goes on all the same
)

// write does what somebody waits for.
func (p *pace) write(do func() error) error {
	p.writing.Add(1)
	defer p.writing.Add(-1)
	return do()
}

// giveWay waits while others write, but not for ever.
func (p *pace) giveWay() {
	for turn := 0; turn < paceTurns && p.writing.Load() > 0; turn++ {
		time.Sleep(paceTurn)
	}
}
