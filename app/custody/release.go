package custody

import (
	"sync"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// release has a line of the register of releases on disk when it returns: what
// was given out cannot be recalled, and the report on its erasure will say so. It
// is called before the first byte leaves; hidden is what of the leaves does not.
// What was locked while the answer was prepared is refused.
func (c *Custody) release(q request, o opened, kind record.ReleaseKind, hidden []commitment.Range, digest [32]byte) error {
	defer c.releases.enter()()
	if err := c.barred(o.record); err != nil {
		return c.refuseBarred(q, o.record, err)
	}
	err := c.vault.AddRelease(o.record.RID, record.Release{
		Day: record.LedgerDay(c.config.Now().UnixNano()), Office: q.caller.Office, Kind: kind, Whole: !o.content(hidden), Digest: digest,
	})
	if err != nil {
		return refuseFor(err, AuditUnavailable, "the register of releases cannot be written, so nothing is given out: try again later")
	}
	return nil
}

// content tells whether any of the leaves is content.
func (o opened) content(leaves []commitment.Range) bool {
	for _, r := range leaves {
		for i := r.First; i <= r.Last; i++ {
			if o.facts[i].Kind == commitment.Content {
				return true
			}
		}
	}
	return false
}

// gate knows who is between a look at the ledger and the write that follows from
// it. Nobody stays there for long.
type gate struct {
	mu  sync.Mutex
	now *sync.WaitGroup // nil: nobody has come since the last settle
}

// enter counts somebody in, and gives what counts him out.
func (g *gate) enter() (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil {
		g.now = new(sync.WaitGroup)
	}
	g.now.Add(1)
	return g.now.Done
}

// settle waits for those who have come so far, and for nobody who comes now. After
// it, everything is written that follows from an older state of the ledger than
// the one that its caller has seen.
func (g *gate) settle() {
	g.mu.Lock()
	before := g.now
	g.now = nil
	g.mu.Unlock()
	if before != nil {
		before.Wait()
	}
}
