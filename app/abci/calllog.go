package abci

import (
	"context"
	"fmt"
	"io"

	"github.com/cometbft/cometbft/abci/types"
)

// CallLog is an application that writes down what it is asked, before it passes
// the call on: the terminals of the ABCI grammar, in order, with a line end
// after "commit". A line "start" comes first, for the start of the process;
// where the process before died in the middle of a line, it ends that line.
// Calls that the grammar leaves out are not written: Info, CheckTx, Query and
// those that serve snapshots to others. A call that cannot be written down
// fails.
type CallLog struct {
	types.Application
	to io.Writer
}

// NewCallLog puts a call log before an application.
func NewCallLog(app types.Application, to io.Writer) (*CallLog, error) {
	l := &CallLog{Application: app, to: to}
	return l, l.write("\nstart\n")
}

func (l *CallLog) write(text string) error {
	if _, err := io.WriteString(l.to, text); err != nil {
		return fmt.Errorf("write call log: %w", err)
	}
	return nil
}

// logged writes a terminal and passes the call on.
func logged[Q, R any](ctx context.Context, l *CallLog, terminal string, request *Q, call func(context.Context, *Q) (*R, error)) (*R, error) {
	if err := l.write(terminal); err != nil {
		return nil, err
	}
	return call(ctx, request)
}

// InitChain is written down as "init_chain"; likewise below.
func (l *CallLog) InitChain(ctx context.Context, r *types.RequestInitChain) (*types.ResponseInitChain, error) {
	return logged(ctx, l, "init_chain ", r, l.Application.InitChain)
}

// PrepareProposal is written down.
func (l *CallLog) PrepareProposal(ctx context.Context, r *types.RequestPrepareProposal) (*types.ResponsePrepareProposal, error) {
	return logged(ctx, l, "prepare_proposal ", r, l.Application.PrepareProposal)
}

// ProcessProposal is written down.
func (l *CallLog) ProcessProposal(ctx context.Context, r *types.RequestProcessProposal) (*types.ResponseProcessProposal, error) {
	return logged(ctx, l, "process_proposal ", r, l.Application.ProcessProposal)
}

// ExtendVote is written down.
func (l *CallLog) ExtendVote(ctx context.Context, r *types.RequestExtendVote) (*types.ResponseExtendVote, error) {
	return logged(ctx, l, "extend_vote ", r, l.Application.ExtendVote)
}

// VerifyVoteExtension is written down.
func (l *CallLog) VerifyVoteExtension(ctx context.Context, r *types.RequestVerifyVoteExtension) (*types.ResponseVerifyVoteExtension, error) {
	return logged(ctx, l, "verify_vote_extension ", r, l.Application.VerifyVoteExtension)
}

// FinalizeBlock is written down.
func (l *CallLog) FinalizeBlock(ctx context.Context, r *types.RequestFinalizeBlock) (*types.ResponseFinalizeBlock, error) {
	return logged(ctx, l, "finalize_block ", r, l.Application.FinalizeBlock)
}

// Commit is written down, and ends the line.
func (l *CallLog) Commit(ctx context.Context, r *types.RequestCommit) (*types.ResponseCommit, error) {
	return logged(ctx, l, "commit\n", r, l.Application.Commit)
}

// OfferSnapshot is written down.
func (l *CallLog) OfferSnapshot(ctx context.Context, r *types.RequestOfferSnapshot) (*types.ResponseOfferSnapshot, error) {
	return logged(ctx, l, "offer_snapshot ", r, l.Application.OfferSnapshot)
}

// ApplySnapshotChunk is written down.
func (l *CallLog) ApplySnapshotChunk(ctx context.Context, r *types.RequestApplySnapshotChunk) (*types.ResponseApplySnapshotChunk, error) {
	return logged(ctx, l, "apply_snapshot_chunk ", r, l.Application.ApplySnapshotChunk)
}
