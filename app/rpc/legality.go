package rpc

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// Legality gives the legality file of a record that is locked for disposition,
// as soon as the tree with the lock is cosigned.
func (s *staff) Legality(ctx context.Context, r *apiv1.LegalityRequest) (*apiv1.LegalityResponse, error) {
	department, err := departmentOr(ctx, r.Department)
	if err != nil {
		return nil, err
	}
	view := s.server.options.State.View()
	index, _, err := s.server.anchorOf(view, department, r.Record)
	if err != nil {
		return nil, err
	}
	item, locked, err := ledger.ItemOf(view, index)
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, refuse(reasonNotFound, "record %d is not locked for disposition", index)
	}
	block, err := s.server.options.State.BlockEntryAfter(item)
	if err != nil {
		return nil, err
	}
	signed, _, err := s.server.options.Node.Cosigned(ctx, int64(block)+1)
	if err != nil {
		return nil, err
	}
	file, err := receipt.NewLegality(view.Head().Network, s.server.legalitySource(view), int64(item), signed)
	if errors.Is(err, receipt.ErrTooLarge) {
		return nil, refuse(reasonTooLarge, "record %d cites more entries than one file takes: ask for their receipts", index)
	}
	if err != nil {
		return nil, err
	}
	return &apiv1.LegalityResponse{File: file}, nil
}

// legalitySource reads the parts of legality files from the ledger.
func (s *Server) legalitySource(view ledger.View) receipt.LegalitySource {
	state := s.options.State
	found := func(at record.Index, ok bool, err error, what string) (int64, error) {
		if err == nil && !ok {
			err = fmt.Errorf("read %s: it is not in the log", what)
		}
		return int64(at), err
	}
	return receipt.LegalitySource{
		Entry: func(index int64) ([]byte, error) { return view.Entry(record.Index(index)) },
		Block: func(index int64) (int64, error) {
			at, err := state.BlockEntryAfter(record.Index(index))
			return int64(at), err
		},
		Tx: func(index int64) (int64, error) {
			at, ok, err := state.TxEntryOf(record.Index(index))
			return found(at, ok, err, fmt.Sprintf("transaction of entry %d", index))
		},
		Key: func(id record.KeyID) (int64, error) {
			key, ok, err := ledger.KeyOf(view, id)
			return found(key.Registered, ok, err, fmt.Sprintf("key %x", id))
		},
		Office: func(code record.Code, before int64) (int64, error) {
			at, ok, err := ledger.OfficeStatedBefore(view, state.Values, code, record.Index(before))
			return found(at, ok, err, fmt.Sprintf("office %s before entry %d", code, before))
		},
		Adoption: func(schedule record.Code, version uint32) (int64, error) {
			v, ok, err := ledger.VersionOf(view, schedule, version)
			return found(v.Adopted, ok && v.Adopted != 0, err, fmt.Sprintf("adoption of version %d of schedule %s", version, schedule))
		},
		Prove: func(size, index int64) (tlog.RecordProof, error) { return tlog.ProveRecord(size, index, state) },
	}
}
