package node

import (
	"context"
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
	signed   string            // line of this node's log key
	cosigned map[string]string // line of each cosigner, by its name
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
// and on disk, in the order of size, one at a time; trees that have been
// overtaken are skipped. What it signs is on disk in the cosigner state before.
type cosigning struct {
	network   receipt.Network
	keys      Keys
	validates bool // this node is a validator of the network file's open era
	state     *CosignerState
	log       *slog.Logger
	now       func() time.Time
	alarm     func(error)

	wake chan struct{} // capacity 1: there is a newer tree, or newer signatures

	mu     sync.Mutex // guards what follows
	final  ledger.View
	trees  []*tree // ascending by size
	heard  map[string]heard
	newest Checkpoint
	next   chan struct{} // closed when newest changes
	note   []byte        // this node's newest tree with all lines gathered
	told   chan struct{} // closed when note changes
}

func newCosigning(n receipt.Network, keys Keys, state *CosignerState, log *slog.Logger, now func() time.Time, alarm func(error)) *cosigning {
	c := &cosigning{
		network: n, keys: keys, state: state, log: log, now: now, alarm: alarm,
		wake: make(chan struct{}, 1), heard: make(map[string]heard), next: make(chan struct{}), told: make(chan struct{}),
	}
	for _, v := range c.era().Validators {
		if v.NodeID == keys.ID() && v.Cosigner == public(keys.Cosigner) {
			c.validates = true
		}
	}
	return c
}

// era gives the open era of the network file: whose word counts now.
func (c *cosigning) era() receipt.Era { return c.network.Eras[len(c.network.Eras)-1] }

// offer says that the tree of a view is final. It never blocks.
func (c *cosigning) offer(v ledger.View) {
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
		}
		c.mu.Lock()
		v, last := c.final, c.size()
		c.mu.Unlock()
		if v == nil || v.Head().Size <= last {
			continue
		}
		if err := c.sign(v); err != nil {
			c.alarm(fmt.Errorf("cosign tree of %d entries: %w", v.Head().Size, err))
		}
	}
}

// sign signs the tree of a view. Steps, each safe to repeat after a crash:
//  1. check that the root gives the AppHash   2. size, root and time on disk
//  3. sign                                    4. show and judge the signatures
func (c *cosigning) sign(v ledger.View) error {
	head := v.Head()
	t := &tree{size: head.Size, root: rootOf(v.Frontier()), cosigned: make(map[string]string)}
	t.body = record.CheckpointBody(head.Origin, head.Size, t.root)
	if record.AppHash(t.body) != head.AppHash {
		return ErrRootDiffers
	}
	at, err := c.state.Admit(t.size, t.root, c.now().Unix())
	if err != nil {
		return err
	}
	if t.signed, err = receipt.SignCheckpoint(t.body, c.keys.Log); err != nil {
		return err
	}
	if c.validates {
		name := receipt.CosignerName(c.network.Origin, c.keys.ID())
		if t.cosigned[name], err = receipt.Cosign(t.body, name, c.keys.Cosigner, at); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trees = append(c.trees, t)
	if len(c.trees) > rememberedTrees {
		c.trees = c.trees[1:]
	}
	for name, h := range c.heard {
		if h.size > t.size {
			continue
		}
		delete(c.heard, name)
		if h.size == t.size && h.body != string(t.body) {
			c.alarm(fmt.Errorf("cosignature of %s, size %d: %w", name, h.size, ErrForked))
		} else if h.size == t.size {
			t.cosigned[name] = h.line
		}
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
// one to serve where the network file says that its signatures suffice. The
// caller holds the lock.
func (c *cosigning) judge(t *tree) error {
	signed, err := t.note()
	if err != nil {
		return err
	}
	if t.size == c.size() {
		c.note = signed
		close(c.told)
		c.told = make(chan struct{})
	}
	if _, err := c.network.CheckCheckpoint(signed, nil); err != nil {
		if _, few := errors.AsType[*receipt.Refusal](err); few {
			return nil // more signatures will come
		}
		return err
	}
	if t.size < c.newest.Size {
		return nil
	}
	c.newest = Checkpoint{Size: t.size, Root: t.root, Signed: signed}
	close(c.next)
	c.next = make(chan struct{})
	return nil
}

// add takes over the good cosignatures of validators on a signed checkpoint.
// Signatures of others, and this node's own, are left out.
func (c *cosigning) add(signed []byte) error {
	p, err := receipt.ParseCheckpoint(signed)
	if err != nil {
		return fmt.Errorf("add cosignatures: %w", err)
	}
	good := make(map[string]string)
	for i, line := range p.Lines() {
		for _, v := range c.era().Validators {
			key := v.CosignerKey(c.network.Origin)
			if v.NodeID == c.keys.ID() || p.Signatures[i].Name != key.Name || p.Origin != c.network.Origin {
				continue
			}
			if _, err := receipt.CheckCosignature(p.Body, key, line); err == nil {
				good[key.Name] = line
			}
		}
	}
	if len(good) == 0 {
		return fmt.Errorf("add cosignatures: size %d: %w", p.Size, ErrNoCosignature)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.trees {
		if t.size != p.Size {
			continue
		}
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

// complete says whether this node's newest tree has the quorum.
func (c *cosigning) complete() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.newest.Size == c.size()
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
