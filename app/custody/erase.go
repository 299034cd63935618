package custody

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// Erased is what one round of erasing did.
type Erased struct {
	Dispositions []record.Index // carried out, and their reports on the ledger
	Destroyed    uint64         // records
	Redacted     uint64
	Preserved    uint64
	Rings        uint32 // rotated
	Waiting      []Waiting
}

// Waiting is a locked disposition that cannot be carried out yet.
type Waiting struct {
	Disposition record.Index // 0: what is erased again, or forgotten deposits
	Why         string       // one sentence
}

// Erase carries out what locked dispositions wait for, over all rings: one
// rotation of a ring carries out all that are about it. Which records have the same
// bytes is noted in the vault before. The durable steps, each
// safe to repeat after a crash:
//  1. rotations that a crash interrupted get their last look, and are finished
//  2. per ring: a rotation that destroys and punctures (keyring.Rotate), with a last
//     look at the committed state before a key is destroyed
//  3. per disposition of which nothing is left to do: the text of the report, in
//     the vault
//  4. its records are buried there, or their erased segments dropped
//  5. the report is submitted
//
// What a round has to do follows from the ledger, the rings and the vault alone. A
// disposition waits while the ledger's clock is in doubt, until the custodian's own
// clock is past the lock's day and the days on which its records were due, and until the redaction
// that it names is filed. One round at a time.
func (c *Custody) Erase(ctx context.Context) (Erased, error) {
	c.erasing.Lock()
	defer c.erasing.Unlock()
	r := &round{Custody: c, blocked: map[keyring.RingID]string{}, looked: map[keyring.RingID]int64{}}
	err := r.run(ctx)
	crashpoint("erasure: to be submitted")
	if err == nil || len(r.texts) > 0 {
		err = errors.Join(err, r.submit(ctx))
	}
	slices.SortFunc(r.erased.Waiting, func(a, b Waiting) int { return int(a.Disposition - b.Disposition) })
	slices.Sort(r.erased.Dispositions)
	if err != nil {
		return r.erased, fmt.Errorf("erase: %w", err)
	}
	return r.erased, nil
}

// round is one call of Erase.
type round struct {
	*Custody
	erased  Erased
	blocked map[keyring.RingID]string // rings whose rotation is not done, and why
	looked  map[keyring.RingID]int64  // entries of the log at the last look of this round
	texts   []reportText              // to be submitted
	failed  error                     // of rotations
	equal   [][]vault.RID             // records with the same bytes, of which a state ends
}

func (r *round) wait(d record.Index, format string, args ...any) {
	r.erased.Waiting = append(r.erased.Waiting, Waiting{d, fmt.Sprintf(format, args...)})
}

// run takes the steps 1 to 4. Following the log and sweeping wait meanwhile.
func (r *round) run(ctx context.Context) error {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	err := r.current()
	if reason, _ := ReasonOf(err); reason == Behind {
		return r.waitForLedger()
	}
	if err == nil {
		err = r.catchUp(ctx)
	}
	if err == nil {
		err = r.resume()
	}
	if err == nil {
		err = r.findStrays()
	}
	if err != nil {
		return err
	}
	view := r.config.View()
	// Requests and deposits that began before the locks of this view end first: then
	// all their releases are in the register, and all attempts in the vault.
	r.releases.settle()
	r.deposits.settle()
	due, err := r.due(view)
	if err != nil {
		return err
	}
	lost, err := r.lost(view, r.compared())
	if err != nil {
		return err
	}
	work, err := r.plan(view, due, lost)
	if err == nil {
		err = r.vault.NoteEqual(r.equal)
	}
	if err == nil {
		err = r.rotate(ctx, work)
	}
	crashpoint("erasure: rotated")
	if err == nil && len(lost) > 0 {
		lost, err = r.lost(r.config.View(), r.compared())
	}
	if err != nil {
		return err
	}
	r.free(view, lost)
	if err := r.conclude(ctx, due, lost); err != nil {
		return err
	}
	for _, why := range r.blocked {
		if r.failed == nil && len(r.erased.Waiting) == 0 { // what was forgotten is of no disposition
			r.wait(0, "%s", why)
		}
	}
	return r.failed
}

// waitForLedger lists what waits while this node is behind.
func (r *round) waitForLedger() error {
	due, err := r.due(r.config.View())
	for _, d := range due {
		r.wait(d.Index, "this node is still catching up with the ledger")
	}
	return err
}

// due lists the locked dispositions whose report this custodian owes.
func (c *Custody) due(view ledger.View) (due []ledger.Listed[ledger.Disposition], err error) {
	locks, err := ledger.LocksOf(view)
	if err != nil {
		return nil, err
	}
	for _, i := range locks {
		d, _, err := ledger.DispositionOf(view, i)
		if err != nil {
			return nil, err
		}
		if report, ours := c.report(d); ours && report.Entry == 0 && (d.Action == record.ActionDestroy || d.Action == record.ActionRedact) {
			due = append(due, ledger.Listed[ledger.Disposition]{Index: i, Value: d})
		}
	}
	return due, nil
}

// unready is why a disposition cannot be carried out yet; empty: it can.
func (c *Custody) unready(view ledger.View, d ledger.Listed[ledger.Disposition]) (string, error) {
	if _, frozen, err := ledger.FreezeOf(view); err != nil {
		return "", err
	} else if frozen {
		return "the clock of the ledger is in doubt, and dispositions are frozen", nil
	}
	day, err := readyOn(view, d)
	if err != nil {
		return "", err
	}
	now := c.config.Now()
	if today := record.LedgerDay(now.UnixNano()); today < day {
		return fmt.Sprintf("this custodian's own clock says %s, and not before %s may anything be erased", today, day), nil
	}
	if last := time.Unix(0, view.Head().Time); now.Sub(last) > maxSilence {
		return fmt.Sprintf("the last block that is known here is of %s by the clock of the ledger: a hold may have come since", last.UTC().Format(time.RFC3339)), nil
	}
	return "", nil
}

// maxSilence is how old the last block may be when something is erased. There is one
// every 30 seconds at least, so a node with an older one is cut off from the others,
// or its clock is ahead of theirs.
const maxSilence = 10 * time.Minute

// readyOn is the day that a custodian's own clock has to have reached: that of the
// lock, and the days on which the records were due.
func readyOn(view ledger.View, d ledger.Listed[ledger.Disposition]) (day record.Day, err error) {
	indexes := make([]record.Index, 1+d.Value.Count)
	for n := range indexes {
		indexes[n] = d.Value.Lock + record.Index(n)
	}
	entries, err := view.Entries(indexes)
	if err != nil {
		return 0, err
	}
	for n, raw := range entries {
		e, err := record.ParseEntry(raw)
		if err != nil {
			return 0, fmt.Errorf("entry %d: %w", indexes[n], err)
		}
		switch e := e.(type) {
		case record.LockEntry:
			day = max(day, e.Day)
		case record.ItemEntry:
			if d.Value.Action == record.ActionDestroy {
				day = max(day, e.Due)
			}
		default:
			return 0, fmt.Errorf("entry %d is no part of the lock of disposition %d", indexes[n], d.Index)
		}
	}
	return day, nil
}

// preserved tells whether the ledger wants a target to live on: a hold stands, or
// another custodian could preserve it.
func (t target) preserved(view ledger.View) (bool, error) {
	if t.again {
		return false, nil
	}
	d, _, locked, err := ledger.ErasureOf(view, t.index)
	if err != nil || !locked || d != t.disposition {
		return err == nil, err
	}
	holds, err := ledger.HoldsOn(view, t.index)
	return slices.ContainsFunc(holds, func(h ledger.HoldOn) bool { return h.Released == 0 }), err
}

func allPreserved(view ledger.View, targets []target) (bool, error) {
	for _, t := range targets {
		if preserved, err := t.preserved(view); err != nil || !preserved {
			return false, err
		}
	}
	return true, nil
}

// plan lists what is to change in each ring: first what was lost, since a record
// changes once in a rotation.
func (r *round) plan(view ledger.View, due []ledger.Listed[ledger.Disposition], lost []target) (map[keyring.RingID]*work, error) {
	all := map[keyring.RingID]*work{}
	in := func(id keyring.RingID) *work {
		if all[id] == nil {
			all[id] = newWork()
		}
		return all[id]
	}
	for _, t := range lost {
		if err := r.planTarget(view, t, in); err != nil {
			return nil, err
		}
	}
	for _, d := range due {
		if _, done, err := r.vault.ReportText(d.Index); err != nil {
			return nil, err
		} else if done {
			continue
		}
		why, err := r.unready(view, d)
		if err != nil {
			return nil, err
		}
		targets, err := r.targets(view, d)
		if err != nil {
			return nil, err
		}
		if why != "" {
			spared, err := allPreserved(view, targets)
			if err != nil {
				return nil, err
			}
			if !spared { // else there is nothing to wait for: it is reported, and read again
				r.wait(d.Index, "%s", why)
			}
			continue
		}
		for _, t := range targets {
			if err := r.planTarget(view, t, in); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range r.rings.Rings() {
		if forgotten, err := r.rings.Pending(id); err != nil {
			return nil, err
		} else if forgotten > 0 {
			in(id)
		}
	}
	return all, nil
}

// maxPlan is how many bytes of punctured states one rotation takes, but for a
// single state: thousands of redactions, of 64 MiB each, could be locked at once.
// Tests set it.
var maxPlan = 256 << 20

// work is what is to change in one ring.
type work struct {
	changes []keyring.Change
	bytes   int                // of the states in them
	changed map[vault.RID]bool // records of these; true: what was lost is erased again
}

func newWork() *work { return &work{changed: map[vault.RID]bool{}} }

// add notes a change, unless there is one of the record; destruction is more than
// any other.
func (w *work) add(rid vault.RID, state []byte, again bool) {
	if before, is := w.changed[rid]; !is {
		w.changes, w.changed[rid] = append(w.changes, keyring.Change{RID: rid, State: state}), again
		w.bytes += len(state)
		return
	} else if before != again || state != nil {
		clear(state)
		return
	}
	i := slices.IndexFunc(w.changes, func(c keyring.Change) bool { return c.RID == rid })
	clear(w.changes[i].State)
	w.changes[i].State = nil
}

// planTarget adds a target and its attempts, unless nothing of it is left to do.
func (r *round) planTarget(view ledger.View, t target, in func(keyring.RingID) *work) error {
	preserved, err := t.preserved(view)
	if err != nil || preserved {
		return err
	}
	is, after, err := r.look(&t)
	if err != nil {
		return err
	}
	if t.unfiled {
		return nil
	}
	if is == live {
		if w := in(t.ring); len(after) > 0 && w.bytes > 0 && w.bytes+len(after) > maxPlan {
			clear(after)
			return nil // the next round has it
		}
		in(t.ring).add(t.rid, after, t.again)
	}
	if err := r.planStrays(t, in); err != nil {
		return err
	}
	if err := r.noteEqual(t); err != nil {
		return err
	}
	attempts, _, err := r.attempts(view, t)
	if err != nil {
		return err
	}
	for _, a := range attempts {
		_, ok, err := r.state(a)
		if reason, _ := ReasonOf(err); reason == Destroyed {
			continue
		}
		if err != nil {
			return err
		}
		if ok {
			in(ringOf(a)).add(a.RID, nil, t.again)
		}
	}
	return nil
}

// noteEqual lists what has the bytes of a target, to be noted in the vault: when
// its state has ended, nothing else tells.
func (r *round) noteEqual(t target) error {
	if t.record.RID != t.rid || !t.here {
		return nil
	}
	others, err := r.equals(t.record)
	if err != nil || len(others) == 0 {
		return err
	}
	group := []vault.RID{t.rid}
	for _, other := range others {
		group = append(group, other.RID)
	}
	r.equal = append(r.equal, group)
	return nil
}

// rotate rotates the rings in which something is to change.
func (r *round) rotate(ctx context.Context, all map[keyring.RingID]*work) error {
	for _, id := range r.rings.Rings() {
		w := all[id]
		if w == nil || r.blocked[id] != "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		applied, _ := r.rings.Erasures(id)
		_, err := r.rings.Rotate(id, keyring.Plan{
			Erasures: applied, Changes: w.changes,
			LastLook: func() (keyring.Preserved, error) { return r.lastLook(id, w.changed) },
		})
		for _, change := range w.changes {
			clear(change.State)
		}
		r.rotated(id, err)
	}
	return nil
}

// rotated notes how a rotation ended. One that did not stops no other.
func (r *round) rotated(id keyring.RingID, err error) {
	switch {
	case err == nil:
		r.erased.Rings++
	case errors.Is(err, keyring.ErrRemains):
		r.blocked[id] = fmt.Sprintf("ring %s: %v: remove them", id, err)
	case errors.Is(err, keyring.ErrToken), errors.Is(err, keyring.ErrModule):
		why := strings.Join(strings.Fields(err.Error()), " ")
		r.blocked[id] = fmt.Sprintf("the token that keeps the keys of ring %s is not there: %s: connect it", id, why)
	default:
		r.blocked[id] = fmt.Sprintf("the rotation of ring %s was not finished", id)
		r.failed = errors.Join(r.failed, err)
	}
}

// resume finishes the rotations that were interrupted.
func (r *round) resume() error {
	for _, id := range r.rings.Rings() {
		done, err := r.rotationDone(id)
		if err != nil {
			return err
		}
		if done {
			continue
		}
		_, err = r.rings.Resume(id, func() (keyring.Preserved, error) { return r.lastLook(id, nil) })
		if errors.Is(err, keyring.ErrAbsent) { // a ring that was restored without its report
			continue
		}
		r.rotated(id, err)
	}
	return nil
}

// rotationDone tells whether the last rotation of a ring came to its end, its scan
// included.
func (c *Custody) rotationDone(id keyring.RingID) (bool, error) {
	epoch, _ := c.rings.Epoch(id)
	if epoch <= 1 && !c.rings.Unfinished(id) {
		return true, nil
	}
	last, ok, err := c.rings.LastReport(id)
	return ok && last.To == epoch && last.Hits == 0 && !c.rings.Unfinished(id), err
}
