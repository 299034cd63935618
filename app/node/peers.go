package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// dialEvery is how often a node looks for members that it lacks. Of each pair of
// nodes the one with the lower id dials; the other one helps at its second look
// and at every dialInTurn-th one after it, where the first cannot reach it or has
// not heard yet where it is.
//
// The engine is not told of any persistent peer: it would give up after a day,
// and it dials again within a millisecond, over and over, where the other side
// still holds a dead connection of this node and refuses a second one.
const (
	dialEvery  = 2 * time.Second
	dialInTurn = 5

	maxMembers   = 64             // nodes of a network
	maxCardFiles = 4 * maxMembers // that are read: those who were members stay in the folder
)

// peerIDs gives the ids of those whom this node knows at its start: they never
// count as too many.
func (n *Node) peerIDs() []string {
	ids := slices.Collect(maps.Keys(n.members.all()))
	for _, peer := range n.config.P2P.Peers {
		id, _, _ := strings.Cut(peer, "@")
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == n.keys.ID() })
}

// memberNodes gives the nodes that the ledger lists, by id.
func (n *Node) memberNodes() (map[string]record.Node, error) {
	list, err := ledger.Nodes(n.app.View())
	if err != nil {
		return nil, fmt.Errorf("read the registered nodes: %w", err)
	}
	nodes := make(map[string]record.Node, len(list))
	for _, one := range list {
		nodes[receipt.NodeID(one.NodeKey[:])] = one
	}
	return nodes, nil
}

// supervise dials missing peers for as long as the node runs, exchanges cards,
// and after each block cuts those that may no longer be connected.
func (n *Node) supervise(ctx context.Context) {
	tick, again := time.NewTicker(dialEvery), time.NewTicker(cardsEvery)
	defer tick.Stop()
	defer again.Stop()
	looks, tries := 0, map[string]int{}
	var before map[string]record.Node
	leaving := map[string]int64{} // nodes that the ledger has ceased to list, with the height at which it did
	n.dial(looks, tries)
	for {
		next := n.app.Next()
		height := n.View().Head().Height
		nodes, err := n.memberNodes()
		if err == nil {
			err = n.noteLeaving(leaving, before, nodes)
		}
		if err != nil {
			n.log.Error("peers", "err", err)
		} else {
			n.cutStrangers(nodes, leaving, height)
			if !maps.Equal(nodes, before) {
				before = nodes
				n.members.tell()
				n.dial(looks, tries)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-again.C:
			n.members.tell()
		case <-tick.C:
			looks++
			if n.members.look() {
				n.members.tell()
			}
			n.dial(looks, tries)
		}
	}
}

// addresses gives where each other node may be: what its card says, where the
// ledger lists it or an office lets it in, and what the configuration says.
func (n *Node) addresses() map[string][]string {
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
		if id < n.keys.ID() && looks%dialInTurn != 1 {
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

// noteLeaving notes at which height the nodes have left that are listed no more.
func (n *Node) noteLeaving(leaving map[string]int64, before, nodes map[string]record.Node) error {
	for id, one := range before {
		if _, ok := nodes[id]; ok {
			continue
		}
		fact, ok, err := ledger.RetiredBy(n.View(), record.KeyIDOf(one.NodeKey[:]))
		if err == nil && ok {
			leaving[id], err = n.heightOf(fact)
		}
		if err != nil {
			return fmt.Errorf("find when node %s left: %w", id, err)
		}
	}
	return nil
}

// heightOf gives the height of the block of an entry.
func (n *Node) heightOf(i record.Index) (int64, error) {
	at, err := n.state.BlockEntryAfter(i)
	if err != nil {
		return 0, err
	}
	raw, err := n.View().Entry(at)
	if err != nil {
		return 0, err
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return 0, err
	}
	return e.(record.BlockEntry).Height, nil
}

// cutStrangers cuts the peers that the ledger does not list and no office lets
// in. One that has left at a height stays for a block, on which it votes still,
// and for a second one if it has not come as far: it hears that it has left.
func (n *Node) cutStrangers(nodes map[string]record.Node, leaving map[string]int64, height int64) {
	for _, peer := range n.engine.Switch().Peers().Copy() {
		id := string(peer.ID())
		if _, ok := nodes[id]; ok || n.allowed(id) {
			continue
		}
		if at, ok := leaving[id]; ok && !isCut(at, height, peerHeight(peer)) {
			continue
		}
		delete(leaving, id)
		n.log.Warn("peer is no longer registered", "peer", id)
		n.engine.Switch().StopPeerGracefully(peer)
	}
}

// isCut says whether a node that left at a height is cut after the block of
// height now, where it works on that of height working itself.
func isCut(left, now, working int64) bool {
	return now >= left+2 || now == left+1 && working > left
}

// peerHeight gives the height that a peer says it works on, 0 if it has not said.
func peerHeight(peer p2p.Peer) int64 {
	if said, ok := peer.Get(types.PeerStateKey).(*consensus.PeerState); ok {
		return said.GetHeight()
	}
	return 0
}
