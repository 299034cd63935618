package crash

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/bits"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// A replayed log is what the entries alone tell. Nothing in it comes from the
// engine or from what the store keeps besides entries.
type replayed struct {
	head         ledger.Head
	stateRoot    statetree.Hash
	blocks       map[int64]closed // that left entries, by height
	places       map[place]record.Index
	trees        map[int64]string // checkpoint bodies after every block, by tree size
	transactions int
}

// closed is the end of a block that left entries.
type closed struct {
	time    int64
	appHash [32]byte
}

// A place is where uniqueness counts.
type place struct {
	office     record.Code
	commitment record.Commitment
}

// replay reads a log from its first entry, carries every transaction out on an
// empty ledger, and wants the same entries.
func replay(entries [][]byte) (*replayed, error) {
	r := &replayer{log: entries, out: replayed{
		blocks: map[int64]closed{}, places: map[place]record.Index{}, trees: map[int64]string{},
	}}
	if err := r.genesis(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	for r.next < len(r.log) {
		first := r.next
		if err := r.block(); err != nil {
			return nil, fmt.Errorf("block from entry %d on: %w", first, err)
		}
	}
	r.out.head, r.out.stateRoot = r.view.Head(), r.view.StateRoot()
	return &r.out, nil
}

type replayer struct {
	log  [][]byte
	next int
	view ledger.View
	tree stack
	out  replayed
}

// take parses the next entry.
func (r *replayer) take() (record.Entry, error) {
	if r.next == len(r.log) {
		return nil, fmt.Errorf("the log ends within a block")
	}
	e, err := record.ParseEntry(r.log[r.next])
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", r.next, err)
	}
	r.next++
	return e, nil
}

// genesis replays the block of height 0.
func (r *replayer) genesis() error {
	e, err := r.take()
	if err != nil {
		return err
	}
	g, ok := e.(record.GenesisEntry)
	if !ok {
		return fmt.Errorf("the log begins with %T", e)
	}
	facts := ledger.GenesisFacts{Network: g.Network, ChainID: g.ChainID, Origin: g.Origin, Time: g.Time}
	for {
		if e, err = r.take(); err != nil {
			return err
		}
		if end, ok := e.(record.BlockEntry); ok {
			changes, err := ledger.Genesis(facts)
			if err != nil {
				return err
			}
			r.view = ledger.Blank()
			return r.close(0, changes, end)
		}
		stated, ok := e.(record.FactEntry)
		if !ok {
			return fmt.Errorf("%T among the facts", e)
		}
		fact, err := record.ParseFact(stated.Fact)
		if err != nil {
			return err
		}
		facts.Facts = append(facts.Facts, fact)
	}
}

// block replays the transactions up to the next block entry.
func (r *replayer) block() error {
	first := r.next
	var txs [][]byte
	var jump record.JumpEntry
	for {
		e, err := r.take()
		if err != nil {
			return err
		}
		switch e := e.(type) {
		case record.JumpEntry:
			jump = e
		case record.TxEntry:
			raw, err := r.transaction(e)
			if err != nil {
				return fmt.Errorf("transaction before entry %d: %w", r.next, err)
			}
			txs = append(txs, raw)
		case record.BlockEntry:
			until := e.Time
			if jump.Height == e.Height {
				until = jump.Before
			}
			if err := r.rest(e.Height, until); err != nil {
				return err
			}
			return r.apply(first, txs, e)
		default:
			return fmt.Errorf("entry %d, a %T, belongs to no transaction", r.next-1, e)
		}
	}
}

// transaction rebuilds what an office signed, byte for byte, and verifies it.
func (r *replayer) transaction(e record.TxEntry) ([]byte, error) {
	body := e.Body
	var items []record.AnchorEntry
	for range e.Count {
		at := record.Index(r.next)
		item, err := r.take()
		if err != nil {
			return nil, err
		}
		anchor, ok := item.(record.AnchorEntry)
		if !ok {
			continue
		}
		items = append(items, anchor)
		here := place{anchor.Office, anchor.Commitment}
		if before, ok := r.out.places[here]; ok {
			return nil, fmt.Errorf("%s has commitment %x at entries %d and %d", here.office, here.commitment, before, at)
		}
		r.out.places[here] = at
	}
	if len(body) == 0 {
		var err error
		if body, err = record.RebuildAnchorBody(r.view.Head().Network, e, items); err != nil {
			return nil, err
		}
	}
	hash := sha256.Sum256(body)
	if hash != e.BodyHash {
		return nil, fmt.Errorf("the rebuilt body has another hash")
	}
	key, known, err := ledger.KeyOf(r.view, e.KeyID)
	if err != nil || !known {
		return nil, fmt.Errorf("key %x: registered: %v, %w", e.KeyID, known, err)
	}
	if !ed25519.Verify(key.PublicKey[:], append([]byte("muniment/v1/tx\n"), hash[:]...), e.Signature[:]) {
		return nil, fmt.Errorf("the signature is not by key %x", e.KeyID)
	}
	r.out.transactions++
	return record.AssembleTx(body, e.KeyID, e.Signature[:])
}

// rest brings the ledger to the height before the next block. Empty blocks left
// nothing, but they carried time along, without a jump.
func (r *replayer) rest(height, until int64) error {
	parameters, err := ledger.ParametersOf(r.view)
	if err != nil {
		return err
	}
	for head := r.view.Head(); head.Height < height-1; head = r.view.Head() {
		time := max(head.Time, min(until, head.Time+min(60, int64(parameters.JumpSeconds))*1e9))
		changes, _, err := machine.Apply(r.view, ledger.Block{Height: head.Height + 1, Time: time})
		if err != nil {
			return err
		}
		r.view = ledger.Overlay(r.view, changes)
	}
	return nil
}

var machine = ledger.Machine{Verify: ed25519.Verify}

// apply carries a block out and compares.
func (r *replayer) apply(first int, txs [][]byte, end record.BlockEntry) error {
	changes, results, err := machine.Apply(r.view, ledger.Block{Height: end.Height, Time: end.Time, Txs: txs})
	if err != nil {
		return err
	}
	for i, result := range results {
		if result.Code != ledger.OK {
			return fmt.Errorf("transaction %d of height %d is refused: %s", i, end.Height, result.Code)
		}
	}
	return r.close(first, changes, end)
}

// close compares the changes of a block with the entries from first on.
func (r *replayer) close(first int, c ledger.Changes, end record.BlockEntry) error {
	logged := r.log[first:r.next]
	if len(c.Entries) != len(logged) {
		return fmt.Errorf("height %d gives %d entries, the log has %d", c.Height, len(c.Entries), len(logged))
	}
	for i, entry := range c.Entries {
		if !bytes.Equal(entry, logged[i]) {
			return fmt.Errorf("entry %d: the replay gives %x, the log has %x", first+i, entry, logged[i])
		}
		r.tree.push(logged[i])
	}
	if [32]byte(c.StateRoot) != end.StateRoot {
		return fmt.Errorf("height %d: state root %x, the log says %x", end.Height, c.StateRoot, end.StateRoot)
	}
	r.view = ledger.Overlay(r.view, c)
	head := r.view.Head()
	body := string(record.CheckpointBody(head.Origin, int64(r.next), r.tree.root()))
	appHash := sha256.Sum256([]byte(body))
	if head.AppHash != appHash || head.Size != int64(r.next) {
		return fmt.Errorf("height %d: AppHash %x of %d entries, the entries give %x of %d", end.Height, head.AppHash, head.Size, appHash, r.next)
	}
	r.out.trees[head.Size] = body
	r.out.blocks[end.Height] = closed{time: end.Time, appHash: appHash}
	return nil
}

// stack is the tree of RFC 6962 section 2.1, as plainly as it can be written:
// the roots of its perfect subtrees, largest first.
type stack struct {
	size  uint64
	roots [][32]byte
}

func (s *stack) push(entry []byte) {
	node := sha256.Sum256(append([]byte{0}, entry...))
	for range bits.TrailingZeros64(^s.size) { // as many as merge
		node = inner(s.roots[len(s.roots)-1], node)
		s.roots = s.roots[:len(s.roots)-1]
	}
	s.roots = append(s.roots, node)
	s.size++
}

func (s *stack) root() record.Hash {
	node := s.roots[len(s.roots)-1]
	for i := len(s.roots) - 2; i >= 0; i-- {
		node = inner(s.roots[i], node)
	}
	return node
}

func inner(left, right [32]byte) [32]byte {
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}
