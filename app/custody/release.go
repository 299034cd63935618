package custody

import (
	"sync"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// release has a line of the register of releases on disk when it returns: what
// was given out cannot be recalled, and the report on its erasure will say so. It
// is called before the first byte leaves; hidden is what of the leaves does not.
func (c *Custody) release(q request, o opened, kind record.ReleaseKind, hidden []commitment.Range, digest [32]byte) error {
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

// openings knows which requests for content are between the look at what the
// ledger allows and the line of their release.
type openings struct {
	mu  sync.Mutex
	now *sync.WaitGroup // nil: none yet
}

// enter counts a request in, and gives what counts it out.
func (o *openings) enter() (leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now == nil {
		o.now = new(sync.WaitGroup)
	}
	o.now.Add(1)
	return o.now.Done
}

// settle waits for the requests that have come so far, and for none that comes
// now. After it, the releases of a record that the ledger had locked before are
// all in the register.
func (o *openings) settle() {
	o.mu.Lock()
	before := o.now
	o.now = nil
	o.mu.Unlock()
	if before != nil {
		before.Wait()
	}
}
