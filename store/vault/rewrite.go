package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Rewrite drops the sealed segments of leaves that nothing opens any more, from
// the packs of a record and from its catalogue entry, in one synced write for each
// few MiB. An empty segment takes the place of each. Packs in which every leaf
// lives are not touched. What was noted by NoteEqual goes too. Doing it again
// changes nothing. Reclaim gives the space back.
func (v *Vault) Rewrite(r Record, live func(leaf uint32) bool) error {
	batch := v.db.NewBatch()
	next, changed := uint32(0), false
	err := v.each(packsOf(r.RID), nil, func(key, value []byte) error {
		p, dropped := packer{first: next}, false
		last, err := eachInPack(value, next, func(leaf uint32, sealed []byte) error {
			if len(sealed) > 0 && !live(leaf) {
				sealed, dropped = nil, true
			}
			p.add(sealed)
			return nil
		})
		next = last
		if err != nil || !dropped {
			return err
		}
		changed = true
		pack := make([]byte, p.size())
		p.write(pack)
		if err := batch.Set(key, pack, nil); err != nil || batch.Len() < batchTarget {
			return err
		}
		if err := errors.Join(batch.Set(keyFreed(r.RID), nil, nil), v.apply(batch)); err != nil {
			return err
		}
		batch = v.db.NewBatch()
		return nil
	})
	if err == nil {
		err = errors.Join(v.rewriteCatalogue(batch, r, live), v.leaveFamily(batch, r.RID))
	}
	if err == nil && changed {
		err = batch.Set(keyFreed(r.RID), nil, nil)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rewrite packs of record %x: %w", r.RID, err), batch.Close())
	}
	if batch.Empty() {
		return batch.Close()
	}
	return v.apply(batch)
}

// SetLayout keeps another sealed layout of a record, durably.
func (v *Vault) SetLayout(rid RID, sealed []byte) error {
	batch := v.db.NewBatch()
	if err := errors.Join(batch.Set(keyLayout(rid), sealed, nil), batch.Set(keyFreed(rid), nil, nil)); err != nil {
		return errors.Join(fmt.Errorf("keep layout of record %x: %w", rid, err), batch.Close())
	}
	return v.apply(batch)
}

func (v *Vault) rewriteCatalogue(batch *pebble.Batch, r Record, live func(leaf uint32) bool) error {
	value, ok, err := v.get(keyCatalogue(r.Office, r.RID))
	if err != nil || !ok {
		return err
	}
	leaves, err := parseCatalogue(value)
	if err != nil {
		return err
	}
	var kept []CatalogueLeaf
	for _, l := range leaves {
		if live(l.Leaf) {
			kept = append(kept, l)
		}
	}
	if again := marshalCatalogue(kept); !bytes.Equal(again, value) {
		return batch.Set(keyCatalogue(r.Office, r.RID), again, nil)
	}
	return nil
}

// Reclaim gives the space of what was buried, removed or rewritten back to the
// file system, part by part of the store. That writes much: before
// each it waits for a moment in which nobody deposits, but not for ever. When ctx
// ends it stops, and the next call goes on.
func (v *Vault) Reclaim(ctx context.Context) error {
	patience := time.Now().Add(reclaimPatience)
	for {
		rids, err := v.freed()
		if err != nil || len(rids) == 0 {
			return err
		}
		if err = v.awaitQuiet(ctx, patience); err == nil {
			err = v.reclaim(ctx, rids)
		}
		if err != nil {
			return fmt.Errorf("reclaim space: %w", err)
		}
	}
}

const (
	reclaimQuiet    = time.Second // without a deposit
	reclaimPatience = 10 * time.Minute
)

// awaitQuiet returns when no deposit was kept for a while, or patience is over.
func (v *Vault) awaitQuiet(ctx context.Context, patience time.Time) error {
	for now := time.Now(); !v.quiet(now) && now.Before(patience); now = time.Now() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reclaimQuiet / 4):
		}
	}
	return nil
}

// quiet tells whether the last deposit was kept some time ago.
func (v *Vault) quiet(now time.Time) bool {
	kept := v.kept.Load()
	return kept == nil || now.Sub(*kept) >= reclaimQuiet
}

// freed lists the first records whose space is not reclaimed: those whose rids
// share their first byte, so that a store is compacted a small part at a time.
func (v *Vault) freed() (rids []RID, err error) {
	end := errors.New("another part")
	err = v.each([]byte{prefixFreed}, nil, func(key, _ []byte) error {
		if rid := ridOf(key); len(rids) > 0 && rid[0] != rids[0][0] {
			return end
		} else {
			rids = append(rids, rid)
		}
		return nil
	})
	if errors.Is(err, end) {
		err = nil
	}
	return rids, err
}

func (v *Vault) reclaim(ctx context.Context, rids []RID) error {
	first, last := rids[0], rids[len(rids)-1]
	for _, of := range []func(RID) []byte{packsOf, leavesOf, keyLayout} {
		if err := v.db.Compact(ctx, of(first), after(of(last)), false); err != nil {
			return err
		}
	}
	// Values of which nothing hangs follow without hurry.
	batch := v.db.NewBatch()
	for _, rid := range rids {
		if err := batch.Delete(keyFreed(rid), nil); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	return v.apply(batch)
}

func packsOf(rid RID) []byte  { return append([]byte{prefixPack}, rid[:]...) }
func leavesOf(rid RID) []byte { return append([]byte{prefixLeaves}, rid[:]...) }

// Freed counts the records whose space is not reclaimed yet.
func (v *Vault) Freed() (n int, err error) {
	err = v.each([]byte{prefixFreed}, nil, func(_, _ []byte) error { n++; return nil })
	return n, err
}
