package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrKeyName is returned for a file among the keys whose name is nearly, but
	// not quite, that of a key.
	ErrKeyName = errors.New("file among the keys has the name of no key")
	// ErrKeyUse is returned for a use that no key of a node has.
	ErrKeyUse = errors.New("keys of a node are node, validator, cosigner, log and custodian")
	// ErrNoSuchGeneration is returned for a generation that the home has not.
	ErrNoSuchGeneration = errors.New("home has no such generation of the key")
	// ErrLastGeneration is returned where the only key of a use is to be deleted,
	// or the one that the node goes by.
	ErrLastGeneration = errors.New("key is in use")
)

// keyUses are the uses of a node's keys in the order of cards and listings.
var keyUses = []string{"node", "validator", "cosigner", "log", "custodian"}

// beforeRemoval is the durable step at which a file of the folder goes.
const beforeRemoval = "removal"

// maxGenerations bounds how many keys of one use a home has.
const maxGenerations = 999

// Generation is one key of a home. Generations of a use are numbered from 1, and
// no number is given twice while the key is there.
type Generation struct {
	Use         string
	Number      int
	Key         ed25519.PrivateKey
	Certificate []byte // DER, of a node key alone
}

// Public gives the public key.
func (g Generation) Public() [32]byte { return public(g.Key) }

// Keychain is every key of a home. A new generation lies beside the present one
// until the ledger registers it; which one counts is never decided here: whoever
// needs a key names it by its public half, as the ledger or the engine does.
//
// A generation that was made while the node runs is found when it is first
// asked for. A Keychain may be used by several goroutines.
type Keychain struct {
	home Home
	root [32]byte           // seals all keys of the home
	at   func(string) error // fails a durable step in tests

	mu          sync.Mutex // guards what follows
	generations []Generation
	node        int        // number of the node key in use
	missed      [][32]byte // public keys among which none was found last
}

// OpenKeychain opens all keys of a home.
func OpenKeychain(home Home, passphrase []byte) (*Keychain, error) {
	text, err := os.ReadFile(home.homeKey())
	if err != nil {
		return nil, fmt.Errorf("open home: %w", err)
	}
	label, root, err := keyfile.Open(passphrase, text)
	if err != nil {
		return nil, fmt.Errorf("open home: %w", err)
	}
	if label != "home" || len(root) != 32 {
		return nil, fmt.Errorf("open %s: %w", home.homeKey(), ErrWrongKey)
	}
	c := &Keychain{home: home, root: [32]byte(root)}
	clear(root)
	return c, c.reload()
}

// reload reads the folder of keys.
func (c *Keychain) reload() error {
	numbers, err := c.home.generations()
	if err != nil {
		return err
	}
	var all []Generation
	for _, use := range keyUses {
		if len(numbers[use]) == 0 && use != "custodian" {
			return fmt.Errorf("open %s key: %s: %w", use, c.home.key(use), syscall.ENOENT) // as for any other file
		}
		for _, number := range numbers[use] {
			g, err := c.open(use, number)
			if err != nil {
				return err
			}
			all = append(all, g)
		}
	}
	used, err := c.home.nodeInUse()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.ContainsFunc(all, func(g Generation) bool { return g.Use == "node" && g.Number == used }) {
		return fmt.Errorf("open node key: generation %d: %w", used, ErrNoSuchGeneration)
	}
	c.generations, c.node = all, used
	return nil
}

// open reads one key.
func (c *Keychain) open(use string, number int) (Generation, error) {
	name := generationName(use, number)
	text, err := os.ReadFile(c.home.key(name))
	if err != nil {
		return Generation{}, fmt.Errorf("open %s key: %w", use, err)
	}
	label, seed, err := keyfile.OpenUnder(c.root, text)
	if err != nil {
		return Generation{}, fmt.Errorf("open %s key: %w", use, err)
	}
	if label != name || len(seed) != ed25519.SeedSize {
		return Generation{}, fmt.Errorf("open %s: %w", c.home.key(name), ErrWrongKey)
	}
	g := Generation{Use: use, Number: number, Key: ed25519.NewKeyFromSeed(seed)}
	clear(seed)
	if use == "node" {
		text, err := os.ReadFile(c.home.certificate(number))
		if err != nil {
			return Generation{}, fmt.Errorf("open certificate: %w", err)
		}
		if g.Certificate, err = decodePEM(text, g.Key); err != nil {
			return Generation{}, fmt.Errorf("read %s: %w", c.home.certificate(number), err)
		}
	}
	return g, nil
}

// inUse gives the number of the node key in use.
func (c *Keychain) inUse() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.node
}

// Generations lists all keys, by use and ascending by number.
func (c *Keychain) Generations() []Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.generations)
}

// find gives the key with this public half. Where it is not known, the folder
// is read once more.
func (c *Keychain) find(use string, key [32]byte) (Generation, bool) {
	look := func() (Generation, bool) {
		for _, g := range c.Generations() {
			if g.Use == use && g.Public() == key {
				return g, true
			}
		}
		return Generation{}, false
	}
	if g, ok := look(); ok {
		return g, true
	}
	if err := c.reload(); err != nil {
		return Generation{}, false
	}
	return look()
}

// newest gives the newest key of a use, false where the home has none.
func (c *Keychain) newest(use string) (found Generation, ok bool) {
	for _, g := range c.Generations() {
		if g.Use == use {
			found, ok = g, true
		}
	}
	return found, ok
}

// Newest gives the newest key of each use, which a card proposes.
func (c *Keychain) Newest() Keys {
	k := Keys{chain: c}
	for _, n := range k.named() {
		g, _ := c.newest(n.name)
		*n.key = g.Key
		if n.name == "node" {
			k.Certificate = g.Certificate
		}
	}
	return k
}

// InUse gives the node key in use and the newest of the others.
func (c *Keychain) InUse() Keys {
	k := c.Newest()
	for _, g := range c.Generations() {
		if g.Use == "node" && g.Number == c.inUse() {
			k.Node, k.Certificate = g.Key, g.Certificate
		}
	}
	return k
}

// Of gives the keys that the ledger registers for the node key in use, false
// where the home lacks one of them.
func (c *Keychain) Of(n *record.Node) (Keys, bool) {
	k := c.InUse()
	if public(k.Node) != n.NodeKey {
		return Keys{}, false
	}
	for _, one := range []struct {
		use    string
		public [32]byte
		key    *ed25519.PrivateKey
	}{
		{"validator", n.ValidatorKey, &k.Validator}, {"cosigner", n.CosignerKey, &k.Cosigner},
		{"log", n.LogKey, &k.Log}, {"custodian", n.CustodianKey, &k.Custodian},
	} {
		if one.public == [32]byte{} { // only a custodian key may be missing
			*one.key = nil
			continue
		}
		g, ok := c.find(one.use, one.public)
		if !ok {
			return Keys{}, false
		}
		*one.key = g.Key
	}
	return k, true
}

// hasDropped tells whether each key that a ledger registers and the home lacks can
// be one that was dropped: of its use a number is missing. Then the ledger is the old
// one, from a backup, or of a node that gets its blocks anew.
func (c *Keychain) hasDropped(n *record.Node) bool {
	publics := map[string][32]byte{"validator": n.ValidatorKey, "cosigner": n.CosignerKey, "log": n.LogKey, "custodian": n.CustodianKey}
	for use, key := range publics {
		if _, ok := c.find(use, key); ok || key == [32]byte{} {
			continue
		}
		count, newest := 0, 0
		for _, g := range c.Generations() {
			if g.Use == use {
				count, newest = count+1, g.Number
			}
		}
		if count == newest {
			return false
		}
	}
	return true
}

// Make makes the next generation of a key, sealed like the others. Nothing else
// changes: it counts once the ledger registers it. Steps, each safe to repeat
// after a crash:
//  1. the certificate, of a node key   2. the key, with which the generation is there
func (c *Keychain) Make(use string, rand io.Reader, now time.Time) (Generation, error) {
	if !slices.Contains(keyUses, use) {
		return Generation{}, fmt.Errorf("make %q key: %w", use, ErrKeyUse)
	}
	if err := c.reload(); err != nil {
		return Generation{}, err
	}
	last, ok := c.newest(use)
	if !ok {
		return Generation{}, fmt.Errorf("make %s key: %w", use, ErrNoContent)
	}
	if last.Number == maxGenerations {
		return Generation{}, fmt.Errorf("make %s key: generation %d is the last one", use, maxGenerations)
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return Generation{}, fmt.Errorf("draw %s key: %w", use, err)
	}
	defer clear(seed)
	g := Generation{Use: use, Number: last.Number + 1, Key: ed25519.NewKeyFromSeed(seed)}
	if use == "node" {
		key := g.Public()
		der, err := identity.ServerCertificate(rand, g.Key, receipt.ServerName(receipt.NodeID(key[:])), now)
		if err == nil {
			err = replaceFile(c.home.certificate(g.Number), encodePEM(der), c.at)
		}
		if err != nil {
			return Generation{}, fmt.Errorf("make certificate: %w", err)
		}
		g.Certificate = der
	}
	name := generationName(use, g.Number)
	text, err := keyfile.SealUnder(c.root, name, seed)
	if err == nil {
		err = replaceFile(c.home.key(name), text, c.at)
	}
	if err != nil {
		return Generation{}, fmt.Errorf("make %s key: %w", use, err)
	}
	return g, c.reload()
}

// UseNode makes a generation the node key that the home goes by from the next
// start on.
func (c *Keychain) UseNode(number int) error {
	if err := c.reload(); err != nil {
		return err
	}
	if !slices.ContainsFunc(c.Generations(), func(g Generation) bool { return g.Use == "node" && g.Number == number }) {
		return fmt.Errorf("use node key: generation %d: %w", number, ErrNoSuchGeneration)
	}
	if err := replaceFile(c.home.nodeUse(), fmt.Appendln(nil, number), c.at); err != nil {
		return fmt.Errorf("use node key: %w", err)
	}
	return c.reload()
}

// Drop deletes a key for good. The node key in use and the last key of a use
// stay. That the ledger has retired it is for the caller to know.
func (c *Keychain) Drop(use string, number int) error {
	if err := c.reload(); err != nil {
		return err
	}
	used := c.inUse()
	count, found := 0, false
	for _, g := range c.Generations() {
		if g.Use == use {
			count++
			found = found || g.Number == number
		}
	}
	switch {
	case !found:
		return fmt.Errorf("drop %s key: generation %d: %w", use, number, ErrNoSuchGeneration)
	case count == 1 || use == "node" && number == used:
		return fmt.Errorf("drop %s key: generation %d: %w", use, number, ErrLastGeneration)
	}
	// The key goes first: a certificate without its key is nobody's.
	paths := []string{c.home.key(generationName(use, number))}
	if use == "node" {
		paths = append(paths, c.home.certificate(number))
	}
	for _, path := range paths {
		if err := c.remove(path); err != nil {
			return fmt.Errorf("drop %s key: %w", use, err)
		}
	}
	return c.reload()
}

// remove deletes a file, durably.
func (c *Keychain) remove(path string) error {
	if c.at != nil {
		if err := c.at(beforeRemoval); err != nil {
			return err
		}
	}
	crashpoint(filepath.Base(path) + ": before " + beforeRemoval)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDirectory(c.home.Keys())
}

// generationName gives the name of a key without its suffix, which is also the
// label inside: "validator", "validator.2".
func generationName(use string, number int) string {
	if number == 1 {
		return use
	}
	return use + "." + strconv.Itoa(number)
}

// generations lists the numbers of each use's keys, ascending. What a write
// that was cut off has left does not count; any other name that begins like a
// key's must be one.
func (h Home) generations() (map[string][]int, error) {
	entries, err := os.ReadDir(h.Keys())
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	numbers := make(map[string][]int)
	for _, e := range entries {
		use, _, _ := strings.Cut(e.Name(), ".")
		name, isKey := strings.CutSuffix(e.Name(), ".key")
		if !slices.Contains(keyUses, use) || !isKey {
			continue
		}
		number := 1
		if _, text, numbered := strings.Cut(name, "."); numbered {
			if number, err = strconv.Atoi(text); err != nil || number < 2 || number > maxGenerations || generationName(use, number) != name {
				return nil, fmt.Errorf("%s: %w", filepath.Join(h.Keys(), e.Name()), ErrKeyName)
			}
		}
		numbers[use] = append(numbers[use], number)
	}
	for _, list := range numbers {
		slices.Sort(list)
	}
	return numbers, nil
}

// nodeInUse gives the number of the node key that the home goes by.
func (h Home) nodeInUse() (int, error) {
	text, err := os.ReadFile(h.nodeUse())
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read which node key is in use: %w", err)
	}
	number, err := strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
	if err != nil || number < 1 || number > maxGenerations || string(fmt.Appendln(nil, number)) != string(text) {
		return 0, fmt.Errorf("read %s: %w", h.nodeUse(), ErrStateCorrupt)
	}
	return number, nil
}
