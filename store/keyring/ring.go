package keyring

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

var (
	// ErrDestroyed: the record was destroyed. Its state is gone and never comes back.
	ErrDestroyed = errors.New("record was destroyed")
	// ErrExists: a state of that record is there already.
	ErrExists = errors.New("record has a state already")
	// ErrDamaged: a ring's store holds what this package did not write.
	ErrDamaged = errors.New("damaged ring")
)

// errMoved: the ring has a new epoch; the caller looks it up and tries again.
var errMoved = errors.New("ring has a new epoch")

// All keys of a ring's store.
const (
	prefixMeta      = 'm' // m               -> meta
	prefixEnded     = 'n' // n | name (16)   -> needles of a sealed live state that is no more
	prefixPreserved = 'p' // p | rid         -> kind that the plan had for a record which the last look preserved
	prefixState     = 's' // s | rid         -> sealed kind and state
)

// kind is the first byte of a sealed value.
type kind uint8

const (
	kindLive      kind = 1 // the state follows
	kindDestroyed kind = 2 // tombstone: nothing follows
)

// sealedTombstone is the size of a sealed tombstone: nonce, kind and tag. Any
// sealed live state is longer.
const sealedTombstone = 12 + 1 + 16

const ringDomain = "MUN1 ring" // changed only with docs/spec/keyring.md

// ring is one epoch of one ring, open.
type ring struct {
	id    RingID
	meta  meta
	db    *pebble.DB
	aead  cipher.AEAD // of the ring key
	place []byte      // additional data of all its states, up to the rid

	gate    sync.RWMutex // read-held by whoever uses the store, held to take it from them
	retired bool         // guarded by gate: a rotation alone uses the store
	closed  bool         // guarded by gate

	mu      sync.Mutex // held from looking at a state to queueing its successor; guards meta.erasures
	moved   bool       // guarded by mu: the next epoch is current, nothing is written here
	changes *changes   // guarded by mu: what was written since the copy for the next epoch began; nil without one
}

// newRingKey draws the key of an epoch and has it wrapped. Nothing may be sealed
// under it before what undoes this is durable.
func newRingKey(root Root, id RingID, epoch uint64) (key [32]byte, m meta, err error) {
	rand.Read(key[:])
	m.epoch = epoch
	if m.wrapped, err = wrapFor(root, m.use(id), key); err != nil {
		return [32]byte{}, meta{}, err
	}
	if len(m.wrapped) > maxWrapped {
		return [32]byte{}, meta{}, fmt.Errorf("wrap key: %d bytes, at most %d", len(m.wrapped), maxWrapped)
	}
	return key, m, nil
}

// createRing makes the store of a ring's first epoch in dir, which does not exist.
// On return everything in it is on disk; the caller makes its name durable.
func createRing(o Options, dir string, id RingID, m meta, key [32]byte) (*ring, error) {
	options := o.pebbleOptions()
	options.ErrorIfExists = true
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, err
	}
	return beginRing(db, id, m, key)
}

// beginRing writes META, which makes an epoch of what is in db. It takes over db.
func beginRing(db *pebble.DB, id RingID, m meta, key [32]byte) (*ring, error) {
	r, err := newRing(db, id, m, key)
	if err != nil {
		return nil, err
	}
	if err := r.writeMeta(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

// writeMeta writes META of a new store, durably.
func (r *ring) writeMeta() error {
	if err := r.db.Set([]byte{prefixMeta}, r.meta.marshal(r.aead, r.id), pebble.Sync); err != nil {
		return err
	}
	// Pebble starts the first log of a new store before it raises the format,
	// so that log lacks the marks that tell damage from the end.
	return r.db.Flush()
}

// openRing opens the store of an epoch.
func openRing(o Options, root Root, dir string, id RingID, epoch uint64) (*ring, error) {
	options := o.pebbleOptions()
	options.ErrorIfNotExists = true
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, err
	}
	m, ok, err := readMeta(db, epoch)
	if err == nil && !ok {
		err = fmt.Errorf("%w: no META", ErrDamaged)
	}
	var key [32]byte
	if err == nil {
		key, err = unwrapFor(root, m.use(id), m.wrapped)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	r, err := newRing(db, id, m, key)
	if err != nil {
		return nil, err
	}
	if err := m.check(r.aead, id); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

// newRing takes over db.
func newRing(db *pebble.DB, id RingID, m meta, key [32]byte) (*ring, error) {
	aead, err := newCipher(key)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &ring{id: id, meta: m, db: db, aead: aead, place: placeOf(id, m.epoch)}, nil
}

// placeOf begins the additional data of an epoch's states; the rid ends it. The
// name comes first and all that follows has a fixed size, so no two rings share one.
func placeOf(id RingID, epoch uint64) []byte {
	b := append([]byte(ringDomain), id.String()...)
	return binary.BigEndian.AppendUint64(b, epoch)
}

// retire waits for those who use the store, and lets nobody else in.
func (r *ring) retire() {
	r.gate.Lock()
	defer r.gate.Unlock()
	r.retired = true
}

// close waits for those who use the store, and closes it.
func (r *ring) close() error {
	r.gate.Lock()
	defer r.gate.Unlock()
	if r.closed {
		return nil
	}
	r.retired, r.closed = true, true
	return r.db.Close()
}

func stateKey(rid RID) []byte { return append([]byte{prefixState}, rid[:]...) }

// context is the additional data of a sealed state.
func (r *ring) context(rid RID) []byte { return append(r.place[:len(r.place):len(r.place)], rid[:]...) }

// sealed gives what is stored of a record, live or tombstone; nil when nothing is.
func (r *ring) sealed(rid RID) ([]byte, error) { return sealedIn(r.db, rid) }

func sealedIn(store pebble.Reader, rid RID) ([]byte, error) {
	value, closer, err := store.Get(stateKey(rid))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// get gives the state of a record; ok is false when there never was one.
func (r *ring) get(rid RID) (state []byte, ok bool, err error) {
	sealed, err := r.sealed(rid)
	if err != nil || sealed == nil {
		return nil, false, err
	}
	plain, err := openSealed(r.aead, nil, sealed, r.context(rid))
	if err != nil {
		return nil, false, err
	}
	if kind(plain[0]) == kindDestroyed {
		return nil, false, ErrDestroyed
	}
	return plain[1:], true, nil
}

// openSealed appends the kind and state that were sealed to dst.
func openSealed(aead cipher.AEAD, dst, sealed, context []byte) ([]byte, error) {
	plain, err := aead.Open(dst, nil, sealed, context)
	if err != nil {
		return nil, fmt.Errorf("%w: state does not open", ErrDamaged)
	}
	size := len(plain) - len(dst)
	if size == 0 {
		return nil, fmt.Errorf("%w: state of no bytes", ErrDamaged)
	}
	of := kind(plain[len(dst)])
	if of == kindLive && size > 1 || of == kindDestroyed && size == 1 {
		return plain, nil
	}
	return nil, fmt.Errorf("%w: state of kind %d, %d bytes", ErrDamaged, of, size)
}

// failed is a write that may or may not be on disk: the process cannot go on.
type failed struct{ error }

func (f failed) Unwrap() error { return f.error }

// put writes the state of a record that has none.
func (r *ring) put(rid RID, state []byte) error {
	return r.change(func(e *edit) error {
		switch _, ok, err := r.get(rid); {
		case err != nil:
			return err
		case ok:
			return ErrExists
		}
		return e.set(rid, kindLive, state)
	})
}

// forget removes a state without a trace, but not a tombstone.
func (r *ring) forget(rid RID) error {
	return r.change(func(e *edit) error {
		if _, _, err := r.get(rid); err != nil {
			return err
		}
		return e.remove(rid)
	})
}

// pending counts the sealed states that are no more.
func (r *ring) pending() (n int, err error) {
	iterator, err := r.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEnded}, UpperBound: []byte{prefixEnded + 1}})
	if err != nil {
		return 0, err
	}
	for valid := iterator.First(); valid; valid = iterator.Next() {
		n++
	}
	return n, errors.Join(iterator.Error(), iterator.Close())
}
