package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// MaxCardBytes bounds a member card.
const MaxCardBytes = 8 << 10

const (
	cardTitle  = "muniment/member/v1"
	cardDomain = "muniment/v1/card\n" // before the lines that a card's keys sign
)

// cardUses are the keys of a node in the order of a card's lines.
var cardUses = [...]string{"node", "validator", "cosigner", "log", "custodian"}

// ErrCardSignature is returned for a card that one of its keys has not signed.
var ErrCardSignature = errors.New("card is not signed by the key that it names")

// Card is a node's member card (docs/spec/card.md): its keys, each of which has
// signed it, and where it is reached. It says nothing of a network: whether the
// node is a member is decided by the ledger.
type Card struct {
	P2P         string       // host:port that other nodes dial
	GRPC        string       // host:port that departments, auditors and custodians dial
	Certificate []byte       // DER, see [Node]
	Node        *record.Node // the five keys; no power
	Issued      int64        // Unix seconds, by the node's clock; of two cards the later one counts
}

// ID gives the node's id.
func (c Card) ID() string { return NodeID(c.Node.NodeKey[:]) }

// Line gives the node as the network file lists it.
func (c Card) Line() Node { return Node{ID: c.ID(), Address: c.GRPC, Certificate: c.Certificate} }

// Fact gives the node as the ledger lists it, with a voting power.
func (c Card) Fact(power uint32) *record.Node {
	n := *c.Node
	n.Power = power
	return &n
}

// SameKeys says whether a registered node has the keys of the card.
func (c Card) SameKeys(n *record.Node) bool {
	return c.Node.NodeKey == n.NodeKey && c.Node.ValidatorKey == n.ValidatorKey && c.Node.CosignerKey == n.CosignerKey &&
		c.Node.LogKey == n.LogKey && c.Node.CustodianKey == n.CustodianKey
}

// keys gives the keys in the order of their lines; the custodian's is left out
// where the node keeps no content.
func (c Card) keys() [][32]byte {
	list := [][32]byte{c.Node.NodeKey, c.Node.ValidatorKey, c.Node.CosignerKey, c.Node.LogKey}
	if c.Node.CustodianKey != ([32]byte{}) {
		list = append(list, c.Node.CustodianKey)
	}
	return list
}

// body gives the lines that are signed.
func (c Card) body() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nid %s\np2p %s\ngrpc %s\ncertificate %s\n", cardTitle, c.ID(), c.P2P, c.GRPC, base64.StdEncoding.EncodeToString(c.Certificate))
	for i, key := range c.keys() {
		fmt.Fprintf(&b, "key %s %x\n", cardUses[i], key)
	}
	fmt.Fprintf(&b, "issued %d\n", c.Issued)
	return b.Bytes()
}

// Sign writes the card. The private keys are those of the card in the order
// node, validator, cosigner, log, custodian; the last is nil where the node
// keeps no content. What cannot be a card gives ErrMalformed.
func (c Card) Sign(keys [5]ed25519.PrivateKey) ([]byte, error) {
	if c.Node == nil {
		return nil, fmt.Errorf("card: %w: no keys", ErrMalformed)
	}
	text := c.body()
	message := append([]byte(cardDomain), text...)
	for i := range c.keys() {
		if keys[i] == nil {
			return nil, fmt.Errorf("card: %w: no %s key", ErrMalformed, cardUses[i])
		}
		text = appendSigned(text, cardUses[i], ed25519.Sign(keys[i], message))
	}
	if _, err := ParseCard(text); err != nil {
		return nil, err
	}
	return text, nil
}

func appendSigned(text []byte, use string, signature []byte) []byte {
	return fmt.Appendf(text, "signed %s %s\n", use, base64.StdEncoding.EncodeToString(signature))
}

// ParseCard reads a card and verifies its signatures. It accepts the one
// spelling that [Card.Sign] writes.
func ParseCard(text []byte) (Card, error) {
	c, err := parseCard(text)
	if err != nil {
		return Card{}, fmt.Errorf("member card: %w", err)
	}
	return c, nil
}

func parseCard(text []byte) (Card, error) {
	if len(text) > MaxCardBytes {
		return Card{}, fmt.Errorf("%d bytes: %w", len(text), ErrTooLarge)
	}
	r := lineReader{lines: strings.Split(string(text), "\n")}
	c := Card{Node: new(record.Node)}
	r.ok = len(r.lines) > 1 && r.lines[0] == cardTitle
	r.lines = r.lines[1:]
	id := r.value("id ")
	c.P2P, c.GRPC = r.value("p2p "), r.value("grpc ")
	c.Certificate = r.base64("certificate ")
	for i, key := range []*[32]byte{&c.Node.NodeKey, &c.Node.ValidatorKey, &c.Node.CosignerKey, &c.Node.LogKey, &c.Node.CustodianKey} {
		if prefix := "key " + cardUses[i] + " "; i < 4 || r.follows(prefix) {
			r.hex(prefix, key[:])
		}
	}
	issued, err := strconv.ParseInt(r.value("issued "), 10, 64)
	r.ok = r.ok && err == nil && issued > 0
	c.Issued = issued
	keys, body := c.keys(), c.body()
	again := bytes.Clone(body)
	signatures := make([][]byte, len(keys))
	for i := range keys {
		signatures[i] = r.base64("signed " + cardUses[i] + " ")
		again = appendSigned(again, cardUses[i], signatures[i])
	}
	if !r.ok || id != c.ID() || !bytes.Equal(again, text) {
		return Card{}, fmt.Errorf("%w: it is not in the form of a card", ErrMalformed)
	}
	if !validAddress(c.P2P) {
		return Card{}, fmt.Errorf("p2p address %.80q: %w", c.P2P, ErrMalformed)
	}
	if err := c.Line().check(); err != nil {
		return Card{}, err
	}
	seen := map[[32]byte]bool{{}: true}
	message := append([]byte(cardDomain), body...)
	for i, key := range keys {
		if seen[key] {
			return Card{}, fmt.Errorf("%s key: %w: it is in the card twice, or zero", cardUses[i], ErrMalformed)
		}
		seen[key] = true
		if !ed25519.Verify(key[:], message, signatures[i]) {
			return Card{}, fmt.Errorf("%s key: %w", cardUses[i], ErrCardSignature)
		}
	}
	return c, nil
}
