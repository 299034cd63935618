package receipt

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// Hashes reads the stored hashes of a log, as store/state does.
type Hashes = tlog.HashReader

// TreeRoot gives the root of a log's tree of a size.
func TreeRoot(size int64, log Hashes) (record.Hash, error) { return tlog.TreeHash(size, log) }

// ProveLast proves that the last entry of a log's tree of a size is in it.
func ProveLast(size int64, log Hashes) (tlog.RecordProof, error) {
	return tlog.ProveRecord(size, size-1, log)
}
