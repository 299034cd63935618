package rpc

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// receiptFor makes the receipt of entry index as soon as its tree is cosigned:
// the entry with the block entry that ends its block and, for a signed act, its
// transaction entry and the fact that registered the key.
func (s *Server) receiptFor(ctx context.Context, index int64) ([]byte, error) {
	view := s.options.Node.View()
	raw, err := view.Entry(record.Index(index))
	if err != nil {
		return nil, err
	}
	entry, err := record.ParseEntry(raw)
	if err != nil {
		return nil, err
	}
	block, err := s.options.State.BlockEntryAfter(record.Index(index))
	if err != nil {
		return nil, err
	}
	signed, size, err := s.options.Node.Cosigned(ctx, int64(block)+1)
	if err != nil {
		return nil, err
	}
	needed, err := s.leavesOf(view, entry, record.Index(index), block)
	if err != nil {
		return nil, err
	}
	leaves := make([]receipt.Leaf, len(needed))
	for i, at := range needed {
		if leaves[i].Entry, err = view.Entry(at); err != nil {
			return nil, err
		}
		leaves[i].Index = int64(at)
		if leaves[i].Proof, err = tlog.ProveRecord(size, int64(at), s.options.State); err != nil {
			return nil, err
		}
	}
	proof, err := tlog.ProveRecord(size, index, s.options.State)
	if err != nil {
		return nil, err
	}
	return receipt.New(raw, index, proof, leaves, signed)
}

// leavesOf gives the indexes of the further entries that a receipt needs.
func (s *Server) leavesOf(view ledger.View, entry record.Entry, index, block record.Index) ([]record.Index, error) {
	var leaves []record.Index
	if index != block {
		leaves = append(leaves, block)
	}
	tx, isTx := entry.(record.TxEntry)
	if !isTx {
		at, ok, err := s.options.State.TxEntryOf(index)
		if err != nil || !ok {
			return leaves, err // an entry of the genesis, of the block itself or of the clock
		}
		raw, err := view.Entry(at)
		if err != nil {
			return nil, err
		}
		parsed, err := record.ParseEntry(raw)
		if err != nil {
			return nil, err
		}
		tx = parsed.(record.TxEntry)
		leaves = append(leaves, at)
	}
	key, ok, err := ledger.KeyOf(view, tx.KeyID)
	if err != nil {
		return nil, err
	}
	if ok {
		leaves = append(leaves, key.Registered)
	}
	return leaves, nil
}

// receiptsOf gives the receipts that tell a record's story: its anchor and,
// where it was superseded, that.
func (s *Server) receiptsOf(ctx context.Context, index record.Index) ([][]byte, error) {
	entries := []record.Index{index}
	life, ok, err := ledger.LifecycleOf(s.options.Node.View(), index)
	if err != nil {
		return nil, err
	}
	if ok {
		entries = append(entries, life.Supersession)
	}
	var receipts [][]byte
	for _, i := range entries {
		text, err := s.receiptFor(ctx, int64(i))
		if err != nil {
			return nil, err
		}
		receipts = append(receipts, text)
	}
	return receipts, nil
}
