package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

var (
	// ErrExists: the office has deposited that commitment already.
	ErrExists = errors.New("record is in the vault already")
	// ErrAbsent: the record is not in the vault, or not complete.
	ErrAbsent = errors.New("record is not in the vault")
)

const (
	leavesPerPart = 4096    // hashes of one value: 128 KiB
	batchTarget   = 4 << 20 // bytes after which Put writes what it has
)

// Vault is a store of sealed records.
type Vault struct {
	options   Options
	db        *pebble.DB
	releasing sync.Mutex // held while a release gets its number

	kept atomic.Pointer[time.Time] // when a deposit was kept last; nil: not since Open
}

// Open opens the store in dir, which it makes if need be, and removes what a
// crash left of deposits that were not complete.
func Open(dir string, o Options) (*Vault, error) {
	db, err := pebble.Open(dir, o.pebbleOptions())
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{options: o, db: db}
	// Pebble starts the first log of a new store before it raises the format, so
	// that log lacks the marks that tell damage from the end: begin another.
	if err := errors.Join(db.Flush(), v.removeUnfinished()); err != nil {
		return nil, errors.Join(fmt.Errorf("open vault: %w", err), db.Close())
	}
	return v, nil
}

// Close closes the store.
func (v *Vault) Close() error { return v.db.Close() }

func (v *Vault) removeUnfinished() error {
	var rids []RID
	err := v.each([]byte{prefixUnfinished}, nil, func(key, _ []byte) error {
		rids = append(rids, ridOf(key))
		return nil
	})
	if err != nil || len(rids) == 0 {
		return err
	}
	batch := v.db.NewBatch()
	for _, rid := range rids {
		if err := errors.Join(removeBulk(batch, rid), batch.Delete(keyUnfinished(rid), nil)); err != nil {
			return errors.Join(err, batch.Close())
		}
	}
	return v.apply(batch)
}

// Deposit is what Put keeps.
type Deposit struct {
	Record    Record
	Leaves    [][32]byte      // leaf hashes, all of them
	Layout    []byte          // as SealLayout made it
	Catalogue []CatalogueLeaf // what Search finds it by; may be empty
	// Sealed are the sealed segments from leaf 0 on, without gaps. Padding at the
	// end holds nothing and may be left out. They must not change until Put returns.
	Sealed iter.Seq2[[]byte, error]
	Size   int // about how many bytes Sealed gives, to make room once
}

// Put keeps a deposit, durably. The steps, each safe to repeat after a crash:
//  1. writes that are not synced: a note that the record is unfinished, then packs
//  2. one synced write: the rest, the record itself, and the note removed
//
// The log of the store keeps their order, so that 2 is never there without 1.
// An error from Sealed is returned and nothing is kept.
func (v *Vault) Put(d Deposit) error {
	r := d.Record
	_, ok, err := v.Find(r.Office, r.Commitment)
	if err == nil && !ok {
		_, ok, err = v.Buried(r.Office, r.Commitment)
	}
	if err != nil {
		return err
	}
	if ok {
		return fmt.Errorf("deposit %x of %s: %w", r.Commitment[:8], r.Office, ErrExists)
	}
	w := &writer{vault: v, rid: r.RID, batch: v.db.NewBatchWithSize(min(batchTarget, d.Size+d.Size/8) + 32*len(d.Leaves) + len(d.Layout) + 4096)}
	if err := w.deposit(d); err != nil {
		err = errors.Join(err, w.batch.Close())
		if w.begun {
			err = errors.Join(err, v.discard(r))
		}
		return fmt.Errorf("deposit %x of %s: %w", r.Commitment[:8], r.Office, err)
	}
	if err := v.apply(w.batch); err != nil {
		return err
	}
	now := time.Now()
	v.kept.Store(&now)
	return nil
}

// writer writes one deposit in batches.
type writer struct {
	vault *Vault
	rid   RID
	batch *pebble.Batch
	pack  packer
	packs uint32
	begun bool // something was written already
}

func (w *writer) deposit(d Deposit) error {
	for sealed, err := range d.Sealed {
		if err != nil {
			return err
		}
		if !w.pack.fits(sealed) {
			if err := w.closePack(); err != nil {
				return err
			}
		}
		w.pack.add(sealed)
	}
	if len(w.pack.segments) > 0 {
		if err := w.closePack(); err != nil {
			return err
		}
	}
	r := d.Record
	r.Packs = w.packs
	b := w.batch
	err := errors.Join(
		setLeaves(b, r.RID, d.Leaves),
		b.Set(keyLayout(r.RID), d.Layout, nil),
		b.Set(keyCatalogue(r.Office, r.RID), marshalCatalogue(d.Catalogue), nil),
		b.Set(keyIndex(r.Office, r.Commitment), r.RID[:], nil),
		b.Set(keyRecord(r.RID), r.marshal(), nil),
	)
	if !r.Anchored {
		err = errors.Join(err, b.Set(keyDue(r.NotAfter, r.RID), nil, nil))
	}
	if w.begun {
		err = errors.Join(err, b.Delete(keyUnfinished(r.RID), nil))
	}
	return err
}

// closePack moves the pack into the batch and writes the batch if it is large.
func (w *writer) closePack() error {
	op := w.batch.SetDeferred(1+len(w.rid)+4, w.pack.size())
	copy(op.Key, keyPack(w.rid, w.packs))
	w.pack.write(op.Value)
	w.packs++
	if err := op.Finish(); err != nil || w.batch.Len() < batchTarget {
		return err
	}
	if err := w.batch.Set(keyUnfinished(w.rid), nil, nil); err != nil {
		return err
	}
	w.begun = true
	if err := w.vault.db.Apply(w.batch, pebble.NoSync); err != nil {
		return err
	}
	w.batch.Reset()
	return nil
}

func setLeaves(b *pebble.Batch, rid RID, leaves [][32]byte) error {
	for part := 0; len(leaves) > 0; part++ {
		n := min(leavesPerPart, len(leaves))
		value := make([]byte, 0, n*32)
		for _, leaf := range leaves[:n] {
			value = append(value, leaf[:]...)
		}
		if err := b.Set(keyLeaves(rid, uint32(part)), value, nil); err != nil {
			return err
		}
		leaves = leaves[n:]
	}
	return nil
}

// apply writes a batch and waits until it is on disk. A write that may be half
// there ends the process.
func (v *Vault) apply(b *pebble.Batch) error {
	if err := b.Commit(pebble.Sync); err != nil {
		v.options.fatal(fmt.Errorf("vault: write: %w", err))
	}
	return b.Close()
}

// Record gives a record by its rid.
func (v *Vault) Record(rid RID) (r Record, ok bool, err error) {
	value, ok, err := v.get(keyRecord(rid))
	if err != nil || !ok {
		return Record{}, false, err
	}
	r, err = parseRecord(rid, value)
	return r, err == nil, err
}

// discard takes back what a Put that failed has written: no ring knows its rid.
func (v *Vault) discard(r Record) error {
	batch := v.db.NewBatch()
	if err := v.remove(batch, r); err != nil {
		return errors.Join(err, batch.Close())
	}
	return v.apply(batch)
}

// Find gives the record that an office deposited under a commitment, unless it is
// buried.
func (v *Vault) Find(office record.Code, c record.Commitment) (r Record, ok bool, err error) {
	value, ok, err := v.get(keyIndex(office, c))
	if err != nil || !ok {
		return Record{}, false, err
	}
	if len(value) != len(RID{}) {
		return Record{}, false, fmt.Errorf("%w: index of %x", ErrDamaged, c[:8])
	}
	r, ok, err = v.Record(RID(value))
	if err == nil && !ok {
		if _, buried, err := v.Buried(office, c); err != nil || buried {
			return Record{}, false, err
		}
	}
	if err == nil && (!ok || r.Office != office || r.Commitment != c) {
		return Record{}, false, fmt.Errorf("%w: index of %x points elsewhere", ErrDamaged, c[:8])
	}
	return r, ok, err
}

// EachSealed calls fn for every sealed segment of a record in leaf order; one that
// Rewrite dropped is empty. The bytes are valid during the call.
func (v *Vault) EachSealed(r Record, fn func(leaf uint32, sealed []byte) error) error {
	next, packs := uint32(0), uint32(0)
	err := v.each(packsOf(r.RID), nil, func(key, value []byte) (err error) {
		if binary.BigEndian.Uint32(key[len(key)-4:]) != packs {
			return fmt.Errorf("%w: pack %d is missing", ErrDamaged, packs)
		}
		packs++
		next, err = eachInPack(value, next, fn)
		return err
	})
	if err == nil && packs != r.Packs {
		return fmt.Errorf("%w: %d packs of %d", ErrDamaged, packs, r.Packs)
	}
	return err
}

// Leaves gives the leaf hashes of a record.
func (v *Vault) Leaves(r Record) ([][32]byte, error) {
	leaves := make([][32]byte, 0, r.Manifest.N)
	err := v.each(leavesOf(r.RID), nil, func(_, value []byte) error {
		if len(value)%32 != 0 || len(leaves)+len(value)/32 > int(r.Manifest.N) {
			return fmt.Errorf("%w: leaf hashes of %d bytes", ErrDamaged, len(value))
		}
		for ; len(value) > 0; value = value[32:] {
			leaves = append(leaves, [32]byte(value))
		}
		return nil
	})
	if err == nil && len(leaves) != int(r.Manifest.N) {
		err = fmt.Errorf("%w: %d leaf hashes of %d", ErrDamaged, len(leaves), r.Manifest.N)
	}
	if err != nil {
		return nil, err
	}
	return leaves, nil
}

// Layout gives the sealed layout of a record.
func (v *Vault) Layout(rid RID) ([]byte, error) {
	value, ok, err := v.get(keyLayout(rid))
	if err == nil && !ok {
		err = fmt.Errorf("layout: %w", ErrAbsent)
	}
	return value, err
}

// EachCatalogued calls fn for the sealed catalogue entry of every record of an
// office, ordered by rid.
func (v *Vault) EachCatalogued(office record.Code, fn func(rid RID, leaves []CatalogueLeaf) error) error {
	return v.each(keyOffice(prefixCatalogue, office), nil, func(key, value []byte) error {
		leaves, err := parseCatalogue(value)
		if err != nil {
			return err
		}
		return fn(ridOf(key), leaves)
	})
}

// get gives a copy of a value.
func (v *Vault) get(key []byte) ([]byte, bool, error) {
	value, closer, err := v.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value = append([]byte(nil), value...)
	return value, true, closer.Close()
}

// each calls fn for every key with a prefix and below end; end nil: no bound.
func (v *Vault) each(prefix, end []byte, fn func(key, value []byte) error) (err error) {
	if end == nil {
		end = after(prefix)
	}
	iterator, err := v.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: end})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iterator.Close()) }()
	for ok := iterator.First(); ok; ok = iterator.Next() {
		value, err := iterator.ValueAndErr()
		if err != nil {
			return err
		}
		if err := fn(iterator.Key(), value); err != nil {
			return err
		}
	}
	return iterator.Error()
}
