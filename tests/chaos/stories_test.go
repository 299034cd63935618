//go:build chaos

package chaos

import (
	"crypto/sha256"
	"sync"

	"github.com/muniment/muniment/app/record"
)

// oldDays is how long ago the records of stories are from: longer than their period.
const oldDays = 1000

// dispose brings records from their anchor to a lock, while counsel holds some of
// them, now before it, now at the same time, by another node.
func (w *worker) dispose() error {
	for !w.stopped() {
		if err := w.story(); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) story() error {
	made, err := w.anchorSome(3, w.Day-oldDays, false)
	if err != nil || made.Outcome != outcomeOK {
		return err
	}
	records := []record.Index{made.Index, made.Index + 1, made.Index + 2}
	o := w.next(proposes)
	o.Office, o.Records = department, records
	proposal := &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: records}
	body, err := record.NewBody(w.network.ID, o.nonce(), w.Day+5, proposal)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	proposed, err := w.submit(o, proposal, false)
	if err != nil || proposed.Outcome != outcomeOK {
		return err
	}
	var held operation
	if w.random.IntN(3) == 0 {
		if held, err = w.hold(records[:1+w.random.IntN(3)]); err != nil {
			return err
		}
	}
	o = w.next(approves)
	o.Office, o.About = clerk, proposed.Index
	if _, err := w.submit(o, &record.ApproveDisposition{Disposition: proposed.Index, Hash: hash}, false); err != nil {
		return err
	}
	if held.Outcome == outcomeOK {
		if err := w.locks(proposed.Index, hash, nil); err != nil {
			return err
		}
		if err := w.release(held); err != nil {
			return err
		}
	}
	var late []record.Index
	if w.random.IntN(2) == 0 {
		late = records[1:]
	}
	return w.locks(proposed.Index, hash, late)
}

// locks tries to lock a disposition, with a hold on some of its records at the same time.
func (w *worker) locks(d record.Index, hash [32]byte, late []record.Index) error {
	o := w.next(locks)
	o.Office, o.About = it, d
	var group sync.WaitGroup
	var failed error
	if len(late) > 0 {
		other := *w // with chances of its own: this one goes on meanwhile
		other.name, other.count, other.random = o.ID+"-late", 0, fork(w.random)
		group.Go(func() { _, failed = other.hold(late) })
	}
	_, err := w.submit(o, &record.LockDisposition{Disposition: d, Hash: hash}, false)
	group.Wait()
	if err != nil {
		return err
	}
	w.rest()
	return failed
}

func (w *worker) hold(records []record.Index) (operation, error) {
	o := w.next(holds)
	o.Office, o.Records = counsel, records
	m := &record.PlaceHold{Kind: record.HoldLitigation, Matter: sha256.Sum256([]byte(o.ID)), Scope: record.Scope{Records: records}}
	return w.submit(o, m, false)
}

// release ends a hold: counsel closes the action, the auditor lets go.
func (w *worker) release(held operation) error {
	o := w.next(resolves)
	o.Office, o.About = counsel, held.Index
	closed, err := w.submit(o, &record.ResolveIssue{Hold: held.Index}, false)
	if err != nil || closed.Outcome != outcomeOK {
		return err
	}
	o = w.next(releases)
	o.Office, o.About = auditor, held.Index
	_, err = w.submit(o, &record.ReleaseHold{Hold: held.Index}, false)
	return err
}
