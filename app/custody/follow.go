package custody

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// ErrLedgerOld is returned where the ledger has fewer entries than the vault has
// followed: one of the two came from a backup.
var ErrLedgerOld = errors.New("ledger is older than the vault")

// followBatch is how many entries are followed between two durable positions.
const followBatch = 1 << 16

// Follow keeps up with the committed log until ctx ends, looking every so often.
// It returns nil then, and an error when this node cannot go on.
func (c *Custody) Follow(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := c.CatchUp(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// CatchUp follows the log from the durable position to its present end, marks the
// deposits that it anchors, and sweeps those that nothing can anchor any more.
// The steps, each safe to repeat after a crash:
//  1. per batch of entries: the deposits anchored and the position, in one write
//  2. per orphan: its secrets leave the ring, then the rest leaves the vault
func (c *Custody) CatchUp(ctx context.Context) error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	return c.catchUp(ctx)
}

func (c *Custody) catchUp(ctx context.Context) error {
	view := c.config.View()
	position, err := c.vault.Position()
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	size := record.Index(view.Head().Size)
	c.hasFollowed(position)
	if position > size {
		return fmt.Errorf("follow the log: the vault has followed it to entry %d, the ledger has %d: %w", position, size, ErrLedgerOld)
	}
	for position < size {
		end := min(size, position+followBatch)
		if err := c.follow(ctx, view, position, end); err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		position = end
	}
	return c.sweep(ctx, view)
}

// follow marks what the entries from position to end anchor.
func (c *Custody) follow(ctx context.Context, view ledger.View, position, end record.Index) error {
	var noted []vault.Anchor
	var marked []record.AnchorEntry
	for i := position; i < end && c.waiting(); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		anchor, err := anchorAt(view, i)
		if err != nil {
			return err
		}
		rid, ours, err := c.awaits(anchor)
		if err != nil {
			return err
		}
		if ours {
			noted, marked = append(noted, vault.Anchor{RID: rid, Index: i}), append(marked, anchor)
		}
	}
	if err := c.vault.Advance(end, noted); err != nil {
		return err
	}
	for i, a := range noted {
		c.anchored(marked[i].Office, marked[i].Commitment, a.Index)
	}
	c.hasFollowed(end)
	return nil
}

func (c *Custody) hasFollowed(end record.Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followed = end
}

// Noted tells whether every anchor in the committed log of a deposit that is kept
// here has been noted, and told by [Custody.Anchored].
func (c *Custody) Noted() bool {
	size := record.Index(c.config.View().Head().Size)
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) == 0 || c.followed >= size
}

// waiting tells whether any deposit waits for its anchor. While none does, entries
// need not be read: a deposit that comes now looks for its anchor itself.
func (c *Custody) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) > 0
}

// anchorAt gives entry i if it anchors a record, else the zero entry.
func anchorAt(view ledger.View, i record.Index) (record.AnchorEntry, error) {
	raw, err := view.Entry(i)
	if err != nil {
		return record.AnchorEntry{}, err
	}
	entry, err := record.ParseEntry(raw)
	if err != nil {
		return record.AnchorEntry{}, fmt.Errorf("entry %d: %w", i, err)
	}
	anchor, _ := entry.(record.AnchorEntry)
	return anchor, nil
}

// anchors tells whether an entry is the anchor of a deposit. One that names
// another series or other custodians than the deposit did is not.
func anchors(a record.AnchorEntry, r vault.Record) bool {
	return a.Office == r.Office && a.Commitment == r.Commitment && a.Series == r.Series && a.Custody == r.Custody
}

// awaits gives the deposit that an entry anchors.
func (c *Custody) awaits(a record.AnchorEntry) (rid vault.RID, ok bool, err error) {
	c.mu.Lock()
	rid, ok = c.pending[deposited{a.Office, a.Commitment}]
	c.mu.Unlock()
	if !ok {
		return vault.RID{}, false, nil
	}
	r, ok, err := c.vault.Record(rid)
	return rid, ok && anchors(a, r), err
}

// anchored notes in memory what the vault has noted on disk.
func (c *Custody) anchored(office record.Code, commitment record.Commitment, index record.Index) {
	name := deposited{office, commitment}
	c.mu.Lock()
	rid := c.pending[name]
	delete(c.pending, name)
	close(c.news)
	c.news = make(chan struct{})
	c.mu.Unlock()
	c.titles.anchored(office, rid, index)
}

// sweep removes the deposits whose last day is over for the ledger, as far as it
// was followed, and for the custodian's own clock. Days of the clock are counted
// as ledger days are, so that neither is early anywhere. What is removed here is
// forgotten for good when the ring's epoch ends. While the ledger's clock is in
// doubt nothing is swept: its last day may not be over at all.
func (c *Custody) sweep(ctx context.Context, view ledger.View) error {
	if _, frozen, err := ledger.FreezeOf(view); err != nil || frozen {
		return err
	}
	today := min(record.LedgerDay(view.Head().Time), record.LedgerDay(c.config.Now().UnixNano()))
	orphans, err := c.vault.Overdue(today)
	if err != nil {
		return fmt.Errorf("sweep orphans: %w", err)
	}
	for _, r := range orphans {
		if err := ctx.Err(); err != nil {
			return err
		}
		// A deposit that is under way on its last day is answered first.
		if name := (deposited{r.Office, r.Commitment}); c.begin(name) {
			err := c.remove(r)
			c.end(name)
			if err != nil {
				return fmt.Errorf("sweep orphan: %w", err)
			}
		}
	}
	return nil
}
