package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// Held is a record of a custodian set that is kept here.
type Held struct {
	RID        vault.RID
	Office     record.Code
	Series     record.Code
	Commitment record.Commitment
	// Digest is of what one custodian may have and another lack: SHA-256 of the hashes
	// of the filed redactions, ascending. Equal on all when nothing is missing.
	Digest [32]byte
}

// Held lists the records of a set that other custodians of it should have as well,
// ascending by office and commitment: anchored, neither destroyed nor waiting for
// it, and not in quarantine. It opens nothing. An error comes last.
func (c *Custody) Held(ctx context.Context, set record.Code) iter.Seq2[Held, error] {
	return func(yield func(Held, error) bool) {
		stopped := errors.New("no more is asked for")
		if err := c.eachHeld(ctx, set, func(h Held) error {
			if !yield(h, nil) {
				return stopped
			}
			return nil
		}); err != nil && !errors.Is(err, stopped) {
			yield(Held{}, err)
		}
	}
}

func (c *Custody) eachHeld(ctx context.Context, set record.Code, fn func(Held) error) error {
	view := c.config.View()
	if err := c.belongs(view, set); err != nil {
		return err
	}
	if err := c.current(); err != nil {
		return err
	}
	shut, err := toBeDestroyed(view)
	if err != nil {
		return err
	}
	digests, err := c.redactionDigests()
	if err != nil {
		return err
	}
	live := map[keyring.RingID]map[vault.RID]bool{}
	return c.vault.EachAnchored(set, func(r vault.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if shut[r.Index] || c.quarantined(r) != nil {
			return nil
		}
		id := ringOf(r)
		if live[id] == nil {
			rids, err := c.rings.RIDs(id)
			if err != nil {
				return damaged(err)
			}
			live[id] = make(map[vault.RID]bool, len(rids))
			for _, rid := range rids {
				live[id][rid] = true
			}
		}
		if !live[id][r.RID] { // what a crash has left of a parcel
			return nil
		}
		return fn(Held{RID: r.RID, Office: r.Office, Series: r.Series, Commitment: r.Commitment, Digest: digests[r.RID]})
	})
}

// redactionDigests gives the digests of the records of which redactions are filed.
func (c *Custody) redactionDigests() (map[vault.RID][32]byte, error) {
	all := map[vault.RID][32]byte{}
	sum, of := sha256.New(), vault.RID{}
	err := c.vault.EachRedaction(func(rid vault.RID, hash [32]byte) error {
		if rid != of {
			sum.Reset()
			of = rid
		}
		sum.Write(hash[:])
		all[rid] = [32]byte(sum.Sum(nil))
		return nil
	})
	return all, damaged(err)
}

// toBeDestroyed lists the records that a disposition waits to destroy.
func toBeDestroyed(view ledger.View) (map[record.Index]bool, error) {
	all := map[record.Index]bool{}
	locks, err := ledger.LocksOf(view)
	if err != nil {
		return nil, err
	}
	for _, i := range locks {
		d, _, err := ledger.DispositionOf(view, i)
		if err != nil {
			return nil, err
		}
		if d.Action != record.ActionDestroy {
			continue
		}
		records, err := ledger.RecordsOf(view, d)
		if err != nil {
			return nil, err
		}
		for _, index := range records {
			if under, _, locked, err := ledger.ErasureOf(view, index); err != nil {
				return nil, err
			} else if locked && under == i {
				all[index] = true
			}
		}
	}
	return all, nil
}

// Anchored gives a channel that is closed at the next anchor of a record that is
// kept here.
func (c *Custody) Anchored() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news
}
