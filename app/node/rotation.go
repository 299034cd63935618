package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cmtstate "github.com/cometbft/cometbft/state"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
)

// ErrKeyAway is returned where the ledger registers a key of this node that the
// home has not.
var ErrKeyAway = errors.New("the ledger registers a key of this node that this home has not")

// registered gives the fact by which the ledger lists this node, false where it
// does not.
func (n *Node) registered(v ledger.View) (*record.Node, bool, error) {
	key := public(n.keys.Node)
	fact, ok, err := ledger.NodeOf(v, record.KeyIDOf(key[:]))
	return &fact, ok, err
}

// chooseKeys takes the keys that the ledger registers for this node. A node that
// it does not list yet, or no longer, goes by the newest.
func (n *Node) chooseKeys() error {
	fact, ok, err := n.registered(n.state.View())
	if err != nil || !ok {
		return err
	}
	keys, ok := n.keys.chain.Of(fact)
	if !ok {
		return fmt.Errorf("node %s: %w: restore the folder of keys", n.keys.ID(), ErrKeyAway)
	}
	n.keys = keys
	return nil
}

// validatorKeys gives the signer the validator keys of the home. The present one
// is that which the engine's own state lists for the next height: the ledger
// decides earlier, and the engine follows two heights later.
func (n *Node) validatorKeys() ValidatorKeys {
	chain := n.keys.chain
	return ValidatorKeys{
		All: func() (keys []ed25519.PrivateKey) {
			for _, g := range chain.Generations() {
				if g.Use == "validator" {
					keys = append(keys, g.Key)
				}
			}
			return keys
		},
		Present: func() (ed25519.PrivateKey, error) {
			publics, err := n.engineValidators()
			if err != nil {
				return nil, err
			}
			if g, ok := chain.among("validator", publics); ok {
				return g.Key, nil
			}
			for _, g := range chain.Generations() {
				if g.Use == "validator" {
					return g.Key, nil // validates nothing; the engine wants a key all the same
				}
			}
			return nil, ErrNoSuchGeneration
		},
	}
}

// engineValidators lists the public keys of those who validate the height after
// the last block, as the engine has it on disk.
func (n *Node) engineValidators() (publics [][32]byte, err error) {
	state, err := cmtstate.NewStore(cometdb.New(n.db, cometdb.PrefixState), cmtstate.StoreOptions{}).Load()
	if err != nil {
		return nil, fmt.Errorf("read the engine's validators: %w", err)
	}
	if state.IsEmpty() {
		for _, f := range n.genesis.Facts {
			if node, ok := f.(*record.Node); ok && node.Power > 0 {
				publics = append(publics, node.ValidatorKey)
			}
		}
		return publics, nil
	}
	for _, v := range state.Validators.Validators {
		if key := v.PubKey.Bytes(); len(key) == ed25519.PublicKeySize {
			publics = append(publics, [32]byte(key))
		}
	}
	return publics, nil
}

// among gives the newest key of a use whose public half is listed. Where there
// is none, the folder is read again, once for each list.
func (c *Keychain) among(use string, publics [][32]byte) (found Generation, ok bool) {
	look := func() bool {
		for _, g := range c.Generations() {
			if g.Use == use && slices.Contains(publics, g.Public()) {
				found, ok = g, true
			}
		}
		return ok
	}
	if look() {
		return found, true
	}
	c.mu.Lock()
	known := slices.Equal(c.missed, publics)
	c.missed = slices.Clone(publics)
	c.mu.Unlock()
	if known || c.reload() != nil {
		return Generation{}, false
	}
	return found, look()
}

// askEvery is how often a node compares the key that the engine goes by with the
// one that it should.
const askEvery = time.Second

// followKeys tells the engine when this node validates with another key than it
// goes by: after block sync the engine does not ask, and would stay silent until
// the others make a block without it, which they may not be able to.
func (n *Node) followKeys(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n.engine.ConsensusReactor().WaitSync() || !n.signer.stale() {
			continue
		}
		rpc, err := n.engine.ConfigureRPC() // the one way to the engine's consensus; no listener comes of it
		if err != nil {
			n.log.Warn("the engine goes by an old key of this validator", "err", err)
			continue
		}
		if state, ok := rpc.ConsensusState.(*consensus.State); ok {
			state.SetPrivValidator(n.engine.PrivValidator())
			n.log.Info("this node validates with another key from now on")
		}
	}
}
