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
	}{
		{"nothing", nil, 1},
		{"junk", []byte("junk"), 1},
		{"too large", make([]byte, gossipMaxBytes), 1},
		{"this node's own checkpoint", own, 0},
		{"a checkpoint without power", ps[4].signs(t, v), 0},
		{"a cosignature", ps[1].signs(t, v), 0},
		{"the same cosignature", ps[1].signs(t, v), 0},
		{"another cosignature", ps[2].signs(t, v), 0},
		{"a fork", ps[3].signs(t, treeOf(10, 1)), 0},
	} {
		before := s.cut
		g.Receive(p2p.Envelope{ChannelID: gossipChannel, Message: &gossipMessage{Signed: c.signed}})
		if got := s.cut - before; got != c.cut {
			t.Errorf("%s: the peer was cut %d times, want %d", c.name, got, c.cut)
		}
	}
	if ps[0].ready() != 10 || len(ps[0].alarms) != 1 {
		t.Errorf("at %d with alarms %v; want 10 and the fork", ps[0].ready(), ps[0].alarms)
	}
	if got := len(ps[0].trees[0].cosigned); got != 3 {
		t.Errorf("%d cosignatures are kept, want 3", got)
	}
}
