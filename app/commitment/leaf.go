package commitment

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

const (
	leafTag    = "MUN1LEAF" // changed only with docs/spec/commitment.md
	leafHeader = 64         // bytes before the payload: one block of SHA-256
)

// appendLeafHeader appends the 64 bytes that stand before a leaf's payload:
//
//	 0  1  0x00, RFC 6962's prefix of a leaf
//	 1  8  "MUN1LEAF"
//	 9  1  kind
//	10  2  zero
//	12  4  index, big-endian
//	16  8  length of the payload, big-endian
//	24  8  zero
//	32 32  salt
//
// The salt fills the first compression of SHA-256, so that the hash hides the
// payload as long as that compression is a pseudorandom function of the salt.
func appendLeafHeader(dst []byte, index uint32, kind Kind, length int, salt [32]byte) []byte {
	dst = append(append(dst, 0x00), leafTag...)
	dst = append(dst, byte(kind), 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, index)
	dst = binary.BigEndian.AppendUint64(dst, uint64(length))
	dst = append(dst, make([]byte, 8)...)
	return append(dst, salt[:]...)
}

// leafHasher computes leaf hashes one after the other, without allocating.
type leafHasher struct {
	sum     hash.Hash
	scratch [leafHeader]byte
}

func newLeafHasher() *leafHasher { return &leafHasher{sum: sha256.New()} }

// leaf hashes a leaf whose payload is the pieces, end to end.
func (h *leafHasher) leaf(index uint32, kind Kind, salt [32]byte, pieces ...[]byte) (out [32]byte) {
	length := 0
	for _, p := range pieces {
		length += len(p)
	}
	h.sum.Reset()
	h.sum.Write(appendLeafHeader(h.scratch[:0], index, kind, length, salt))
	for _, p := range pieces {
		h.sum.Write(p)
	}
	h.sum.Sum(out[:0])
	return out
}

// LeafBlock returns the bytes whose SHA-256 is the leaf hash: a 64-byte header,
// then the payload. As a raw IPLD block its CID holds the leaf hash.
func LeafBlock(index uint32, s Segment, salt [32]byte) []byte {
	return append(appendLeafHeader(make([]byte, 0, leafHeader+len(s.Payload)), index, s.Kind, len(s.Payload), salt), s.Payload...)
}

// nodeHash is RFC 6962's inner node: SHA-256(0x01 || left || right).
func nodeHash(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = 0x01
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// treeRoot returns the RFC 6962 root over at least one leaf hash. It works level
// by level: a node without a right sibling moves up unchanged, which is the same
// tree as the RFC's largest power of two on the left.
func treeRoot(leaves [][32]byte) [32]byte {
	level := leaves
	above := make([][32]byte, (len(leaves)+1)/2)
	for len(level) > 1 {
		half := (len(level) + 1) / 2
		for i := range half {
			if 2*i+1 < len(level) {
				above[i] = nodeHash(level[2*i], level[2*i+1])
			} else {
				above[i] = level[2*i]
			}
		}
		level = above[:half]
	}
	return level[0]
}
