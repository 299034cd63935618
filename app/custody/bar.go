package custody

import (
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// barred is why the ledger or the state of this node keeps a record shut, read
// from the committed state at each call; nil: nothing does. Neither an old vault
// nor an old ring can answer what the ledger has locked.
func (c *Custody) barred(r vault.Record) error {
	if err := c.current(); err != nil {
		return err
	}
	view := c.config.View()
	if err := c.locked(view, r); err != nil {
		return err
	}
	if err := c.left(view, r); err != nil {
		return err
	}
	return c.quarantined(r)
}

// left refuses what a restored home has again of a set that this custodian has left.
func (c *Custody) left(view ledger.View, r vault.Record) error {
	_, left, err := ledger.DepartureOf(view, r.Custody, c.config.Custodian)
	if err == nil && left {
		err = refuse(UnknownCustody, "this node has left custodian set %.16q: ask another custodian of it", r.Custody)
	}
	return err
}

// locked refuses a record that a disposition is to erase or has erased, and a
// deposit that is erased with such a record.
func (c *Custody) locked(view ledger.View, r vault.Record) error {
	index, anchored, err := view.AnchorIndex(r.Office, r.Commitment)
	if err != nil {
		return err
	}
	if anchored {
		return c.lockedAt(view, index, -1)
	}
	// Only what was locked since the deposit takes it along: mostly there is nothing,
	// and no state has to be opened.
	locks, err := ledger.Erasures(view, record.Index(r.Since))
	if err != nil || !slices.ContainsFunc(locks, func(d ledger.Listed[ledger.Disposition]) bool { return d.Value.Office == r.Office }) {
		return err
	}
	others, err := c.equals(r)
	if err != nil {
		return err
	}
	for _, of := range others {
		if index, anchored, err = view.AnchorIndex(of.Office, of.Commitment); err == nil && anchored {
			err = c.lockedAt(view, index, r.Since)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lockedAt refuses the record that an entry anchors, where it is locked to be
// erased, at the entry since or after it.
func (c *Custody) lockedAt(view ledger.View, index record.Index, since int64) error {
	i, action, locked, err := ledger.ErasureOf(view, index)
	if err != nil || !locked {
		return err
	}
	d, _, err := ledger.DispositionOf(view, i)
	switch {
	case err != nil:
		return err
	case int64(d.Lock) < since:
		return nil
	case action == record.ActionDestroy && c.reported(d):
		return refuse(Destroyed, "the record was destroyed under disposition %d", i)
	}
	return refuse(Locked, "the record is locked for %s under disposition %d: nothing of it is given out", action, i)
}

// refuseBarred logs that a record is kept shut, and says why.
func (c *Custody) refuseBarred(q request, r vault.Record, err error) error {
	switch reason, _ := ReasonOf(err); reason {
	case Destroyed:
		return c.refuseAudited(q, r.RID, outcomeDestroyed, err)
	case Locked, Quarantined, Behind, UnknownCustody:
		return c.refuseAudited(q, r.RID, outcomeBarred, err)
	}
	return err
}

// report gives this custodian's report on a disposition; ok is false where none
// is due from it.
func (c *Custody) report(d ledger.Disposition) (r ledger.Report, ok bool) {
	i := slices.IndexFunc(d.Reports, func(r ledger.Report) bool { return r.Custodian == c.config.Custodian })
	if i < 0 {
		return ledger.Report{}, false
	}
	return d.Reports[i], true
}

// reported tells whether the ledger has this custodian's report.
func (c *Custody) reported(d ledger.Disposition) bool {
	r, ok := c.report(d)
	return ok && r.Entry != 0
}
