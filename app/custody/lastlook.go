package custody

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// lastLook is what the committed state says when a ring has moved on and nothing
// of its old epoch is destroyed yet.
type lastLook struct {
	round   *round
	view    ledger.View
	ring    keyring.RingID
	planned map[vault.RID]bool // see work.changed; nil: not known, after a crash

	preserved []vault.RID
	through   int64
	digest    hash.Hash
}

// lastLook tells the keyring what must not be erased now and goes on as it was: a
// hold came, the clock is in doubt, an attempt was anchored.
//
// The ring's new mark, Through, is below the lock of each disposition of which
// something is left to erase in the ring: what was locked before it and reported
// is applied.
func (r *round) lastLook(id keyring.RingID, planned map[vault.RID]bool) (keyring.Preserved, error) {
	l := &lastLook{round: r, view: r.config.View(), ring: id, planned: planned, digest: sha256.New()}
	applied, _ := r.rings.Erasures(id)
	l.through = l.view.Head().Size
	l.digest.Write(applied.Digest[:])
	if err := l.all(); err != nil {
		return keyring.Preserved{}, err
	}
	r.looked[id] = l.view.Head().Size
	return keyring.Preserved{
		RIDs:     l.preserved,
		Erasures: keyring.Erasures{Through: max(l.through, applied.Through), Digest: [32]byte(l.digest.Sum(nil))},
	}, nil
}

// all looks at every target that could be in the ring, itself or as an attempt:
// those of its department.
func (l *lastLook) all() error {
	due, err := l.round.due(l.view)
	if err != nil {
		return err
	}
	for _, d := range due {
		if d.Value.Office != l.ring.Department {
			continue
		}
		if _, done, err := l.round.vault.ReportText(d.Index); err != nil || done {
			if err != nil {
				return err
			}
			continue
		}
		why, err := l.round.unready(l.view, d)
		if err != nil {
			return err
		}
		targets, err := l.round.targets(l.view, d)
		if err != nil {
			return err
		}
		for _, t := range targets {
			if err := l.target(t, why != ""); err != nil {
				return err
			}
		}
	}
	if err := l.foreign(); err != nil {
		return err
	}
	lost, err := l.round.lost(l.view, l.round.compared())
	if err != nil {
		return err
	}
	for _, t := range lost {
		if t.anchor.Office != l.ring.Department {
			continue
		}
		if err := l.target(t, false); err != nil {
			return err
		}
	}
	return nil
}

// foreign holds the mark below the locks of dispositions that others carry out at
// present, and this custodian, which owes no report, when they have reported.
func (l *lastLook) foreign() error {
	locks, err := ledger.LocksOf(l.view)
	if err != nil {
		return err
	}
	for _, i := range locks {
		d, _, err := ledger.DispositionOf(l.view, i)
		if err != nil {
			return err
		}
		if _, ours := l.round.report(d); ours || d.Office != l.ring.Department {
			continue
		}
		targets, err := l.round.targets(l.view, ledger.Listed[ledger.Disposition]{Index: i, Value: d})
		if err != nil {
			return err
		}
		if slices.ContainsFunc(targets, func(t target) bool { return t.here && t.ring == l.ring }) {
			l.through = min(l.through, int64(d.Lock))
		}
	}
	return nil
}

// target decides about one target and the deposits of the same bytes.
func (l *lastLook) target(t target, unready bool) error {
	preserve := unready
	if !preserve {
		var err error
		if preserve, err = t.preserved(l.view); err != nil {
			return err
		}
	}
	attempts, alike, err := l.round.attempts(l.view, t)
	if err != nil {
		return err
	}
	if err := l.spare(alike); err != nil {
		return err
	}
	if preserve {
		if err := l.spare(attempts); err != nil {
			return err
		}
	}
	if t.ring != l.ring || !t.here {
		return nil
	}
	if preserve {
		return l.preserve(t)
	}
	is, after, err := l.round.look(&t)
	clear(after)
	switch {
	case err != nil:
		return err
	case is == live:
		l.through = min(l.through, int64(t.lock))
	case is == erased:
		l.note(t, record.RecordErased)
	case is == redacted:
		l.note(t, record.RecordRedacted)
	}
	return nil
}

// preserve lets a record go on as it was, unless the plan is to erase again what
// was lost of it. As it was, it may have lost earlier redactions: the mark is below
// their locks too, so that they are looked for.
func (l *lastLook) preserve(t target) error {
	if l.planned[t.rid] {
		return nil
	}
	l.preserved = append(l.preserved, t.rid)
	l.through = min(l.through, int64(t.lock))
	life, _, err := ledger.LifecycleOf(l.view, t.index)
	if err != nil {
		return err
	}
	for _, i := range life.Decisions {
		d, is, err := ledger.DispositionOf(l.view, i)
		if err != nil {
			return err
		}
		if is { // and no withholding
			l.through = min(l.through, int64(d.Lock))
		}
	}
	return nil
}

// spare preserves deposits that the plan was to erase as attempts: those that were
// anchored meanwhile, and those of a record that lives on.
func (l *lastLook) spare(deposits []vault.Record) error {
	for _, r := range deposits {
		if ringOf(r) != l.ring {
			continue
		}
		_, _, err := l.round.state(r)
		if reason, _ := ReasonOf(err); reason == Destroyed {
			l.preserved = append(l.preserved, r.RID)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// note adds an erasure to the digest of all that were applied in the ring.
func (l *lastLook) note(t target, outcome record.ErasureOutcome) {
	if _, changed := l.planned[t.rid]; l.planned != nil && !changed {
		return
	}
	line := binary.BigEndian.AppendUint64(nil, uint64(t.disposition))
	line = binary.BigEndian.AppendUint64(line, uint64(t.index))
	l.digest.Write(append(line, byte(outcome)))
}
