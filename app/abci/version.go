package abci

import (
	"errors"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"github.com/muniment/muniment/app/ledger"
)

// ErrRules is returned where the network applies rules that this program does
// not know.
var ErrRules = errors.New("this program knows older rules only")

// CheckRules refuses a state on which no block can be built that is judged by
// versions of the rules from 1 to known.
func CheckRules(v ledger.View, known uint32) error {
	height := v.Head().Height + 1
	version, err := ledger.VersionAt(v, height)
	if err != nil {
		return fmt.Errorf("read the version of the rules: %w", err)
	}
	if version > known {
		return fmt.Errorf("the network applies rules version %d from block %d on: %w", version, height, ErrRules)
	}
	return nil
}

// paramUpdates gives what the engine has to change about its parameters after a
// block: the version of the rules, which the header of each block names, in the
// last block before the first that is judged by another one.
func paramUpdates(v ledger.View, height int64) (*cmtproto.ConsensusParams, error) {
	now, err := ledger.VersionAt(v, height)
	if err != nil {
		return nil, err
	}
	next, err := ledger.VersionAt(v, height+1)
	if err != nil || next == now {
		return nil, err
	}
	return &cmtproto.ConsensusParams{Version: &cmtproto.VersionParams{App: uint64(next)}}, nil
}
