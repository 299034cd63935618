package custody

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// Leave takes this custodian out of a set: it hands everything over, forgets it, and
// has the ledger note that. Safe returns when the other custodians of the set have
// all that is held here; where there is none, nothing of the set may live here. The
// steps:
//  1. no deposit, parcel or redaction of the set is taken any more, and none waits
//  2. safe; and nothing lives here that the others were not offered
//  3. every state of the set is forgotten, and its content leaves the vault
//  4. the rings in which they were are rotated: their old keys are destroyed, and
//     every file is searched
//  5. the departure is submitted
//
// After an error or a crash before 5 this custodian is still one of the set: the
// others give it back what it lacks, or it leaves again. It does not leave while it
// owes a report.
func (c *Custody) Leave(ctx context.Context, set record.Code, safe func(context.Context) error) (record.Departure, error) {
	departure, err := c.leave(ctx, set, safe)
	if err != nil {
		return 0, fmt.Errorf("leave custodian set %.16s: %w", set, err)
	}
	return departure, nil
}

func (c *Custody) leave(ctx context.Context, set record.Code, safe func(context.Context) error) (record.Departure, error) {
	if err := c.isIn(set); err != nil {
		return 0, err
	}
	if err := c.takes(c.config.View(), set); err != nil {
		return 0, err
	}
	if c.config.Depart == nil {
		return 0, errors.New("nobody submits the departure")
	}
	c.mu.Lock()
	c.leaving[set] = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.leaving, set)
	}()
	c.deposits.settle()
	c.releases.settle()
	if err := c.CatchUp(ctx); err != nil {
		return 0, err
	}
	if err := c.mayLeave(set); err != nil {
		return 0, err
	}
	departure := record.DepartureHandedOver
	others, err := c.others(set)
	switch {
	case err != nil:
		return 0, err
	case len(others) > 0:
		err = c.handOver(ctx, set, others, safe)
	default:
		departure = record.DepartureDestroyed
		err = c.nothingLives(set)
	}
	if err != nil {
		return 0, err
	}
	if err := c.empty(ctx, set); err != nil {
		return 0, err
	}
	crashpoint("departure: rotated")
	return departure, c.config.Depart(ctx, &record.LeaveCustody{Set: set, Departure: departure})
}

// isIn refuses a set that this custodian cannot leave, and says what comes next.
func (c *Custody) isIn(set record.Code) error {
	view := c.config.View()
	s, _, err := ledger.CustodianSetOf(view, set)
	if err != nil {
		return err
	}
	if !slices.Contains(s.Custodians, c.config.Custodian) {
		return refuse(UnknownCustody, "this node is not in it: nothing is to be done; muniment custody list shows the sets")
	}
	_, gone, err := ledger.DepartureOf(view, set, c.config.Custodian)
	if err == nil && gone {
		err = refuse(UnknownCustody, "this node has left it already: an office takes it out with muniment custody set %.16s --remove and the id of this node", set)
	}
	return err
}

// handOver returns when the other custodians have all that lives here. What they are
// not offered, since it is shut, they do not have.
func (c *Custody) handOver(ctx context.Context, set record.Code, others []record.KeyID, safe func(context.Context) error) error {
	if err := c.everythingOffered(ctx, set); err != nil {
		return err
	}
	if err := safe(ctx); err != nil {
		return err
	}
	after, err := c.others(set)
	if err == nil && !slices.Equal(others, after) { // whom safe has asked nobody knows
		err = refuse(Busy, "custodian set %.16q was changed while its records were handed over: leave again", set)
	}
	return err
}

// everythingOffered refuses where something of a set lives here that Held does not
// list, or that a hold preserves here after others have erased it.
func (c *Custody) everythingOffered(ctx context.Context, set record.Code) error {
	offered := map[vault.RID]bool{}
	for h, err := range c.Held(ctx, set) {
		if err != nil {
			return err
		}
		offered[h.RID] = true
	}
	view := c.config.View()
	return c.vault.EachAnchored(set, func(r vault.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if offered[r.RID] {
			return c.aloneUnderHold(view, r)
		}
		_, live, err := c.state(r)
		if reason, _ := ReasonOf(err); reason == Destroyed || err == nil && !live {
			return nil
		}
		if err == nil {
			err = c.quarantined(r)
		}
		if err == nil {
			err = refuse(Locked, "the record at entry %d is to be destroyed, and others may lack it: leave when that is done", r.Index)
		}
		return err
	})
}

// aloneUnderHold refuses a record under a hold of which others have erased what is
// still here: key states are no part of what is compared.
func (c *Custody) aloneUnderHold(view ledger.View, r vault.Record) error {
	holds, err := ledger.HoldsOn(view, r.Index)
	if err != nil || !slices.ContainsFunc(holds, func(h ledger.HoldOn) bool { return h.Released == 0 }) {
		return err
	}
	anchor, err := anchorAt(view, r.Index)
	if err != nil {
		return err
	}
	erased, err := c.erasures(view, r.Index, anchor)
	if err == nil && slices.ContainsFunc(erased, func(e erasure) bool { return e.done && !e.here }) {
		err = refuse(Locked, "the record at entry %d is under a hold, and others have erased parts of it that are kept here: leave when the hold is released", r.Index)
	}
	return err
}

// others lists the other custodians of a set that have not left it.
func (c *Custody) others(set record.Code) (all []record.KeyID, err error) {
	view := c.config.View()
	s, _, err := ledger.CustodianSetOf(view, set)
	if err != nil {
		return nil, err
	}
	for _, id := range s.Custodians {
		kept, err := keeps(view, set, id)
		if err != nil {
			return nil, err
		}
		if kept && id != c.config.Custodian {
			all = append(all, id)
		}
	}
	return all, nil
}

// mayLeave refuses while a report is due, or a deposit of the set waits for its
// anchor.
func (c *Custody) mayLeave(set record.Code) error {
	view := c.config.View()
	if err := c.current(); err != nil {
		return err
	}
	locks, err := ledger.LocksOf(view)
	if err != nil {
		return err
	}
	for _, i := range locks {
		d, _, err := ledger.DispositionOf(view, i)
		if err != nil {
			return err
		}
		if r, ours := c.report(d); ours && r.Entry == 0 {
			return refuse(Locked, "this custodian owes a report on disposition %d: it leaves when that is carried out", i)
		}
	}
	waiting, err := c.vault.Overdue(lastDay)
	if err != nil {
		return damaged(err)
	}
	for _, r := range waiting {
		if r.Custody == set {
			return refuse(Busy, "a deposit waits for its anchor until %s: leave when it is anchored or swept", r.NotAfter)
		}
	}
	return nil
}

// nothingLives refuses where records of a set can be opened here, and nowhere else.
func (c *Custody) nothingLives(set record.Code) error {
	return c.vault.EachAnchored(set, func(r vault.Record) error {
		_, live, err := c.state(r)
		if reason, _ := ReasonOf(err); reason == Destroyed {
			return nil
		}
		if err == nil && live {
			err = refuse(Denied, "this node is the only custodian of set %.16q, and its records live: others must keep them first", set)
		}
		return err
	})
}

// empty forgets what is kept of a set, and rotates the rings in which it was.
func (c *Custody) empty(ctx context.Context, set record.Code) error {
	c.erasing.Lock()
	defer c.erasing.Unlock()
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	r := &round{Custody: c, blocked: map[keyring.RingID]string{}, looked: map[keyring.RingID]int64{}}
	if err := r.resume(); err != nil {
		return err
	}
	if err := c.forgetSet(ctx, set); err != nil {
		return err
	}
	crashpoint("departure: forgotten")
	work := map[keyring.RingID]*work{}
	for _, id := range c.rings.Rings() {
		if n, err := c.rings.Pending(id); err != nil {
			return err
		} else if n > 0 {
			work[id] = newWork()
		}
	}
	if err := errors.Join(r.rotate(ctx, work), r.failed); err != nil {
		return err
	}
	for _, why := range r.blocked {
		return refuse(Busy, "%s", why)
	}
	return nil
}
