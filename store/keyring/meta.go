package keyring

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// Erasures say up to where a custodian has applied the erasures of the ledger: the
// number of entries of the log, 0 for none, and a digest of the erasures so far, as
// the caller defines it. The last look of a rotation writes them into the new epoch.
type Erasures struct {
	Through int64
	Digest  [32]byte
}

// meta describes one epoch of a ring. It is written after all that the epoch begins
// with was read back, before the epoch becomes the current one, and once more by
// the last look of the rotation.
type meta struct {
	epoch    uint64
	erasures Erasures       // applied in this epoch
	carried  uint64         // states copied from the epoch before, tombstones included
	seal     [sealSize]byte // under the ring key, of all the rest
	wrapped  []byte         // the ring key, wrapped for use
}

const (
	metaVersion = 2
	metaHead    = 1 + 3*8 + 32
	sealSize    = 12 + 16             // nonce and tag
	metaSize    = metaHead + sealSize // and the wrapped key
	maxWrapped  = 1024
	metaDomain  = "MUN1 ring meta\n" // changed only with docs/spec/keyring.md
)

// head gives what comes before the seal.
func (m meta) head() []byte {
	b := []byte{metaVersion}
	b = binary.BigEndian.AppendUint64(b, m.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(m.erasures.Through))
	b = binary.BigEndian.AppendUint64(b, m.carried)
	return append(b, m.erasures.Digest[:]...)
}

// context is what the seal is over: every byte of META but its own, and the ring.
func (m meta) context(id RingID) []byte {
	return append(append([]byte(metaDomain+id.String()+"\n"), m.head()...), m.wrapped...)
}

// marshal gives META, sealed anew: no byte of it changes unseen, and what the root
// wrapped stays as it is when the erasures change.
func (m meta) marshal(aead cipher.AEAD, id RingID) []byte {
	return append(aead.Seal(m.head(), nil, nil, m.context(id)), m.wrapped...)
}

// check tells whether META was sealed under the ring key that it has.
func (m meta) check(aead cipher.AEAD, id RingID) error {
	if _, err := aead.Open(nil, nil, m.seal[:], m.context(id)); err != nil {
		return fmt.Errorf("%w: META of epoch %d is not as it was sealed", ErrDamaged, m.epoch)
	}
	return nil
}

// parseMeta reads what marshal wrote, unchecked.
func parseMeta(b []byte) (meta, error) {
	if len(b) <= metaSize || len(b) > metaSize+maxWrapped || b[0] != metaVersion {
		return meta{}, fmt.Errorf("%w: META of %d bytes", ErrDamaged, len(b))
	}
	through := binary.BigEndian.Uint64(b[9:])
	m := meta{
		epoch:    binary.BigEndian.Uint64(b[1:]),
		erasures: Erasures{Through: int64(through & math.MaxInt64), Digest: [32]byte(b[25:])},
		carried:  binary.BigEndian.Uint64(b[17:]),
		seal:     [sealSize]byte(b[metaHead:]),
		wrapped:  append([]byte(nil), b[metaSize:]...),
	}
	first := m.epoch == 1 && (m.erasures != Erasures{} || m.carried != 0)
	if m.epoch == 0 || through > math.MaxInt64 || first {
		return meta{}, fmt.Errorf("%w: META of epoch %d", ErrDamaged, m.epoch)
	}
	return m, nil
}

// use is what the ring key is wrapped with: it is of no other ring or epoch.
func (m meta) use(id RingID) string { return fmt.Sprintf("ring key %s %d", id, m.epoch) }

// readMeta reads META of an epoch; ok is false when it has none, as long as its
// states are not all there.
func readMeta(db *pebble.DB, epoch uint64) (m meta, ok bool, err error) {
	value, closer, err := db.Get([]byte{prefixMeta})
	if errors.Is(err, pebble.ErrNotFound) {
		return meta{}, false, nil
	}
	if err != nil {
		return meta{}, false, err
	}
	m, err = parseMeta(value)
	if err = errors.Join(err, closer.Close()); err != nil {
		return meta{}, false, err
	}
	if m.epoch != epoch {
		return meta{}, false, fmt.Errorf("%w: META of epoch %d", ErrDamaged, m.epoch)
	}
	return m, true, nil
}

// applied gives the erasures that are applied in this epoch.
func (r *ring) applied() Erasures {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.meta.erasures
}

// follow tells whether erasures may take the place of others.
func (e Erasures) follow(before Erasures) error {
	if e.Through < before.Through {
		return fmt.Errorf("%w: through %d entries, not %d", ErrErasures, before.Through, e.Through)
	}
	return nil
}
