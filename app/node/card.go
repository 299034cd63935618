package node

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrCard is returned for a member card that does not serve where it is given.
	ErrCard = errors.New("member card does not serve here")
	// ErrOldCard is returned for a card of which a newer one is kept.
	ErrOldCard = errors.New("a newer member card of this node is kept")
)

// cardSuffix ends the name of a card's file: the node's id comes before it.
const cardSuffix = ".card"

// MakeCard makes the card of a node whose keys are at hand: addresses as
// host:port that others can dial.
func MakeCard(keys Keys, p2p, grpc string, issued time.Time) ([]byte, error) {
	c := receipt.Card{P2P: p2p, GRPC: grpc, Certificate: keys.Certificate, Node: keys.Fact(0), Issued: issued.Unix()}
	return c.Sign([5]ed25519.PrivateKey{keys.Node, keys.Validator, keys.Cosigner, keys.Log, keys.Custodian})
}

// Fingerprint gives what is compared out of band: the SHA-256 of a card or of a
// network file.
func Fingerprint(text []byte) [sha256.Size]byte { return sha256.Sum256(text) }

// MemberOf gives the node of a card as a founding takes it: a validator.
func MemberOf(c receipt.Card) Member {
	return Member{Node: c.Fact(founderPower), Address: c.GRPC, Certificate: c.Certificate}
}

// custodian gives the id of a node's custodian key, false where it has none.
func custodianOf(n *record.Node) (record.KeyID, bool) {
	return record.KeyIDOf(n.CustodianKey[:]), n.CustodianKey != [32]byte{}
}

// Members is the folder of cards: the node's own and those of others.
func (h Home) Members() string { return h.path("members") }

// Card gives the place of a node's card.
func (h Home) Card(id string) string { return filepath.Join(h.Members(), id+cardSuffix) }

// KeepCard keeps a card in the home, durably. It replaces an older one and
// refuses to replace a newer one.
func (h Home) KeepCard(text []byte) error {
	c, err := receipt.ParseCard(text)
	if err != nil {
		return err
	}
	if kept, err := ReadCard(h.Card(c.ID())); err == nil && kept.Issued > c.Issued {
		return fmt.Errorf("node %s: %w", c.ID(), ErrOldCard)
	}
	if err := os.MkdirAll(h.Members(), 0o700); err != nil {
		return fmt.Errorf("keep member card: %w", err)
	}
	return replaceFile(h.Card(c.ID()), text, nil)
}

// Cards gives the cards of a home by id. A file that is no card is left out and
// named in the error, beside the cards.
func (h Home) Cards() (map[string]receipt.Card, error) {
	files, err := filepath.Glob(filepath.Join(h.Members(), "*"+cardSuffix))
	cards := make(map[string]receipt.Card, len(files))
	for _, file := range files {
		c, cardErr := ReadCard(file)
		if cardErr == nil && file != h.Card(c.ID()) {
			cardErr = fmt.Errorf("%s: %w: it is of node %s", file, ErrCard, c.ID())
		}
		if cardErr != nil {
			err = errors.Join(err, cardErr)
			continue
		}
		cards[c.ID()] = c
	}
	return cards, err
}

// ReadCard reads a card's file.
func ReadCard(file string) (receipt.Card, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return receipt.Card{}, err
	}
	c, err := receipt.ParseCard(text)
	if err != nil {
		return receipt.Card{}, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}
