package custody

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// SendParcel writes what another custodian of the set needs to keep a record as it
// is kept here (docs/spec/parcel.md), the secrets that open it among it: w must lead
// to that custodian and to nobody else. Of a record that waits for the erasure of
// some of its parts the redactions alone are sent, since it needs them for that. When it fails half-way the
// parcel has no end, and nobody keeps it.
func (c *Custody) SendParcel(ctx context.Context, to record.KeyID, ref Ref, w io.Writer) error {
	q := request{peer(to), actionTransfer, ref, noPurpose}
	r, s, slip, err := c.sendable(q, to)
	if err != nil {
		return err
	}
	if err := c.audit(q.caller, q.action, r.RID, q.purpose, outcomeAllowed); err != nil {
		return err
	}
	o, err := c.open(r, s)
	if err != nil {
		return err
	}
	hashes, err := c.vault.Redactions(r.RID)
	if err != nil {
		return damaged(err)
	}
	done, err := c.memory.take(ctx, 64*int64(r.Manifest.N)) // hashes, facts and key state
	if err != nil {
		return err
	}
	defer done()
	return c.writeParcel(ctx, o, hashes, slip, w)
}

// sendable finds a record that another custodian may have. Slip tells that its
// redactions are all that may be sent.
func (c *Custody) sendable(q request, to record.KeyID) (r vault.Record, s secrets, slip bool, err error) {
	r, ok, err := c.vault.Find(q.ref.Office, q.ref.Commitment)
	if err != nil {
		return r, s, false, damaged(err)
	}
	if !ok || !r.Anchored {
		return r, s, false, c.refuseAudited(q, vault.RID{}, outcomeAbsent, refuse(NotFound, "no such record is kept here"))
	}
	view := c.config.View()
	if err := c.shares(view, r.Custody, to); err != nil {
		if reason, _ := ReasonOf(err); reason != Denied && reason != UnknownCustody {
			return r, s, false, err
		}
		return r, s, false, c.refuseAudited(q, r.RID, outcomeDenied, err)
	}
	if err := c.barred(r); err != nil {
		if slip, err = c.waitsForParts(view, r, err); err != nil {
			return r, s, false, c.refuseBarred(q, r, err)
		}
	}
	s, ok, err = c.state(r)
	if reason, _ := ReasonOf(err); reason == Destroyed {
		return r, s, false, c.refuseAudited(q, r.RID, outcomeDestroyed, err)
	}
	if err == nil && !ok {
		err = c.refuseAudited(q, r.RID, outcomeAbsent, refuse(NotFound, "no content of that record is kept here"))
	}
	return r, s, slip, err
}

// waitsForParts tells whether a record that is barred is so because parts of it are
// to be erased, by what is marked in its redactions.
func (c *Custody) waitsForParts(view ledger.View, r vault.Record, barred error) (bool, error) {
	if reason, _ := ReasonOf(barred); reason != Locked {
		return false, barred
	}
	if _, action, locked, err := ledger.ErasureOf(view, r.Index); err != nil {
		return false, err
	} else if !locked || action != record.ActionRedact {
		return false, barred
	}
	if err := c.quarantined(r); err != nil {
		return false, err
	}
	return true, nil
}

func (c *Custody) writeParcel(ctx context.Context, o opened, hashes [][32]byte, slip bool, w io.Writer) error {
	head := parcelHead{record: o.record, size: o.size()}
	var sealed []sealedRedaction
	for _, hash := range hashes {
		one, ok, err := c.vault.Redaction(o.record.RID, hash)
		if err != nil || !ok {
			return damaged(errors.Join(err, vault.ErrAbsent))
		}
		sealed = append(sealed, sealedRedaction{hash, one})
		head.redactions += int64(len(hash) + len(one))
	}
	secret := parcelSecrets{layout: o.layout, state: o.state}
	if slip {
		secret.state = commitment.State{}
	}
	p := newParcelWriter(w)
	p.frame(frameHead, head.marshal())
	raw := secret.marshal()
	p.frame(frameSecrets, raw)
	clear(raw)
	for _, one := range sealed {
		p.frame(frameRedaction, one.hash[:], one.sealed)
	}
	if !slip {
		if err := c.writeContent(ctx, o, p); err != nil {
			return err
		}
	}
	return p.end()
}

// writeContent writes what a slip has not: leaf hashes, layout, catalogue entry and
// sealed segments, as they are in the vault.
func (c *Custody) writeContent(ctx context.Context, o opened, p *parcelWriter) error {
	leaves, err := c.vault.Leaves(o.record)
	if err != nil {
		return damaged(err)
	}
	p.leaves(leaves)
	layout, err := c.vault.Layout(o.record.RID)
	if err != nil {
		return damaged(err)
	}
	p.frame(frameLayout, layout)
	titles, err := c.vault.Catalogued(o.record)
	if err != nil {
		return damaged(err)
	}
	for _, t := range titles {
		p.title(t)
	}
	looked := time.Now()
	return c.vault.EachSealed(o.record, func(_ uint32, sealed []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(looked) > lookAgain { // what was locked meanwhile is not sent to its end
			if err := c.barred(o.record); err != nil {
				return err
			}
			looked = time.Now()
		}
		p.frame(frameSegment, sealed)
		return p.err
	})
}
