package abci

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/bits"

	"github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// CodeBusy is CheckTx's answer where the mempool has room for governance and
// holds alone. It is no outcome of a block; ledger codes are far below it.
const CodeBusy uint32 = 1 << 16

// CodeKnown is CheckTx's answer to a transaction that was committed before. Whoever
// hands it out again, it costs its office no room in the mempool.
const CodeKnown = CodeBusy + 1

// CodeShare is CheckTx's answer where the office of a transaction has as much in
// the mempool as it may have.
const CodeShare = CodeBusy + 2

// CheckTx decides whether a transaction enters the mempool.
func (a *App) CheckTx(_ context.Context, r *types.RequestCheckTx) (*types.ResponseCheckTx, error) {
	defer a.guard("check transaction")()
	share := &types.ResponseCheckTx{Code: CodeShare, Codespace: "node", Log: "SHARE"}
	// What follows comes before its signature costs anything, and takes nothing of
	// the office that it names.
	line, err := a.lineOf(r.Tx)
	if err != nil || a.options.Crowded() && !line.urgent {
		return &types.ResponseCheckTx{Code: CodeBusy, Codespace: "node", Log: "BUSY"}, nil
	}
	if a.queue.full(line, len(r.Tx)) && !a.queue.has(sha256.Sum256(r.Tx)) {
		return share, nil
	}
	code, height, before := a.check(r.Tx)
	if before {
		return &types.ResponseCheckTx{Code: CodeKnown, Codespace: "node", Log: "KNOWN"}, nil
	}
	if code == ledger.OK {
		if !a.queue.add(sha256.Sum256(r.Tx), r.Tx, line, height) {
			return share, nil
		}
		return &types.ResponseCheckTx{}, nil
	}
	a.refusedFor(r.Tx, code, height)
	return &types.ResponseCheckTx{Code: uint32(code), Codespace: "ledger", Log: code.String()}, nil
}

// check judges a transaction by the committed state, whose height it gives, once
// per block that was committed since. It tells besides whether that state holds it.
func (a *App) check(raw []byte) (code ledger.Code, height int64, before bool) {
	view := a.View()
	head := view.Head()
	key := sha256.Sum256(raw)
	if height, ok := a.judged.value(key); ok && height == head.Height {
		return ledger.OK, height, false
	}
	code, before = a.machine.Examine(view, ledger.Header{Height: head.Height + 1, Time: head.Time}, raw)
	if code == ledger.OK && !before {
		a.judged.add(key, head.Height)
	}
	return code, head.Height, before
}

// lineOf gives the line in which a transaction waits, by the key that it names:
// whether that key has signed it is not looked at.
func (a *App) lineOf(raw []byte) (line, error) {
	key, known, err := ledger.KeyOf(a.View(), record.Signer(raw))
	if err != nil || !known {
		return line{urgent: record.Urgent(raw)}, err
	}
	return line{office: key.Office, urgent: record.Urgent(raw)}, nil
}

// decodable says whether a transaction may stand in a block at all. What was
// judged OK once is.
func (a *App) decodable(raw []byte) bool {
	if _, ok := a.judged.value(sha256.Sum256(raw)); ok {
		return true
	}
	_, err := record.ParseTx(raw)
	return err == nil
}

// PrepareProposal takes what is urgent, and then what each office has in the
// mempool in turn, up to the size of the block and the offices' shares of it.
// What has become stale stays in, see the package doc.
func (a *App) PrepareProposal(_ context.Context, r *types.RequestPrepareProposal) (*types.ResponsePrepareProposal, error) {
	defer a.guard("prepare proposal")()
	return &types.ResponsePrepareProposal{Txs: a.queue.inTurn(r.MaxTxBytes, r.Height, r.Txs, a.decodable)}, nil
}

// sizeInBlock is what a transaction adds to a block: its bytes with tag and length.
func sizeInBlock(raw []byte) int64 {
	return 1 + int64(bits.Len64(uint64(len(raw))|1)+6)/7 + int64(len(raw))
}

// ProcessProposal accepts any block of transactions that can be decoded. What
// they are worth is decided when the block is carried out.
func (a *App) ProcessProposal(_ context.Context, r *types.RequestProcessProposal) (*types.ResponseProcessProposal, error) {
	defer a.guard("process proposal")()
	var size int64
	for _, raw := range r.Txs {
		if size += sizeInBlock(raw); size > a.options.MaxBlockBytes || !a.decodable(raw) {
			return &types.ResponseProcessProposal{Status: types.ResponseProcessProposal_REJECT}, nil
		}
	}
	return &types.ResponseProcessProposal{Status: types.ResponseProcessProposal_ACCEPT}, nil
}

// FinalizeBlock carries a decided block out in memory. It may be called again
// for the same height after a crash: all it builds on is the committed state.
func (a *App) FinalizeBlock(_ context.Context, r *types.RequestFinalizeBlock) (*types.ResponseFinalizeBlock, error) {
	defer a.guard("finalize block")()
	view := a.View()
	if err := CheckRules(view, a.options.KnownRules); err != nil {
		a.options.Fatal(err)
		return nil, err
	}
	a.options.Final(view)
	changes, results, err := a.machine.Apply(view, decided(r))
	if err == nil && len(results) != len(r.Txs) {
		err = fmt.Errorf("%d results for %d transactions", len(results), len(r.Txs))
	}
	if err != nil {
		return nil, a.fail(fmt.Sprintf("finalize block %d", r.Height), err)
	}
	validators, err := validatorUpdates(view, changes)
	if err != nil {
		return nil, a.fail(fmt.Sprintf("finalize block %d", r.Height), err)
	}
	params, err := paramUpdates(view, r.Height)
	if err != nil {
		return nil, a.fail(fmt.Sprintf("finalize block %d", r.Height), err)
	}
	p := &pending{changes: changes, results: results, txs: make([][32]byte, len(r.Txs))}
	answer := &types.ResponseFinalizeBlock{
		AppHash: changes.AppHash[:], TxResults: make([]*types.ExecTxResult, len(results)),
		ValidatorUpdates: validators, ConsensusParamUpdates: params,
	}
	for i, result := range results {
		p.txs[i] = sha256.Sum256(r.Txs[i])
		answer.TxResults[i] = &types.ExecTxResult{Code: uint32(result.Code)}
	}
	a.pending = p
	return answer, nil
}

// Commit writes the block that FinalizeBlock carried out, makes it visible,
// and tells those who wait for its transactions.
func (a *App) Commit(context.Context, *types.RequestCommit) (*types.ResponseCommit, error) {
	defer a.guard("commit")()
	p := a.pending
	if p == nil {
		return nil, a.fail("commit", fmt.Errorf("no block was finalized"))
	}
	if err := a.options.Write(append(a.genesis, p.changes)...); err != nil {
		return nil, a.fail(fmt.Sprintf("commit block %d", p.changes.Height), err)
	}
	a.genesis, a.pending = nil, nil
	view := a.options.View()
	a.setView(view)
	a.queue.committed(p.changes.Height, p.txs...)
	a.tell(p)
	a.options.Committed(view.Head(), p.results)
	// What comes next is judged by rules that others know: no vote on it, either.
	if err := CheckRules(view, a.options.KnownRules); err != nil {
		a.options.Fatal(err)
		return nil, err
	}
	return &types.ResponseCommit{RetainHeight: a.options.Retain(p.changes.Height)}, nil
}
