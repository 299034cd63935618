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

// All keys of a ring's store.
const (
	prefixMeta  = 'm' // m       -> meta
	prefixState = 's' // s | rid -> sealed kind and state
)

// kind is the first byte of a sealed value.
type kind uint8

const (
	kindLive      kind = 1 // the state follows
	kindDestroyed kind = 2 // tombstone: nothing follows
)

const ringDomain = "MUN1 ring" // changed only with COMMITMENTS-AND-ERASURE 1.8

// ring is one epoch of one ring, open.
type ring struct {
	id    RingID
	epoch uint64
	db    *pebble.DB
	aead  cipher.AEAD // of the ring key

	mu sync.Mutex // held from looking at a state to queueing its successor
}

// meta describes one epoch of a ring. It is written once, before the epoch
// becomes the current one.
type meta struct {
	epoch         uint64
	appliedHeight uint64   // erasures up to this height were applied when the epoch began
	carried       uint64   // states that the epoch began with, tombstones included
	erasures      [32]byte // digest of the log of erasures up to then
	wrapped       []byte   // the ring key
}

const (
	metaVersion = 1
	metaSize    = 1 + 3*8 + 32 // and the wrapped key
	maxWrapped  = 1024
)

func (m meta) marshal() []byte {
	b := []byte{metaVersion}
	b = binary.BigEndian.AppendUint64(b, m.epoch)
	b = binary.BigEndian.AppendUint64(b, m.appliedHeight)
	b = binary.BigEndian.AppendUint64(b, m.carried)
	b = append(b, m.erasures[:]...)
	return append(b, m.wrapped...)
}

func parseMeta(b []byte) (meta, error) {
	if len(b) <= metaSize || len(b) > metaSize+maxWrapped || b[0] != metaVersion {
		return meta{}, fmt.Errorf("%w: META of %d bytes", ErrDamaged, len(b))
	}
	return meta{
		epoch:         binary.BigEndian.Uint64(b[1:]),
		appliedHeight: binary.BigEndian.Uint64(b[9:]),
		carried:       binary.BigEndian.Uint64(b[17:]),
		erasures:      [32]byte(b[25:]),
		wrapped:       append([]byte(nil), b[metaSize:]...),
	}, nil
}

// keyUse is what a ring key is wrapped with: the ring and epoch it belongs to.
func keyUse(id RingID, epoch uint64) string { return fmt.Sprintf("ring key %s %d", id, epoch) }

// createRing makes the store of an epoch with a fresh ring key in dir, which
// does not exist. On return everything in it is on disk; the caller makes its
// name durable.
func createRing(o Options, root Root, dir string, id RingID, epoch uint64) (*ring, error) {
	var key [32]byte
	rand.Read(key[:])
	wrapped, err := wrapFor(root, keyUse(id, epoch), key)
	if err != nil {
		return nil, err
	}
	options := o.pebbleOptions()
	options.ErrorIfExists = true
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, err
	}
	err = db.Set([]byte{prefixMeta}, meta{epoch: epoch, wrapped: wrapped}.marshal(), pebble.Sync)
	if err == nil {
		// Pebble starts the first log of a new store before it raises the format,
		// so that log lacks the marks that tell damage from the end.
		err = db.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return newRing(db, id, epoch, key)
}

// openRing opens the store of an epoch.
func openRing(o Options, root Root, dir string, id RingID, epoch uint64) (*ring, error) {
	options := o.pebbleOptions()
	options.ErrorIfNotExists = true
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, err
	}
	key, err := ringKey(db, root, id, epoch)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return newRing(db, id, epoch, key)
}

func ringKey(db *pebble.DB, root Root, id RingID, epoch uint64) (key [32]byte, err error) {
	value, closer, err := db.Get([]byte{prefixMeta})
	if errors.Is(err, pebble.ErrNotFound) {
		return key, fmt.Errorf("%w: no META", ErrDamaged)
	}
	if err != nil {
		return key, err
	}
	m, err := parseMeta(value)
	if err = errors.Join(err, closer.Close()); err != nil {
		return key, err
	}
	if m.epoch != epoch {
		return key, fmt.Errorf("%w: META of epoch %d", ErrDamaged, m.epoch)
	}
	return unwrapFor(root, keyUse(id, epoch), m.wrapped)
}

func newRing(db *pebble.DB, id RingID, epoch uint64, key [32]byte) (*ring, error) {
	aead, err := newCipher(key)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &ring{id: id, epoch: epoch, db: db, aead: aead}, nil
}

func stateKey(rid RID) []byte { return append([]byte{prefixState}, rid[:]...) }

// context is the additional data of a sealed state. The name comes first and all
// that follows has a fixed size, so no two rings share one.
func (r *ring) context(rid RID) []byte {
	b := append([]byte(ringDomain), r.id.String()...)
	return append(binary.BigEndian.AppendUint64(b, r.epoch), rid[:]...)
}

// get gives the state of a record; ok is false when there never was one.
func (r *ring) get(rid RID) (state []byte, ok bool, err error) {
	value, closer, err := r.db.Get(stateKey(rid))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	plain, err := r.aead.Open(nil, nil, value, r.context(rid))
	if closeErr := closer.Close(); closeErr != nil {
		return nil, false, closeErr
	}
	switch {
	case err != nil || len(plain) == 0:
		return nil, false, fmt.Errorf("%w: state does not open", ErrDamaged)
	case kind(plain[0]) == kindLive && len(plain) > 1:
		return plain[1:], true, nil
	case kind(plain[0]) == kindDestroyed && len(plain) == 1:
		return nil, false, ErrDestroyed
	}
	return nil, false, fmt.Errorf("%w: state of kind %d, %d bytes", ErrDamaged, plain[0], len(plain))
}

// change writes what next makes of the batch, if the record's state now allows
// it, and waits until it is on disk. A write that fails is returned as failed.
func (r *ring) change(allow func() error, next func(*pebble.Batch) error) error {
	batch := r.db.NewBatch()
	r.mu.Lock()
	err := allow()
	if err == nil {
		err = next(batch)
	}
	if err == nil {
		if err = r.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
			err = failed{err}
		}
	}
	r.mu.Unlock()
	if err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := batch.SyncWait(); err != nil {
		return failed{err}
	}
	return batch.Close()
}

// failed is a write that may or may not be on disk: the process cannot go on.
type failed struct{ error }

// put writes the state of a record that has none.
func (r *ring) put(rid RID, state []byte) error {
	return r.change(func() error {
		if _, ok, err := r.get(rid); err != nil || ok {
			return errors.Join(err, existing(ok))
		}
		return nil
	}, func(b *pebble.Batch) error {
		return b.Set(stateKey(rid), r.seal(rid, kindLive, state), nil)
	})
}

func existing(ok bool) error {
	if ok {
		return ErrExists
	}
	return nil
}

// destroy puts a tombstone in the place of whatever is there.
func (r *ring) destroy(rid RID) error {
	return r.change(always, func(b *pebble.Batch) error {
		return b.Set(stateKey(rid), r.seal(rid, kindDestroyed, nil), nil)
	})
}

// forget removes a state without a trace, but not a tombstone.
func (r *ring) forget(rid RID) error {
	return r.change(func() error { _, _, err := r.get(rid); return err }, func(b *pebble.Batch) error {
		return b.Delete(stateKey(rid), nil)
	})
}

func always() error { return nil }

func (r *ring) seal(rid RID, k kind, state []byte) []byte {
	plain := append([]byte{byte(k)}, state...)
	sealed := r.aead.Seal(nil, nil, plain, r.context(rid))
	clear(plain)
	return sealed
}
