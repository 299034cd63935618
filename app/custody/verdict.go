package custody

import (
	"fmt"
	"slices"
	"sync"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// verdicts knows the erasures that a record's own lifecycle does not name: those of
// which a part of the custodians has reported, and destructions that one custodian
// carried out while another one preserved the record.
type verdicts struct {
	mu   sync.Mutex
	next record.Index          // dispositions that were locked before this entry are known
	open []record.Index        // of these, those of which reports are due
	gone map[record.Index]bool // records that this custodian has reported destroyed, and that live elsewhere
}

// erasure is what the ledger says about the erasure of a part of a record that is
// not locked.
type erasure struct {
	disposition record.Index
	redaction   [32]byte
	done        bool // a custodian has carried it out
	here        bool // this custodian has carried it out, or all have: nothing of it may be here
	spared      bool // this custodian has reported that it preserved the record
}

// erasures lists what of a record, not locked any more, was erased in parts, and
// refuses one that this custodian has reported destroyed.
func (c *Custody) erasures(view ledger.View, index record.Index, anchor record.AnchorEntry) (all []erasure, err error) {
	open, destroyed, err := c.openErasures(view, index, anchor)
	if err != nil {
		return nil, err
	}
	if destroyed {
		return nil, refuse(Destroyed, "this custodian has reported that it destroyed the record, which another one has preserved")
	}
	life, _, err := ledger.LifecycleOf(view, index)
	if err != nil {
		return nil, err
	}
	for _, i := range append(open, life.Decisions...) {
		d, is, err := ledger.DispositionOf(view, i)
		if err != nil {
			return nil, err
		}
		if !is || d.Action != record.ActionRedact { // a withholding
			continue
		}
		e, err := c.erasure(view, ledger.Listed[ledger.Disposition]{Index: i, Value: d})
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// erasure judges a disposition with the action REDACT, which is of one record.
func (c *Custody) erasure(view ledger.View, d ledger.Listed[ledger.Disposition]) (erasure, error) {
	e := erasure{disposition: d.Index, redaction: d.Value.Redaction}
	done, preserved, err := outcomes(view, d.Value)
	if err != nil {
		return erasure{}, err
	}
	e.done = done > 0
	if _, ours := c.report(d.Value); !ours {
		e.here = d.Value.Status == ledger.DispositionComplete && done > 0 && preserved == 0
		return e, nil
	}
	spared, reported, err := c.saysPreserved(view, d)
	if err != nil {
		return erasure{}, err
	}
	e.spared = reported && len(spared) > 0
	e.here = reported && !e.spared
	e.done = e.done || e.here
	return e, nil
}

// outcomes counts the reports that say of every record that it was erased, and those
// that preserved any.
func outcomes(view ledger.View, d ledger.Disposition) (done, preserved int, err error) {
	for _, r := range d.Reports {
		if r.Entry == 0 {
			continue
		}
		raw, err := view.Entry(r.Entry)
		if err != nil {
			return 0, 0, err
		}
		e, err := record.ParseEntry(raw)
		if err != nil {
			return 0, 0, fmt.Errorf("entry %d: %w", r.Entry, err)
		}
		report, ok := e.(record.ReportEntry)
		if !ok {
			return 0, 0, fmt.Errorf("entry %d is no report", r.Entry)
		}
		if report.Outcome == record.OutcomeDone && report.Preserved == 0 {
			done++
		} else {
			preserved++
		}
	}
	return done, preserved, nil
}

// openErasures lists the dispositions about a record of which reports are due,
// though the record is not locked any more; destroyed tells that this custodian has
// reported it so under one of these, or before.
func (c *Custody) openErasures(view ledger.View, index record.Index, anchor record.AnchorEntry) (open []record.Index, destroyed bool, err error) {
	x := &c.verdicts
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := c.readVerdicts(view, x); err != nil {
		return nil, false, err
	}
	if x.gone[index] {
		return nil, true, nil
	}
	for _, i := range x.open {
		d, _, err := ledger.DispositionOf(view, i)
		if err != nil {
			return nil, false, err
		}
		if d.Office != anchor.Office {
			continue
		}
		records, err := ledger.RecordsOf(view, d)
		if err != nil {
			return nil, false, err
		}
		if _, of := slices.BinarySearch(records, index); !of {
			continue
		}
		if d.Action == record.ActionRedact {
			open = append(open, i)
			continue
		}
		preserved, reported, err := c.saysPreserved(view, ledger.Listed[ledger.Disposition]{Index: i, Value: d})
		if err != nil {
			return nil, false, err
		}
		if reported && !slices.Contains(preserved, index) {
			return nil, true, nil
		}
	}
	return open, false, nil
}

// readVerdicts brings what is known up to a state of the ledger.
func (c *Custody) readVerdicts(view ledger.View, x *verdicts) error {
	locked, err := ledger.Erasures(view, x.next)
	if err != nil {
		return err
	}
	if x.gone == nil {
		x.gone = map[record.Index]bool{}
	}
	next, open := x.next, []record.Index(nil)
	for _, i := range x.open {
		d, _, err := ledger.DispositionOf(view, i)
		if err != nil {
			return err
		}
		locked = append(locked, ledger.Listed[ledger.Disposition]{Index: i, Value: d})
	}
	for _, d := range locked {
		if next = max(next, d.Value.Lock+1); d.Value.Status != ledger.DispositionComplete {
			open = append(open, d.Index)
			continue
		}
		if err := c.readDestruction(view, d, x.gone); err != nil {
			return err
		}
	}
	x.next, x.open = next, open
	return nil
}

// readDestruction finds the records of a complete disposition that live on
// elsewhere and were destroyed here.
func (c *Custody) readDestruction(view ledger.View, d ledger.Listed[ledger.Disposition], gone map[record.Index]bool) error {
	if d.Value.Action != record.ActionDestroy || !c.reported(d.Value) {
		return nil
	}
	if _, preserved, err := outcomes(view, d.Value); err != nil || preserved == 0 {
		return err
	}
	preserved, _, err := c.saysPreserved(view, d)
	if err != nil {
		return err
	}
	records, err := ledger.RecordsOf(view, d.Value)
	if err != nil {
		return err
	}
	for _, i := range records {
		under, _, locked, err := ledger.ErasureOf(view, i)
		if err != nil {
			return err
		}
		if (!locked || under != d.Index) && !slices.Contains(preserved, i) {
			gone[i] = true
		}
	}
	return nil
}
