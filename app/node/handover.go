package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// A block that opens an era leaves the last tree of the era before: the handover
// tree. It is cosigned by the old cosigners, and larger trees by the new ones
// alone, so nobody could believe the new keys if it were skipped. Therefore
//
//   - it is signed while the block after it is being carried out, before that
//     block is written: a node whose ledger is past it has signed it, unless it
//     has no part in the old era or had signed a larger tree before;
//   - the state receipt of the new era, with this node's signatures, is on disk
//     before any larger tree is signed: it cannot be made once the state went on;
//   - what is on disk is given to the others until the old quorum has signed it.
//     Then it is the handover, and whoever lacks it gets it.
//
// All of that is one file for each era from the second on, HOME/eras/N.handover.

// reign is an era with the trees that are its own.
type reign struct {
	ledger.Era
	last int64 // entries of its handover tree, the last one; 0 while it is in force
}

// history reads what is older than a view.
type history struct {
	blockAfter func(record.Index) (record.Index, error) // the block entry that ends the block of an entry
	hashes     receipt.Hashes
}

// Eras is the folder of the handovers.
func (h Home) Eras() string { return h.path("eras") }

const handoverSuffix = ".handover"

func handoverFile(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprint(number)+handoverSuffix)
}

// trust is the network file of a home, and the handovers that go beyond its
// first era: the second one's first.
type trust struct {
	dir       string // HOME/eras
	file      receipt.Network
	chain     receipt.Network // the first era of the file, and what the handovers open; without witnesses
	handovers [][]byte
	at        func(step string) error // fails a durable step in tests
}

// openTrust reads the handovers of a home. One that does not follow from those
// before it is left out, and so are all behind it: other nodes have them.
func openTrust(dir string, file receipt.Network) (trust, error) {
	t := trust{dir: dir, file: file, chain: file}
	first := file.Eras[0]
	first.Closed = nil
	t.chain.Eras = []receipt.Era{first}
	for {
		text, err := os.ReadFile(handoverFile(dir, t.eras()+1))
		if errors.Is(err, fs.ErrNotExist) {
			return t, nil
		}
		if err != nil {
			return trust{}, fmt.Errorf("read handover: %w", err)
		}
		next, err := t.chain.ExtendUnwitnessed(text)
		if err != nil {
			return t, nil // it lacks signatures
		}
		t.chain, t.handovers = next, append(t.handovers, text)
	}
}

// eras gives how many eras are handed over, the first included.
func (t *trust) eras() int { return len(t.chain.Eras) }

// network gives the file, or what the handovers make of it where they go further.
func (t *trust) network() receipt.Network {
	if len(t.file.Eras) > t.eras() {
		return t.file
	}
	return t.chain
}

// keep makes a handover durable, then takes it over.
func (t *trust) keep(text []byte, next receipt.Network) error {
	if err := makeFolder(t.dir, t.at); err != nil {
		return fmt.Errorf("keep handover: %w", err)
	}
	if err := replaceFile(handoverFile(t.dir, len(next.Eras)), text, t.at); err != nil {
		return fmt.Errorf("keep handover: %w", err)
	}
	t.chain, t.handovers = next, append(t.handovers, text)
	return nil
}

// eraOf gives the era whose keys answer for the tree of a size.
func (c *cosigning) eraOf(size int64) ledger.Era {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reign(size).Era
}

// reign gives the era of the tree of a size, as far as this node knows. The
// caller holds the lock.
func (c *cosigning) reign(size int64) reign {
	i := slices.IndexFunc(c.reigns, func(r reign) bool { return r.last == 0 || size <= r.last })
	if i < 0 {
		return reign{}
	}
	return c.reigns[i]
}

// follow takes over the eras of a view, and signs its tree where it is the last
// one of an era.
func (c *cosigning) follow(v ledger.View) error {
	if v.Head().Size == 0 {
		return nil
	}
	now, err := ledger.EraOf(v)
	if err != nil {
		return err
	}
	c.mu.Lock()
	for number := int64(len(c.reigns)) + 1; number <= now.Number && err == nil; number++ {
		err = c.takeOver(v, number)
	}
	number := len(c.reigns)
	ends := number > 1 && c.reigns[number-2].last == v.Head().Size
	c.mu.Unlock()
	if err != nil || !ends {
		return err
	}
	return c.begin(v, number)
}

// takeOver appends an era of the ledger to the reigns. The caller holds the lock.
func (c *cosigning) takeOver(v ledger.View, number int64) error {
	era, err := ledger.EraNumbered(v, number)
	if err != nil {
		return err
	}
	if number > 1 {
		at, err := c.history.blockAfter(era.Opened)
		if err != nil {
			return err
		}
		c.reigns[number-2].last = int64(at) + 1
		if err := c.checkPin(int(number-1), int64(at)+1); err != nil {
			return err
		}
	}
	c.reigns = append(c.reigns, reign{Era: era})
	return nil
}

// checkPin compares the last tree of an era with the pin that others have
// answered for, if it is known. The caller holds the lock.
func (c *cosigning) checkPin(number int, size int64) error {
	n := c.trust.network()
	if number >= len(n.Eras) {
		return nil
	}
	root, err := receipt.TreeRoot(size, c.history.hashes)
	if err != nil {
		return err
	}
	if pin := n.Eras[number-1].Closed; pin.Size != size || pin.Root != root {
		c.alarm(fmt.Errorf("last tree of era %d, of %d entries: %w", number, size, ErrForked))
	}
	return nil
}

// begin signs the last tree of the era before the given one, and makes the state
// receipt of the new era durable with what this node signed.
func (c *cosigning) begin(v ledger.View, number int) error {
	c.signing.Lock()
	defer c.signing.Unlock()
	size := v.Head().Size
	c.mu.Lock()
	known := c.trust.eras() >= number || c.tree(size) != nil
	c.mu.Unlock()
	if known {
		return nil
	}
	t, err := c.sign(v)
	switch {
	case errors.Is(err, ErrTreeShrinks):
		return nil // it went further before its ledger was lost; the others have the handover
	case errors.Is(err, ErrTreeForks) || errors.Is(err, ErrRootDiffers):
		c.alarm(fmt.Errorf("cosign last tree of era %d, of %d entries: %w", number-1, size, err))
		return nil
	case err != nil || t == nil:
		return err
	}
	text, err := c.stateReceipt(v, t, number)
	if err != nil {
		return err
	}
	opens, err := receipt.ParseState(text)
	if err != nil {
		return err
	}
	begun, err := c.draft(number, text)
	if err != nil {
		return err
	}
	if begun {
		t.opens = &opens
	}
	return c.keep(t)
}

// draft makes a handover durable that lacks signatures; false where another node
// has brought all of it meanwhile: that stays as it is.
func (c *cosigning) draft(number int, text []byte) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trust.eras() >= number {
		return false, nil
	}
	if err := makeFolder(c.trust.dir, c.trust.at); err != nil {
		return false, err
	}
	return true, replaceFile(handoverFile(c.trust.dir, number), text, c.trust.at)
}

// stateReceipt makes the state receipt of an era under the tree of a view.
func (c *cosigning) stateReceipt(v ledger.View, t *tree, number int) ([]byte, error) {
	block, err := v.Entry(record.Index(t.size - 1))
	if err != nil {
		return nil, err
	}
	proof, err := receipt.ProveLast(t.size, c.history.hashes)
	if err != nil {
		return nil, err
	}
	key := ledger.StateKeyEra(int64(number))
	value, _, err := v.Value(key)
	if err != nil {
		return nil, err
	}
	stateProof, err := statetree.Prove(v, v.StateRoot(), statetree.KeyOf(key))
	if err != nil {
		return nil, err
	}
	signed, err := t.note()
	if err != nil {
		return nil, err
	}
	return receipt.NewState(block, t.size-1, proof, key, value, stateProof, signed)
}

// handover gives the state receipt of the era that a tree opens, with all lines
// gathered.
func (t *tree) handover() ([]byte, error) {
	signed, err := t.note()
	if err != nil {
		return nil, err
	}
	return receipt.NewState(t.opens.Entry, t.opens.Index, t.opens.Proof, t.opens.Key, t.opens.Value, t.opens.StateProof, signed)
}

// handOver takes the era over that a tree opens, once the quorum of the era
// before has signed. The caller holds the lock.
func (c *cosigning) handOver(t *tree) error {
	text, err := t.handover()
	if err != nil {
		return err
	}
	next, err := c.trust.chain.ExtendUnwitnessed(text)
	if _, few := errors.AsType[*receipt.Refusal](err); few {
		return nil // more signatures will come, or an earlier handover
	}
	if err != nil {
		return err
	}
	return c.adopt(text, next)
}

// adopt keeps the handover to the era that comes next, and serves what it makes
// fit to be served. The caller holds the lock.
func (c *cosigning) adopt(text []byte, next receipt.Network) error {
	closed := len(next.Eras) - 1
	pin := next.Eras[closed-1].Closed
	if filed := c.trust.file.Eras; closed < len(filed) && *filed[closed-1].Closed != *pin {
		err := fmt.Errorf("last tree of era %d in the network file: %w", closed, ErrForked)
		c.alarm(err)
		return err
	}
	if err := c.trust.keep(text, next); err != nil {
		c.fatal(err)
		return err
	}
	c.log.Info("era handed over", "era", len(next.Eras), "entries", pin.Size)
	if closed < len(c.reigns) {
		if err := c.checkPin(closed, c.reigns[closed-1].last); err != nil {
			return err
		}
	}
	if len(next.Eras) == len(c.trust.network().Eras) && pin.Size >= c.newest.Size {
		opened, err := receipt.ParseState(text)
		if err != nil {
			return err
		}
		c.serve(Checkpoint{Size: pin.Size, Root: pin.Root, Signed: opened.Checkpoint.Marshal()})
	}
	if t := c.tree(pin.Size); t != nil {
		t.opens = nil
	}
	for _, t := range slices.Clone(c.trees) {
		if t.size > pin.Size {
			if err := c.judge(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// addHandover takes over a handover of another node, or the cosignatures on it
// where it lacks some.
func (c *cosigning) addHandover(text []byte) error {
	r, err := receipt.ParseState(text)
	if err != nil {
		return fmt.Errorf("add handover: %w", err)
	}
	c.mu.Lock()
	if string(r.Key) != string(ledger.StateKeyEra(int64(c.trust.eras())+1)) {
		c.mu.Unlock()
		return nil // this node has it, or needs another one before
	}
	next, err := c.trust.chain.ExtendUnwitnessed(text)
	if err == nil {
		err = c.adopt(text, next)
		c.mu.Unlock()
		return err
	}
	c.mu.Unlock()
	if _, refused := errors.AsType[*receipt.Refusal](err); !refused {
		return err
	}
	return c.add(r.Checkpoint.Marshal())
}

// handoversAfter gives the handovers that open the eras after the first so many,
// a number of them at most.
func (c *cosigning) handoversAfter(eras, most int) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if eras < 1 || eras > len(c.trust.handovers) {
		return nil
	}
	list := c.trust.handovers[eras-1:]
	return slices.Clone(list[:min(len(list), most)])
}

// begun gives the handovers that lack signatures, and how many eras this node
// knows to be handed over where the ledger has more, else 0.
func (c *cosigning) begun() (drafts [][]byte, lacking int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.trees {
		if t.opens == nil {
			continue
		}
		text, err := t.handover()
		if err != nil {
			return nil, 0, err
		}
		drafts = append(drafts, text)
	}
	if c.trust.eras() < len(c.reigns) {
		lacking = c.trust.eras()
	}
	return drafts, lacking, nil
}

// resume takes over the eras of a ledger as it stands, and the handovers that a
// stop or a crash has left without the quorum.
func (c *cosigning) resume(v ledger.View) error {
	if v.Head().Size == 0 {
		return nil
	}
	now, err := ledger.EraOf(v)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for number := int64(1); number <= now.Number; number++ {
		if err := c.takeOver(v, number); err != nil {
			return err
		}
	}
	if list := c.trust.handovers; len(list) > 0 {
		last, err := receipt.ParseState(list[len(list)-1])
		if err != nil {
			return err
		}
		if p := last.Checkpoint; p.Size <= v.Head().Size && len(c.trust.network().Eras) == c.trust.eras() {
			c.serve(Checkpoint{Size: p.Size, Root: p.Root, Signed: p.Marshal()})
		}
	}
	for number := c.trust.eras() + 1; number <= len(c.reigns); number++ {
		text, err := os.ReadFile(handoverFile(c.trust.dir, number))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := c.restore(text, number); err != nil {
			c.alarm(fmt.Errorf("handover to era %d: %w", number, err))
		}
	}
	return nil
}

// restore takes up a handover that lacks signatures. The caller holds the lock.
func (c *cosigning) restore(text []byte, number int) error {
	opens, err := receipt.ParseState(text)
	if err != nil {
		return err
	}
	p := opens.Checkpoint
	root, err := receipt.TreeRoot(c.reigns[number-2].last, c.history.hashes)
	if err != nil {
		return err
	}
	if string(opens.Key) != string(ledger.StateKeyEra(int64(number))) || p.Size != c.reigns[number-2].last || p.Root != root {
		return ErrForked
	}
	t := &tree{size: p.Size, root: p.Root, body: p.Body, cosigned: make(map[string]string), opens: &opens}
	keys := cosigners(c.reigns[number-2].Era, p.Origin)
	for i, line := range p.Lines() {
		name := p.Signatures[i].Name
		if key, ok := keys[name]; ok {
			if _, err := receipt.CheckCosignature(p.Body, key, line); err != nil {
				return err
			}
			t.cosigned[name] = line
		} else if name == p.Origin {
			t.signed = line
		}
	}
	if t.signed == "" {
		return fmt.Errorf("%w: no log key has signed it", receipt.ErrMalformed)
	}
	c.trees = append(c.trees, t)
	return nil
}
