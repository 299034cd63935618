// Package statetree is a sparse Merkle tree: one root for one map of keys to values.
//
// The exact bytes are in docs/spec/statetree.md. In short: a key is the SHA-256 of a state key and its bits are the way
// down from the root; a leaf is SHA-256(0x00 || key || SHA-256(value)), an inner node is SHA-256(0x01 || left || right),
// an empty subtree is 32 zero bytes, and a subtree with one leaf is that leaf's hash.
//
// Contract:
//   - The root depends on the map alone, never on the order of writes or on what was there before.
//   - Update reads and writes each node at most once per batch, a level of the tree at one go, and returns only nodes that changed.
//   - Every node that is read is hashed and compared with what its parent says: a damaged store is found, not believed.
//   - A proof has one spelling; Verify needs the root and the proof and nothing else.
//   - The package is pure: no clock, disk, network or goroutine. Nodes come through a Reader and leave as NodeWrites.
//
// Example:
//
//	root, nodes, err := statetree.Update(reader, root, writes) // persist nodes with the block
//	proof, err := statetree.Prove(reader, root, key)
//	err = statetree.Verify(root, key, value, true, proof)
package statetree

import (
	"crypto/sha256"
	"errors"
)

// Errors of this package. The others wrap one of these.
var (
	// ErrDamaged: the store lacks a node that its parent names, or holds other bytes there.
	ErrDamaged = errors.New("state tree is damaged")
	// ErrUnsorted: the keys of a batch are not strictly ascending.
	ErrUnsorted = errors.New("writes are not strictly ascending by key")
	// ErrMalformedProof: the bytes of a proof are not the one spelling of any proof.
	ErrMalformedProof = errors.New("state proof is malformed")
	// ErrNotProven: the proof does not show what is claimed.
	ErrNotProven = errors.New("state proof does not show the claim")
)

// Hash is the SHA-256 of a node, or 32 zero bytes for an empty subtree.
type Hash [32]byte

// Empty is the hash of a subtree, or of a whole tree, without a leaf.
var Empty Hash

// Key is the place of a state key in the tree: its SHA-256.
type Key [32]byte

// KeyOf returns the place of a state key.
func KeyOf(stateKey []byte) Key { return sha256.Sum256(stateKey) }

// bit returns bit i of the key, 0 <= i < 256, the most significant bit of the first byte first.
func (k Key) bit(i int) byte { return k[i/8] >> (7 - i%8) & 1 }

// Nodes are kept as the bytes that are hashed: a tag and two hashes.
const (
	tagLeaf  = 0x00 // tag | key        | value hash
	tagInner = 0x01 // tag | left hash  | right hash
	nodeSize = 1 + 32 + 32
	maxDepth = 256
)

// encode returns the 65 bytes of a node.
func encode(tag byte, first, second [32]byte) [nodeSize]byte {
	var node [nodeSize]byte
	node[0] = tag
	copy(node[1:33], first[:])
	copy(node[33:], second[:])
	return node
}

// hashNode returns the hash of a leaf or an inner node.
func hashNode(tag byte, first, second [32]byte) Hash {
	node := encode(tag, first, second)
	return sha256.Sum256(node[:])
}

// Reader gives the stored nodes of one tree.
type Reader interface {
	// Nodes returns the bytes stored at each of the paths, in their order; nil where there are none. The paths are of one
	// depth and strictly ascending. The caller does not change the bytes.
	Nodes(paths []Path) ([][]byte, error)
}

// Write sets the value of a key. A nil Value deletes it; an empty one that is not nil is a value.
type Write struct {
	Key   Key
	Value []byte
}

// NodeWrite is a change of the stored nodes: the new bytes at Path, or nil to delete what is there.
type NodeWrite struct {
	Path Path
	Node []byte
	Was  []byte // the bytes there before; nil: none
}

// Memory keeps the nodes of a tree in a map. It is a Reader.
type Memory map[Path][]byte

// Nodes implements Reader.
func (m Memory) Nodes(paths []Path) ([][]byte, error) {
	nodes := make([][]byte, len(paths))
	for i, path := range paths {
		nodes[i] = m[path]
	}
	return nodes, nil
}

// Apply makes the changes that Update returned.
func (m Memory) Apply(writes []NodeWrite) {
	for _, w := range writes {
		if w.Node == nil {
			delete(m, w.Path)
		} else {
			m[w.Path] = w.Node
		}
	}
}
