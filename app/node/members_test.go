package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/cometbft/cometbft/p2p"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

// told notes what a node tells its peers.
type told struct {
	judgeSwitch
	count int
}

func (s *told) TryBroadcast(p2p.Envelope) { s.count++ }

// TestCardsThatComeFromPeers: which are kept, which are left, and who is cut.
func TestCardsThatComeFromPeers(t *testing.T) {
	newKeys := func() Keys {
		keys, err := MakeKeys(Home(t.TempDir()), testKeyOptions())
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	own, member, stranger := newKeys(), newKeys(), newKeys()
	now := time.Unix(1_800_000_000, 0)
	registered := map[string]record.Node{own.ID(): *own.Fact(10), member.ID(): *member.Fact(10)}
	home := Home(t.TempDir())
	m := newMembers(home, own.ID(), func() (map[string]record.Node, error) { return registered, nil }, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	s := new(told)
	m.SetSwitch(s)
	card := func(k Keys, p2p string, issued int64) []byte {
		text, err := MakeCard(k, p2p, "a:2", time.Unix(issued, 0))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	rotated := member
	rotated.Log = newKeys().Log
	for _, c := range []struct {
		name string
		text []byte
		cut  int
		kept string // p2p of the member's card afterwards
	}{
		{"nothing", nil, 1, ""},
		{"junk", []byte("junk"), 1, ""},
		{"too large", make([]byte, receipt.MaxCardBytes+1), 1, ""},
		{"a stranger's", card(stranger, "a:1", 100), 0, ""},
		{"this node's own", card(own, "a:1", 100), 0, ""},
		{"other keys than registered", card(rotated, "a:1", 100), 0, ""},
		{"a member's", card(member, "a:1", 100), 0, "a:1"},
		{"the same", card(member, "a:1", 100), 0, "a:1"},
		{"an older one", card(member, "a:9", 99), 0, "a:1"},
		{"another of the same second", card(member, "a:8", 100), 0, "a:1"},
		{"a newer one", card(member, "a:3", 101), 0, "a:3"},
		{"the older one again", card(member, "a:1", 100), 0, "a:3"},
		{"a newer one with other keys", card(rotated, "a:4", 102), 0, "a:3"},
	} {
		now = now.Add(cardsEvery)
		before, count := s.cut, s.count
		was := m.all()[member.ID()].P2P
		m.Receive(p2p.Envelope{ChannelID: cardChannel, Message: &cardMessage{Card: c.text}})
		if got := s.cut - before; got != c.cut {
			t.Errorf("%s: the peer was cut %d times, want %d", c.name, got, c.cut)
		}
		got := m.all()[member.ID()].P2P
		if got != c.kept {
			t.Errorf("%s: the kept card says %q, want %q", c.name, got, c.kept)
		}
		if passed := s.count > count; passed != (got != was) {
			t.Errorf("%s: passed on: %v", c.name, passed)
		}
	}
	if on, err := ReadCard(home.Card(member.ID())); err != nil || on.P2P != "a:3" {
		t.Errorf("on disk: %+v, %v", on, err)
	}
	count := 0
	for i := range int64(2 * cardsKept) {
		if kept, err := m.take(card(member, "a:5", 200+i)); err != nil {
			t.Error(err)
		} else if kept {
			count++
		}
	}
	if count != cardsKept {
		t.Errorf("%d new cards of a node are kept at once, want %d", count, cardsKept)
	}
	// After the decision the new keys count, however new the card of the old ones is.
	registered[member.ID()] = *rotated.Fact(10)
	now = now.Add(cardsEvery)
	if kept, err := m.take(card(rotated, "a:7", 150)); !kept || err != nil {
		t.Errorf("a card with the keys that are registered now is left: %v", err)
	}
	if got := len(m.registered()); got != 1 {
		t.Errorf("%d cards are told, want 1", got)
	}
	operatorsCards(t, m, stranger.ID(), func(issued int64) []byte { return card(stranger, "a:1", issued) })
}

// operatorsCards: what an operator puts there is taken up, and what is no card
// is left alone.
func operatorsCards(t *testing.T, m *members, id string, card func(issued int64) []byte) {
	t.Helper()
	home := m.home
	other := home.Card(id)
	if err := errors.Join(os.WriteFile(other, []byte("junk"), 0o600), os.WriteFile(home.Card("x"), card(1), 0o600)); err != nil {
		t.Fatal(err)
	}
	if m.look() || len(m.all()) != 1 {
		t.Errorf("%d cards", len(m.all()))
	}
	if err := home.KeepCard(card(1)); err != nil {
		t.Fatal(err)
	}
	if !m.look() || len(m.all()) != 2 {
		t.Errorf("%d cards", len(m.all()))
	}
	if err := home.KeepCard(card(0x7f)); err != nil {
		t.Error(err)
	}
	if err := home.KeepCard(card(0x7e)); !errors.Is(err, ErrOldCard) {
		t.Errorf("an older card: %v", err)
	}
}

// decide has two offices change a fact of the ledger.
func decide(t testing.TB, n *Node, f record.Fact) record.Index {
	t.Helper()
	result, _ := submit(t, n, act(t, n, "CLERK", &record.ProposeChange{Fact: f}))
	hash, err := record.FactHash(f)
	if err != nil {
		t.Fatal(err)
	}
	result, _ = submit(t, n, act(t, n, "IT", &record.ApproveChange{Proposal: result.TxIndex + 1, FactHash: hash}))
	return result.TxIndex
}

var acts int

// act signs a message of an office.
func act(t testing.TB, n *Node, office string, m record.Message) []byte {
	t.Helper()
	acts++
	nonce := sha256.Sum256(fmt.Append(nil, office, acts))
	body, err := record.NewBody(n.NetworkID(), record.Nonce(nonce[:16]), today()+2, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(officeKey(office), body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// newcomerHome makes the home of a node that has the members' cards, while
// nobody has its own.
func newcomerHome(t *testing.T, home Home, listen string, member Home) Keys {
	t.Helper()
	keys, err := MakeKeys(home, testKeyOptions())
	if err != nil {
		t.Fatal(err)
	}
	text, err := MakeCard(keys, listen, "127.0.0.1:1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := home.PutOwnCard(text); err != nil {
		t.Fatal(err)
	}
	out, err := ReadHandout(string(member))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.JoinNetwork(out); err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestMembersComeAndGo: a new member is found by all once the ledger lists it,
// by its card alone; a member that moves is found at its new address; one that is
// removed is cut within two blocks, and stays out.
func TestMembersComeAndGo(t *testing.T) {
	const founders = 3
	dir, configs := newTestnet(t, founders, 1)
	var nodes []*Node
	for i, c := range configs {
		n := open(t, TestnetHome(dir, i+1), c, time.Second)
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}

	home := TestnetHome(dir, founders+1)
	config := testConfig()
	config.P2P.Listen = ports.Free(t)
	keys := newcomerHome(t, home, config.P2P.Listen, TestnetHome(dir, 1))
	newcomer := open(t, home, config, time.Second)
	if err := newcomer.Start(); err != nil {
		t.Fatal(err)
	}
	id := keys.ID()
	connected := func(n *Node) bool { return n.engine.Switch().Peers().Has(p2p.ID(id)) }
	submit(t, nodes[0], anchor(t, nodes[0], "before"))
	for i, n := range nodes {
		if connected(n) {
			t.Errorf("node %d lets in who is no member", i+1)
		}
	}
	decide(t, nodes[0], keys.Fact(0))
	for i, n := range nodes {
		eventually(t, fmt.Sprintf("node %d has the new member", i+1), func() bool { return connected(n) })
		eventually(t, fmt.Sprintf("node %d has its card", i+1), func() bool {
			card, err := ReadCard(n.home.Card(id))
			return err == nil && card.P2P == config.P2P.Listen
		})
	}
	eventually(t, "the new member catches up", func() bool {
		return !newcomer.Status().CatchingUp && newcomer.View().Head().Size >= nodes[0].View().Head().Size
	})

	// It moves.
	if err := newcomer.Stop(); err != nil {
		t.Fatal(err)
	}
	config.P2P.Listen = ports.Free(t)
	text, err := MakeCard(keys, config.P2P.Listen, "127.0.0.1:1", time.Now().Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := home.PutOwnCard(text); err != nil {
		t.Fatal(err)
	}
	newcomer = open(t, home, config, time.Second)
	if err := newcomer.Start(); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		eventually(t, fmt.Sprintf("node %d knows the new address", i+1), func() bool {
			return connected(n) && n.members.all()[id].P2P == config.P2P.Listen
		})
	}
	eventually(t, "the member that moved catches up", func() bool { return !newcomer.Status().CatchingUp })

	// It is removed.
	gone := keys.Fact(0)
	gone.Removed = true
	at := decide(t, nodes[0], gone)
	for i, n := range nodes {
		var height int64
		eventually(t, fmt.Sprintf("node %d has the decision", i+1), func() bool { return n.View().Head().Size > int64(at) })
		eventually(t, fmt.Sprintf("node %d cuts who was removed", i+1), func() bool {
			height = n.View().Head().Height
			return !connected(n)
		})
		if decided, err := n.heightOf(at); err != nil || height > decided+2 {
			t.Errorf("node %d: removed at height %d, cut at %d, %v", i+1, decided, height, err)
		}
	}
	address, err := p2p.NewNetAddressString(nodes[0].keys.ID() + "@" + configs[0].P2P.Listen)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_ = newcomer.engine.Switch().DialPeerWithAddress(address)
		if connected(nodes[0]) {
			t.Error("who was removed is connected again")
		}
	}
	submit(t, nodes[1], anchor(t, nodes[1], "after"))
}

// TestWhenARemovedMemberIsCut: it votes on one more block, and the one after that
// is the last which it may hear of.
func TestWhenARemovedMemberIsCut(t *testing.T) {
	for _, c := range []struct {
		now, working int64
		want         bool
	}{
		{9, 9, false}, {10, 9, false}, {10, 10, false}, {10, 11, false}, // removed at 10: it still validates block 11
		{11, 0, false}, {11, 10, false}, // it has not committed block 10
		{11, 11, true}, {11, 12, true},
		{12, 0, true}, {12, 10, true}, {12, 12, true}, {13, 9, true},
	} {
		if got := isCut(10, c.now, c.working); got != c.want {
			t.Errorf("after block %d, at work on %d: cut %v, want %v", c.now, c.working, got, c.want)
		}
	}
}
