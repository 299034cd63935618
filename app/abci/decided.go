package abci

import (
	"bytes"
	"fmt"

	"github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/proto/tendermint/crypto"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
)

// Decided gives the ledger the same block out of the engine's block store as
// FinalizeBlock gave it when it was decided.
func Decided(b *cmttypes.Block) ledger.Block {
	block := ledger.Block{Height: b.Height, Time: b.Time.UnixNano(), Txs: b.Txs.ToSliceOfBytes()}
	var live signers
	if b.LastCommit != nil {
		for _, s := range b.LastCommit.Signatures {
			live = live.with(s.ValidatorAddress, s.BlockIDFlag == cmttypes.BlockIDFlagCommit)
		}
	}
	block.Live, block.Misbehavior = live.live(), misbehavior(b.Evidence.Evidence.ToABCI())
	return block
}

// decided gives the ledger the block that consensus has decided.
func decided(r *types.RequestFinalizeBlock) ledger.Block {
	block := ledger.Block{Height: r.Height, Time: r.Time.UnixNano(), Txs: r.Txs}
	var live signers
	for _, v := range r.DecidedLastCommit.Votes {
		live = live.with(v.Validator.Address, v.BlockIdFlag == cmtproto.BlockIDFlagCommit)
	}
	block.Live, block.Misbehavior = live.live(), misbehavior(r.Misbehavior)
	return block
}

// signers are the validators that signed the commit that a block carries. It is
// nil for the first block, which carries none.
type signers map[[20]byte]bool

func (s signers) with(address []byte, signed bool) signers {
	if s == nil {
		s = signers{}
	}
	if signed && len(address) == len([20]byte{}) {
		s[[20]byte(address)] = true
	}
	return s
}

func (s signers) live() ledger.Live {
	if s == nil {
		return nil
	}
	return func(address [20]byte) bool { return s[address] }
}

// misbehavior gives the evidence of a block: of two votes for one round, and of
// signatures that were meant to mislead those who follow the headers alone.
func misbehavior(list []types.Misbehavior) []ledger.Misbehavior {
	var all []ledger.Misbehavior
	for _, m := range list {
		if len(m.Validator.Address) == len([20]byte{}) {
			all = append(all, ledger.Misbehavior{Validator: [20]byte(m.Validator.Address), Height: m.Height})
		}
	}
	return all
}

// validatorUpdates gives what the engine has to change about its validators,
// which it does two heights later: the difference of what the ledger lists
// before and after a block, ascending by key. Each key is there once, what is
// removed was there, and something stays, since the ledger sees to it.
func validatorUpdates(before ledger.View, c ledger.Changes) ([]types.ValidatorUpdate, error) {
	if !changesNodes(c) {
		return nil, nil
	}
	was, err := ledger.Validators(before)
	if err != nil {
		return nil, fmt.Errorf("read the validators: %w", err)
	}
	is, err := ledger.Validators(ledger.Overlay(before, c))
	if err != nil {
		return nil, fmt.Errorf("read the validators after block %d: %w", c.Height, err)
	}
	var updates []types.ValidatorUpdate
	for len(was) > 0 || len(is) > 0 {
		switch order := compareKeys(was, is); {
		case order < 0:
			updates, was = append(updates, update(was[0].PublicKey, 0)), was[1:]
		case order > 0:
			updates, is = append(updates, update(is[0].PublicKey, is[0].Power)), is[1:]
		default:
			if was[0].Power != is[0].Power {
				updates = append(updates, update(is[0].PublicKey, is[0].Power))
			}
			was, is = was[1:], is[1:]
		}
	}
	return updates, nil
}

// compareKeys compares the first keys of two lists, of which one is not empty.
func compareKeys(a, b []ledger.Validator) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return bytes.Compare(a[0].PublicKey[:], b[0].PublicKey[:])
}

func update(public [32]byte, power int64) types.ValidatorUpdate {
	return types.ValidatorUpdate{PubKey: crypto.PublicKey{Sum: &crypto.PublicKey_Ed25519{Ed25519: public[:]}}, Power: power}
}

// changesNodes says whether a block set anything about a node.
func changesNodes(c ledger.Changes) bool {
	node := ledger.StateKeyNode([32]byte{})
	prefix := node[:len(node)-32]
	for _, v := range c.Values {
		if bytes.HasPrefix(v.Key, prefix) {
			return true
		}
	}
	return false
}
