package state

import (
	"encoding/binary"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// All keys of the store. Numbers in keys are big-endian, so that keys sort as numbers do. The rest of the byte range,
// from prefixEnd on, belongs to others that share the store.
const (
	prefixBlock    = 'b' // b                             -> height | time, 8 bytes each: the last block, empty ones included
	prefixEntry    = 'e' // e | index (8)                 -> entry
	prefixFormat   = 'f' // f                             -> format number, uvarint
	prefixHead     = 'h' // h                             -> the ledger after the last block with entries, see tip.go
	prefixLandmark = 'i' // i | index (8)                 -> kind of the entry, 1 byte: transaction and block entries
	prefixNode     = 'n' // n | position                  -> node of the state tree (65)
	prefixState    = 's' // s | state key                 -> state value
	prefixTile     = 't' // t | level (1) | index (8)     -> 1 to 256 hashes of the log tree
	prefixAnchor   = 'x' // x | office | 0 | commitment   -> entry index, uvarint
	prefixEnd      = 0x80
)

func entryKey(i record.Index) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixEntry}, uint64(i))
}

func tileKey(level int, index int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixTile, byte(level)}, uint64(index))
}

func nodeKey(path statetree.Path) []byte { return path.AppendTo([]byte{prefixNode}) }

func stateKey(key []byte) []byte { return append([]byte{prefixState}, key...) }

// maxAnchorKey is the length of the longest key of the record index.
const maxAnchorKey = 1 + record.MaxCodeBytes + 1 + 32

func appendAnchorKey(dst []byte, office record.Code, c record.Commitment) []byte {
	dst = append(dst, prefixAnchor)
	dst = append(dst, office...)
	dst = append(dst, 0)
	return append(dst, c[:]...)
}
