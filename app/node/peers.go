package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cometbft/cometbft/p2p"
)

// dialEvery is how often a node looks for configured peers that it lacks. Of
// each pair of nodes the one with the lower id dials; the other one helps at
// every dialInTurn-th look, where the first cannot reach it.
//
// The engine is not told of any persistent peer: it would give up after a day,
// and it dials again within a millisecond, over and over, where the other side
// still holds a dead connection of this node and refuses a second one.
const (
	dialEvery  = 2 * time.Second
	dialInTurn = 5
)

// peerIDs gives the ids of the configured peers.
func peerIDs(peers []string) []string {
	ids := make([]string, len(peers))
	for i, peer := range peers {
		ids[i], _, _ = strings.Cut(peer, "@")
	}
	return ids
}

// allowed says whether the operator lets a peer connect that the ledger does not list.
func (n *Node) allowed(id string) bool {
	return slices.Contains(*n.strangers.Load(), id)
}

// supervise dials missing peers, and after each block cuts those that may no
// longer be connected.
func (n *Node) supervise(ctx context.Context) {
	tick := time.NewTicker(dialEvery)
	defer tick.Stop()
	looks, tries := 0, map[string]int{}
	n.dial(looks, tries)
	for {
		next := n.app.Next()
		n.cutStrangers()
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-tick.C:
			looks++
			n.dial(looks, tries)
		}
	}
}

// addresses gives where each other node may be: what its card says, where the
// ledger lists it, and what the configuration says.
func (n *Node) addresses() map[string][]string {
	n.members.look()
	list := map[string][]string{}
	for _, peer := range n.config.P2P.Peers {
		id, _, _ := strings.Cut(peer, "@")
		list[id] = append(list[id], peer)
	}
	for id, card := range n.members.all() {
		peer := id + "@" + card.P2P
		if slices.Contains(list[id], peer) {
			continue
		}
		if ok, err := n.app.MayConnect(id); err == nil && ok {
			list[id] = append(list[id], peer)
		}
	}
	delete(list, n.keys.ID())
	return list
}

// dial dials the missing peers whose turn it is, at one of their addresses after
// the other.
func (n *Node) dial(looks int, tries map[string]int) {
	for id, addresses := range n.addresses() {
		if id < n.keys.ID() && looks%dialInTurn != dialInTurn-1 {
			continue
		}
		if n.engine.Switch().Peers().Has(p2p.ID(id)) {
			continue
		}
		peer := addresses[tries[id]%len(addresses)]
		tries[id]++
		go n.dialPeer(peer) // it waits for the handshake, and the engine ends it on its stop
	}
}

func (n *Node) dialPeer(peer string) {
	address, err := p2p.NewNetAddressString(peer)
	if err != nil {
		n.log.Warn("peer address", "peer", peer, "err", err)
		return
	}
	if n.engine.Switch().IsDialingOrExistingAddress(address) {
		return
	}
	if err := n.engine.Switch().DialPeerWithAddress(address); err != nil {
		n.log.Debug("dial", "peer", peer, "err", err)
	}
}

func (n *Node) cutStrangers() {
	for _, peer := range n.engine.Switch().Peers().Copy() {
		ok, err := n.app.MayConnect(string(peer.ID()))
		if err == nil && !ok {
			n.log.Warn("peer is no longer registered", "peer", peer.ID())
			n.engine.Switch().StopPeerGracefully(peer)
		}
	}
}
