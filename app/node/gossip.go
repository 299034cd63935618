package node

import (
	"context"
	"errors"
	"time"

	"github.com/cometbft/cometbft/p2p"

	"github.com/muniment/muniment/app/receipt"
)

// The engine's own channels end at 0x61. A message is one signed checkpoint.
const (
	gossipChannel  byte = 0x70
	gossipMaxBytes      = 32 << 10
	gossipAgain         = 2 * time.Second
)

// gossipMessage is protobuf: bytes signed = 1, a signed checkpoint with the
// sender's log signature and all cosignatures that it has gathered.
type gossipMessage struct {
	Signed []byte `protobuf:"bytes,1,opt,name=signed,proto3"`
}

func (m *gossipMessage) Reset()         { *m = gossipMessage{} }
func (m *gossipMessage) String() string { return string(m.Signed) }
func (m *gossipMessage) ProtoMessage()  {}

// gossip exchanges cosignatures with the connected nodes, over the connections
// that the engine keeps with them: who is there has shown its node key and is
// listed on the ledger. A node tells of its newest tree when it has signed it,
// when a cosignature came in, when a peer connects, and again while the quorum
// is missing; so cosignatures also reach nodes that are not connected with
// their signer.
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

// AddPeer tells a new peer of the newest tree.
func (g *gossip) AddPeer(peer p2p.Peer) {
	if signed, _ := g.cosigning.gathered(); signed != nil {
		peer.TrySend(gossipEnvelope(signed))
	}
}

// Receive takes over good cosignatures. A peer that sends what is no checkpoint
// is disconnected; one that has no cosignature to tell of is not.
func (g *gossip) Receive(e p2p.Envelope) {
	m, ok := e.Message.(*gossipMessage)
	if !ok {
		return
	}
	err := g.cosigning.add(m.Signed)
	if errors.Is(err, receipt.ErrMalformed) || errors.Is(err, receipt.ErrTooLarge) {
		g.Switch.StopPeerForError(e.Src, err)
	}
}

// run tells all peers of the newest tree until the context ends.
func (g *gossip) run(ctx context.Context) {
	for {
		signed, told := g.cosigning.gathered()
		if signed != nil {
			g.Switch.TryBroadcast(gossipEnvelope(signed))
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

func gossipEnvelope(signed []byte) p2p.Envelope {
	return p2p.Envelope{ChannelID: gossipChannel, Message: &gossipMessage{Signed: signed}}
}
