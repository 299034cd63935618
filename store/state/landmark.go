package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// A landmark is the place of a transaction or block entry. With it a receipt
// finds what its entry belongs to without reading the entries between.

// landmarks notes the places of the entries that others belong to.
func (b *builder) landmarks(c ledger.Changes) error {
	for i, entry := range c.Entries {
		kind := record.KindOf(entry)
		if kind != record.KindTx && kind != record.KindBlock {
			continue
		}
		if err := b.batch.Set(landmarkKey(record.Index(c.FirstIndex+int64(i))), []byte{byte(kind)}, nil); err != nil {
			return err
		}
	}
	return nil
}

// BlockEntryAfter gives the block entry that ends the block of entry i: the
// first block entry at or after it.
func (s *State) BlockEntryAfter(i record.Index) (at record.Index, err error) {
	size := record.Index(s.current.Load().tip.head.Size)
	if i < 0 || i >= size {
		return 0, fmt.Errorf("entry %d of %d: %w", i, size, ErrNotThere)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: landmarkKey(i), UpperBound: landmarkKey(size)})
	if err != nil {
		return 0, fmt.Errorf("find block of entry %d: %w", i, err)
	}
	found := false
	for valid := it.First(); valid && !found; valid = it.Next() {
		at, found = landmarkIndex(it.Key()), bytes.Equal(it.Value(), []byte{byte(record.KindBlock)})
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return 0, fmt.Errorf("find block of entry %d: %w", i, err)
	}
	if !found {
		return 0, fmt.Errorf("no block entry after entry %d: %w", i, ErrDamaged)
	}
	return at, nil
}

// TxEntryOf gives the transaction entry that entry i is an item of; ok is false
// for an entry that no transaction caused.
func (s *State) TxEntryOf(i record.Index) (at record.Index, ok bool, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: landmarkKey(0), UpperBound: landmarkKey(i)})
	if err != nil {
		return 0, false, fmt.Errorf("find transaction of entry %d: %w", i, err)
	}
	if it.Last() && bytes.Equal(it.Value(), []byte{byte(record.KindTx)}) {
		at, ok = landmarkIndex(it.Key()), true
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return 0, false, fmt.Errorf("find transaction of entry %d: %w", i, err)
	}
	if !ok {
		return 0, false, nil
	}
	raw, err := s.View().Entry(at)
	if err != nil {
		return 0, false, err
	}
	entry, err := record.ParseEntry(raw)
	if err != nil {
		return 0, false, fmt.Errorf("entry %d: %w: %w", at, err, ErrDamaged)
	}
	tx, ok := entry.(record.TxEntry)
	if !ok {
		return 0, false, fmt.Errorf("entry %d is not a transaction: %w", at, ErrDamaged)
	}
	return at, int64(i-at) <= tx.Count, nil
}

func landmarkKey(i record.Index) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixLandmark}, uint64(i))
}

func landmarkIndex(key []byte) record.Index { return record.Index(binary.BigEndian.Uint64(key[1:])) }
