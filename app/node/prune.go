package node

import "errors"

// ErrPruned is returned where blocks are needed that this node no longer keeps.
var ErrPruned = errors.New("first blocks were pruned")

// prunedAtOnce bounds how many blocks go with each new one: consensus waits for it.
const prunedAtOnce = 100

// retain gives the height of the first block that is kept after the block of a
// height, by store.keep_blocks. Log, state and receipts are not concerned.
func (n *Node) retain(height int64) int64 {
	keep := int64(n.config.Store.KeepBlocks)
	if keep == 0 || n.engine == nil { // nil: it replays blocks at its start
		return 0
	}
	return max(0, min(height-keep+1, n.engine.BlockStore().Base()+prunedAtOnce))
}
