package custody

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// stray is a state that a ring has of a deposit of which the vault knows nothing:
// the vault was restored from before it. The deposit may have been made again
// since, under another rid.
type stray struct {
	ring keyring.RingID
	rid  vault.RID
}

// strays are found by what one record's states have in common.
type strays map[[32]byte][]stray

// traits tell states of one record apart from all others: a hash of the secret of
// its first leaf, and one of that of its last. A redaction may have taken either.
func (s secrets) traits() (all [][32]byte) {
	for _, leaf := range []uint32{0, s.state.N() - 1} {
		if _, salt, live := s.state.Secret(leaf); live {
			all = append(all, sha256.Sum256(salt[:]))
		}
	}
	return all
}

// findStrays compares rings and vault, once: while a custodian runs, what a ring
// has is in the vault. What the vault has removed for good and a ring has again,
// being restored, is forgotten again.
func (c *Custody) findStrays() error {
	if c.strays != nil {
		return nil
	}
	if err := c.forgetLeft(); err != nil {
		return err
	}
	found := strays{}
	for _, id := range c.rings.Rings() {
		rids, err := c.rings.RIDs(id)
		if err != nil {
			return err
		}
		for _, rid := range rids {
			known, removed, err := c.vault.Knows(rid)
			switch {
			case err != nil:
				return damaged(err)
			case removed:
				err = c.rings.Forget(id, rid)
			case !known:
				err = found.add(c, stray{id, rid})
			}
			if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
				return err
			}
		}
	}
	c.strays = found
	return nil
}

// forgetLeft forgets what a restored home has again of sets that this custodian has
// left.
func (c *Custody) forgetLeft() error {
	sets, err := c.vault.Sets()
	if err != nil {
		return damaged(err)
	}
	view := c.config.View()
	for _, set := range sets {
		if _, left, err := ledger.DepartureOf(view, set, c.config.Custodian); err != nil {
			return err
		} else if left {
			if err := c.forgetSet(context.Background(), set); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetSet forgets the records of a set; their rings are to be rotated. Erase and
// sweeping wait meanwhile.
func (c *Custody) forgetSet(ctx context.Context, set record.Code) error {
	var all []vault.Record
	if err := c.vault.EachAnchored(set, func(one vault.Record) error { all = append(all, one); return nil }); err != nil {
		return damaged(err)
	}
	c.contents.drop(all)
	for _, one := range all {
		if err := errors.Join(ctx.Err(), c.remove(one)); err != nil {
			return err
		}
	}
	return nil
}

func (all strays) add(c *Custody, one stray) error {
	s, ok, err := c.stateIn(one.ring, one.rid)
	if reason, _ := ReasonOf(err); reason == Destroyed || err == nil && !ok {
		return nil
	}
	if err != nil {
		return err
	}
	for _, trait := range s.traits() {
		all[trait] = append(all[trait], one)
	}
	return nil
}

// planStrays adds the other states of a target: with them an older copy of what
// the vault had would open.
func (r *round) planStrays(t target, in func(keyring.RingID) *work) error {
	if len(r.strays) == 0 || !t.here {
		return nil
	}
	s, ok, err := r.stateIn(t.ring, t.rid)
	if reason, _ := ReasonOf(err); reason == Destroyed || err == nil && !ok {
		return nil
	}
	if err != nil {
		return err
	}
	for _, trait := range s.traits() {
		for _, other := range r.strays[trait] {
			_, live, err := r.rings.State(other.ring, other.rid)
			if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
				return damaged(err)
			}
			if live {
				in(other.ring).add(other.rid, nil, t.again)
			}
		}
	}
	return nil
}
