package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

const (
	releaseVersion = 1
	releaseSize    = 1 + 4 + 1 + 1 + 32 // before the code
)

func marshalRelease(x record.Release) []byte {
	b := binary.BigEndian.AppendUint32([]byte{releaseVersion}, uint32(x.Day))
	b = append(b, byte(x.Kind), 0)
	if x.Whole {
		b[len(b)-1] = 1
	}
	return appendCode(append(b, x.Digest[:]...), x.Office)
}

// parseRelease reads what marshalRelease wrote.
func parseRelease(b []byte) (record.Release, error) {
	if len(b) < releaseSize || b[0] != releaseVersion || b[6] > 1 {
		return record.Release{}, fmt.Errorf("%w: release of %d bytes", ErrDamaged, len(b))
	}
	x := record.Release{
		Day: record.Day(binary.BigEndian.Uint32(b[1:])), Kind: record.ReleaseKind(b[5]), Whole: b[6] == 1, Digest: [32]byte(b[7:39]),
	}
	office, rest, err := cutCode(b[releaseSize:])
	if err != nil {
		return record.Release{}, err
	}
	x.Office = office
	if len(rest) != 0 || x.Kind < record.ReleaseRead || x.Kind > record.ReleaseEvidence || !bytes.Equal(marshalRelease(x), b) {
		return record.Release{}, fmt.Errorf("%w: release is not canonical", ErrDamaged)
	}
	return x, nil
}

// AddRelease notes that content of a record was given out, and returns when the
// note is on disk. It outlives the record.
func (v *Vault) AddRelease(rid RID, x record.Release) error {
	batch := v.db.NewBatch()
	if err := v.queueRelease(batch, rid, x); err != nil {
		return errors.Join(fmt.Errorf("note release: %w", err), batch.Close())
	}
	if err := batch.SyncWait(); err != nil {
		v.options.fatal(fmt.Errorf("vault: note release: %w", err))
	}
	return batch.Close()
}

// queueRelease numbers a release and makes it visible. It is not on disk yet, so
// that those who come together share a sync.
func (v *Vault) queueRelease(batch *pebble.Batch, rid RID, x record.Release) error {
	value := marshalRelease(x)
	if _, err := parseRelease(value); err != nil {
		return err
	}
	v.releasing.Lock()
	defer v.releasing.Unlock()
	number, err := v.countReleases(rid)
	if err == nil {
		err = batch.Set(keyRelease(rid, number), value, nil)
	}
	if err != nil {
		return err
	}
	if err := v.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		v.options.fatal(fmt.Errorf("vault: note release: %w", err))
	}
	return nil
}

// countReleases gives the number of the next release.
func (v *Vault) countReleases(rid RID) (n uint32, err error) {
	prefix := keyReleases(rid)
	iterator, err := v.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	if iterator.Last() {
		if key := iterator.Key(); len(key) == len(prefix)+4 {
			n = binary.BigEndian.Uint32(key[len(prefix):]) + 1
		}
	}
	return n, errors.Join(iterator.Error(), iterator.Close())
}

// Releases lists when content of a record was given out, oldest first: how often,
// and the last of these, at most limit.
func (v *Vault) Releases(rid RID, limit int) (count int64, last []record.Release, err error) {
	err = v.each(keyReleases(rid), nil, func(key, value []byte) error {
		if number := binary.BigEndian.Uint32(key[len(key)-4:]); int64(number) != count {
			return fmt.Errorf("%w: release %d is missing", ErrDamaged, count)
		}
		x, err := parseRelease(value)
		if err != nil {
			return err
		}
		count++
		if last = append(last, x); len(last) > limit {
			last = last[1:]
		}
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return count, last, nil
}
