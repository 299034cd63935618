package node

import (
	"testing"

	"github.com/cometbft/cometbft/p2p"
)

// judgeSwitch notes which peers are cut.
type judgeSwitch struct {
	p2p.Switcher
	cut int
}

func (s *judgeSwitch) StopPeerForError(p2p.Peer, any) { s.cut++ }

// listener is a peer that notes what it is sent.
type listener struct {
	p2p.Peer
	got []*gossipMessage
}

func (l *listener) TrySend(e p2p.Envelope) bool {
	l.got = append(l.got, e.Message.(*gossipMessage))
	return true
}

func TestGossipCutsPeersThatSendJunk(t *testing.T) {
	ps := parties(t, 4)
	v := treeOf(10, 0)
	own := ps[0].signs(t, v)
	g, s := newGossip(ps[0].cosigning), new(judgeSwitch)
	g.SetSwitch(s)
	for _, c := range []struct {
		name   string
		signed []byte
		cut    int
		told   int // answers with what the peer lacks
	}{
		{"nothing", nil, 1, 0},
		{"junk", []byte("junk"), 1, 0},
		{"too large", make([]byte, gossipMaxBytes), 1, 0},
		{"this node's own checkpoint", own, 0, 0},
		{"a checkpoint without power", ps[4].signs(t, v), 0, 1},
		{"a cosignature", ps[1].signs(t, v), 0, 1},
		{"the same cosignature", ps[1].signs(t, v), 0, 1},
		{"another cosignature", ps[2].signs(t, v), 0, 1},
		{"a fork", ps[3].signs(t, treeOf(10, 1)), 0, 0},
	} {
		before, peer := s.cut, new(listener)
		g.Receive(p2p.Envelope{ChannelID: gossipChannel, Src: peer, Message: &gossipMessage{Signed: c.signed}})
		if got := s.cut - before; got != c.cut {
			t.Errorf("%s: the peer was cut %d times, want %d", c.name, got, c.cut)
		}
		if len(peer.got) != c.told {
			t.Errorf("%s: the peer got %d answers, want %d", c.name, len(peer.got), c.told)
		}
	}
	if ps[0].ready() != 10 || len(ps[0].alarms) != 1 {
		t.Errorf("at %d with alarms %v; want 10 and the fork", ps[0].ready(), ps[0].alarms)
	}
	if got := len(ps[0].trees[0].cosigned); got != 3 {
		t.Errorf("%d cosignatures are kept, want 3", got)
	}
}
