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
	looks := 0
	n.dial(looks)
	for {
		next := n.app.Next()
		n.cutStrangers()
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-tick.C:
			looks++
			n.dial(looks)
		}
	}
}

// dial dials the missing peers whose turn it is.
func (n *Node) dial(looks int) {
	for _, peer := range n.config.P2P.Peers {
		if peer < n.keys.ID() && looks%dialInTurn != dialInTurn-1 {
			continue
		}
		address, err := p2p.NewNetAddressString(peer)
		if err != nil {
			n.log.Warn("peer address", "peer", peer, "err", err)
			continue
		}
		if n.engine.Switch().IsDialingOrExistingAddress(address) || n.engine.Switch().Peers().Has(address.ID) {
			continue
		}
		go func() { // it waits for the handshake, and the engine ends it on its stop
			if err := n.engine.Switch().DialPeerWithAddress(address); err != nil {
				n.log.Debug("dial", "peer", peer, "err", err)
			}
		}()
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
