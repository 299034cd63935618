package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/app/receipt"
)

// members are the cards that a running node has, as they are in its home. An
// operator may put a card there at any time.
type members struct {
	home Home
	log  *slog.Logger

	mu    sync.Mutex
	files map[string]cardFile // by name in the folder
}

// cardFile is what a file was when it was read last.
type cardFile struct {
	changed time.Time
	size    int64
	card    receipt.Card // without a node: no card
	text    []byte
}

func newMembers(home Home, log *slog.Logger) *members {
	return &members{home: home, log: log, files: map[string]cardFile{}}
}

// look reads the files that are new or changed.
func (m *members) look() {
	entries, err := os.ReadDir(m.home.Members())
	if err != nil {
		if !os.IsNotExist(err) {
			m.log.Warn("member cards", "err", err)
		}
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	there := make(map[string]cardFile, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), cardSuffix) {
			continue // gone meanwhile, or being written
		}
		f, known := m.files[e.Name()]
		if !known || !f.changed.Equal(info.ModTime()) || f.size != info.Size() {
			f = m.read(e.Name())
			f.changed, f.size = info.ModTime(), info.Size()
		}
		there[e.Name()] = f
	}
	m.files = there
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
