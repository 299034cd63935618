package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cometbft/cometbft/consensus"
)

// ErrBlocksLost is returned where the only validator of a network has signed
// blocks that its ledger lacks.
var ErrBlocksLost = errors.New("ledger lacks blocks that this validator has signed")

// alone says whether this node is the only validator: then nobody can give it a
// block that it lacks.
func (n *Node) alone() bool { return n.genesis.validators() == 1 && n.cosigning.validates }

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
	height, signed := n.engine.BlockStore().Height(), n.signer.Height()
	lost := signed > height+1
	if signed == height+1 {
		finished, there, err := consensusLog(filepath.Join(n.home.WAL(), "wal"), signed)
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
