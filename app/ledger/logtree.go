package ledger

import (
	"math/bits"

	"github.com/muniment/muniment/app/record"
	"golang.org/x/mod/sumdb/tlog"
)

// AppendLeaves extends the frontier of a log of size entries by leaves and
// returns the new frontier, which shares no memory with the old one.
func AppendLeaves(frontier []record.Hash, size int64, leaves []record.Hash) []record.Hash {
	stack := make([]record.Hash, len(frontier), len(frontier)+bits.Len(uint(len(leaves)))+1)
	copy(stack, frontier)
	for _, h := range leaves {
		// Each trailing one bit of the size is a perfect subtree that this leaf completes.
		for range bits.TrailingZeros64(^uint64(size)) {
			h = tlog.NodeHash(stack[len(stack)-1], h)
			stack = stack[:len(stack)-1]
		}
		stack = append(stack, h)
		size++
	}
	return stack
}

// LogRoot gives the RFC 6962 root of a log that is not empty.
func LogRoot(frontier []record.Hash) record.Hash {
	last := len(frontier) - 1
	root := frontier[last]
	for i := last - 1; i >= 0; i-- {
		root = tlog.NodeHash(frontier[i], root)
	}
	return root
}
