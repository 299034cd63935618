// Package cometdb lets CometBFT's databases live in one Pebble store.
//
// CometBFT opens a database for its block store, its state and its evidence.
// Each becomes a View: a range of keys that begin with one prefix byte, in the
// Pebble store that also holds the ledger's state. One store has one
// write-ahead log, so what a crash leaves is a prefix of what was written, and
// the ledger can never be found ahead of the block that it came from.
//
// The contract is that of the cometbft-db interface, and beside it:
//   - Close of a view does nothing: the store belongs to whoever opened it,
//     and Pebble panics on a second Close.
//   - Set and Delete may be lost in a crash; SetSync, DeleteSync and WriteSync
//     return once the write and everything before it are on disk.
//   - Keys and values given out are copies and stay valid.
//   - A value that is present is never nil, an absent one always is.
//   - An iterator sees the store as it was when the iterator was made, and the
//     store cannot be closed before every iterator is; a Gate sees to that.
//
// The prefixes of the three databases are 0xC1 to 0xC3; no other part of the
// store may use them.
package cometdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/config"
)

// The prefix byte of each database that CometBFT opens, by its name there.
const (
	PrefixBlockStore byte = 0xC1
	PrefixState      byte = 0xC2
	PrefixEvidence   byte = 0xC3
)

var (
	// ErrKeyEmpty is returned for a nil or empty key, which cometbft-db forbids.
	ErrKeyEmpty = errors.New("key cannot be empty")
	// ErrValueNil is returned for a nil value; an empty one is allowed.
	ErrValueNil = errors.New("value cannot be nil")
	// ErrBatchClosed is returned by a batch that has been written or closed.
	ErrBatchClosed = errors.New("batch has been written or closed")
	// ErrUnknownDatabase is returned by the provider for a name that has no prefix.
	ErrUnknownDatabase = errors.New("database has no prefix in the shared store")
)

// Provider returns the function by which CometBFT opens its databases inside
// db. It knows "blockstore", "state" and "evidence"; a transaction index has no
// place here.
func Provider(db *pebble.DB) config.DBProvider { return provider(db, nil) }

func provider(db *pebble.DB, gate *Gate) config.DBProvider {
	prefixes := map[string]byte{"blockstore": PrefixBlockStore, "state": PrefixState, "evidence": PrefixEvidence}
	return func(c *config.DBContext) (dbm.DB, error) {
		prefix, ok := prefixes[c.ID]
		if !ok {
			return nil, fmt.Errorf("open database %q: %w", c.ID, ErrUnknownDatabase)
		}
		return &View{db: db, prefix: prefix, gate: gate}, nil
	}
}

// View is one of CometBFT's databases: the keys of a Pebble store that begin
// with one byte. It is safe for concurrent use.
type View struct {
	db     *pebble.DB
	prefix byte
	gate   *Gate
}

var _ dbm.DB = (*View)(nil)

// New returns the view of db whose keys begin with prefix, which must be below
// 0xFF so that the range has an upper bound.
func New(db *pebble.DB, prefix byte) *View { return &View{db: db, prefix: prefix} }

// key returns the store's key for a key of the view.
func (v *View) key(k []byte) []byte {
	return append(append(make([]byte, 0, 1+len(k)), v.prefix), k...)
}

// bounds returns the store's range for [start, end) of the view, where nil
// means the first or the last key. The range is empty where start is not below
// end.
func (v *View) bounds(start, end []byte) (lower, upper []byte) {
	lower, upper = v.key(start), []byte{v.prefix + 1}
	if end != nil {
		upper = v.key(end)
	}
	if string(lower) > string(upper) {
		upper = lower
	}
	return lower, upper
}

// Get returns a copy of the value of key, or nil where there is none.
func (v *View) Get(key []byte) ([]byte, error) {
	if len(key) == 0 {
		return nil, ErrKeyEmpty
	}
	defer v.gate.Enter()()
	value, closer, err := v.db.Get(v.key(key))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return copied(value), closer.Close()
}

// Has says whether key is present.
func (v *View) Has(key []byte) (bool, error) {
	value, err := v.Get(key)
	return value != nil, err
}

// Set writes a value without waiting for the disk.
func (v *View) Set(key, value []byte) error { return v.set(key, value, pebble.NoSync) }

// SetSync writes a value and returns once it is on disk.
func (v *View) SetSync(key, value []byte) error { return v.set(key, value, pebble.Sync) }

func (v *View) set(key, value []byte, o *pebble.WriteOptions) error {
	if len(key) == 0 {
		return ErrKeyEmpty
	}
	if value == nil {
		return ErrValueNil
	}
	defer v.gate.Enter()()
	return v.db.Set(v.key(key), value, o)
}

// Delete removes a key without waiting for the disk; a missing key is no error.
func (v *View) Delete(key []byte) error { return v.remove(key, pebble.NoSync) }

// DeleteSync removes a key and returns once that is on disk.
func (v *View) DeleteSync(key []byte) error { return v.remove(key, pebble.Sync) }

func (v *View) remove(key []byte, o *pebble.WriteOptions) error {
	if len(key) == 0 {
		return ErrKeyEmpty
	}
	defer v.gate.Enter()()
	return v.db.Delete(v.key(key), o)
}

// Iterator walks [start, end) upwards; nil bounds mean the first and last key.
func (v *View) Iterator(start, end []byte) (dbm.Iterator, error) {
	return v.iterate(start, end, false)
}

// ReverseIterator walks [start, end) downwards; nil bounds mean the first and last key.
func (v *View) ReverseIterator(start, end []byte) (dbm.Iterator, error) {
	return v.iterate(start, end, true)
}

// Close does nothing: the store belongs to whoever opened it.
func (v *View) Close() error { return nil }

// Print does nothing: a block store is no text, and transactions never go to a
// terminal.
func (v *View) Print() error { return nil }

// Stats names the database and its prefix; the store's own metrics are read
// from the store.
func (v *View) Stats() map[string]string {
	return map[string]string{
		"database.type":   "pebble",
		"database.prefix": strconv.Itoa(int(v.prefix)),
	}
}

// Compact rewrites the files that hold [start, end) of the view.
func (v *View) Compact(start, end []byte) error {
	lower, upper := v.bounds(start, end)
	if string(lower) == string(upper) {
		return nil
	}
	defer v.gate.Enter()()
	return v.db.Compact(context.Background(), lower, upper, false)
}

// copied returns a copy that is never nil.
func copied(b []byte) []byte { return append([]byte{}, b...) }
