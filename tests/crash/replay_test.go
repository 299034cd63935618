package crash

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"slices"

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

var machine = ledger.Machine{Verify: ed25519.Verify}

// replay reads a log from its first entry, and wants the ledger to make the same
// of it again. Uniqueness and the tree are judged here, apart from the ledger.
func replay(entries [][]byte) (*replayed, error) {
	out := &replayed{blocks: map[int64]closed{}, trees: map[int64]string{}}
	var err error
	if out.places, err = placesOf(entries); err != nil {
		return nil, err
	}
	log := func(yield func([]byte, error) bool) {
		for raw := range slices.Values(entries) {
			if !yield(raw, nil) {
				return
			}
		}
	}
	var tree stack
	var wrong error
	got, err := machine.Replay(log, func(c ledger.Changes) {
		for _, raw := range c.Entries {
			tree.push(raw)
		}
		body := string(record.CheckpointBody(c.Head.Origin, int64(tree.size), tree.root()))
		appHash := sha256.Sum256([]byte(body))
		if wrong == nil && (c.Head.AppHash != appHash || c.Head.Size != int64(tree.size)) {
			wrong = fmt.Errorf("height %d: AppHash %x of %d entries, the entries give %x of %d", c.Height, c.Head.AppHash, c.Head.Size, appHash, tree.size)
		}
		out.trees[c.Head.Size] = body
		out.blocks[c.Height] = closed{time: c.Time, appHash: appHash}
	})
	if err = errors.Join(err, wrong); err != nil {
		return nil, err
	}
	out.head, out.stateRoot, out.transactions = got.View.Head(), got.View.StateRoot(), int(got.Transactions)
	return out, nil
}

// placesOf finds where each record of each office stands, and wants it there once.
func placesOf(entries [][]byte) (map[place]record.Index, error) {
	places := map[place]record.Index{}
	for i, raw := range entries {
		if record.KindOf(raw) != record.KindAnchor {
			continue
		}
		e, err := record.ParseEntry(raw)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		anchor := e.(record.AnchorEntry)
		here := place{anchor.Office, anchor.Commitment}
		if before, ok := places[here]; ok {
			return nil, fmt.Errorf("%s has commitment %x at entries %d and %d", here.office, here.commitment, before, i)
		}
		places[here] = record.Index(i)
	}
	return places, nil
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
