package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// Header describes a deposit.
type Header struct {
	Series   record.Code
	Custody  record.Code // a custodian set that this node belongs to
	NotAfter record.Day  // of the transaction that will anchor it
	Profile  commitment.Profile
	Fields   []commitment.Field // metadata leaves, in order
	Size     int64              // bytes of the content

	// Key is drawn by the client; nil: the custodian draws it, and the caller
	// trusts it for that.
	Key *commitment.RecordKey
	// Expected is what the client computed; nil: it trusts the custodian.
	Expected *record.Commitment
}

// Deposit is what a deposit answers.
type Deposit struct {
	Commitment record.Commitment
	Segments   uint32 // leaves, padding included
}

// Deposit keeps a content for the caller's office and answers when it is safe.
// The durable steps; what a crash leaves between them is swept as an orphan:
//  1. a line in the access log, while the content is read and hashed
//  2. the vault: sealed segments, layout, catalogue, the deposit itself
//  3. the ring: the secrets that open it
//  4. everything read back through the stores, opened and hashed again; what a
//     store still holds in memory comes from there, its log being synced
//
// The same deposit again, byte for byte and key for key, gives the same answer.
func (c *Custody) Deposit(ctx context.Context, caller Caller, h Header, content io.Reader) (Deposit, error) {
	var rid vault.RID
	rand.Read(rid[:])
	if !caller.mayDeposit() {
		if err := c.audit(caller, actionDeposit, vault.RID{}, noPurpose, outcomeDenied); err != nil {
			return Deposit{}, err
		}
		return Deposit{}, refuse(Denied, "office %s may not deposit records", caller.Office)
	}
	batch, err := c.checkHeader(caller, h)
	if err != nil {
		return Deposit{}, err
	}
	// The content, its sealed form and what is read back.
	release, err := c.memory.take(ctx, 3*h.Size)
	if err != nil {
		return Deposit{}, err
	}
	defer release()
	audited := make(chan error, 1)
	go func() { audited <- c.audit(caller, actionDeposit, rid, noPurpose, outcomeAllowed) }()
	d, err := c.prepare(caller, h, rid, batch, content)
	if err := errors.Join(<-audited, err, ctx.Err()); err != nil {
		return Deposit{}, err
	}
	return c.keep(d)
}

// checkHeader refuses what could never be anchored. Batch tells that the series
// takes batches alone.
func (c *Custody) checkHeader(caller Caller, h Header) (batch bool, err error) {
	if h.Size < 0 || h.Size > c.config.MaxContent {
		return false, refuse(TooLarge, "the content has %d bytes, and this custodian takes at most %d", h.Size, c.config.MaxContent)
	}
	view := c.config.View()
	today := record.LedgerDay(view.Head().Time)
	opening, code, err := ledger.OpeningOf(view, h.Series, caller.Office, today)
	if err != nil {
		return false, err
	}
	if code != ledger.OK {
		return false, refuse(UnknownSeries, "series %.16q is not open to office %s: %s", h.Series, caller.Office, code)
	}
	if err := c.takes(view, h.Custody); err != nil {
		return false, err
	}
	parameters, err := ledger.ParametersOf(view)
	if err != nil {
		return false, err
	}
	switch {
	case h.NotAfter < today:
		return false, refuse(Expired, "the last day of the deposit, %d, is before ledger day %d", h.NotAfter, today)
	case int64(h.NotAfter) > int64(today)+int64(parameters.AnchorDays):
		return false, refuse(TooFarAhead, "the last day of the deposit, %d, is more than %d days after ledger day %d", h.NotAfter, parameters.AnchorDays, today)
	}
	return opening.Batched, nil
}

// prepared is a deposit that is computed and not yet kept.
type prepared struct {
	record  vault.Record
	secrets secrets
	layout  commitment.Layout
	leaves  [][32]byte
}

// prepare reads the content and computes its commitment.
func (c *Custody) prepare(caller Caller, h Header, rid vault.RID, batch bool, content io.Reader) (prepared, error) {
	data, err := readExactly(content, h.Size)
	if err != nil {
		return prepared{}, err
	}
	arrange := commitment.Arrange
	if batch {
		arrange = commitment.ArrangeBatch
	}
	layout, err := arrange(h.Profile, data, h.Fields)
	switch {
	case errors.Is(err, commitment.ErrProfile):
		return prepared{}, refuseFor(err, ProfileRefused, "the content cannot be cut by profile %.64q: choose another", h.Profile)
	case err != nil:
		return prepared{}, refuseFor(err, Malformed, "%v", err)
	}
	var s secrets
	rand.Read(s.layout[:])
	var key commitment.RecordKey
	if h.Key != nil {
		key = *h.Key
	} else {
		rand.Read(key[:])
	}
	s.state = commitment.NewState(key, layout.N())
	manifest, leaves, err := commitment.Commit(s.state, layout)
	if err != nil {
		return prepared{}, refuseFor(err, Malformed, "%v", err)
	}
	got := record.Commitment(manifest.Commitment())
	if h.Expected != nil && *h.Expected != got {
		return prepared{}, refuse(CommitmentMismatch, "the content has commitment %s, not the expected %s",
			commitment.Commitment(got), commitment.Commitment(*h.Expected))
	}
	if s.fingerprint, err = c.fingerprint(caller.Office, layout); err != nil {
		return prepared{}, err
	}
	return prepared{
		record: vault.Record{
			RID: rid, Office: caller.Office, Series: h.Series, Custody: h.Custody, Commitment: got, Manifest: manifest,
			NotAfter: h.NotAfter,
		},
		secrets: s, layout: layout, leaves: leaves,
	}, nil
}

// size is about how many bytes the segments have when they are sealed.
func (d prepared) size() (n int) {
	for _, s := range d.layout.Segments {
		if s.Kind != commitment.Padding {
			n += commitment.Padded(4+len(s.Payload)) + 28
		}
	}
	return n
}

// readExactly reads a content of the declared size.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	data := make([]byte, size)
	n, err := io.ReadFull(r, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, refuse(SizeMismatch, "the content ends after %d of %d bytes", n, size)
	}
	if err != nil {
		return nil, err
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return nil, refuse(SizeMismatch, "the content goes on after %d bytes", size)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return data, nil
}

// keep makes a prepared deposit durable and proves that it is.
func (c *Custody) keep(d prepared) (Deposit, error) {
	r := d.record
	name := deposited{r.Office, r.Commitment}
	if !c.begin(name) {
		return Deposit{}, refuse(Busy, "the same deposit is under way: try again later")
	}
	defer c.end(name)
	answer := Deposit{Commitment: r.Commitment, Segments: r.Manifest.N}
	if done, err := c.resume(r); done || err != nil {
		return answer, err
	}
	layout, err := vault.SealLayout(d.secrets.layout, r.RID, factsOf(d.layout))
	if err != nil {
		return Deposit{}, err
	}
	titles, err := c.sealTitles(d)
	if err != nil {
		return Deposit{}, err
	}
	if err := c.put(d, layout, titles); err != nil {
		return Deposit{}, err
	}
	if err := c.readBack(d); err != nil {
		return Deposit{}, errors.Join(err, c.remove(r))
	}
	return answer, c.await(r, titlesOf(d.layout))
}

// put makes a deposit durable. Who erases the same bytes under a lock that came
// later waits for it (Record.Since).
func (c *Custody) put(d prepared, layout []byte, titles []vault.CatalogueLeaf) error {
	defer c.deposits.enter()()
	if c.config.Behind != nil && c.config.Behind() {
		// Neither lives nor Since can be right by a ledger that lacks locks.
		return refuse(Behind, "this node is still catching up with the ledger: deposit again later")
	}
	r, view := d.record, c.config.View()
	if err := c.takes(view, r.Custody); err != nil {
		return err
	}
	if err := c.lives(view, r); err != nil {
		return err
	}
	r.Since = view.Head().Size
	if err := c.rings.Make(ringOf(r)); err != nil {
		return err
	}
	err := c.vault.Put(vault.Deposit{
		Record: r, Leaves: d.leaves, Layout: layout, Catalogue: titles, Sealed: c.sealed(d, titles), Size: d.size(),
	})
	if err != nil {
		return err
	}
	state := d.secrets.marshal()
	defer clear(state)
	if err := c.rings.Put(ringOf(r), r.RID, state); err != nil {
		return errors.Join(err, c.vault.Remove(r))
	}
	c.contents.add(r, d.secrets.fingerprint)
	return nil
}

// lives refuses the content of a record of which something was erased, or is to
// be: a vault that has lost it would bring back what the ledger says is gone.
func (c *Custody) lives(view ledger.View, r vault.Record) error {
	index, anchored, err := view.AnchorIndex(r.Office, r.Commitment)
	if err != nil || !anchored {
		return err
	}
	if err := c.lockedAt(view, index, -1); err != nil {
		return err
	}
	life, _, err := ledger.LifecycleOf(view, index)
	if err != nil {
		return err
	}
	for _, i := range life.Decisions {
		if _, erased, err := ledger.DispositionOf(view, i); err != nil {
			return err
		} else if erased {
			return refuse(PartlyDestroyed, "parts of the record were destroyed under disposition %d: what is left is anchored as a record of its own", i)
		}
	}
	return nil
}

func (c *Custody) begin(name deposited) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.underway[name] {
		return false
	}
	c.underway[name] = true
	return true
}

func (c *Custody) end(name deposited) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.underway, name)
}

// resume looks for the same deposit. One that was cut short is removed, one that
// is whole is done.
func (c *Custody) resume(r vault.Record) (done bool, err error) {
	old, ok, err := c.vault.Find(r.Office, r.Commitment)
	if err != nil {
		return false, damaged(err)
	}
	if !ok {
		if _, buried, err := c.vault.Buried(r.Office, r.Commitment); err != nil || !buried {
			return false, damaged(err)
		}
		return false, refuse(Destroyed, "the record was destroyed")
	}
	_, ok, err = c.state(old)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, c.remove(old)
	}
	if old.Series != r.Series || old.Custody != r.Custody || old.NotAfter != r.NotAfter {
		return false, refuse(AlreadyDeposited, "the commitment was deposited before with another series, custody or last day")
	}
	return true, nil
}

// await enters a deposit among those that wait for their anchor, unless the
// ledger has it. First the entry, then the look: whichever block brings the
// anchor, either this look or the next CatchUp sees it.
func (c *Custody) await(r vault.Record, t title) error {
	c.titles.add(r, t)
	c.mu.Lock()
	c.pending[deposited{r.Office, r.Commitment}] = r.RID
	c.mu.Unlock()
	view := c.config.View()
	index, ok, err := view.AnchorIndex(r.Office, r.Commitment)
	if err != nil || !ok {
		return err
	}
	anchor, err := anchorAt(view, index)
	if err != nil || !anchors(anchor, r) {
		return err
	}
	if err := c.vault.Anchor(vault.Anchor{RID: r.RID, Index: index}); err != nil {
		return err
	}
	c.anchored(r.Office, r.Commitment, index)
	return nil
}

func factsOf(l commitment.Layout) []vault.LeafFact {
	facts := make([]vault.LeafFact, len(l.Segments))
	for i, s := range l.Segments {
		facts[i] = vault.LeafFact{Kind: s.Kind, Oracle: s.Oracle, Size: uint32(len(s.Payload))}
	}
	return facts
}

// sealTitles seals the leaves by which a record is found.
func (c *Custody) sealTitles(d prepared) (titles []vault.CatalogueLeaf, err error) {
	for i, s := range d.layout.Segments {
		if !isTitle(s) {
			continue
		}
		enc, _, _ := d.secrets.state.Secret(uint32(i))
		sealed, err := c.seal(enc, d.record.RID, uint32(i), s.Kind, s.Payload)
		if err != nil {
			return nil, err
		}
		titles = append(titles, vault.CatalogueLeaf{Leaf: uint32(i), Sealed: sealed})
	}
	return titles, nil
}

// sealed ranges over the sealed segments up to the padding. A leaf's key seals
// once: titles are sealed already.
func (c *Custody) sealed(d prepared, titles []vault.CatalogueLeaf) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for i, secret := range d.secrets.state.Secrets() {
			s := d.layout.Segments[i]
			if s.Kind == commitment.Padding {
				return
			}
			if len(titles) > 0 && titles[0].Leaf == i {
				if !yield(titles[0].Sealed, nil) {
					return
				}
				titles = titles[1:]
				continue
			}
			if sealed, err := c.seal(secret.Enc, d.record.RID, i, s.Kind, s.Payload); !yield(sealed, err) || err != nil {
				return
			}
		}
	}
}

// stored reads what vault and ring have of a record, and wants it to be what was
// put there.
func (c *Custody) stored(want vault.Record, leaves [][32]byte, opens secrets) (vault.Record, secrets, error) {
	r, ok, err := c.vault.Find(want.Office, want.Commitment)
	if err != nil || !ok {
		return vault.Record{}, secrets{}, damaged(errors.Join(err, vault.ErrAbsent))
	}
	s, ok, err := c.state(r)
	if err != nil || !ok {
		return vault.Record{}, secrets{}, damaged(errors.Join(err, errors.New("no secrets")))
	}
	there, err := c.vault.Leaves(r)
	if err != nil {
		return vault.Record{}, secrets{}, damaged(err)
	}
	if r.RID != want.RID || r.Manifest != want.Manifest || !slices.Equal(there, leaves) || !bytes.Equal(s.marshal(), opens.marshal()) {
		return vault.Record{}, secrets{}, damaged(errors.New("what was read back is another record"))
	}
	return r, s, nil
}

// readBack reads the deposit as Read would, and hashes what comes out again. Its
// leaf hashes are those of the commitment, so it is what was committed to.
func (c *Custody) readBack(d prepared) error {
	r, s, err := c.stored(d.record, d.leaves, d.secrets)
	if err != nil {
		return err
	}
	o, err := c.open(r, s)
	if err != nil {
		return err
	}
	return c.eachSegment(o, d.leaves, func(uint32, commitment.Segment) error { return nil })
}

// remove takes a deposit back: first what opens it, then the rest.
func (c *Custody) remove(r vault.Record) error {
	if s, ok, err := c.state(r); err == nil && ok {
		c.contents.remove(r, s.fingerprint)
	}
	if err := c.rings.Forget(ringOf(r), r.RID); err != nil && !errors.Is(err, keyring.ErrDestroyed) {
		return err
	}
	if err := c.vault.Remove(r); err != nil {
		return err
	}
	c.forget(r)
	return nil
}
