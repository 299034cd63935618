package rpc

import (
	"context"
	"slices"

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
	registered, ok, err := registeredBy(view, tx.KeyID)
	if err != nil {
		return nil, err
	}
	if ok {
		leaves = append(leaves, registered)
	}
	return leaves, nil
}

// registeredBy gives the fact entry that registered a key: that of an office's
// key or, for the custodian key of a node, that of the node.
func registeredBy(view ledger.View, id record.KeyID) (record.Index, bool, error) {
	key, ok, err := ledger.KeyOf(view, id)
	if err != nil || ok {
		return key.Registered, ok, err
	}
	return ledger.CustodianRegistered(view, id)
}

// receiptsOf gives the receipts that tell a record's story: its anchor, where it
// was superseded, that, and the decisions about parts of it that name one of these
// redactions.
func (s *Server) receiptsOf(ctx context.Context, index record.Index, redactions [][32]byte) ([][]byte, error) {
	entries := []record.Index{index}
	view := s.options.Node.View()
	life, ok, err := ledger.LifecycleOf(view, index)
	if err != nil {
		return nil, err
	}
	if ok && life.Supersession != 0 {
		entries = append(entries, life.Supersession)
	}
	for _, decision := range life.Decisions {
		more, err := decisionEntries(view, decision, redactions)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
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

// decisionEntries gives the entries that prove a decision about parts of a record,
// if it is about one of these redactions: the withholding; or the proposal of the
// erasure, its approvals, its item at the lock, and the reports.
func decisionEntries(view ledger.View, decision record.Index, redactions [][32]byte) ([]record.Index, error) {
	d, erased, err := ledger.DispositionOf(view, decision)
	switch {
	case err != nil:
		return nil, err
	case erased && slices.Contains(redactions, d.Redaction):
		entries := []record.Index{decision}
		for _, a := range d.Approvals {
			entries = append(entries, a.Entry)
		}
		entries = append(entries, d.Lock+1) // a redaction is of one record
		for _, r := range d.Reports {
			entries = append(entries, r.Entry)
		}
		return entries, nil
	case erased:
		return nil, nil
	}
	raw, err := view.Entry(decision)
	if err != nil {
		return nil, err
	}
	entry, err := record.ParseEntry(raw)
	if err != nil {
		return nil, err
	}
	if w, ok := entry.(record.WithholdingEntry); ok && slices.Contains(redactions, w.Redaction) {
		return []record.Index{decision}, nil
	}
	return nil, nil
}
