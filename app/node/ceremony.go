package node

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrHandout is returned for a folder that is not what the nodes of a network
	// are handed out.
	ErrHandout = errors.New("it is not what a network hands out")
	// ErrNoCard is returned for a home that has not asked to be a member.
	ErrNoCard = errors.New("home has no member card")
	// ErrNotListed is returned where a network does not list the node of a home.
	ErrNotListed = errors.New("this node's card is not among those of the network")
	// ErrJoined is returned for a home that belongs to a network.
	ErrJoined = errors.New("home belongs to a network already")
)

// Assembly is what a network of several nodes is founded from.
type Assembly struct {
	ChainID string
	Origin  string
	Time    time.Time
	Custody bool // the facts have a set of custodians
	Facts   func(custodians []record.KeyID) []record.Fact
	Cards   [][]byte
}

// Assemble founds a network of the nodes whose cards are given, all of them
// validators. It refuses cards that cannot stand side by side.
func Assemble(a Assembly) (Handout, error) {
	var members []Member
	var custodians []record.KeyID
	owner := map[[32]byte]string{}
	for i, text := range a.Cards {
		card, err := receipt.ParseCard(text)
		if err != nil {
			return Handout{}, fmt.Errorf("card %d: %w", i+1, err)
		}
		n := card.Node
		for _, key := range [][32]byte{n.NodeKey, n.ValidatorKey, n.CosignerKey, n.LogKey, n.CustodianKey} {
			switch id := owner[key]; {
			case key == [32]byte{}:
			case id == card.ID():
				return Handout{}, fmt.Errorf("%w: node %s has two cards here: give the newer one alone", ErrCard, id)
			case id != "":
				return Handout{}, fmt.Errorf("%w: nodes %s and %s have a key in common: each makes its own with munimentd member request", ErrCard, id, card.ID())
			}
			owner[key] = card.ID()
		}
		if id, ok := custodianOf(n); ok && !a.Custody {
			return Handout{}, fmt.Errorf("%w: node %s has a custodian key, and the founding file names no set of custodians: name one in custody, or have the node make its card without --custodian", ErrCard, card.ID())
		} else if ok {
			custodians = append(custodians, id)
		}
		members = append(members, MemberOf(card))
	}
	if a.Custody && len(custodians) == 0 {
		return Handout{}, fmt.Errorf("%w: the founding file names a set of custodians, and no card has a custodian key", ErrCard)
	}
	slices.SortFunc(members, func(a, b Member) int { return bytes.Compare(a.Node.NodeKey[:], b.Node.NodeKey[:]) })
	genesis, network, err := Found(Founding{ChainID: a.ChainID, Origin: a.Origin, Time: a.Time, Facts: a.Facts(custodians), Members: members})
	if err != nil {
		return Handout{}, err
	}
	return Handout{Genesis: genesis, Network: network, Cards: a.Cards}, nil
}

// Handout is what a node needs of a network to join it. As a folder it is
// genesis.json, network.mun and members/ID.card.
type Handout struct {
	Genesis []byte
	Network []byte
	Cards   [][]byte
}

// Write writes the folder, which is new or empty.
func (h Handout) Write(dir string) error {
	to := Home(dir)
	if err := os.MkdirAll(to.Members(), 0o700); err != nil {
		return err
	}
	for _, card := range h.Cards {
		if err := to.KeepCard(card); err != nil {
			return err
		}
	}
	return errors.Join(writeNew(to.Network(), h.Network), writeNew(to.Genesis(), h.Genesis))
}

// ReadHandout reads the folder and sees that its files belong together.
func ReadHandout(dir string) (Handout, error) {
	from := Home(dir)
	var h Handout
	for _, file := range []struct {
		path string
		most int64
		text *[]byte
	}{{from.Genesis(), maxGenesisBytes, &h.Genesis}, {from.Network(), receipt.MaxNetworkBytes, &h.Network}} {
		info, err := os.Stat(file.path)
		if err == nil && info.Size() <= file.most {
			*file.text, err = os.ReadFile(file.path)
		} else if err == nil {
			err = fmt.Errorf("%s: %w: %d bytes", file.path, ErrHandout, info.Size())
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: %w: there is no %s in it", dir, ErrHandout, filepath.Base(file.path))
		}
		if err != nil {
			return Handout{}, err
		}
	}
	if _, _, err := h.parse(); err != nil {
		return Handout{}, fmt.Errorf("%s: %w: %v", dir, ErrHandout, err)
	}
	files, err := filepath.Glob(filepath.Join(from.Members(), "*"+cardSuffix))
	if err != nil {
		return Handout{}, err
	}
	for _, file := range files {
		card, err := ReadCard(file)
		if err == nil && from.Card(card.ID()) != filepath.Clean(file) {
			err = fmt.Errorf("%s: %w: it is of node %s", file, ErrCard, card.ID())
		}
		if err != nil {
			return Handout{}, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return Handout{}, err
		}
		h.Cards = append(h.Cards, text)
	}
	return h, nil
}

// Of gives the handout of a network as it is now: with the cards of the nodes that
// its network file lists, and of no other.
func (h Handout) Of(n receipt.Network) (Handout, error) {
	now := Handout{Genesis: h.Genesis, Network: n.Marshal()}
	for _, text := range h.Cards {
		card, err := receipt.ParseCard(text)
		if err != nil {
			return Handout{}, err
		}
		if slices.ContainsFunc(n.Nodes, func(listed receipt.Node) bool { return listed.ID == card.ID() }) {
			now.Cards = append(now.Cards, text)
		}
	}
	return now, nil
}

func (h Handout) parse() (Genesis, receipt.Network, error) {
	g, err := ParseGenesis(h.Genesis)
	if err != nil {
		return Genesis{}, receipt.Network{}, err
	}
	n, err := receipt.ParseNetwork(h.Network)
	if err == nil && (n.ID != sha256.Sum256(h.Genesis) || n.ChainID != g.ChainID || n.Origin != g.Origin) {
		err = fmt.Errorf("network file is of another genesis document: %w", ErrOtherGenesis)
	}
	return g, n, err
}

// cards gives the cards by id.
func (h Handout) cards() (map[string]receipt.Card, error) {
	cards := make(map[string]receipt.Card, len(h.Cards))
	for _, text := range h.Cards {
		card, err := receipt.ParseCard(text)
		if err != nil {
			return nil, err
		}
		cards[card.ID()] = card
	}
	return cards, nil
}

// OwnCard is the card that a node hands out.
func (h Home) OwnCard() string { return h.path("member.card") }

// PutOwnCard keeps the node's own card: to be handed out, and among the others.
func (h Home) PutOwnCard(text []byte) error {
	if err := h.KeepCard(text); err != nil {
		return err
	}
	return replaceFile(h.OwnCard(), text, nil)
}

// JoinFounding puts what a founding handed out into a home that took part in it:
// each node of the genesis has its card there, this one's is among them, and no
// other is.
func (h Home) JoinFounding(out Handout) (receipt.Network, error) {
	genesis, _, err := out.parse()
	if err != nil {
		return receipt.Network{}, err
	}
	cards, err := out.cards()
	if err != nil {
		return receipt.Network{}, err
	}
	own, err := h.readOwnCard()
	if err != nil {
		return receipt.Network{}, err
	}
	listed := map[string]bool{}
	for _, f := range genesis.Facts {
		n, ok := f.(*record.Node)
		if !ok {
			continue
		}
		id := receipt.NodeID(n.NodeKey[:])
		if card, ok := cards[id]; !ok || !card.SameKeys(n) {
			return receipt.Network{}, fmt.Errorf("%w: genesis.json lists node %s, and its card is not there", ErrHandout, id)
		}
		listed[id] = own.ID() != id || own.SameKeys(n)
	}
	for id := range cards {
		if _, ok := listed[id]; !ok {
			return receipt.Network{}, fmt.Errorf("%w: there is a card of node %s, which genesis.json does not list", ErrHandout, id)
		}
	}
	if !listed[own.ID()] {
		return receipt.Network{}, fmt.Errorf("node %s: %w: have the network assembled with %s", own.ID(), ErrNotListed, h.OwnCard())
	}
	return h.JoinNetwork(out)
}

// JoinNetwork puts what a network hands out into a home that has asked to be a
// member, with the example configuration where there is none. The genesis
// document is put there last: with it the home is complete. The same again
// changes nothing.
func (h Home) JoinNetwork(out Handout) (receipt.Network, error) {
	_, network, err := out.parse()
	if err != nil {
		return receipt.Network{}, err
	}
	if _, err := h.readOwnCard(); err != nil {
		return receipt.Network{}, err
	}
	switch there, err := os.ReadFile(h.Genesis()); {
	case err == nil && bytes.Equal(there, out.Genesis):
		return network, nil
	case err == nil:
		return receipt.Network{}, fmt.Errorf("%s: %w", h, ErrJoined)
	case !errors.Is(err, fs.ErrNotExist):
		return receipt.Network{}, err
	}
	for _, card := range out.Cards {
		if err := h.KeepCard(card); err != nil && !errors.Is(err, ErrOldCard) {
			return receipt.Network{}, err
		}
	}
	if _, err := os.Stat(h.Config()); errors.Is(err, fs.ErrNotExist) {
		if err := writeNew(h.Config(), ExampleConfig); err != nil {
			return receipt.Network{}, err
		}
	}
	if err := replaceFile(h.Network(), out.Network, nil); err != nil {
		return receipt.Network{}, err
	}
	return network, writeNew(h.Genesis(), out.Genesis)
}

func (h Home) readOwnCard() (receipt.Card, error) {
	card, err := ReadCard(h.OwnCard())
	if errors.Is(err, fs.ErrNotExist) {
		return receipt.Card{}, fmt.Errorf("%s: %w: make it with munimentd member request", h, ErrNoCard)
	}
	return card, err
}
