package cometdb

import (
	"github.com/cockroachdb/pebble/v2"
	dbm "github.com/cometbft/cometbft-db"
)

// batch is a set of writes to one view that reach the store all or none.
type batch struct {
	view   *View
	writes *pebble.Batch // nil once written or closed
}

// NewBatch returns an empty batch. The caller must close it.
func (v *View) NewBatch() dbm.Batch {
	defer v.gate.Enter()()
	return &batch{view: v, writes: v.db.NewBatch()}
}

// Set adds a write.
func (b *batch) Set(key, value []byte) error {
	switch {
	case len(key) == 0:
		return ErrKeyEmpty
	case value == nil:
		return ErrValueNil
	case b.writes == nil:
		return ErrBatchClosed
	}
	return b.writes.Set(b.view.key(key), value, nil)
}

// Delete adds a removal.
func (b *batch) Delete(key []byte) error {
	switch {
	case len(key) == 0:
		return ErrKeyEmpty
	case b.writes == nil:
		return ErrBatchClosed
	}
	return b.writes.Delete(b.view.key(key), nil)
}

// Write applies the batch without waiting for the disk and closes it.
func (b *batch) Write() error { return b.commit(pebble.NoSync) }

// WriteSync applies the batch, returns once it is on disk, and closes it. An
// empty batch still waits for what was written before it.
func (b *batch) WriteSync() error { return b.commit(pebble.Sync) }

func (b *batch) commit(o *pebble.WriteOptions) error {
	if b.writes == nil {
		return ErrBatchClosed
	}
	defer b.view.gate.Enter()()
	if b.writes.Empty() {
		// Pebble returns at once from an empty commit, so the promise about
		// earlier writes is kept by a record in the log that changes nothing.
		if err := b.writes.LogData(nil, nil); err != nil {
			return err
		}
	}
	if err := b.writes.Commit(o); err != nil {
		return err
	}
	return b.Close()
}

// Close drops the batch; it may be called again.
func (b *batch) Close() error {
	if b.writes == nil {
		return nil
	}
	writes := b.writes
	b.writes = nil
	return writes.Close()
}
