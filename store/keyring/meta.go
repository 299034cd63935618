package keyring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// Erasures say up to where a custodian has applied the erasures of the ledger: the
// height of the last one, 0 for none, and a digest of their log, as the caller
// defines it. A rotation writes them into the new epoch.
type Erasures struct {
	Height int64
	Digest [32]byte
}

// meta describes one epoch of a ring. It is written once, after all that the
// epoch begins with was read back, and before the epoch becomes the current one.
type meta struct {
	epoch    uint64
	erasures Erasures // applied when the epoch began
	carried  uint64   // states copied from the epoch before, tombstones included
	wrapped  []byte   // the ring key, wrapped for use
}

const (
	metaVersion = 1
	metaSize    = 1 + 3*8 + 32 // and the wrapped key
	maxWrapped  = 1024
)

func (m meta) marshal() []byte {
	b := []byte{metaVersion}
	b = binary.BigEndian.AppendUint64(b, m.epoch)
	b = binary.BigEndian.AppendUint64(b, uint64(m.erasures.Height))
	b = binary.BigEndian.AppendUint64(b, m.carried)
	b = append(b, m.erasures.Digest[:]...)
	return append(b, m.wrapped...)
}

func parseMeta(b []byte) (meta, error) {
	if len(b) <= metaSize || len(b) > metaSize+maxWrapped || b[0] != metaVersion {
		return meta{}, fmt.Errorf("%w: META of %d bytes", ErrDamaged, len(b))
	}
	height := binary.BigEndian.Uint64(b[9:])
	m := meta{
		epoch:    binary.BigEndian.Uint64(b[1:]),
		erasures: Erasures{Height: int64(height & math.MaxInt64), Digest: [32]byte(b[25:])},
		carried:  binary.BigEndian.Uint64(b[17:]),
		wrapped:  append([]byte(nil), b[metaSize:]...),
	}
	first := m.epoch == 1 && (m.erasures != Erasures{} || m.carried != 0)
	if m.epoch == 0 || height > math.MaxInt64 || first {
		return meta{}, fmt.Errorf("%w: META of epoch %d", ErrDamaged, m.epoch)
	}
	return m, nil
}

// use is what the ring key is wrapped with. It binds the key to the ring and to
// everything else in META; the first epoch has nothing else.
func (m meta) use(id RingID) string {
	use := fmt.Sprintf("ring key %s %d", id, m.epoch)
	if m.epoch == 1 {
		return use
	}
	return fmt.Sprintf("%s %d %d %x", use, m.erasures.Height, m.carried, m.erasures.Digest)
}

// sealMeta completes META with the wrapped ring key.
func sealMeta(root Root, id RingID, m meta, key [32]byte) (meta, error) {
	wrapped, err := wrapFor(root, m.use(id), key)
	if err == nil && len(wrapped) > maxWrapped {
		err = fmt.Errorf("wrap key: %d bytes, at most %d", len(wrapped), maxWrapped)
	}
	if err != nil {
		return meta{}, err
	}
	m.wrapped = wrapped
	return m, nil
}

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
