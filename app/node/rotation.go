package node

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cometbft/cometbft/consensus"
	cmtstate "github.com/cometbft/cometbft/state"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
)

// ErrKeyAway is returned where the ledger registers a key of this node that the
// home has not.
var ErrKeyAway = errors.New("the ledger registers a key of this node that this home has not")

// ErrCustodianKey says that content is kept under a custodian key that was
// changed. Until the next start nothing is kept under the new one.
var ErrCustodianKey = errors.New("the ledger registers another custodian key of this node: start it again to keep content under that one")

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
	switch {
	case ok:
		n.keys = keys
	case n.keys.chain.hasDropped(fact):
		n.log.Warn("the ledger of this home registers a key of this node that was retired and dropped since: the node goes by its newest keys while it catches up")
	default:
		return fmt.Errorf("node %s: %w", n.keys.ID(), ErrKeyAway)
	}
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

// askEvery is how often a node compares what it goes by with what the ledger and
// the engine say of it.
const askEvery = time.Second

// followKeys keeps up with what is decided about this node's keys.
func (n *Node) followKeys(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	var noted record.Node // what the home says is registered
	for gone, said := false, ""; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.tellEngine()
		fact, ok, err := n.registered(n.View())
		if err == nil && ok {
			err = errors.Join(n.renewCard(fact), n.noteRegistered(fact, &noted))
			if n.otherCustodian(fact) {
				err = errors.Join(err, ErrCustodianKey)
			}
		}
		if !ok && !gone && err == nil {
			gone, err = n.left()
		}
		if text := fmt.Sprint(err); err != nil && text != said {
			n.alarm(err)
			said = text
		}
	}
}

// otherCustodian tells whether the ledger registers another custodian key of this
// node than the one under which it keeps content since its start.
func (n *Node) otherCustodian(fact *record.Node) bool {
	return n.keys.Custodian != nil && fact.CustodianKey != public(n.keys.Custodian)
}

// tellEngine has the engine ask again where it goes by another validator key
// than it should: after block sync it does not ask, and would stay silent until
// the others make a block without this node, which they may not be able to.
func (n *Node) tellEngine() {
	if n.engine.ConsensusReactor().WaitSync() || !n.signer.stale() {
		return
	}
	rpc, err := n.engine.ConfigureRPC() // the one way to the engine's consensus; no listener comes of it
	if err != nil {
		n.log.Warn("the engine goes by an old key of this validator", "err", err)
		return
	}
	if state, ok := rpc.ConsensusState.(*consensus.State); ok {
		state.SetPrivValidator(n.engine.PrivValidator())
		n.log.Info("this node validates with another key from now on")
	}
}

// renewCard makes the card of this node anew where the ledger registers other
// keys than it shows. Addresses stay as they are.
func (n *Node) renewCard(fact *record.Node) error {
	id := n.keys.ID()
	card, ok := n.members.all()[id]
	if ok && card.SameKeys(fact) {
		return nil
	}
	if !ok {
		var err error
		if card, err = ReadCard(n.home.OwnCard()); err != nil {
			return nil // nobody has said yet where this node is reached
		}
	}
	keys, ok := n.keys.chain.Of(fact)
	if !ok && n.engine.ConsensusReactor().WaitSync() && n.keys.chain.hasDropped(fact) {
		return nil
	}
	if !ok {
		return fmt.Errorf("node %s: %w", id, ErrKeyAway)
	}
	text, err := MakeCard(keys, card.P2P, card.GRPC, n.now())
	if err == nil {
		err = n.home.KeepCard(text)
	}
	if err != nil {
		return fmt.Errorf("renew the card of this node: %w", err)
	}
	n.log.Info("the ledger registers other keys of this node: its card shows them now")
	if n.members.look() {
		n.members.tell()
	}
	return nil
}

// noteRegistered keeps in the home which keys the ledger registers, for those
// who look while the node is stopped. It does so once everything before is
// cosigned, so that no key is taken for retired that has yet to sign.
func (n *Node) noteRegistered(fact, noted *record.Node) error {
	if *noted == *fact || n.Status().CosignedSize < n.View().Head().Size {
		return nil
	}
	raw, err := record.MarshalFact(fact)
	if err == nil {
		err = replaceFile(n.home.registered(), withChecksum(registeredHeader, base64.StdEncoding.EncodeToString(raw)), nil)
	}
	if err != nil {
		return fmt.Errorf("note this node's keys: %w", err)
	}
	*noted = *fact
	return nil
}

const registeredHeader = "muniment/v1/registered"

// Registered gives this home's node as its ledger registered it when it ran
// last; before, as the genesis document does. It is false where neither lists it.
func (c *Keychain) Registered() (*record.Node, bool, error) {
	key := public(c.InUse().Node)
	text, err := os.ReadFile(c.home.registered())
	if errors.Is(err, os.ErrNotExist) {
		return c.founded(key)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read this node's keys: %w", err)
	}
	lines, err := checkedLines(text, 2)
	if err != nil || lines[0] != registeredHeader {
		return nil, false, fmt.Errorf("read %s: %w", c.home.registered(), ErrStateCorrupt)
	}
	raw, err := base64.StdEncoding.DecodeString(lines[1])
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", c.home.registered(), ErrStateCorrupt)
	}
	fact, err := record.ParseFact(raw)
	node, ok := fact.(*record.Node)
	if err != nil || !ok {
		return nil, false, fmt.Errorf("read %s: %w", c.home.registered(), ErrStateCorrupt)
	}
	return node, node.NodeKey == key, nil
}

// founded gives the node of a key as the genesis document lists it.
func (c *Keychain) founded(key [32]byte) (*record.Node, bool, error) {
	text, err := os.ReadFile(c.home.Genesis())
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read genesis document: %w", err)
	}
	g, err := ParseGenesis(text)
	if err != nil {
		return nil, false, err
	}
	for _, f := range g.Facts {
		if node, ok := f.(*record.Node); ok && node.NodeKey == key {
			return node, true, nil
		}
	}
	return nil, false, nil
}

// left says that this node is no longer a member, if that is so. Where another
// node key of this home has taken its place, it says what the operator is to do.
func (n *Node) left() (bool, error) {
	key := public(n.keys.Node)
	if _, gone, err := ledger.RetiredBy(n.View(), record.KeyIDOf(key[:])); err != nil || !gone {
		return false, err // nobody has admitted it yet
	}
	number, ok, err := n.successor()
	if err != nil {
		return false, fmt.Errorf("look for the node key that takes the place of this one: %w", err)
	}
	if ok {
		n.log.Error(fmt.Sprintf("this node goes by another node key from now on, as the offices have decided: run munimentd keys use node %d and start it again", number))
		return true, nil
	}
	const gone = "this node is no longer a member of the network, as the offices have decided: the other nodes end its connections; stop it, or have it admitted again with new keys"
	n.log.Error(gone)
	n.metrics.alarms.Inc()
	n.health.alarm(gone)
	return true, nil
}

// successor gives the number of another node key of this home that the ledger
// registers. The folder is read anew: the key was made while this node ran, and
// nothing else has asked for it.
func (n *Node) successor() (int, bool, error) {
	chain := n.keys.chain
	if err := chain.reload(); err != nil {
		return 0, false, err
	}
	for _, g := range chain.Generations() {
		if g.Use != "node" || g.Number == chain.inUse() {
			continue
		}
		key := g.Public()
		fact, ok, err := ledger.NodeOf(n.View(), record.KeyIDOf(key[:]))
		if err != nil {
			return 0, false, err
		}
		if ok && !fact.Removed {
			return g.Number, true, nil
		}
	}
	return 0, false, nil
}

// OfferCard writes the card that the offices are asked to register. Among the
// members' cards it comes when they have.
func (h Home) OfferCard(text []byte) error {
	if _, err := receipt.ParseCard(text); err != nil {
		return fmt.Errorf("offer card: %w", err)
	}
	return replaceFile(h.OwnCard(), text, nil)
}
