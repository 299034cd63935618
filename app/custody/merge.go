package custody

import (
	"errors"
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/store/vault"
)

// merge takes over what a parcel has of a record that is here: redactions that are
// not filed, and that leaves are gone. Content is not taken over, and the rest of
// the parcel is read to see that it came whole.
func (k *keeping) merge(old vault.Record, was secrets, onlyRedactions bool) error {
	if old.Manifest != k.head.record.Manifest || old.Series != k.head.record.Series || old.Custody != k.head.record.Custody {
		return refuse(AlreadyDeposited, "the record was deposited here with another series or custody, and waits to be swept")
	}
	o, err := k.open(old, was)
	if err != nil {
		return err
	}
	if err := k.skip(); err != nil {
		return err
	}
	if err := k.unite(o); err != nil {
		return err
	}
	crashpoint("parcel: redactions united")
	if !k.slip && !onlyRedactions {
		if err := k.narrow(o, was); err != nil {
			return err
		}
	}
	if old.Anchored {
		return nil
	}
	if err := k.vault.Anchor(vault.Anchor{RID: old.RID, Index: k.index}); err != nil {
		return err
	}
	k.anchored(old.Office, old.Commitment, k.index)
	return nil
}

// skip reads a parcel to its end.
func (k *keeping) skip() error {
	if !k.slip {
		if _, err := k.p.leaves(k.head); err != nil {
			return err
		}
		if _, err := k.p.layout(k.head); err != nil {
			return err
		}
		if _, err := k.p.titles(); err != nil {
			return err
		}
		for n := uint32(0); ; n++ {
			if _, more, err := k.p.segment(); err != nil {
				return err
			} else if !more {
				break
			}
			if n >= k.head.record.Manifest.N {
				return refuse(Malformed, "the parcel has more segments than leaves")
			}
		}
	}
	return errors.Join(k.p.end(), k.ctx.Err())
}

// unite files the redactions of a parcel that are not filed here.
func (k *keeping) unite(o opened) error {
	defer k.releases.enter()()
	if err := k.stays(Ref{o.record.Office, o.record.Commitment}); err != nil {
		return err
	}
	k.filing.Lock()
	defer k.filing.Unlock()
	hashes, err := k.vault.Redactions(o.record.RID)
	if err != nil {
		return damaged(err)
	}
	for n, f := range k.filed {
		if slices.Contains(hashes, f.hash) {
			continue
		}
		if len(hashes) >= maxParcelRedactions {
			return refuse(TooManyRedactions, "%d redactions of the record are filed, and that is the most", len(hashes))
		}
		if err := o.checkFiled(f.Redaction); err != nil {
			return err
		}
		sealed := k.sealed[n].sealed
		if o.layout != k.secrets.layout || o.record.RID != k.head.record.RID { // the same deposit was made at both
			if sealed, err = sealRedaction(o.layout, o.record.RID, f); err != nil {
				return err
			}
		}
		if err := k.vault.PutRedaction(o.record.RID, f.hash, sealed); err != nil {
			return err
		}
		hashes = append(hashes, f.hash)
	}
	return nil
}

// narrow makes the key state that is here open no more than the parcel's does, as
// far as the ledger says that what is gone there was erased and not preserved here.
// Under a hold nothing goes.
func (k *keeping) narrow(o opened, was secrets) error {
	if _, err := was.state.Intersect(k.secrets.state); err != nil {
		return refuseFor(err, Malformed, "the parcel has the secrets of another record")
	}
	r, err := k.rule(o.record.RID, o.layout, o.facts)
	if err != nil {
		return err
	}
	if err := r.allows(k.secrets.state); err != nil {
		return err
	}
	gone := both(k.secrets.state.Hidden(), stateWithout(was.state.N(), r.leave).Hidden())
	narrower := was
	if narrower.state.PunctureRanges(gone); was.state.Within(narrower.state) {
		return nil
	}
	// A rotation that is planned has the state as it is now.
	if !k.sweeping.TryLock() {
		return refuse(Busy, "this custodian is erasing: send the record again later")
	}
	defer k.sweeping.Unlock()
	defer k.releases.enter()()
	erased := k.erased
	if only, err := k.admit(); err != nil {
		return err
	} else if only || !slices.Equal(erased, k.erased) {
		return refuse(Locked, "parts of the record were erased, or are to be, since the parcel was sent: send it again")
	}
	holds, err := ledger.HoldsOn(k.config.View(), k.index)
	if err != nil || slices.ContainsFunc(holds, func(h ledger.HoldOn) bool { return h.Released == 0 }) {
		return err
	}
	narrower.fingerprint = [32]byte{}
	raw := narrower.marshal()
	defer clear(raw)
	if err := busyRing(k.rings.Narrow(ringOf(o.record), o.record.RID, raw)); err != nil {
		return err
	}
	crashpoint("parcel: narrowed")
	k.titles.drop(o.record.Office)
	k.contents.drop([]vault.Record{o.record})
	return errors.Join(k.shorten(o.record, narrower), k.vault.Rewrite(o.record, narrower.state.Live))
}

// narrowed gives the state that is kept of a record which is not here: what the
// parcel opens, without what may not be here.
func (k *keeping) narrowed(facts []vault.LeafFact) (commitment.State, error) {
	r, err := k.rule(k.head.record.RID, k.secrets.layout, facts)
	if err != nil {
		return commitment.State{}, err
	}
	if err := r.allows(k.secrets.state); err != nil {
		return commitment.State{}, err
	}
	state := k.secrets.state
	state.PunctureRanges(r.barred)
	return state, nil
}
