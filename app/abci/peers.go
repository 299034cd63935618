package abci

import (
	"context"
	"fmt"
	"strings"

	"github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
)

// Codes of Query.
const (
	codePeerUnknown  uint32 = 1
	codePathUnknown  uint32 = 2
	codeRegistryGone uint32 = 3
	codePeerKnocks   uint32 = 4
)

// The engine's questions about a peer: by address before the handshake, by
// node id after the peer has shown that it holds the key of that id.
const (
	pathPeerAddress = "/p2p/filter/addr/"
	pathPeerID      = "/p2p/filter/id/"
)

// Query answers whether a peer may connect, and nothing else: a node that the
// ledger lists, or one that an office lets in, so that a node that lags behind can
// still be reached by a new member. Addresses are not registered, so an address
// decides nothing but how often it may ask.
func (a *App) Query(_ context.Context, r *types.RequestQuery) (*types.ResponseQuery, error) {
	defer a.guard("query")()
	if address, ok := strings.CutPrefix(r.Path, pathPeerAddress); ok {
		if !a.options.Knock(address) {
			return &types.ResponseQuery{Code: codePeerKnocks, Log: "too many connections from this address"}, nil
		}
		return &types.ResponseQuery{}, nil
	}
	id, ok := strings.CutPrefix(r.Path, pathPeerID)
	if !ok {
		return &types.ResponseQuery{Code: codePathUnknown, Log: "no such path"}, nil
	}
	members, err := a.Members()
	switch {
	case err != nil:
		return &types.ResponseQuery{Code: codeRegistryGone, Log: err.Error()}, nil
	case members[id] || a.options.Allowed(id):
		return &types.ResponseQuery{}, nil
	}
	return &types.ResponseQuery{Code: codePeerUnknown, Log: "peer is not registered"}, nil
}

// Members gives the node ids of the nodes that the ledger lists.
func (a *App) Members() (map[string]bool, error) {
	nodes, err := ledger.Nodes(a.View())
	if err != nil {
		return nil, fmt.Errorf("read the registered nodes: %w", err)
	}
	ids := make(map[string]bool, len(nodes))
	for _, n := range nodes {
		ids[receipt.NodeID(n.NodeKey[:])] = true
	}
	return ids, nil
}

// MayConnect says whether the peer of an id may stay connected now.
func (a *App) MayConnect(id string) (bool, error) {
	members, err := a.Members()
	return err == nil && (members[id] || a.options.Allowed(id)), err
}
