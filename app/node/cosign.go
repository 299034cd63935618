package node

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrForked is returned where a registered cosigner has signed another tree
	// of a size that this node has. Somebody's ledger is not the network's.
	ErrForked = errors.New("cosigner has signed another tree of this size")
	// ErrNoCosignature is returned for a checkpoint on which no registered
	// cosigner's signature is good.
	ErrNoCosignature = errors.New("checkpoint has no good cosignature of a validator")
	// ErrRootDiffers is returned where the log's root does not give the AppHash.
	ErrRootDiffers = errors.New("root of the log does not give the AppHash")
)

// rememberedTrees is how many of the newest trees keep their cosignatures.
const rememberedTrees = 64

// Checkpoint is a tree head with the signatures that make a receipt of it: this
// node's log key and at least the validators' quorum.
type Checkpoint struct {
	Size   int64 // entries
	Root   record.Hash
	Signed []byte // C2SP signed note
}

// tree is a tree that this node has signed, with the lines gathered so far.
type tree struct {
	size     int64
	root     record.Hash
	body     []byte
	signed   string                // line of this node's log key
	cosigned map[string]string     // line of each cosigner, by its name
	opens    *receipt.StateReceipt // of the era that the tree opens, while its handover lacks the quorum
}

// note gives the signed checkpoint with all lines.
func (t *tree) note() ([]byte, error) {
	return receipt.Assemble(t.body, append(slices.Collect(maps.Values(t.cosigned)), t.signed)...)
}

// heard is the newest cosignature of another validator on a tree that this
// node does not have yet.
type heard struct {
	size int64
	body string
	line string
}

// cosigning signs the log's trees with this node's keys, gathers the other
// validators' cosignatures, and keeps the newest tree that has their quorum.
//
// A tree is signed only once the header that carries its AppHash is committed
// and on disk, in the order of size, one at a time, with the keys that the era of
// the tree lists for this node. Trees that have been overtaken are skipped, but
// not the last one of an era (see handover.go). What it signs is on disk in the
// cosigner state before.
type cosigning struct {
	keys    Keys
	state   *CosignerState
	history history
	log     *slog.Logger
	now     func() time.Time
	alarm   func(error)
	fatal   func(error)

	wake    chan struct{} // capacity 1: there is a newer tree, or newer signatures
	signing sync.Mutex    // held from the choice of a tree until its signatures are kept; before mu

	mu     sync.Mutex // guards what follows
	reigns []reign    // of the ledger's eras, from the first
	trust  trust
	final  ledger.View
	trees  []*tree // ascending by size
	heard  map[string]heard
	newest Checkpoint
	next   chan struct{} // closed when newest changes
	note   []byte        // this node's newest tree with all lines gathered
	told   chan struct{} // closed when note or handovers change
}

func newCosigning(t trust, keys Keys, state *CosignerState, h history, log *slog.Logger, now func() time.Time, alarm, fatal func(error)) *cosigning {
	return &cosigning{
		trust: t, keys: keys, state: state, history: h, log: log, now: now, alarm: alarm, fatal: fatal,
		wake: make(chan struct{}, 1), heard: make(map[string]heard), next: make(chan struct{}), told: make(chan struct{}),
	}
}

// network gives the network file with all eras whose handovers are here.
func (c *cosigning) network() receipt.Network {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trust.network()
}

// cosignerOf gives the key with which this node cosigns the trees of an era;
// false where it is no validator of it.
func (c *cosigning) cosignerOf(e ledger.Era) (ed25519.PrivateKey, bool) {
	n, ok := c.listed(e)
	if !ok || !n.Validator {
		return nil, false
	}
	return c.keys.find("cosigner", n.CosignerKey)
}

// logOf gives the log key of this node in an era; false where it is no node of it.
func (c *cosigning) logOf(e ledger.Era) (ed25519.PrivateKey, bool) {
	n, ok := c.listed(e)
	if !ok {
		return nil, false
	}
	return c.keys.find("log", n.LogKey)
}

func (c *cosigning) listed(e ledger.Era) (ledger.EraNode, bool) {
	own := public(c.keys.Node)
	i := slices.IndexFunc(e.Nodes, func(n ledger.EraNode) bool { return n.NodeKey == own })
	if i < 0 {
		return ledger.EraNode{}, false
	}
	return e.Nodes[i], true
}

// validates says whether this node is a validator now; before the ledger has
// begun, whether the network file says so.
func (c *cosigning) validates() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reigns) > 0 {
		_, ok := c.cosignerOf(c.reigns[len(c.reigns)-1].Era)
		return ok
	}
	return slices.ContainsFunc(c.filed().Validators, func(v receipt.Validator) bool { return v.NodeID == c.keys.ID() })
}

// validators gives how many there are now.
func (c *cosigning) validators() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reigns) > 0 {
		return len(cosigners(c.reigns[len(c.reigns)-1].Era, c.trust.file.Origin))
	}
	return len(c.filed().Validators)
}

// filed gives the last era of the network file.
func (c *cosigning) filed() receipt.Era { return c.trust.file.Eras[len(c.trust.file.Eras)-1] }

// offer says that the tree of a view is final. It is called for each block in
// turn, before the next one changes the state; it waits for the disk where the
// tree is the last one of an era, and else never.
func (c *cosigning) offer(v ledger.View) {
	if err := c.follow(v); err != nil {
		c.fatal(fmt.Errorf("follow eras: %w", err))
		return
	}
	c.mu.Lock()
	if c.final == nil || v.Head().Size >= c.final.Head().Size {
		c.final = v
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run signs what is offered until the context ends.
func (c *cosigning) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			c.catchUp()
		}
	}
}

// catchUp signs the newest tree that was offered, unless it is signed.
func (c *cosigning) catchUp() {
	c.signing.Lock()
	defer c.signing.Unlock()
	c.mu.Lock()
	v, last := c.final, c.size()
	c.mu.Unlock()
	if v == nil || v.Head().Size <= last {
		return
	}
	t, err := c.sign(v)
	if err == nil && t != nil {
		err = c.keep(t)
	}
	if err != nil {
		c.alarm(fmt.Errorf("cosign tree of %d entries: %w", v.Head().Size, err))
	}
}

// sign signs the tree of a view; nil where this node has no part in its era.
// Steps, each safe to repeat after a crash:
//  1. check that the root gives the AppHash   2. size, root and time on disk
//  3. sign
//
// The caller holds signing.
func (c *cosigning) sign(v ledger.View) (*tree, error) {
	head := v.Head()
	t := &tree{size: head.Size, root: rootOf(v.Frontier()), cosigned: make(map[string]string)}
	t.body = record.CheckpointBody(head.Origin, head.Size, t.root)
	if record.AppHash(t.body) != head.AppHash {
		return nil, ErrRootDiffers
	}
	era := c.eraOf(t.size)
	key, ok := c.logOf(era)
	if !ok {
		return nil, nil
	}
	at, err := c.state.Admit(t.size, t.root, c.now().Unix())
	if err != nil {
		return nil, err
	}
	if t.signed, err = receipt.SignCheckpoint(t.body, key); err != nil {
		return nil, err
	}
	if key, ok := c.cosignerOf(era); ok {
		name := receipt.CosignerName(head.Origin, c.keys.ID())
		if t.cosigned[name], err = receipt.Cosign(t.body, name, key, at); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// keep adds a signed tree to those that are remembered, with what was heard of
// it, and judges it.
func (c *cosigning) keep(t *tree) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trees = append(c.trees, t)
	if over := len(c.trees) - rememberedTrees; over > 0 {
		c.trees = slices.DeleteFunc(c.trees, func(t *tree) bool {
			over--
			return over >= 0 && t.opens == nil
		})
	}
	keys := cosigners(c.reign(t.size).Era, c.trust.file.Origin)
	for name, h := range c.heard {
		if h.size > t.size {
			continue
		}
		delete(c.heard, name)
		key, member := keys[name]
		if !member || h.size < t.size {
			continue
		}
		if _, err := receipt.CheckCosignature([]byte(h.body), key, h.line); err != nil {
			continue // by a key that its validator had before
		}
		if h.body != string(t.body) {
			c.alarm(fmt.Errorf("cosignature of %s, size %d: %w", name, h.size, ErrForked))
			continue
		}
		t.cosigned[name] = h.line
	}
	return c.judge(t)
}

// size gives the size of the newest tree signed. The caller holds the lock.
func (c *cosigning) size() int64 {
	if len(c.trees) == 0 {
		return 0
	}
	return c.trees[len(c.trees)-1].size
}

// judge tells others of a tree whose lines have grown, and makes it the newest
// one to serve where its era is the one in force and the signatures suffice. The
// caller holds the lock.
func (c *cosigning) judge(t *tree) error {
	signed, err := t.note()
	if err != nil {
		return err
	}
	if t.size == c.size() {
		c.note = signed
	}
	if t.size == c.size() || t.opens != nil {
		close(c.told)
		c.told = make(chan struct{})
	}
	if t.opens != nil {
		return c.handOver(t)
	}
	// The receipts of an era that nobody can verify yet wait for its handover.
	n := c.trust.network()
	if c.reign(t.size).Number != int64(len(n.Eras)) || t.size < c.newest.Size {
		return nil
	}
	if _, err := n.CheckCheckpoint(signed, nil); err != nil {
		if _, few := errors.AsType[*receipt.Refusal](err); few {
			return nil // more signatures will come
		}
		return err
	}
	c.serve(Checkpoint{Size: t.size, Root: t.root, Signed: signed})
	return nil
}

// serve makes a tree the newest one that has the quorum. The caller holds the lock.
func (c *cosigning) serve(newest Checkpoint) {
	c.newest = newest
	close(c.next)
	c.next = make(chan struct{})
}

// cosigners gives the keys by which an era's validators cosign, by their names.
func cosigners(e ledger.Era, origin string) map[string]receipt.VKey {
	keys := make(map[string]receipt.VKey)
	for _, n := range e.Nodes {
		if n.Validator {
			name := receipt.CosignerName(origin, receipt.NodeID(n.NodeKey[:]))
			keys[name] = receipt.CosignerVKey(name, n.CosignerKey)
		}
	}
	return keys
}

// add takes over the good cosignatures of validators on a signed checkpoint.
// Signatures of others, and this node's own, are left out.
func (c *cosigning) add(signed []byte) error {
	p, err := receipt.ParseCheckpoint(signed)
	if err != nil {
		return fmt.Errorf("add cosignatures: %w", err)
	}
	good := c.goodLines(p)
	if len(good) == 0 {
		return fmt.Errorf("add cosignatures: size %d: %w", p.Size, ErrNoCosignature)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tree(p.Size); t != nil {
		if string(t.body) != string(p.Body) {
			err := fmt.Errorf("add cosignatures: size %d: %w", p.Size, ErrForked)
			c.alarm(err)
			return err
		}
		before := len(t.cosigned)
		for name, line := range good {
			if _, known := t.cosigned[name]; !known {
				t.cosigned[name] = line
			}
		}
		if len(t.cosigned) == before {
			return nil
		}
		return c.judge(t)
	}
	for name, line := range good {
		if p.Size > c.size() && p.Size >= c.heard[name].size {
			c.heard[name] = heard{size: p.Size, body: string(p.Body), line: line}
		}
	}
	return nil
}

// goodLines gives the lines of a checkpoint that are good cosignatures of the
// other validators of its era, by their names.
func (c *cosigning) goodLines(p receipt.Checkpoint) map[string]string {
	c.mu.Lock()
	origin, era := c.trust.file.Origin, c.reign(p.Size).Era
	c.mu.Unlock()
	good := make(map[string]string)
	if p.Origin != origin {
		return good
	}
	keys := cosigners(era, origin)
	delete(keys, receipt.CosignerName(origin, c.keys.ID()))
	for i, line := range p.Lines() {
		if key, ok := keys[p.Signatures[i].Name]; ok {
			if _, err := receipt.CheckCosignature(p.Body, key, line); err == nil {
				good[key.Name] = line
			}
		}
	}
	return good
}

// tree gives the tree of a size that this node has signed and remembers, or nil.
// The caller holds the lock.
func (c *cosigning) tree(size int64) *tree {
	i := slices.IndexFunc(c.trees, func(t *tree) bool { return t.size == size })
	if i < 0 {
		return nil
	}
	return c.trees[i]
}

// more gives this node's lines on the tree of a signed checkpoint where it has
// some that the checkpoint lacks, else nil.
func (c *cosigning) more(signed []byte) []byte {
	p, err := receipt.ParseCheckpoint(signed)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tree(p.Size)
	if t == nil || string(t.body) != string(p.Body) {
		return nil
	}
	for name := range t.cosigned {
		if !p.SignedBy(name) {
			text, err := t.note()
			if err != nil {
				return nil
			}
			return text
		}
	}
	return nil
}

// cosigned gives the newest tree with the validators' quorum, waiting for one
// of at least the given size.
func (c *cosigning) cosigned(ctx context.Context, size int64) (Checkpoint, error) {
	for {
		c.mu.Lock()
		newest, next := c.newest, c.next
		c.mu.Unlock()
		if newest.Size > 0 && newest.Size >= size {
			return newest, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return Checkpoint{}, fmt.Errorf("wait for a cosigned tree of %d entries: %w", size, ctx.Err())
		}
	}
}

// gathered gives this node's newest tree with all lines gathered, nil before
// the first, and a channel that is closed when there is more to tell.
func (c *cosigning) gathered() ([]byte, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.note, c.told
}

// complete says whether this node's newest tree has the quorum, and every era of
// the ledger its handover.
func (c *cosigning) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest.Size == c.size() && c.trust.eras() >= len(c.reigns)
}

// rootOf gives the root of a log from the roots of its perfect subtrees,
// largest first (RFC 6962 section 2.1).
func rootOf(frontier []record.Hash) record.Hash {
	if len(frontier) == 0 {
		return sha256.Sum256(nil)
	}
	root := frontier[len(frontier)-1]
	for i := len(frontier) - 2; i >= 0; i-- {
		root = sha256.Sum256(append(append([]byte{1}, frontier[i][:]...), root[:]...))
	}
	return root
}
