package state

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
	"golang.org/x/mod/sumdb/tlog"
)

// tip is where the ledger stands after a block.
type tip struct {
	head      ledger.Head
	stateRoot statetree.Hash
	frontier  []record.Hash
	anchors   int64 // lines of the record index
}

func blockValue(height, time int64) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(height))
	return binary.BigEndian.AppendUint64(b, uint64(time))
}

// headValue is: log size (8), anchors (8), state root (32), AppHash (32), network (32), length (2) and chain id,
// length (2) and origin, then the hashes of the frontier (32 each, as many as the size has one bits).
func (t tip) headValue() []byte {
	b := make([]byte, 0, 256+32*len(t.frontier))
	b = binary.BigEndian.AppendUint64(b, uint64(t.head.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(t.anchors))
	b = append(b, t.stateRoot[:]...)
	b = append(b, t.head.AppHash[:]...)
	b = append(b, t.head.Network[:]...)
	for _, text := range []string{t.head.ChainID, t.head.Origin} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	}
	for _, h := range t.frontier {
		b = append(b, h[:]...)
	}
	return b
}

// parseTip reads the two values and checks that the head is the checkpoint it claims to be.
func parseTip(block, head []byte) (tip, error) {
	var t tip
	ok := len(block) == 16
	if ok {
		t.head.Height = int64(binary.BigEndian.Uint64(block))
		t.head.Time = int64(binary.BigEndian.Uint64(block[8:]))
	}
	take := func(n int) []byte {
		if len(head) < n {
			ok, head = false, nil
			return make([]byte, n)
		}
		taken := head[:n]
		head = head[n:]
		return taken
	}
	t.head.Size = int64(binary.BigEndian.Uint64(take(8)))
	t.anchors = int64(binary.BigEndian.Uint64(take(8)))
	copy(t.stateRoot[:], take(32))
	copy(t.head.AppHash[:], take(32))
	copy(t.head.Network[:], take(32))
	t.head.ChainID = string(take(int(binary.BigEndian.Uint16(take(2)))))
	t.head.Origin = string(take(int(binary.BigEndian.Uint16(take(2)))))
	for range bits.OnesCount64(uint64(t.head.Size)) {
		t.frontier = append(t.frontier, record.Hash(take(32)))
	}
	if !ok || len(head) > 0 || t.head.Size < 1 {
		return tip{}, fmt.Errorf("the head is malformed: %w", ErrDamaged)
	}
	if record.AppHash(record.CheckpointBody(t.head.Origin, t.head.Size, logRoot(t.frontier))) != t.head.AppHash {
		return tip{}, fmt.Errorf("the head does not give its own AppHash: %w", ErrDamaged)
	}
	if t.anchors < 0 || t.anchors > t.head.Size {
		return tip{}, fmt.Errorf("the head counts %d anchors in a log of %d: %w", t.anchors, t.head.Size, ErrDamaged)
	}
	return t, nil
}

// logRoot gives the RFC 6962 root of a log that is not empty.
func logRoot(frontier []record.Hash) record.Hash {
	last := len(frontier) - 1
	root := frontier[last]
	for _, h := range slices.Backward(frontier[:last]) {
		root = tlog.NodeHash(h, root)
	}
	return root
}
