package custody

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// ErasureReport gives the text of this custodian's report on a disposition.
func (c *Custody) ErasureReport(d record.Index) (text []byte, ok bool, err error) {
	text, ok, err = c.vault.ReportText(d)
	return text, ok, damaged(err)
}

// reportText is a report that the ledger does not have yet.
type reportText struct {
	disposition record.Index
	text        []byte
}

// conclude takes the steps 3 and 4 for each disposition of which nothing is left
// to do.
func (r *round) conclude(ctx context.Context, due []ledger.Listed[ledger.Disposition], lost []target) error {
	view := r.config.View()
	for _, d := range due {
		if err := ctx.Err(); err != nil {
			return err
		}
		if slices.ContainsFunc(r.erased.Waiting, func(w Waiting) bool { return w.Disposition == d.Index }) {
			continue
		}
		if slices.ContainsFunc(lost, func(t target) bool { return t.disposition == d.Index }) {
			r.wait(d.Index, "what was erased came back with a restored ring, and could not be erased again yet")
			continue
		}
		text, ok, err := r.vault.ReportText(d.Index)
		if err != nil {
			return damaged(err)
		}
		if !ok {
			if text, ok, err = r.makeReport(view, d); err != nil {
				return err
			}
			crashpoint("erasure: report written")
		}
		if !ok {
			continue
		}
		if err := r.bury(view, d, text); err != nil {
			return err
		}
		crashpoint("erasure: buried")
		r.texts = append(r.texts, reportText{d.Index, text})
	}
	return r.buryAgain(view, len(lost) == 0)
}

// fate is what became of a target, and of what is erased with it.
type fate struct {
	target
	outcome  record.ErasureOutcome
	attempts []vault.Record
	alike    int64
}

// fates tells what became of the targets of a disposition, from the rings. Why is
// not empty where something is left to do.
func (r *round) fates(view ledger.View, targets []target) (all []fate, why string, err error) {
	for _, t := range targets {
		f := fate{target: t}
		if why := r.blockedFor(t.anchor.Office); why != "" {
			return nil, why, nil
		}
		is, after, err := r.look(&f.target)
		clear(after)
		if err != nil {
			return nil, "", err
		}
		switch is {
		case absent:
			f.outcome = record.RecordAbsent
		case erased:
			f.outcome = record.RecordErased
		case redacted:
			f.outcome = record.RecordRedacted
		case live:
			preserved, err := t.preserved(view)
			switch {
			case err != nil:
				return nil, "", err
			case preserved:
				f.outcome = record.RecordPreserved
			case f.unfiled:
				return nil, "the redaction that says what is erased is not filed here: file it", nil
			default:
				return nil, "a record came too late for this round", nil
			}
		}
		attempts, alike, err := r.attempts(view, t)
		if err != nil {
			return nil, "", err
		}
		f.alike = int64(len(alike))
		if f.outcome == record.RecordPreserved {
			attempts = nil
		}
		for _, a := range attempts {
			_, ok, err := r.state(a)
			if reason, _ := ReasonOf(err); reason != Destroyed && err != nil {
				return nil, "", err
			}
			if ok {
				return nil, "another deposit of a record's bytes came too late for this round", nil
			}
		}
		f.attempts = attempts
		all = append(all, f)
	}
	return all, "", nil
}

// blockedFor is why a ring of an office is not done with its rotation. Deposits of
// a record's bytes may have been forgotten in any of them.
func (r *round) blockedFor(office record.Code) string {
	for id, why := range r.blocked {
		if id.Department == office {
			return why
		}
	}
	return ""
}

// makeReport takes the step 3.
func (r *round) makeReport(view ledger.View, d ledger.Listed[ledger.Disposition]) (text []byte, ok bool, err error) {
	targets, err := r.targets(view, d)
	if err != nil {
		return nil, false, err
	}
	all, why, err := r.fates(view, targets)
	if err != nil {
		return nil, false, err
	}
	if why != "" {
		r.wait(d.Index, "%s", why)
		return nil, false, nil
	}
	report := record.ErasureReport{
		Disposition: d.Index, Custodian: r.config.Custodian, Claim: r.rings.Claim(), Device: r.rings.Device(),
		Day: record.LedgerDay(r.config.Now().UnixNano()),
	}
	if report.Rings, report.Followed, err = r.rotations(view, all); err != nil {
		return nil, false, err
	}
	// Where the releases of all records do not fit, fewer of each are listed.
	for limit := record.MaxReleases; ; limit /= 2 {
		if report.Records, err = r.outcomes(all, limit); err != nil {
			return nil, false, err
		}
		if text, err = report.Marshal(); err == nil || limit == 0 {
			break
		}
	}
	if err == nil {
		err = r.vault.PutReport(d.Index, text)
	}
	if err != nil {
		return nil, false, err
	}
	for _, e := range report.Records {
		switch e.Outcome {
		case record.RecordErased:
			r.erased.Destroyed++
		case record.RecordRedacted:
			r.erased.Redacted++
		case record.RecordPreserved:
			r.erased.Preserved++
		}
	}
	return text, true, nil
}

func (r *round) outcomes(all []fate, limit int) ([]record.RecordErasure, error) {
	list := make([]record.RecordErasure, len(all))
	for n, f := range all {
		list[n] = record.RecordErasure{Record: f.index, Outcome: f.outcome, Attempts: int64(len(f.attempts)), Alike: f.alike}
		if !f.here {
			continue
		}
		count, last, err := r.vault.Releases(f.rid, limit)
		if err != nil {
			return nil, damaged(err)
		}
		list[n].Released, list[n].Releases = count, last
	}
	return list, nil
}

// rotations tells how the rings were replaced in which something was erased, and
// how far the log was followed at the last look before keys were destroyed. After
// a crash only a lower bound of that is known: the lock was there.
func (r *round) rotations(view ledger.View, all []fate) (rings []record.RingRotation, followed int64, err error) {
	followed = view.Head().Size
	seen := map[keyring.RingID]bool{}
	add := func(id keyring.RingID, lock record.Index) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		last, ok, err := r.rings.LastReport(id)
		if err != nil || !ok {
			return err
		}
		size, ok := r.looked[id]
		if !ok {
			size = max(last.Erasures.Through, int64(lock)+1)
		}
		followed = min(followed, size)
		rings = append(rings, record.RingRotation{
			Office: id.Department, Class: id.Class, From: last.From, To: last.To,
			Kept: last.Live, Ended: last.Ended, Needles: last.Needles, Files: last.Files, Bytes: last.Bytes,
		})
		return nil
	}
	for _, f := range all {
		if f.outcome == record.RecordErased || f.outcome == record.RecordRedacted {
			err = errors.Join(err, add(f.ring, f.lock))
		}
		for _, a := range f.attempts {
			err = errors.Join(err, add(ringOf(a), f.lock))
		}
	}
	slices.SortFunc(rings, func(a, b record.RingRotation) int {
		return cmp.Or(cmp.Compare(a.Office, b.Office), cmp.Compare(a.Class, b.Class))
	})
	return rings, followed, err
}

// bury takes the step 4.
func (r *round) bury(view ledger.View, d ledger.Listed[ledger.Disposition], text []byte) error {
	report, err := record.ParseErasureReport(text)
	if err != nil {
		return err
	}
	targets, err := r.targets(view, d)
	if err != nil {
		return err
	}
	var records, redactions, deposits []vault.Record
	for n, t := range targets {
		if t.record.RID != t.rid || !t.here || report.Records[n].Outcome == record.RecordPreserved {
			continue
		}
		attempts, _, err := r.attempts(view, t)
		if err != nil {
			return err
		}
		deposits = append(deposits, attempts...)
		if report.Records[n].Outcome != record.RecordRedacted {
			records = append(records, t.record)
			continue
		}
		redactions = append(redactions, t.record)
		if err := r.drop(t); err != nil {
			return err
		}
	}
	crashpoint("erasure: dropped")
	if len(records)+len(deposits) > 0 {
		if err := r.vault.Bury(records, deposits); err != nil {
			return err
		}
	}
	ended := slices.Concat(records, deposits)
	for _, one := range ended {
		r.forget(one)
	}
	r.contents.drop(append(ended, redactions...))
	return nil
}

// drop removes the erased segments of a record that was redacted, and how long
// they were.
func (r *round) drop(t target) error {
	s, ok, err := r.stateIn(t.ring, t.rid)
	if err != nil || !ok {
		return err
	}
	r.titles.drop(t.record.Office)
	return errors.Join(r.shorten(t.record, s), r.vault.Rewrite(t.record, s.state.Live))
}

// shorten takes the lengths of erased segments out of the layout of a record.
func (c *Custody) shorten(record vault.Record, s secrets) error {
	o, err := c.open(record, s)
	if err != nil {
		return err
	}
	changed := false
	for i := range o.facts {
		if o.facts[i].Size != 0 && !s.state.Live(uint32(i)) {
			o.facts[i].Size, changed = 0, true
		}
	}
	if !changed {
		return nil
	}
	sealed, err := vault.SealLayout(s.layout, record.RID, o.facts)
	if err != nil {
		return err
	}
	return c.vault.SetLayout(record.RID, sealed)
}

// forget drops what is known in memory of a record.
func (c *Custody) forget(r vault.Record) {
	c.titles.remove(r)
	c.mu.Lock()
	delete(c.pending, deposited{r.Office, r.Commitment})
	c.mu.Unlock()
}

// buryAgain buries what a vault that was restored has again, of dispositions that
// were reported. Nothing of it opens. Once is enough, unless something is left to
// be erased again.
func (r *round) buryAgain(view ledger.View, last bool) error {
	if r.buried {
		return nil
	}
	all, err := ledger.Erasures(view, 0)
	if err != nil {
		return err
	}
	for _, d := range all {
		if _, ours := r.report(d.Value); ours && !r.reported(d.Value) {
			continue
		}
		if _, done, err := r.carriedOut(view, d); err != nil {
			return err
		} else if !done {
			continue
		}
		if _, ok, err := r.vault.ReportText(d.Index); err != nil {
			return damaged(err)
		} else if ok {
			continue
		}
		targets, err := r.targets(view, d)
		if err != nil {
			return err
		}
		var again []vault.Record
		for _, t := range targets {
			is, after, err := r.look(&t)
			clear(after)
			if err != nil {
				return err
			}
			switch {
			case t.record.RID != t.rid || !t.here:
			case is == erased:
				again = append(again, t.record)
			case is == redacted:
				if err := r.drop(t); err != nil {
					return err
				}
			}
		}
		if len(again) == 0 {
			continue
		}
		if err := r.vault.Bury(again, nil); err != nil {
			return err
		}
		for _, one := range again {
			r.forget(one)
		}
		r.contents.drop(again)
	}
	r.buried = last
	return nil
}

// submitters is how many reports are on their way at once: each waits for a block.
const submitters = 16

// submit takes the step 5. A report that the ledger does not take is submitted
// again in the next round, with the same text.
func (r *round) submit(ctx context.Context) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	turns := make(chan struct{}, submitters)
	for _, one := range r.texts {
		m, err := reportOf(one)
		if err != nil {
			return err
		}
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			err := errors.New("nobody submits it")
			if r.config.Submit != nil {
				err = r.config.Submit(ctx, m)
				crashpoint("erasure: submitted")
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				r.wait(one.disposition, "it is carried out, and its report is not on the ledger yet: %v", err)
				return
			}
			r.erased.Dispositions = append(r.erased.Dispositions, one.disposition)
		})
	}
	wg.Wait()
	return nil
}

// reportOf gives what is submitted of a report.
func reportOf(t reportText) (*record.ReportErasure, error) {
	report, err := record.ParseErasureReport(t.text)
	if err != nil {
		return nil, err
	}
	m := &record.ReportErasure{Disposition: t.disposition, Outcome: record.OutcomeDone, Report: record.HashErasureReport(t.text)}
	for _, e := range report.Records {
		if e.Outcome == record.RecordPreserved {
			m.Preserved = append(m.Preserved, e.Record)
		}
	}
	if len(m.Preserved) == len(report.Records) {
		m.Outcome, m.Preserved = record.OutcomePreserved, nil
		return m, nil
	}
	m.Claim = report.Claim
	return m, nil
}

// Reclaim gives the space of what was buried back to the file system. It may take
// long; when ctx ends it stops, and the next call goes on.
func (c *Custody) Reclaim(ctx context.Context) error { return c.vault.Reclaim(ctx) }
