package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/p2p"

	"github.com/muniment/muniment/app/receipt"
)

// The engine's own channels end at 0x61.
const (
	gossipChannel   byte = 0x70
	gossipMaxBytes       = receipt.MaxReceiptBytes + 1<<10
	gossipAgain          = 2 * time.Second
	handoversAtOnce      = 8
)

// gossipMessage is protobuf, with one of its fields:
//
//	bytes signed = 1     a signed checkpoint with the sender's log signature and all
//	                     cosignatures that it has gathered
//	bytes handover = 2   the state receipt that opens an era, likewise (docs/spec/network.md)
//	uint32 eras = 3      so many eras are handed over as far as the sender knows, and its
//	                     ledger has more: whoever has the next handovers may send them
type gossipMessage struct {
	Signed   []byte `protobuf:"bytes,1,opt,name=signed,proto3"`
	Handover []byte `protobuf:"bytes,2,opt,name=handover,proto3"`
	Eras     uint32 `protobuf:"varint,3,opt,name=eras,proto3"`
}

func (m *gossipMessage) Reset()         { *m = gossipMessage{} }
func (m *gossipMessage) String() string { return string(m.Signed) }
func (m *gossipMessage) ProtoMessage()  {}

// gossip exchanges cosignatures and handovers with the connected nodes, over the
// connections that the engine keeps with them: who is there has shown its node
// key and is listed on the ledger. A node tells of its newest tree, and of
// handovers that lack signatures, when it has signed them, when a cosignature came
// in, when a peer connects, and again while the quorum is missing; so cosignatures
// also reach nodes that are not connected with their signer. Who tells of a tree
// without cosignatures that this node has gets them, and who lacks handovers too.
type gossip struct {
	p2p.BaseReactor
	cosigning *cosigning
}

func newGossip(c *cosigning) *gossip {
	g := &gossip{cosigning: c}
	g.BaseReactor = *p2p.NewBaseReactor("COSIGNATURES", g)
	return g
}

// GetChannels describes the one channel.
func (g *gossip) GetChannels() []*p2p.ChannelDescriptor {
	return []*p2p.ChannelDescriptor{{
		ID: gossipChannel, Priority: 5, SendQueueCapacity: 16, RecvMessageCapacity: gossipMaxBytes, MessageType: &gossipMessage{},
	}}
}

// AddPeer tells a new peer what it tells all.
func (g *gossip) AddPeer(peer p2p.Peer) {
	for _, m := range g.news() {
		peer.TrySend(gossipEnvelope(m))
	}
}

// news is what there is to tell.
func (g *gossip) news() (list []*gossipMessage) {
	if signed, _ := g.cosigning.gathered(); signed != nil {
		list = append(list, &gossipMessage{Signed: signed})
	}
	drafts, lacking, err := g.cosigning.begun()
	if err != nil {
		g.cosigning.alarm(fmt.Errorf("tell of handovers: %w", err))
	}
	for _, text := range drafts {
		list = append(list, &gossipMessage{Handover: text})
	}
	if lacking > 0 {
		list = append(list, &gossipMessage{Eras: uint32(lacking)})
	}
	return list
}

// Receive takes over good cosignatures and handovers. A peer that sends what is
// neither is disconnected; one that has nothing new to tell of is not.
func (g *gossip) Receive(e p2p.Envelope) {
	m, ok := e.Message.(*gossipMessage)
	if !ok {
		return
	}
	var err error
	switch {
	case m.Handover != nil:
		err = g.cosigning.addHandover(m.Handover)
	case m.Eras > 0:
		for _, text := range g.cosigning.handoversAfter(int(m.Eras), handoversAtOnce) {
			e.Src.TrySend(gossipEnvelope(&gossipMessage{Handover: text}))
		}
	default:
		err = g.cosigning.add(m.Signed)
		if more := g.cosigning.more(m.Signed); more != nil {
			e.Src.TrySend(gossipEnvelope(&gossipMessage{Signed: more}))
		}
	}
	if errors.Is(err, receipt.ErrMalformed) || errors.Is(err, receipt.ErrTooLarge) {
		g.Switch.StopPeerForError(e.Src, err)
	}
}

// run tells all peers what is new until the context ends.
func (g *gossip) run(ctx context.Context) {
	for {
		_, told := g.cosigning.gathered()
		for _, m := range g.news() {
			g.Switch.TryBroadcast(gossipEnvelope(m))
		}
		var again <-chan time.Time // never, once the quorum is there
		if !g.cosigning.complete() {
			again = time.After(gossipAgain)
		}
		select {
		case <-ctx.Done():
			return
		case <-told:
		case <-again:
		}
	}
}

func gossipEnvelope(m *gossipMessage) p2p.Envelope {
	return p2p.Envelope{ChannelID: gossipChannel, Message: m}
}
