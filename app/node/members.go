package node

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cometbft/cometbft/p2p"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// Cards are exchanged on a channel of their own. A message is one card.
const (
	cardChannel  byte = 0x71
	cardMaxBytes      = receipt.MaxCardBytes + 64
	cardsEvery        = time.Minute // all are told again: a node may have lagged behind when it was told first
	cardsKept         = 5           // of one node in that time, so that nobody keeps the disks of others busy
	cardYoung         = 2 * time.Second
)

// cardMessage is protobuf: bytes card = 1.
type cardMessage struct {
	Card []byte `protobuf:"bytes,1,opt,name=card,proto3"`
}

func (m *cardMessage) Reset()         { *m = cardMessage{} }
func (m *cardMessage) String() string { return string(m.Card) }
func (m *cardMessage) ProtoMessage()  {}

// members are the cards that a running node has, as they are in its home, and
// their exchange with the connected nodes. An operator may put a card there at
// any time. One that comes from another node is kept if its node is registered
// with those keys and it is newer than the one that is kept.
type members struct {
	p2p.BaseReactor
	home  Home
	own   string                                 // this node's id: its card is made here alone
	nodes func() (map[string]record.Node, error) // the registered ones by id
	now   func() time.Time
	log   *slog.Logger

	mu    sync.Mutex
	files map[string]cardFile    // by name in the folder
	kept  map[string][]time.Time // when cards of a node were kept lately, by id
}

// cardFile is what a file was when it was read last.
type cardFile struct {
	changed time.Time
	size    int64
	card    receipt.Card // without a node: no card
	text    []byte
}

func newMembers(home Home, own string, nodes func() (map[string]record.Node, error), now func() time.Time, log *slog.Logger) *members {
	m := &members{home: home, own: own, nodes: nodes, now: now, log: log, files: map[string]cardFile{}, kept: map[string][]time.Time{}}
	m.BaseReactor = *p2p.NewBaseReactor("MEMBERS", m)
	m.look()
	return m
}

// GetChannels describes the one channel.
func (m *members) GetChannels() []*p2p.ChannelDescriptor {
	return []*p2p.ChannelDescriptor{{
		ID: cardChannel, Priority: 1, SendQueueCapacity: 2 * maxMembers, RecvMessageCapacity: cardMaxBytes, MessageType: &cardMessage{},
	}}
}

// AddPeer tells a new peer of all cards of registered nodes.
func (m *members) AddPeer(peer p2p.Peer) {
	for _, text := range m.registered() {
		peer.TrySend(cardEnvelope(text))
	}
}

// Receive keeps a card. A peer that sends what is no card is disconnected; one
// whose card is old, or of a node that is not registered, is not: the ledgers of
// two nodes are never quite at the same height.
func (m *members) Receive(e p2p.Envelope) {
	message, ok := e.Message.(*cardMessage)
	if !ok {
		return
	}
	switch kept, err := m.take(message.Card); {
	case errors.Is(err, receipt.ErrMalformed), errors.Is(err, receipt.ErrTooLarge), errors.Is(err, receipt.ErrCardSignature):
		m.Switch.StopPeerForError(e.Src, err)
	case err != nil:
		m.log.Warn("member card", "err", err)
	case kept:
		m.Switch.TryBroadcast(cardEnvelope(message.Card))
	}
}

// take keeps a card that came from another node, if it is of use.
func (m *members) take(text []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		if bytes.Equal(f.text, text) {
			return false, nil
		}
	}
	card, err := receipt.ParseCard(text)
	if err != nil {
		return false, err
	}
	id := card.ID()
	nodes, err := m.nodes()
	if err != nil {
		return false, err
	}
	n, ok := nodes[id]
	lately := slices.DeleteFunc(m.kept[id], func(at time.Time) bool { return m.now().Sub(at) >= cardsEvery })
	if !ok || !card.SameKeys(&n) || id == m.own || len(lately) >= cardsKept {
		return false, nil
	}
	before := m.files[id+cardSuffix].card
	if before.Node != nil && before.SameKeys(&n) && before.Issued >= card.Issued {
		return false, nil
	}
	if err := os.MkdirAll(m.home.Members(), 0o700); err != nil {
		return false, err
	}
	if err := replaceFile(m.home.Card(id), text, nil); err != nil {
		return false, err
	}
	m.kept[id] = append(lately, m.now())
	m.log.Info("member card", "node", id, "p2p", card.P2P)
	m.lookLocked()
	return true, nil
}

// look reads the files that are new or changed, and says whether any was.
func (m *members) look() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lookLocked()
}

func (m *members) lookLocked() (changed bool) {
	entries, err := os.ReadDir(m.home.Members())
	if err != nil {
		if !os.IsNotExist(err) {
			m.log.Warn("member cards", "err", err)
		}
		return false
	}
	there := make(map[string]cardFile, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), cardSuffix) || len(there) == maxCardFiles {
			continue // gone meanwhile, or being written
		}
		f, known := m.files[e.Name()]
		// A file that is this young can be replaced once more without a later time.
		if young := m.now().Sub(info.ModTime()) < cardYoung; !known || young || !f.changed.Equal(info.ModTime()) || f.size != info.Size() {
			before := f.text
			f = m.read(e.Name())
			f.changed, f.size = info.ModTime(), info.Size()
			changed = changed || !bytes.Equal(before, f.text)
		}
		there[e.Name()] = f
	}
	m.files = there
	return changed
}

func (m *members) read(name string) (f cardFile) {
	text, err := os.ReadFile(filepath.Join(m.home.Members(), name))
	if err == nil {
		f.card, err = receipt.ParseCard(text)
	}
	if err == nil && name != f.card.ID()+cardSuffix {
		err = ErrCard
	}
	if err != nil {
		m.log.Warn("member card is not used", "file", name, "err", err)
		return cardFile{}
	}
	f.text = text
	return f
}

// all gives the cards by id.
func (m *members) all() map[string]receipt.Card {
	m.mu.Lock()
	defer m.mu.Unlock()
	cards := make(map[string]receipt.Card, len(m.files))
	for _, f := range m.files {
		if f.card.Node != nil {
			cards[f.card.ID()] = f.card
		}
	}
	return cards
}

// areAt says whether the card of a node names a host.
func (m *members) areAt(host string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		if f.card.Node == nil {
			continue
		}
		if of, _, err := net.SplitHostPort(f.card.P2P); err == nil && of == host {
			return true
		}
	}
	return false
}

// registered gives the cards that have the keys of registered nodes.
func (m *members) registered() (texts [][]byte) {
	nodes, err := m.nodes()
	if err != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		if f.card.Node == nil {
			continue
		}
		if n, ok := nodes[f.card.ID()]; ok && f.card.SameKeys(&n) {
			texts = append(texts, f.text)
		}
	}
	return texts
}

// tell tells all peers of the cards.
func (m *members) tell() {
	for _, text := range m.registered() {
		m.Switch.TryBroadcast(cardEnvelope(text))
	}
}

func cardEnvelope(text []byte) p2p.Envelope {
	return p2p.Envelope{ChannelID: cardChannel, Message: &cardMessage{Card: text}}
}
