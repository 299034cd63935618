package rpc

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// auditors is the read side of the ledger.
type auditors struct {
	apiv1.UnimplementedAuditorsServer
	server *Server
}

// Checkpoint gives a signed and cosigned checkpoint.
func (a *auditors) Checkpoint(ctx context.Context, r *apiv1.CheckpointRequest) (*apiv1.CheckpointResponse, error) {
	size, err := count(r.Size, "size")
	if err != nil {
		return nil, err
	}
	text, treeSize, err := a.server.options.Node.Cosigned(ctx, size)
	if err != nil {
		return nil, err
	}
	return &apiv1.CheckpointResponse{Checkpoint: text, Size: uint64(treeSize)}, nil
}

// Entry gives the bytes of an entry.
func (a *auditors) Entry(_ context.Context, r *apiv1.EntryRequest) (*apiv1.EntryResponse, error) {
	view := a.server.options.Node.View()
	index, err := within(r.Index, view.Head().Size, "entry")
	if err != nil {
		return nil, err
	}
	entry, err := view.Entry(record.Index(index))
	if err != nil {
		return nil, err
	}
	return &apiv1.EntryResponse{Entry: entry}, nil
}

// InclusionProof gives the RFC 6962 audit path of an entry in a tree of a size.
func (a *auditors) InclusionProof(_ context.Context, r *apiv1.InclusionProofRequest) (*apiv1.InclusionProofResponse, error) {
	size, err := a.treeSize(r.Size)
	if err != nil {
		return nil, err
	}
	index, err := within(r.Index, size, "entry")
	if err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(size, index, a.server.options.State)
	if err != nil {
		return nil, err
	}
	return &apiv1.InclusionProofResponse{Hashes: hashes(proof)}, nil
}

// ConsistencyProof gives the RFC 6962 proof that the tree of size second extends that of size first.
func (a *auditors) ConsistencyProof(_ context.Context, r *apiv1.ConsistencyProofRequest) (*apiv1.ConsistencyProofResponse, error) {
	second, err := a.treeSize(r.Second)
	if err != nil {
		return nil, err
	}
	first, err := count(r.First, "first")
	if err != nil {
		return nil, err
	}
	if first < 1 || first > second {
		return nil, refuse(reasonMalformed, "first is %d: use 1 to %d", first, second)
	}
	proof, err := tlog.ProveTree(second, first, a.server.options.State)
	if err != nil {
		return nil, err
	}
	return &apiv1.ConsistencyProofResponse{Hashes: hashes(proof)}, nil
}

// treeSize checks the size of a committed tree.
func (a *auditors) treeSize(size uint64) (int64, error) {
	n, err := count(size, "size")
	if err != nil {
		return 0, err
	}
	if have := a.server.options.Node.View().Head().Size; n < 1 || n > have {
		return 0, refuse(reasonNotFound, "there is no tree of %d entries yet: the log has %d", n, have)
	}
	return n, nil
}

// StateProof gives a state receipt for a state key under the newest cosigned tree.
func (a *auditors) StateProof(ctx context.Context, r *apiv1.StateProofRequest) (*apiv1.StateProofResponse, error) {
	const maxKeyBytes = 128
	if len(r.Key) == 0 || len(r.Key) > maxKeyBytes {
		return nil, refuse(reasonMalformed, "the state key has %d bytes: use 1 to %d", len(r.Key), maxKeyBytes)
	}
	view, signed, err := a.server.cosignedView(ctx)
	if err != nil {
		return nil, err
	}
	return a.server.stateReceipt(view, r.Key, signed)
}

// stateReceipt makes the state receipt of a key under the checkpoint of a view's
// whole log.
func (s *Server) stateReceipt(view ledger.View, key, signed []byte) (*apiv1.StateProofResponse, error) {
	size := view.Head().Size
	block, err := view.Entry(record.Index(size - 1))
	if err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(size, size-1, s.options.State)
	if err != nil {
		return nil, err
	}
	value, present, err := view.Value(key)
	if err != nil {
		return nil, err
	}
	if !present {
		value = nil
	}
	stateProof, err := statetree.Prove(view, view.StateRoot(), statetree.KeyOf(key))
	if err != nil {
		return nil, err
	}
	text, err := receipt.NewState(block, size-1, proof, key, value, stateProof, signed)
	if err != nil {
		return nil, err
	}
	return &apiv1.StateProofResponse{Value: value, Receipt: text}, nil
}

// Registry lists the governed facts as they stand, and the open proposals.
func (a *auditors) Registry(context.Context, *apiv1.RegistryRequest) (*apiv1.RegistryResponse, error) {
	registry, err := ledger.RegistryOf(a.server.options.Node.View(), a.server.options.State.Values)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.RegistryResponse{}
	for i, fact := range registry.Facts {
		b, err := record.MarshalFact(fact)
		if err != nil {
			return nil, err
		}
		resp.Facts, resp.Indexes = append(resp.Facts, b), append(resp.Indexes, uint64(registry.Entries[i]))
	}
	for _, p := range registry.Proposals {
		fact, err := record.MarshalFact(p.Fact)
		if err != nil {
			return nil, err
		}
		hash, err := record.FactHash(p.Fact)
		if err != nil {
			return nil, err
		}
		open := &apiv1.OpenProposal{Index: uint64(p.Index), Fact: fact, FactHash: hash[:], Office: string(p.Office), LastDay: uint32(p.LastDay)}
		for _, approval := range p.Approvals {
			open.ApprovedBy = append(open.ApprovedBy, string(approval.Office))
		}
		resp.Proposals = append(resp.Proposals, open)
	}
	return resp, nil
}

// count reads a number of the wire that must fit 63 bits.
func count(v uint64, what string) (int64, error) {
	if v > 1<<62 {
		return 0, refuse(reasonMalformed, "%s %d is too large", what, v)
	}
	return int64(v), nil
}

// within reads an index below size.
func within(v uint64, size int64, what string) (int64, error) {
	if v >= uint64(size) {
		return 0, refuse(reasonNotFound, "there is no %s %d yet: the log has %d entries", what, v, size)
	}
	return int64(v), nil
}

func hashes[H ~[]tlog.Hash](proof H) [][]byte {
	out := make([][]byte, len(proof))
	for i := range proof {
		out[i] = proof[i][:]
	}
	return out
}
