package node

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

var (
	// ErrNoBlocks is returned for a home whose ledger has no blocks to replay.
	ErrNoBlocks = errors.New("ledger has no blocks to replay")
	// ErrReplayDiffers is returned where the replay gives another AppHash than
	// the blocks say: the blocks are not this network's, or the program differs.
	ErrReplayDiffers = errors.New("replay gives another AppHash than the blocks say")
	// ErrBlockDamaged is returned for a stored block that contradicts itself.
	ErrBlockDamaged = errors.New("block is damaged")
	// ErrOldLedger is returned where the ledger that an earlier rebuild replaced
	// is still there.
	ErrOldLedger = errors.New("ledger of an earlier rebuild is still there")
)

// Rebuilt is what a rebuild did.
type Rebuilt struct {
	Height  int64 // of the last block that was replayed
	Entries int64
	AppHash [32]byte
	Old     string // folder of the ledger as it was before
}

// Rebuild makes the ledger's state anew from the blocks of a home whose node is
// not running. Steps, of which only the fifth changes what the node will use:
//
//  1. open the ledger, whose lock keeps a node out
//  2. replay genesis and blocks into a new store beside it, comparing each
//     AppHash with the header of the next block
//  3. copy the engine's databases into the new store
//  4. sync and close both
//  5. exchange the two folders in one step of the file system
//  6. name the old one for what it is: ledger.old, which no rebuild touches
//
// A crash before step 6 leaves a folder ledger.rebuilt. Before step 5 it is what
// came of the replay, after it the old ledger; the next rebuild clears it in both
// cases, since the new one had been synced and agreed with the blocks. The last
// block is left to the engine, which replays it at the next start: no header
// carries its AppHash yet. Progress is called after each block.
func Rebuild(home Home, options state.Options, progress func(height, of int64)) (Rebuilt, error) {
	if err := home.CheckRestored(); err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: %w", err)
	}
	before := home.path("ledger.old")
	if _, err := os.Stat(before); !errors.Is(err, os.ErrNotExist) {
		return Rebuilt{}, fmt.Errorf("rebuild: %s: %w", before, errors.Join(err, ErrOldLedger))
	}
	text, err := os.ReadFile(home.Genesis())
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: %w", err)
	}
	genesis, err := ParseGenesis(text)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: %w", err)
	}
	old, err := pebble.Open(home.Ledger(), state.NewOptions(options))
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: open ledger: %w", err)
	}
	beside := home.path("ledger.rebuilt")
	r, err := rebuildInto(beside, old, genesis.ledgerFacts(text), options, progress)
	if err := errors.Join(err, old.Close()); err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: %w", errors.Join(err, os.RemoveAll(beside)))
	}
	if err := unix.Renameat2(unix.AT_FDCWD, beside, unix.AT_FDCWD, home.Ledger(), unix.RENAME_EXCHANGE); err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: exchange folders: %w", err)
	}
	if err := os.Rename(beside, before); err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: keep the old ledger: %w", err)
	}
	r.Old = before
	return r, syncDirectory(filepath.Dir(home.Ledger()))
}

func rebuildInto(dir string, old *pebble.DB, facts ledger.GenesisFacts, options state.Options, progress func(height, of int64)) (r Rebuilt, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return Rebuilt{}, err
	}
	db, err := pebble.Open(dir, state.NewOptions(options))
	if err != nil {
		return Rebuilt{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := state.Open(db)
	if err != nil {
		return Rebuilt{}, err
	}
	blocks := store.NewBlockStore(cometdb.New(old, cometdb.PrefixBlockStore))
	if blocks.Base() > 1 {
		return Rebuilt{}, fmt.Errorf("blocks %d to %d: %w", blocks.Base(), blocks.Height(), ErrPruned)
	}
	if blocks.Height() < 2 {
		return Rebuilt{}, fmt.Errorf("blocks %d to %d: %w", blocks.Base(), blocks.Height(), ErrNoBlocks)
	}
	if err := replay(s, facts, blocks, progress); err != nil {
		return Rebuilt{}, err
	}
	if err := copyRange(old, db, cometdb.PrefixBlockStore, cometdb.PrefixEvidence); err != nil {
		return Rebuilt{}, err
	}
	head := s.View().Head()
	return Rebuilt{Height: head.Height, Entries: head.Size, AppHash: head.AppHash}, nil
}

// replay applies genesis and every block but the last, each checked by the
// header that follows.
func replay(s *state.State, facts ledger.GenesisFacts, blocks *store.BlockStore, progress func(height, of int64)) error {
	machine := ledger.Machine{Verify: func(public ed25519.PublicKey, message, signature []byte) bool {
		return ed25519.Verify(public, message, signature)
	}}
	changes, err := ledger.Genesis(facts)
	if err != nil {
		return err
	}
	pending := []ledger.Changes{changes} // genesis goes to disk with block 1
	view := ledger.Overlay(s.View(), changes)
	block, err := loadBlock(blocks, 1)
	if err != nil {
		return err
	}
	if err := sameAppHash(block, changes.AppHash, 0); err != nil {
		return err
	}
	last := blocks.Height() - 1
	for h := int64(1); h <= last; h++ {
		if err := abci.CheckRules(view, MaxVersion); err != nil {
			return err
		}
		changes, _, err := machine.Apply(view, abci.Decided(block))
		if err != nil {
			return fmt.Errorf("block %d: %w", h, err)
		}
		if block, err = loadBlock(blocks, h+1); err != nil {
			return err
		}
		if err := sameAppHash(block, changes.AppHash, h); err != nil {
			return err
		}
		if err := s.Commit(append(pending, changes)...); err != nil {
			return err
		}
		pending, view = nil, s.View()
		progress(h, last)
	}
	return nil
}

// loadBlock reads a block, nil where there is none. The engine panics over one
// that contradicts itself.
func loadBlock(blocks *store.BlockStore, height int64) (block *types.Block, err error) {
	defer func() {
		if p := recover(); p != nil {
			block, err = nil, fmt.Errorf("block %d: %w: %v", height, ErrBlockDamaged, p)
		}
	}()
	return blocks.LoadBlock(height), nil
}

// sameAppHash compares the AppHash after a height with the header that carries it.
func sameAppHash(next *types.Block, got [32]byte, height int64) error {
	if next == nil {
		return fmt.Errorf("block %d is missing: %w", height+1, ErrNoBlocks)
	}
	if string(next.AppHash) != string(got[:]) {
		return fmt.Errorf("after height %d: %s, not %s: %w", height, hex.EncodeToString(got[:]), next.AppHash, ErrReplayDiffers)
	}
	return nil
}

// copyRange copies all keys that begin with the bytes from first to last.
func copyRange(from, to *pebble.DB, first, last byte) error {
	const batchBytes = 4 << 20
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{first}, UpperBound: []byte{last + 1}})
	if err != nil {
		return err
	}
	batch := to.NewBatch()
	for valid := it.First(); valid && err == nil; valid = it.Next() {
		if err = batch.Set(it.Key(), it.Value(), nil); err == nil && batch.Len() > batchBytes {
			err = batch.Commit(pebble.NoSync)
			batch = to.NewBatch()
		}
	}
	if err == nil {
		err = batch.Commit(pebble.Sync)
	}
	return errors.Join(err, it.Error(), it.Close())
}
