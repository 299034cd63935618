package keyring

import (
	"sync/atomic"
	"time"
)

// pace lets long work of a rotation give way to those who write: they wait for the
// disk, and what runs between would have the processor and the disk's queue for itself.
type pace struct {
	writing atomic.Int32
	wrote   atomic.Pointer[time.Time] // when a write last ended; nil: never
}

const (
	paceStates = 256 // states that are copied or read back without a look at who writes: a millisecond
	paceTurn   = 250 * time.Microsecond
	paceTurns  = 8 // after which the work goes on all the same
	// paceActive is how long after a write others are taken to be at work still: what
	// a write is part of, up to its anchor, takes longer than the write.
	paceActive = 100 * time.Millisecond
	paceRest   = 4 * time.Millisecond // the longest rest beside them
)

// write does what somebody waits for.
func (p *pace) write(do func() error) error {
	p.writing.Add(1)
	defer func() {
		now := time.Now()
		p.wrote.Store(&now)
		p.writing.Add(-1)
	}()
	return do()
}

// shift is long work that is done piece by piece.
type shift struct {
	pace  *pace
	began time.Time // the piece
}

func (p *pace) shift() *shift { return &shift{p, time.Now()} }

// giveWay ends a piece. It waits while others write, but not for ever, and while they
// are at work it rests as long as the piece took, unless that was next to nothing:
// half of a processor is theirs.
func (s *shift) giveWay() {
	took := time.Since(s.began)
	for turn := 0; turn < paceTurns && s.pace.writing.Load() > 0; turn++ {
		time.Sleep(paceTurn)
	}
	if took >= paceTurn && s.pace.active(time.Now()) {
		time.Sleep(min(took, paceRest))
	}
	s.began = time.Now()
}

// active tells whether others write, or wrote a moment ago.
func (p *pace) active(now time.Time) bool {
	wrote := p.wrote.Load()
	return p.writing.Load() > 0 || wrote != nil && now.Sub(*wrote) < paceActive
}
