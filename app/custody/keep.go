package custody

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// KeepParcel keeps what another custodian of a set has sent of a record, and returns
// when it is safe. It believes the sender nothing: each leaf is opened and hashed
// again, and what may be here is decided by the ledger of this node. What is kept
// never opens more than the parcel, than what was here, and than what the ledger
// says was not erased. The durable steps, each safe to repeat after a crash:
//  1. a line in the access log
//  2. the vault: sealed segments, layout, catalogue, the record as a deposit that
//     waits for its anchor; then its redactions
//  3. the ring: the secrets that open it
//  4. everything read back, opened and hashed again
//  5. the anchor
//
// What a crash leaves before 3 is swept as an orphan, or removed by the next parcel.
// Of a record that is here already, the redactions are united and the key states
// intersected: where that is narrower, readers see it at once, and the next
// rotation of the ring ends the state before. The same parcel again changes nothing.
func (c *Custody) KeepParcel(ctx context.Context, from record.KeyID, set record.Code, r io.Reader) error {
	err := c.keepParcel(ctx, from, set, r)
	if errors.Is(err, ErrParcel) {
		return refuseFor(err, Malformed, "%v", err)
	}
	return err
}

func (c *Custody) keepParcel(ctx context.Context, from record.KeyID, set record.Code, r io.Reader) error {
	p, err := newParcelReader(r)
	if err != nil {
		return err
	}
	k := &keeping{Custody: c, ctx: ctx, p: p, set: set}
	if k.head, err = p.head(); err != nil {
		return err
	}
	if err := c.shares(c.config.View(), set, from); err != nil {
		return err
	}
	name := deposited{k.head.record.Office, k.head.record.Commitment}
	if !c.begin(name) {
		return refuse(Busy, "the same record is being deposited or kept: send it again later")
	}
	defer c.end(name)
	onlyRedactions, err := k.admit()
	if err != nil {
		return err
	}
	if k.head.size > c.config.MaxContent+maxTitles {
		return refuse(TooLarge, "the record has %d bytes, and this custodian takes at most %d", k.head.size, c.config.MaxContent)
	}
	// What is read of the parcel and has to be there at once: the content, to be cut
	// again, the hashes and facts of its leaves, the redactions.
	done, err := c.room(ctx, 3*k.head.size+128*int64(k.head.record.Manifest.N)+2*k.head.redactions)
	if err != nil {
		return err
	}
	defer done()
	if err := c.audit(peer(from), actionKeep, k.head.record.RID, noPurpose, outcomeAllowed); err != nil {
		return err
	}
	if err := k.readSecrets(); err != nil {
		return err
	}
	old, here, err := c.vault.Find(name.office, name.commitment)
	if err != nil {
		return damaged(err)
	}
	var was secrets
	if here {
		if was, here, err = c.state(old); err != nil {
			return err
		}
		if !here { // what a crash has left
			if err := c.remove(old); err != nil {
				return err
			}
		}
	}
	switch {
	case here:
		// A record whose redaction was lost is shut until that is filed again.
		return k.merge(old, was, onlyRedactions || c.quarantined(old) != nil)
	case onlyRedactions:
		return refuse(Locked, "the record is locked to be redacted, and is not kept here")
	case k.slip:
		return refuse(NotFound, "the parcel has redactions alone, of a record that is not kept here")
	}
	return k.fresh()
}

// room waits for the memory of a parcel, which says itself how much it needs.
// Parcels have half of all: a peer that is slow, or lies, keeps no deposit waiting.
func (c *Custody) room(ctx context.Context, bytes int64) (release func(), err error) {
	share, err := c.arrivals.take(ctx, bytes)
	if err != nil {
		return nil, err
	}
	taken, err := c.memory.take(ctx, min(bytes, c.arrivals.size()-1))
	if err != nil {
		share()
		return nil, err
	}
	return func() { taken(); share() }, nil
}

// maxTitles is how many bytes metadata and digest may add to a content.
const maxTitles = 1 << 20

// keeping is one call of KeepParcel.
type keeping struct {
	*Custody
	ctx context.Context
	p   *parcelReader
	set record.Code

	head   parcelHead
	index  record.Index // of the anchor
	erased []erasure    // of parts of the record

	secrets parcelSecrets
	slip    bool // it has redactions alone
	sealed  []sealedRedaction
	filed   []filed // the same, opened
}

// admit decides by the committed state whether the record may be kept here.
// OnlyRedactions tells that it waits for the erasure of parts.
func (k *keeping) admit() (onlyRedactions bool, err error) {
	if err := k.current(); err != nil {
		return false, err
	}
	view, r := k.config.View(), k.head.record
	if err := k.takes(view, k.set); err != nil {
		return false, err
	}
	index, ok, err := view.AnchorIndex(r.Office, r.Commitment)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, refuse(Behind, "the ledger of this node has no anchor of the record yet: send it again later")
	}
	anchor, err := anchorAt(view, index)
	if err != nil {
		return false, err
	}
	if !anchors(anchor, r) || r.Custody != k.set {
		return false, refuse(UnknownCustody, "the record was anchored with another series or custody than the parcel says")
	}
	k.index = index
	if err := k.quarantinedRing(ringOf(r)); err != nil {
		return false, err
	}
	if _, buried, err := k.vault.Buried(r.Office, r.Commitment); err != nil {
		return false, damaged(err)
	} else if buried {
		return false, refuse(Destroyed, "the record was destroyed")
	}
	if err := k.lockedAt(view, index, -1); err != nil {
		_, action, _, _ := ledger.ErasureOf(view, index)
		if reason, _ := ReasonOf(err); reason != Locked || action != record.ActionRedact {
			return false, err
		}
		onlyRedactions = true
	}
	k.erased, err = k.erasures(view, index, anchor)
	return onlyRedactions, err
}

// readSecrets reads what opens the record, and the redactions, which it opens.
func (k *keeping) readSecrets() (err error) {
	if k.secrets, k.slip, err = k.p.secrets(k.head); err != nil {
		return err
	}
	if k.sealed, err = k.p.redactions(k.head); err != nil {
		return err
	}
	for _, one := range k.sealed {
		f, err := openRedaction(k.secrets.layout, k.head.record.RID, one.hash, one.sealed)
		if err != nil {
			return refuseFor(err, Malformed, "a redaction of the parcel does not open")
		}
		if last := f.Marks[len(f.Marks)-1].Last; last >= k.head.record.Manifest.N {
			return refuse(Malformed, "a redaction of the parcel marks leaf %d of %d", last, k.head.record.Manifest.N)
		}
		k.filed = append(k.filed, f)
	}
	return nil
}

// fresh keeps a record that is not here.
func (k *keeping) fresh() error {
	d, err := k.readContent()
	if err != nil {
		return err
	}
	if err := k.rings.Make(ringOf(d.deposit.Record)); err != nil {
		return err
	}
	if err := k.vault.Put(d.deposit); err != nil {
		if _, is := ReasonOf(err); is || errors.Is(err, ErrParcel) {
			return err
		}
		return errors.Join(err, k.ctx.Err())
	}
	crashpoint("parcel: in the vault")
	for n, one := range k.sealed {
		if err := k.vault.PutRedaction(d.deposit.Record.RID, k.filed[n].hash, one.sealed); err != nil {
			return errors.Join(err, k.discard(d.deposit.Record))
		}
	}
	crashpoint("parcel: redactions in the vault")
	if err := k.putSecrets(d); err != nil {
		return errors.Join(err, k.discard(d.deposit.Record))
	}
	crashpoint("parcel: in the ring")
	if err := k.readBackParcel(d); err != nil {
		return errors.Join(err, k.remove(d.deposit.Record))
	}
	crashpoint("parcel: read back")
	return k.await(d.deposit.Record, d.title)
}

// discard takes back what the vault has of a record that did not come into its
// ring. Where it was buried meanwhile, that stays.
func (k *keeping) discard(r vault.Record) error {
	if found, ok, err := k.vault.Find(r.Office, r.Commitment); err != nil || !ok || found.RID != r.RID {
		return err
	}
	return k.vault.Remove(r)
}

// putSecrets takes the step 3, if the ledger still lets it.
func (k *keeping) putSecrets(d *delivery) error {
	defer k.deposits.enter()()
	before := k.erased
	if only, err := k.admit(); err != nil {
		return err
	} else if only || !slices.Equal(before, k.erased) {
		return refuse(Locked, "parts of the record were erased, or are to be, since the parcel was sent: send it again")
	}
	r := d.deposit.Record
	raw := d.secrets.marshal()
	defer clear(raw)
	err := k.rings.Put(ringOf(r), r.RID, raw)
	switch {
	case errors.Is(err, keyring.ErrDestroyed):
		return refuseFor(err, Destroyed, "the record was destroyed")
	case errors.Is(err, keyring.ErrExists):
		err = k.takeStray(d)
	}
	if err != nil {
		return err
	}
	k.contents.add(r, d.secrets.fingerprint)
	return nil
}

// takeStray puts a state in the place of the one that the ring has of a record
// which the vault has lost. It opens what both open.
func (k *keeping) takeStray(d *delivery) error {
	r := d.deposit.Record
	was, ok, err := k.state(r)
	if err != nil || !ok {
		return damaged(err)
	}
	common, err := was.state.Intersect(d.secrets.state)
	if err != nil || was.layout != d.secrets.layout {
		return refuseFor(err, Damaged, "the ring has another record under the parcel's rid")
	}
	if !d.secrets.state.Within(was.state) {
		d.secrets.fingerprint = [32]byte{}
	}
	d.secrets.state = common
	raw := d.secrets.marshal()
	defer clear(raw)
	if !k.sweeping.TryLock() { // a rotation that is planned has the state as it is now
		return refuse(Busy, "this custodian is erasing: send the record again later")
	}
	defer k.sweeping.Unlock()
	return busyRing(k.rings.Narrow(ringOf(r), r.RID, raw))
}

// busyRing words that a ring is being rotated.
func busyRing(err error) error {
	if errors.Is(err, keyring.ErrUnfinished) {
		return refuseFor(err, Busy, "a rotation of the ring is not finished: send the record again later")
	}
	return err
}

// readBackParcel reads the record as Read would, and hashes what comes out again.
func (k *keeping) readBackParcel(d *delivery) error {
	r, s, err := k.stored(d.deposit.Record, d.deposit.Leaves, d.secrets)
	if err != nil {
		return err
	}
	o, err := k.open(r, s)
	if err != nil {
		return err
	}
	return k.eachSegment(o, d.deposit.Leaves, func(uint32, commitment.Segment) error { return nil })
}
