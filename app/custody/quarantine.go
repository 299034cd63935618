package custody

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// quarantine is what is kept shut because a ring has lost erasures that this
// custodian has reported: the ring was restored from before them.
type quarantine struct {
	mu      sync.Mutex
	known   bool                       // the rings were compared with the ledger since it was last behind
	through int64                      // reported dispositions locked before this entry were compared
	rings   map[keyring.RingID]bool    // nothing of them is read
	records map[vault.RID]record.Index // of which a redaction cannot be applied again
}

// current refuses while the ledger of this node is behind those of others, since
// it may lack a lock, and until the rings were compared with it.
func (c *Custody) current() error {
	q := &c.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.config.Behind != nil && c.config.Behind() {
		q.known, q.through = false, 0
		return refuse(Behind, "this node is still catching up with the ledger, and what is locked there must not be read here: try again later")
	}
	if q.known {
		return nil
	}
	return c.compare(q)
}

// Reconcile compares every ring with the ledger and puts those into quarantine
// that have lost erasures; Erase applies them again. Call it before serving.
func (c *Custody) Reconcile(ctx context.Context) error {
	err := c.current()
	if reason, _ := ReasonOf(err); reason == Behind {
		err = nil // it is done when the ledger has caught up, before anything is read
	}
	if err != nil {
		return fmt.Errorf("compare rings with the ledger: %w", err)
	}
	return ctx.Err()
}

// compare looks for lost erasures among the dispositions that were not compared.
func (c *Custody) compare(q *quarantine) error {
	view := c.config.View()
	lost, err := c.lost(view, record.Index(q.through))
	if err != nil {
		return err
	}
	q.known = true
	q.set(view, lost)
	return nil
}

// set keeps shut what has lost erasures: rings, but for records whose redaction is
// lost too, of which nobody can say whether it was applied.
func (q *quarantine) set(view ledger.View, lost []target) {
	q.rings, q.records, q.through = map[keyring.RingID]bool{}, map[vault.RID]record.Index{}, 0
	for _, t := range lost {
		if t.unfiled {
			q.records[t.rid] = t.disposition
		} else {
			q.rings[t.ring] = true
		}
	}
	if len(lost) == 0 {
		q.through = view.Head().Size
	}
}

// compared gives the entry before which no disposition has to be compared again.
func (c *Custody) compared() record.Index {
	c.quarantine.mu.Lock()
	defer c.quarantine.mu.Unlock()
	return record.Index(c.quarantine.through)
}

// lost lists what a ring has, or has again, although this custodian has reported it
// as erased, or has written the report, or all those have who owed one: of the
// dispositions that are locked at an entry or after it.
func (c *Custody) lost(view ledger.View, since record.Index) (lost []target, err error) {
	all, err := ledger.Erasures(view, since)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		applied, exists := c.rings.Erasures(keyring.RingID{Department: d.Value.Office, Class: d.Value.Series})
		if !exists || int64(d.Value.Lock) < applied.Through {
			continue
		}
		preserved, done, err := c.carriedOut(view, d)
		if err != nil {
			return nil, err
		}
		if !done {
			continue
		}
		targets, err := c.targets(view, d)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			if t.again = true; slices.Contains(preserved, t.index) {
				continue
			}
			is, after, err := c.look(&t)
			clear(after)
			if err != nil {
				return nil, err
			}
			if is == live {
				lost = append(lost, t)
			}
		}
	}
	return lost, nil
}

// carriedOut lists which records of a disposition live on here though it was carried
// out; ok is false where it was not. A custodian that owes no report on it, since it
// was not of the set when the records were locked, goes by the reports of all others:
// what one of them has preserved may live here too.
func (c *Custody) carriedOut(view ledger.View, d ledger.Listed[ledger.Disposition]) (preserved []record.Index, ok bool, err error) {
	if _, ours := c.report(d.Value); ours {
		return c.saysPreserved(view, d)
	}
	if d.Value.Status != ledger.DispositionComplete {
		return nil, false, nil
	}
	if d.Value.Action == record.ActionRedact { // which is of one record
		done, spared, err := outcomes(view, d.Value)
		return nil, done > 0 && spared == 0, err
	}
	records, err := ledger.RecordsOf(view, d.Value)
	if err != nil {
		return nil, false, err
	}
	for _, i := range records {
		under, _, locked, err := ledger.ErasureOf(view, i)
		if err != nil {
			return nil, false, err
		}
		if !locked || under != d.Index {
			preserved = append(preserved, i)
		}
	}
	return preserved, true, nil
}

// saysPreserved lists which records of a disposition this custodian's report calls
// preserved; ok is false where it has written none. Where the vault has lost the
// text, the log has the message.
func (c *Custody) saysPreserved(view ledger.View, d ledger.Listed[ledger.Disposition]) (preserved []record.Index, ok bool, err error) {
	text, ok, err := c.vault.ReportText(d.Index)
	if err != nil {
		return nil, false, damaged(err)
	}
	if ok {
		m, err := reportOf(reportText{d.Index, text})
		if err != nil || m.Outcome == record.OutcomeDone {
			return m.Preserved, err == nil, err
		}
		preserved, err = ledger.RecordsOf(view, d.Value)
		return preserved, err == nil, err
	}
	if !c.reported(d.Value) {
		return nil, false, nil
	}
	m, err := c.submitted(view, d.Value)
	if err == nil && m.Outcome == record.OutcomePreserved {
		m.Preserved, err = ledger.RecordsOf(view, d.Value)
	}
	if err != nil {
		return nil, false, err
	}
	return m.Preserved, true, nil
}

// submitted gives this custodian's message about a disposition, from the log.
func (c *Custody) submitted(view ledger.View, d ledger.Disposition) (*record.ReportErasure, error) {
	r, _ := c.report(d)
	at := r.Entry - 1 // the transaction of which the report entry is the first item
	raw, err := view.Entry(at)
	if err != nil {
		return nil, err
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", at, err)
	}
	tx, ok := e.(record.TxEntry)
	if !ok {
		return nil, fmt.Errorf("entry %d before a report entry is no transaction", at)
	}
	m, err := record.ParseBody(tx.Body)
	if err != nil {
		return nil, fmt.Errorf("transaction %d: %w", at, err)
	}
	report, ok := m.(*record.ReportErasure)
	if !ok {
		return nil, fmt.Errorf("transaction %d before a report entry is no report", at)
	}
	return report, nil
}

// quarantined refuses what a ring has again after it was erased.
func (c *Custody) quarantined(r vault.Record) error {
	if err := c.quarantinedRing(ringOf(r)); err != nil {
		return err
	}
	q := &c.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	if d, is := q.records[r.RID]; is {
		return refuse(Quarantined, "parts of the record were erased under disposition %d and were restored, and the redaction that names them was lost: file the redaction again", d)
	}
	return nil
}

func (c *Custody) quarantinedRing(id keyring.RingID) error {
	q := &c.quarantine
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rings[id] {
		return refuse(Quarantined, "ring %s was restored from before its last erasures: they are applied again first", id)
	}
	return nil
}

// free ends the quarantine of what has lost nothing any more.
func (c *Custody) free(view ledger.View, lost []target) {
	c.quarantine.mu.Lock()
	defer c.quarantine.mu.Unlock()
	c.quarantine.set(view, lost)
}

// Pending counts what Erase has to do: locked dispositions whose report this
// custodian owes, and forgotten deposits that are left in old epochs. Quarantined
// names the rings and records that are shut until erasures are applied again.
func (c *Custody) Pending() (n uint64, quarantined []string, err error) {
	due, err := c.due(c.config.View())
	if err != nil {
		return 0, nil, err
	}
	n = uint64(len(due))
	for _, id := range c.rings.Rings() {
		forgotten, err := c.rings.Pending(id)
		if err != nil {
			return 0, nil, err
		}
		n += uint64(forgotten)
		if c.rings.Unfinished(id) {
			n++
		}
	}
	c.quarantine.mu.Lock()
	defer c.quarantine.mu.Unlock()
	for id := range c.quarantine.rings {
		quarantined = append(quarantined, "ring "+id.String())
	}
	for _, d := range c.quarantine.records {
		quarantined = append(quarantined, fmt.Sprintf("record of disposition %d", d))
	}
	slices.Sort(quarantined)
	return n + uint64(len(quarantined)), quarantined, nil
}
