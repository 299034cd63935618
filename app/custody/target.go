package custody

import (
	"bytes"
	"fmt"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// target is a record that a locked disposition is to erase, or a part of it.
type target struct {
	disposition record.Index
	lock        record.Index
	action      record.Action
	redaction   [32]byte // of what is erased, with the action REDACT
	index       record.Index
	anchor      record.AnchorEntry
	ring        keyring.RingID
	rid         vault.RID
	here        bool         // the vault knows its rid
	record      vault.Record // zero where it is buried
	again       bool         // this custodian has reported it as erased, and must preserve nothing
	unfiled     bool         // the redaction is not filed, so that it cannot be erased
}

// targets lists the records of a disposition as this custodian has them.
func (c *Custody) targets(view ledger.View, d ledger.Listed[ledger.Disposition]) ([]target, error) {
	indexes, err := ledger.RecordsOf(view, d.Value)
	if err != nil {
		return nil, err
	}
	all := make([]target, len(indexes))
	for n, i := range indexes {
		t := target{disposition: d.Index, lock: d.Value.Lock, action: d.Value.Action, redaction: d.Value.Redaction, index: i}
		var ok bool
		if t.anchor, ok, err = ledger.AnchorOf(view, i); err != nil {
			return nil, err
		} else if !ok {
			return nil, fmt.Errorf("disposition %d is about entry %d, which is no record", d.Index, i)
		}
		t.ring = keyring.RingID{Department: t.anchor.Office, Class: t.anchor.Series}
		if err := c.locate(&t); err != nil {
			return nil, err
		}
		all[n] = t
	}
	return all, nil
}

// locate finds the rid of a target. What its office has deposited under its
// commitment is the record's content, also where the deposit named another series
// or other custodians than the anchor does: then it is in the ring of that series.
func (c *Custody) locate(t *target) error {
	r, ok, err := c.vault.Find(t.anchor.Office, t.anchor.Commitment)
	if err != nil {
		return damaged(err)
	}
	if ok {
		r.Anchored, r.Index = true, t.index
		t.ring, t.rid, t.record, t.here = ringOf(r), r.RID, r, true
		return nil
	}
	left, ok, err := c.vault.BuriedAt(t.index)
	if err != nil || !ok {
		return damaged(err)
	}
	t.ring, t.rid, t.here = keyring.RingID{Department: left.Office, Class: left.Series}, left.RID, true
	return nil
}

// condition is what a ring has of a target.
type condition uint8

const (
	absent   condition = iota // nothing
	live                      // it opens what is to be erased
	redacted                  // it opens the rest alone
	erased                    // a tombstone
)

// look tells what a ring has of a target, and for one that is live what the state
// becomes. A redaction that is not filed is noted in the target; then the state is
// taken for live.
func (c *Custody) look(t *target) (is condition, after []byte, err error) {
	if !t.here {
		return absent, nil, nil
	}
	s, ok, err := c.stateIn(t.ring, t.rid)
	switch reason, _ := ReasonOf(err); {
	case reason == Destroyed:
		return erased, nil, nil
	case err != nil:
		return 0, nil, err
	case !ok:
		return absent, nil, nil
	case t.action != record.ActionRedact:
		return live, nil, nil
	}
	before := s.marshal()
	defer clear(before)
	gone, ok, err := c.redactedLeaves(*t, s)
	if err != nil {
		return 0, nil, err
	}
	if t.unfiled = !ok; t.unfiled {
		return live, nil, nil
	}
	s.state.PunctureRanges(gone)
	if after = s.marshal(); bytes.Equal(before, after) {
		clear(after)
		return redacted, nil, nil
	}
	clear(after)
	s.fingerprint = [32]byte{}
	return live, s.marshal(), nil
}

// redactedLeaves gives the leaves that a redaction erases, with all that would
// betray content among them; ok is false where the redaction is not filed.
func (c *Custody) redactedLeaves(t target, s secrets) (gone []commitment.Range, ok bool, err error) {
	if t.record.RID != t.rid { // the record is buried, and its layout with it
		return nil, false, nil
	}
	f, ok, err := c.redactionOf(t.rid, s.layout, t.redaction)
	if err != nil || !ok {
		return nil, false, err
	}
	o, err := c.open(t.record, s)
	if err != nil {
		return nil, false, err
	}
	segments := make([]commitment.Segment, len(o.facts))
	for i, fact := range o.facts {
		segments[i] = commitment.Segment{Kind: fact.Kind, Oracle: fact.Oracle}
	}
	return commitment.Redact(segments, f.Ranges(), true), true, nil
}

// attempts lists the deposits of the same bytes that are erased with a target:
// made before the lock, and never anchored. Alike are the other records of the
// office with these bytes, which live on under rules of their own.
func (c *Custody) attempts(view ledger.View, t target) (all, alike []vault.Record, err error) {
	if t.record.RID != t.rid {
		return nil, nil, nil
	}
	others, err := c.equals(t.record)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range others {
		index, anchored, err := c.anchorOf(view, r)
		switch {
		case err != nil:
			return nil, nil, err
		case !anchored && r.Since <= int64(t.lock):
			all = append(all, r)
		case anchored:
			if _, _, locked, err := ledger.ErasureOf(view, index); err != nil {
				return nil, nil, err
			} else if !locked {
				alike = append(alike, r)
			}
		}
	}
	return all, alike, nil
}

// anchorOf gives the entry that anchors a record of the vault.
func (c *Custody) anchorOf(view ledger.View, r vault.Record) (record.Index, bool, error) {
	index, ok, err := view.AnchorIndex(r.Office, r.Commitment)
	if err != nil || !ok {
		return 0, false, err
	}
	anchor, err := anchorAt(view, index)
	return index, err == nil && anchors(anchor, r), err
}
