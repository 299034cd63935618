package custody

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"iter"
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/store/vault"
)

// delivery is the content of a parcel, as far as it is read before the segments.
type delivery struct {
	k       *keeping
	deposit vault.Deposit
	secrets secrets
	facts   []vault.LeafFact
	titles  []vault.CatalogueLeaf
	title   title // known when the segments were read

	whole   bool   // no leaf is gone
	content []byte // to be cut again, where it is whole
	digest  []byte // payload of the digest leaf, likewise
}

// readContent reads what stands before the segments. These are read, and compared
// with all that stands here, when the vault asks for them.
func (k *keeping) readContent() (*delivery, error) {
	leaves, err := k.p.leaves(k.head)
	if err != nil {
		return nil, err
	}
	sealed, err := k.p.layout(k.head)
	if err != nil {
		return nil, err
	}
	r := k.head.record
	facts, err := vault.OpenLayout(k.secrets.layout, r.RID, sealed)
	if err != nil {
		return nil, refuseFor(err, Malformed, "the layout of the parcel does not open")
	}
	d := &delivery{k: k, facts: facts}
	if err := d.checkFacts(k.head); err != nil {
		return nil, err
	}
	state, err := k.narrowed(facts)
	if err != nil {
		return nil, err
	}
	d.secrets = secrets{layout: k.secrets.layout, state: state}
	d.whole = len(state.Hidden()) == 0
	for _, f := range k.filed {
		if err := (opened{record: r, state: state, facts: facts}).checkFiled(f.Redaction); err != nil {
			return nil, err
		}
	}
	if changed := d.shorten(); changed {
		if sealed, err = vault.SealLayout(k.secrets.layout, r.RID, facts); err != nil {
			return nil, err
		}
	}
	if err := d.checkPadding(leaves); err != nil {
		return nil, err
	}
	if d.titles, err = k.p.titles(); err != nil {
		return nil, err
	}
	// Even where no fingerprint is made, a ring is of an office that has its key.
	if _, err := k.rings.OfficeKey(r.Office); err != nil {
		return nil, err
	}
	if known, _, err := k.vault.Knows(r.RID); err != nil {
		return nil, damaged(err)
	} else if known {
		return nil, refuse(Malformed, "another record is kept here under the parcel's rid")
	}
	r.Since = k.config.View().Head().Size
	d.deposit = vault.Deposit{
		Record: r, Leaves: leaves, Layout: sealed, Sealed: d.segments(), Size: int(k.head.size),
		Catalogue: slices.DeleteFunc(slices.Clone(d.titles), func(t vault.CatalogueLeaf) bool { return !state.Live(t.Leaf) }),
	}
	return d, nil
}

// checkFacts refuses a layout that no record has: metadata, the digest, content,
// padding, in that order.
func (d *delivery) checkFacts(h parcelHead) error {
	if len(d.facts) != int(h.record.Manifest.N) {
		return refuse(Malformed, "the layout of the parcel has %d leaves, the manifest %d", len(d.facts), h.record.Manifest.N)
	}
	size, order, digests := int64(0), [...]int{commitment.Metadata: 1, commitment.Digest: 2, commitment.Content: 3, commitment.Padding: 4}, 0
	for i, f := range d.facts {
		size += int64(f.Size)
		if f.Kind == commitment.Digest {
			digests++
		}
		if i > 0 && order[f.Kind] < order[d.facts[i-1].Kind] || f.Kind != commitment.Content && f.Oracle || f.Kind == commitment.Padding && f.Size > 0 {
			return refuse(Malformed, "the layout of the parcel has leaf %d in a wrong place", i)
		}
		// No commitment binds the mark, and with it a leaf may be gone: see narrowing.
		if f.Oracle && h.record.Manifest.Profile != commitment.EML {
			return refuse(Malformed, "the layout of the parcel marks leaf %d as one that its profile has not", i)
		}
	}
	if size != h.size || digests != 1 {
		return refuse(Malformed, "the layout of the parcel has %d bytes and %d digests, the parcel says %d", size, digests, h.size)
	}
	return nil
}

// shorten takes the lengths of leaves that nothing opens out of the facts.
func (d *delivery) shorten() (changed bool) {
	for i := range d.facts {
		if d.facts[i].Size != 0 && !d.secrets.state.Live(uint32(i)) {
			d.facts[i].Size, changed = 0, true
		}
	}
	return changed
}

// checkPadding compares the padding, of which nothing is stored.
func (d *delivery) checkPadding(leaves [][32]byte) error {
	for i, secret := range d.secrets.state.Secrets() {
		if d.facts[i].Kind != commitment.Padding {
			continue
		}
		if sha256.Sum256(commitment.LeafBlock(i, commitment.Segment{Kind: commitment.Padding}, secret.Salt)) != leaves[i] {
			return refuse(Malformed, "leaf %d of the parcel is not what was committed to", i)
		}
	}
	return nil
}

// segments ranges over the sealed segments that are kept: those that open. Each is
// opened and compared with its hash before; when all were, the parcel must have
// come to its end.
func (d *delivery) segments() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		next, stop := iter.Pull2(d.secrets.state.Secrets())
		defer stop()
		live, secret, some := next()
		for leaf := uint32(0); ; leaf++ {
			sealed, more, err := d.k.p.segment()
			switch {
			case err != nil:
			case !more:
				err = d.finish(leaf)
			case uint64(leaf) >= uint64(len(d.facts)) || d.facts[leaf].Kind == commitment.Padding:
				err = refuse(Malformed, "the parcel has more segments than its layout")
			case some && live == leaf:
				err = errors.Join(d.check(leaf, secret, sealed), d.k.ctx.Err())
				live, secret, some = next()
			default:
				sealed = nil // nothing opens it any more
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !more || !yield(sealed, nil) {
				return
			}
		}
	}
}

// check opens a segment, compares it, and takes from it what stands elsewhere too.
func (d *delivery) check(leaf uint32, secret commitment.Secret, sealed []byte) error {
	fact := d.facts[leaf]
	payload, err := commitment.Open(secret.Enc, d.k.head.record.RID, leaf, fact.Kind, sealed)
	if err != nil {
		return refuseFor(err, Malformed, "segment %d of the parcel does not open", leaf)
	}
	s := commitment.Segment{Kind: fact.Kind, Payload: payload, Oracle: fact.Oracle}
	if len(payload) != int(fact.Size) || sha256.Sum256(commitment.LeafBlock(leaf, s, secret.Salt)) != d.deposit.Leaves[leaf] {
		return refuse(Malformed, "leaf %d of the parcel is not what was committed to", leaf)
	}
	switch {
	case isTitle(s):
		at := slices.IndexFunc(d.titles, func(t vault.CatalogueLeaf) bool { return t.Leaf == leaf })
		if at < 0 || !bytes.Equal(d.titles[at].Sealed, sealed) {
			return refuse(Malformed, "the catalogue entry of the parcel is not of leaf %d", leaf)
		}
		d.title.read(payload)
	case slices.ContainsFunc(d.titles, func(t vault.CatalogueLeaf) bool { return t.Leaf == leaf }):
		return refuse(Malformed, "leaf %d of the parcel is no title", leaf)
	case fact.Kind == commitment.Digest && d.whole:
		d.digest = payload
		d.secrets.fingerprint, err = d.k.fingerprint(d.deposit.Record.Office, commitment.Layout{Segments: []commitment.Segment{s}})
	case fact.Kind == commitment.Content && d.whole:
		d.content = append(d.content, payload...)
	}
	return err
}

// finish is called after the last segment. A whole content is cut again, since the
// marks of oracles are not part of the commitment.
func (d *delivery) finish(stored uint32) error {
	if uint64(stored) < uint64(len(d.facts)) && d.facts[stored].Kind != commitment.Padding {
		return refuse(Malformed, "the parcel has %d segments of %d", stored, len(d.facts))
	}
	for _, t := range d.titles {
		if t.Leaf >= stored {
			return refuse(Malformed, "the catalogue entry of the parcel names leaf %d of %d", t.Leaf, stored)
		}
	}
	if d.whole {
		if err := d.cutAgain(); err != nil {
			return err
		}
	}
	return d.k.p.end()
}

func (d *delivery) cutAgain() error {
	cut, err := commitment.Split(d.deposit.Record.Manifest.Profile, d.content)
	if err != nil {
		return refuseFor(err, Malformed, "the content of the parcel cannot be cut by its profile")
	}
	first := slices.IndexFunc(d.facts, func(f vault.LeafFact) bool { return f.Kind == commitment.Digest }) + 1
	for i, s := range cut {
		if first+i >= len(d.facts) || d.facts[first+i] != (vault.LeafFact{Kind: s.Kind, Oracle: s.Oracle, Size: uint32(len(s.Payload))}) {
			return refuse(Malformed, "the layout of the parcel is not how its profile cuts leaf %d", first+i)
		}
	}
	if end := first + len(cut); end < len(d.facts) && d.facts[end].Kind != commitment.Padding {
		return refuse(Malformed, "the layout of the parcel has more leaves than its profile cuts")
	}
	sum := sha256.Sum256(d.content)
	if !bytes.Equal(d.digest, append(binary.BigEndian.AppendUint64(nil, uint64(len(d.content))), sum[:]...)) {
		return refuse(Malformed, "the digest in the parcel is of another content")
	}
	return nil
}
