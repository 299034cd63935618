package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/store/keyring"
)

const (
	ringRecords = 100_000
	stateBytes  = 80  // of a small record's secrets
	sealedBytes = 109 // the same with its kind, sealed
	ringFillers = 256 // who put states at once share their syncs
)

var ring = keyring.RingID{Department: department, Class: series}

// runRotation: one rotation that destroys 1,000 records of a ring of 100,000.
func runRotation(b *bench) ([]result, error) {
	return b.rotations(b.count(ringRecords, 2000), atMost(0.7, "0.7 s"))
}

// runLargeRotation: the same in a ring of a million.
func runLargeRotation(b *bench) ([]result, error) {
	return b.rotations(b.count(1_000_000, 5000), atMost(4, "4 s"))
}

// rotations rotates a ring on the disk, as a node does: every state opened, sealed
// under a new key, synced, read back and compared, the old epoch destroyed, all
// files scanned. Beside it plain Pebble only reads as many values of the size, writes
// them into a new store, and syncs once.
func (b *bench) rotations(records int, t target) ([]result, error) {
	r := result{name: fmt.Sprintf("erasure by rotation, ring of %s records, scan included", number(float64(records))), unit: "s", target: t,
		baseline: "plain Pebble copies as many values"}
	dir, err := os.MkdirTemp(b.dir, "rotation-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	passphrase := []byte("only for this measurement")
	text, err := keyring.NewRootFile(rand.Reader, passphrase, 1000)
	if err != nil {
		return nil, err
	}
	root, err := keyring.OpenRootFile(passphrase, text)
	if err != nil {
		return nil, err
	}
	rings := filepath.Join(dir, "rings")
	rids, err := fillRing(rings, root, records)
	if err != nil {
		return nil, err
	}
	values, err := fillPlain(filepath.Join(dir, "plain"), rids)
	if err != nil {
		return nil, err
	}
	k, err := keyring.Open(rings, root, keyring.Options{})
	if err != nil {
		return nil, errors.Join(err, values.Close())
	}
	err = b.rotationRounds(k, values, rids, filepath.Join(dir, "copy"), &r)
	if err = errors.Join(err, k.Close(), values.Close()); err != nil {
		return nil, err
	}
	return []result{r}, nil
}

func (b *bench) rotationRounds(k *keyring.Keyring, values *pebble.DB, rids []keyring.RID, dir string, r *result) error {
	if _, err := k.Rotate(ring, keyring.Plan{}); err != nil { // so that all rounds begin with what a rotation leaves
		return err
	}
	destroyed := len(rids) / 100
	if len(rids) >= ringRecords {
		destroyed = 1000
	}
	if b.rounds*destroyed > len(rids) {
		return fmt.Errorf("%d rounds destroy more than %d records", b.rounds, len(rids))
	}
	for round := range b.rounds {
		sync, err := b.syncTime()
		if err != nil {
			return err
		}
		before := usageNow()
		copied, err := copyPlain(values, dir)
		if err != nil {
			return err
		}
		used, _ := usageNow().since(before)
		r.base, r.baseCPU = append(r.base, copied.Seconds()), append(r.baseCPU, used.Seconds()*1e6/float64(len(rids)))

		var plan keyring.Plan
		for _, rid := range rids[round*destroyed:][:destroyed] {
			plan.Changes = append(plan.Changes, keyring.Change{RID: rid})
		}
		before = usageNow()
		report, err := k.Rotate(ring, plan)
		after := usageNow()
		if err != nil {
			return err
		}
		used, others := after.since(before)
		r.ours, r.cpu = append(r.ours, after.at.Sub(before.at).Seconds()), append(r.cpu, used.Seconds()*1e6/float64(len(rids)))
		r.sync, r.others = append(r.sync, sync), append(r.others, others)
		r.note = fmt.Sprintf("%s destroyed in each, %s bytes scanned", number(float64(destroyed)), number(float64(report.Bytes)))
		b.logf("round %d: ours %s s, plain Pebble %s s", round+1, number(r.ours[round]), number(r.base[round]))
	}
	return nil
}

// fillRing puts states into a ring, made if need be, and gives whose they are.
func fillRing(dir string, root keyring.Root, n int) ([]keyring.RID, error) {
	k, err := keyring.Open(dir, root, keyring.Options{})
	if err != nil {
		return nil, err
	}
	rids := make([]keyring.RID, n)
	_, _, err = flood(n, ringFillers, func(_, i int) error {
		state := make([]byte, stateBytes)
		_, _ = rand.Read(state)
		_, _ = rand.Read(rids[i][:])
		return k.Put(ring, rids[i], state)
	})
	return rids, errors.Join(err, k.Close())
}

// fillPlain makes a store of values of the size that sealed states have.
func fillPlain(dir string, rids []keyring.RID) (*pebble.DB, error) {
	db, err := openPlain(dir)
	if err != nil {
		return nil, err
	}
	value := make([]byte, sealedBytes)
	for _, rid := range rids {
		_, _ = rand.Read(value)
		if err == nil {
			err = db.Set(append([]byte{'s'}, rid[:]...), value, pebble.NoSync)
		}
	}
	if err == nil {
		err = db.Flush()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// copyPlain reads every value of a store and writes it into a new one, which is
// removed again; the time ends with the sync.
func copyPlain(from *pebble.DB, dir string) (took time.Duration, err error) {
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	begin := time.Now()
	to, err := openPlain(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	iterator, err := from.NewIter(nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, iterator.Close()) }()
	batch := to.NewBatch()
	for valid := iterator.First(); valid; valid = iterator.Next() {
		if err := batch.Set(iterator.Key(), iterator.Value(), nil); err != nil {
			return 0, err
		}
		if batch.Len() < 1<<20 {
			continue
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return 0, err
		}
		batch.Reset()
	}
	err = errors.Join(iterator.Error(), batch.Commit(pebble.Sync), batch.Close())
	return time.Since(begin), err
}
