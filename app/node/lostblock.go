package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cometbft/cometbft/consensus"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// ErrBlocksLost is returned where the only validator of a network has signed
// blocks that its ledger lacks.
var ErrBlocksLost = errors.New("ledger lacks blocks that this validator has signed")

// alone says whether this node is the only validator: then nobody can give it a
// block that it lacks.
func (n *Node) alone() bool {
	validators, err := ledger.Validators(n.app.View())
	if err != nil || len(validators) != 1 {
		return false
	}
	proposes, err := n.proposes()
	return err == nil && proposes
}

// checkBlocks compares the ledger with what was signed. Near the end of its
// write-ahead log Pebble cannot tell damage from the end, and opens without the
// last blocks; a ledger from a backup lacks what came after. Other validators
// would give them back; a validator that is alone would wait for ever, since it
// signs no height twice. One block it may lack: the consensus log has it, unless
// that log is gone, or says that the block was finished in a ledger which is lost.
func (n *Node) checkBlocks() error {
	if !n.alone() {
		return nil
	}
	return n.home.checkSigned(n.engine.BlockStore().Height(), n.signer.Height())
}

// CheckBlocks does the same for a home whose node is stopped, without its keys, and
// changes nothing. Only the validator of its home has signed there.
func (h Home) CheckBlocks() error {
	text, err := os.ReadFile(h.Genesis())
	if err != nil {
		return fmt.Errorf("read genesis document: %w", err)
	}
	genesis, err := ParseGenesis(text)
	if err != nil {
		return err
	}
	if text, err = os.ReadFile(h.validatorState()); err != nil {
		return fmt.Errorf("read validator state: %w", err)
	}
	last, err := parseSignerState(text)
	if err != nil || last.height == 0 {
		return err
	}
	height, validators, err := h.lastBlock()
	if err != nil {
		return fmt.Errorf("look at ledger: %w", err)
	}
	if validators == 0 {
		validators = genesis.validators()
	}
	if validators != 1 {
		return nil
	}
	return h.checkSigned(height, last.height)
}

// lastBlock gives the height of the newest block of a ledger that is not open,
// and how many validators the network has by it; 0 where there is none.
func (h Home) lastBlock() (height int64, validators int, err error) {
	if _, err := os.Stat(h.Ledger()); errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	there, err := pebble.Peek(h.Ledger(), vfs.Default)
	if err != nil || !there.Exists {
		return 0, 0, err
	}
	options := state.NewOptions(state.Options{Exit: func(int) {}})
	options.ReadOnly = true
	db, err := pebble.Open(h.Ledger(), options)
	if err != nil {
		return 0, 0, err
	}
	height = store.NewBlockStore(cometdb.New(db, cometdb.PrefixBlockStore)).Height()
	engine, err := sm.NewStore(cometdb.New(db, cometdb.PrefixState), sm.StoreOptions{}).Load()
	if err == nil && !engine.IsEmpty() {
		validators = engine.NextValidators.Size()
	}
	return height, validators, errors.Join(err, db.Close())
}

// checkSigned compares the height of the last block with that of the last signature.
func (h Home) checkSigned(height, signed int64) error {
	lost := signed > height+1
	if signed == height+1 {
		finished, there, err := consensusLog(filepath.Join(h.WAL(), "wal"), signed)
		if err != nil {
			return fmt.Errorf("read consensus log: %w", err)
		}
		lost = finished || !there
	}
	if lost {
		return fmt.Errorf("height %d was signed, the ledger ends at %d: %w", signed, height, ErrBlocksLost)
	}
	return nil
}

// consensusLog reads the head of the engine's log: whether it is there at all,
// and whether it says that the block of a height was finished. A torn end is for
// the engine to mend.
func consensusLog(path string, height int64) (finished, there bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	decoder := consensus.NewWALDecoder(f)
	for {
		m, err := decoder.Decode()
		if err != nil {
			return finished, there, f.Close()
		}
		end, ends := m.Msg.(consensus.EndHeightMessage)
		there, finished = true, finished || ends && end.Height >= height
	}
}
