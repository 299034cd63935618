package node

import (
	"context"
	"time"

	"github.com/muniment/muniment/app/receipt"
)

// exchangeAgain is how long a node waits before it asks a validator again
// whose cosignature it still needs.
const exchangeAgain = 2 * time.Second

// ExchangeFunc hands this node's newest signed checkpoint to another node, over
// gRPC, and returns that node's, or nil where it has none. The other side calls
// Node.Exchange.
type ExchangeFunc func(ctx context.Context, peer receipt.Node, signed []byte) ([]byte, error)

// SetExchange gives the node the way to exchange cosignatures. It must be
// called before Start; a network of one validator needs none.
func (n *Node) SetExchange(f ExchangeFunc) { n.exchange = f }

// Exchange takes over the cosignatures of another node's checkpoint (nil is
// none) and returns this node's newest signed checkpoint, nil where there is none.
func (n *Node) Exchange(signed []byte) ([]byte, error) {
	own, _ := n.cosigning.mine()
	if len(signed) == 0 {
		return own.Signed, nil
	}
	return own.Signed, n.cosigning.add(signed)
}

// exchangeWith keeps one validator and this node informed of each other's
// cosignatures: at each tree that this node signs, and again while its newest
// tree lacks the quorum.
func (n *Node) exchangeWith(ctx context.Context, peer receipt.Node) {
	for {
		own, changed := n.cosigning.mine()
		if own.Size > 0 {
			call, cancel := context.WithTimeout(ctx, exchangeAgain)
			var ours []byte // a node without power has no cosignature to offer
			if n.cosigning.validates {
				ours = own.Signed
			}
			theirs, err := n.exchange(call, peer, ours)
			cancel()
			if err == nil && len(theirs) > 0 {
				err = n.cosigning.add(theirs)
			}
			if err != nil && ctx.Err() == nil {
				n.log.Debug("exchange of cosignatures", "peer", peer.ID, "err", err)
			}
		}
		again := time.NewTimer(exchangeAgain)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-changed:
			again.Stop()
		case <-again.C:
			if n.cosigning.complete() {
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
			}
		}
	}
}

// exchangePeers lists the other validators of the network file.
func (n *Node) exchangePeers() []receipt.Node {
	var peers []receipt.Node
	for _, v := range n.cosigning.era().Validators {
		for _, node := range n.network.Nodes {
			if node.ID == v.NodeID && node.ID != n.keys.ID() {
				peers = append(peers, node)
			}
		}
	}
	return peers
}
