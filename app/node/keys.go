package node

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
)

// ErrWrongKey is returned where a key file holds another key than its name says.
var ErrWrongKey = errors.New("key file holds another key than its name says")

// Keys are the five keys of a node, and the certificate that its node key has
// given itself. Other generations of the same uses are found by their public
// halves.
type Keys struct {
	Node      ed25519.PrivateKey // p2p and TLS
	Validator ed25519.PrivateKey // votes and proposals
	Cosigner  ed25519.PrivateKey // cosignatures on checkpoints
	Log       ed25519.PrivateKey // signatures on checkpoints that this node serves
	Custodian ed25519.PrivateKey // erasure reports; nil where the node keeps no content

	Certificate []byte // DER

	chain *Keychain // all generations; nil: there are no others
}

// ID gives the node's id: 40 hex digits.
func (k Keys) ID() string { return receipt.NodeID(k.Node.Public().(ed25519.PublicKey)) }

// TLS gives the certificate with its key, for listeners.
func (k Keys) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{k.Certificate}, PrivateKey: k.Node}
}

// Fact gives the node as the ledger lists it, with a voting power.
func (k Keys) Fact(power uint32) *record.Node {
	n := &record.Node{
		NodeKey: public(k.Node), ValidatorKey: public(k.Validator), CosignerKey: public(k.Cosigner), LogKey: public(k.Log), Power: power,
	}
	if k.Custodian != nil {
		n.CustodianKey = public(k.Custodian)
	}
	return n
}

func public(k ed25519.PrivateKey) [32]byte { return [32]byte(k.Public().(ed25519.PublicKey)) }

// named lists where each key is kept.
func (k *Keys) named() []struct {
	name string
	key  *ed25519.PrivateKey
} {
	return []struct {
		name string
		key  *ed25519.PrivateKey
	}{{"node", &k.Node}, {"validator", &k.Validator}, {"cosigner", &k.Cosigner}, {"log", &k.Log}, {"custodian", &k.Custodian}}
}

// KeyOptions say how the keys of a home are made.
type KeyOptions struct {
	Rand       io.Reader // crypto/rand.Reader outside tests
	Passphrase []byte
	Iterations int  // of PBKDF2; 0: what the programs write
	Custodian  bool // the node keeps content
	// Device wraps the keys of rings; it was tried before. Nil: a key file does.
	Device *keyring.PKCS11
	Now    time.Time
}

// MakeKeys makes a home with new keys, their certificate, and the state files
// of a validator and a cosigner that have signed nothing. All keys are sealed
// under one random key, and that one by the passphrase, so that a start derives
// once.
func MakeKeys(home Home, o KeyOptions) (Keys, error) {
	if _, err := os.Stat(home.homeKey()); err == nil {
		return Keys{}, fmt.Errorf("make keys in %s: %w", home, ErrHomeInUse)
	}
	if err := home.create(); err != nil {
		return Keys{}, err
	}
	if o.Iterations == 0 {
		o.Iterations = keyfile.Iterations
	}
	var root [32]byte
	if _, err := io.ReadFull(o.Rand, root[:]); err != nil {
		return Keys{}, fmt.Errorf("draw home key: %w", err)
	}
	var k Keys
	for _, n := range k.named() {
		if n.name == "custodian" && !o.Custodian {
			continue
		}
		seed := make([]byte, ed25519.SeedSize)
		if _, err := io.ReadFull(o.Rand, seed); err != nil {
			return Keys{}, fmt.Errorf("draw %s key: %w", n.name, err)
		}
		*n.key = ed25519.NewKeyFromSeed(seed)
		text, err := keyfile.SealUnder(root, n.name, seed)
		if err == nil {
			err = writeNew(home.key(n.name), text)
		}
		if err != nil {
			return Keys{}, fmt.Errorf("make %s key: %w", n.name, err)
		}
	}
	var err error
	if k.Certificate, err = identity.ServerCertificate(o.Rand, k.Node, receipt.ServerName(k.ID()), o.Now); err != nil {
		return Keys{}, err
	}
	if err := writeNew(home.certificate(1), encodePEM(k.Certificate)); err != nil {
		return Keys{}, err
	}
	if err := CreateSignerState(home.validatorState()); err != nil {
		return Keys{}, err
	}
	if err := CreateCosignerState(home.cosignerState()); err != nil {
		return Keys{}, err
	}
	if o.Custodian {
		if err := makeRingRoot(home, o); err != nil {
			return Keys{}, err
		}
	}
	// The home key is written last: with it the home is complete.
	text, err := keyfile.Seal(o.Rand, o.Passphrase, o.Iterations, "home", root[:])
	if err == nil {
		err = writeNew(home.homeKey(), text)
	}
	if err != nil {
		return Keys{}, fmt.Errorf("make home key: %w", err)
	}
	return k, nil
}

// OpenKeys opens the keys of a home: the node key in use, and the newest of the
// others. Those that came before are found by their public halves.
func OpenKeys(home Home, passphrase []byte) (Keys, error) {
	c, err := OpenKeychain(home, passphrase)
	if err != nil {
		return Keys{}, err
	}
	return c.InUse(), nil
}

// find gives the key of a use with this public half, of whichever generation.
func (k Keys) find(use string, key [32]byte) (ed25519.PrivateKey, bool) {
	for _, n := range k.named() {
		if n.name == use && *n.key != nil && public(*n.key) == key {
			return *n.key, true
		}
	}
	if k.chain == nil {
		return nil, false
	}
	g, ok := k.chain.find(use, key)
	return g.Key, ok
}
