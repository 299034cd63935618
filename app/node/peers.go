package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cometbft/cometbft/p2p"
)

// redialEvery is how often a node tries the configured peers that it has lost.
// The engine itself gives up after about a day.
const redialEvery = 30 * time.Second

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
	return slices.Contains(n.config.P2P.Allow, id)
}

// supervise redials lost peers, and after each block cuts those that may no
// longer be connected.
func (n *Node) supervise(ctx context.Context) {
	tick := time.NewTicker(redialEvery)
	defer tick.Stop()
	for {
		next := n.app.Next()
		n.cutStrangers()
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-tick.C:
			n.redial()
		}
	}
}

func (n *Node) redial() {
	for _, peer := range n.config.P2P.Peers {
		address, err := p2p.NewNetAddressString(peer)
		if err != nil {
			n.log.Warn("peer address", "peer", peer, "err", err)
			continue
		}
		if n.engine.Switch().Peers().Has(address.ID) || n.engine.Switch().IsDialingOrExistingAddress(address) {
			continue
		}
		go func() { // it waits for the handshake, and the engine ends it on its stop
			if err := n.engine.Switch().DialPeerWithAddress(address); err != nil {
				n.log.Debug("redial", "peer", peer, "err", err)
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
