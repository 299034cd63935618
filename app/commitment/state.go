package commitment

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
)

// ErrState: the bytes are not a state as Marshal writes it.
var ErrState = errors.New("malformed key state")

// Names of the two derivations: changed only with docs/spec/commitment.md.
const (
	infoNode = "MUN1 ggm"  // seed -> left seed || right seed
	infoLeaf = "MUN1 leaf" // seed of a leaf -> sealing key || salt
)

const (
	stateVersion = 1
	stateHeader  = 10 // version, depth, n u32, count u32
	seedSize     = 37 // level, index u32, seed
)

// RecordKey is the root of all secrets of one record: 32 random bytes, drawn
// for one attempt to deposit and never used again.
type RecordKey [32]byte

// String hides the key from logs.
func (RecordKey) String() string { return "record key" }

// Secret is what hangs on one leaf: Enc seals its segment (see Seal), Salt hides
// its payload in the leaf hash.
type Secret struct{ Enc, Salt [32]byte }

// String hides the secret from logs.
func (Secret) String() string { return "leaf secret" }

// node names a subtree: the leaves [Index<<Level, (Index+1)<<Level), as far as
// they exist. Value is its seed or its hash.
type node struct {
	level uint8
	index uint32
	value [32]byte
}

// first returns the subtree's first leaf; end the leaf after its last in a
// complete tree, which may lie beyond n.
func (d node) first() uint64 { return uint64(d.index) << d.level }
func (d node) end() uint64   { return (uint64(d.index) + 1) << d.level }

// State is what is left of a record key: the seeds of the largest subtrees whose
// leaves are all live. A new state is one seed, the record key itself; puncturing
// replaces a seed by those beside the path to the leaf, so that the leaf's secrets
// cannot be derived any more. The form is canonical: it depends on the set of
// live leaves alone. The zero State has no leaves.
type State struct {
	n     uint32
	seeds []node
}

// NewState returns the state from which all n leaves of a record can be derived.
// n is 1 to MaxLeaves, as from len(Layout.Segments); others give the zero State.
func NewState(key RecordKey, n uint32) State {
	if n == 0 || n > MaxLeaves {
		return State{}
	}
	return State{n: n, seeds: []node{{level: depth(n), value: key}}}
}

// depth is the height of the tree over n leaves: ceil(log2 n).
func depth(n uint32) uint8 { return uint8(bits.Len32(n - 1)) }

// String hides the seeds from logs.
func (s State) String() string {
	return fmt.Sprintf("key state of %d leaves, %d seeds", s.n, len(s.seeds))
}

// N returns the number of leaves, live or not.
func (s State) N() uint32 { return s.n }

// Live reports whether the leaf's secret can still be derived.
func (s State) Live(leaf uint32) bool {
	_, ok := s.covering(leaf)
	return ok
}

// Hidden returns the leaves that are not live, sorted and merged.
func (s State) Hidden() []Range {
	var gone []Range
	next := uint64(0)
	for _, seed := range s.seeds {
		gone = appendRange(gone, next, seed.first())
		next = seed.end()
	}
	return appendRange(gone, next, uint64(s.n))
}

func (s State) covering(leaf uint32) (node, bool) {
	if leaf >= s.n {
		return node{}, false
	}
	i, found := slices.BinarySearchFunc(s.seeds, uint64(leaf), func(d node, leaf uint64) int {
		switch {
		case d.end() <= leaf:
			return -1
		case d.first() > leaf:
			return 1
		}
		return 0
	})
	if !found {
		return node{}, false
	}
	return s.seeds[i], true
}

// Secret derives the sealing key and the salt of one leaf. ok is false when the
// leaf is punctured or does not exist. Whoever needs many should range over Secrets.
func (s State) Secret(leaf uint32) (enc, salt [32]byte, ok bool) {
	d, ok := s.covering(leaf)
	if !ok {
		return enc, salt, false
	}
	for d.level > 0 {
		left, right := children(d)
		if d = left; uint64(leaf) >= right.first() {
			d = right
		}
	}
	secret := leafSecret(d.value)
	return secret.Enc, secret.Salt, true
}

// Secrets ranges over the live leaves in order, deriving each seed once.
func (s State) Secrets() iter.Seq2[uint32, Secret] {
	return func(yield func(uint32, Secret) bool) {
		for _, seed := range s.seeds {
			if !eachSecret(seed, s.n, yield) {
				return
			}
		}
	}
}

func eachSecret(d node, n uint32, yield func(uint32, Secret) bool) bool {
	if d.first() >= uint64(n) {
		return true
	}
	if d.level == 0 {
		return yield(d.index, leafSecret(d.value))
	}
	left, right := children(d)
	return eachSecret(left, n, yield) && eachSecret(right, n, yield)
}

// Puncture forgets a leaf. It is for good once all other copies of the state are
// gone too; forgetting a leaf that is not live changes nothing.
func (s *State) Puncture(leaf uint32) { s.PunctureRanges([]Range{{leaf, leaf}}) }

// PunctureRanges forgets all leaves of the ranges in one pass.
func (s *State) PunctureRanges(gone []Range) { *s = s.without(mergeRanges(gone, s.n)) }

// without returns the state with the given leaves (sorted, merged) punctured.
func (s State) without(gone []Range) State {
	out := State{n: s.n}
	for _, seed := range s.seeds {
		out.seeds = appendLive(out.seeds, seed, s.n, gone)
	}
	return out
}

// appendLive appends the seeds of the largest subtrees of d without a gone leaf.
func appendLive(seeds []node, d node, n uint32, gone []Range) []node {
	first, end := d.first(), min(d.end(), uint64(n))
	if first >= end {
		return seeds
	}
	switch gone = within(gone, first, end); {
	case len(gone) == 0:
		return append(seeds, d)
	case uint64(gone[0].First) <= first && uint64(gone[0].Last) >= end-1:
		return seeds
	}
	left, right := children(d)
	return appendLive(appendLive(seeds, left, n, gone), right, n, gone)
}

// children derives the two halves of a subtree from its seed.
func children(d node) (left, right node) {
	halves := expand(d.value, infoNode)
	left = node{level: d.level - 1, index: 2 * d.index, value: [32]byte(halves[:32])}
	right = node{level: d.level - 1, index: 2*d.index + 1, value: [32]byte(halves[32:])}
	return left, right
}

func leafSecret(seed [32]byte) Secret {
	b := expand(seed, infoLeaf)
	return Secret{Enc: [32]byte(b[:32]), Salt: [32]byte(b[32:])}
}

// expand is HKDF-SHA256-Expand to 64 bytes. Extraction (RFC 5869 section 3.3) is
// left out, since every seed is a uniform 32-byte key already.
func expand(seed [32]byte, info string) []byte {
	out, err := hkdf.Expand(sha256.New, seed[:], info, 64)
	if err != nil {
		panic("commitment: HKDF refuses constant arguments: " + err.Error())
	}
	return out
}

// Marshal encodes the state: u8 1, u8 depth, u32 n, u32 count, then per seed
// u8 level, u32 index, 32 bytes; integers big-endian, seeds by first leaf.
func (s State) Marshal() []byte {
	if s.n == 0 {
		return nil
	}
	out := make([]byte, 0, stateHeader+seedSize*len(s.seeds))
	out = append(out, stateVersion, depth(s.n))
	out = binary.BigEndian.AppendUint32(out, s.n)
	out = binary.BigEndian.AppendUint32(out, uint32(len(s.seeds)))
	return appendNodes(out, s.seeds)
}

// ParseState reads what Marshal wrote. It refuses seeds out of order, overlapping,
// beyond the tree, or smaller than they could be.
func ParseState(b []byte) (State, error) {
	if len(b) < stateHeader || b[0] != stateVersion {
		return State{}, fmt.Errorf("%w: %d bytes", ErrState, len(b))
	}
	n := binary.BigEndian.Uint32(b[2:])
	count := binary.BigEndian.Uint32(b[6:])
	if n == 0 || n > MaxLeaves || b[1] != depth(n) {
		return State{}, fmt.Errorf("%w: %d leaves, depth %d", ErrState, n, b[1])
	}
	if uint64(count)*seedSize != uint64(len(b)-stateHeader) {
		return State{}, fmt.Errorf("%w: %d seeds in %d bytes", ErrState, count, len(b))
	}
	seeds := parseNodes(b[stateHeader:])
	if err := checkCover(seeds, n); err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrState, err)
	}
	s := State{n: n, seeds: seeds}
	if !bytes.Equal(s.Marshal(), b) {
		return State{}, fmt.Errorf("%w: not canonical", ErrState)
	}
	return s, nil
}

// appendNodes appends fixed records of 37 bytes: u8 level, u32 index, 32 bytes.
func appendNodes(dst []byte, nodes []node) []byte {
	for _, d := range nodes {
		dst = append(dst, d.level)
		dst = binary.BigEndian.AppendUint32(dst, d.index)
		dst = append(dst, d.value[:]...)
	}
	return dst
}

// parseNodes reads whole records of 37 bytes.
func parseNodes(b []byte) []node {
	nodes := make([]node, 0, len(b)/seedSize)
	for ; len(b) >= seedSize; b = b[seedSize:] {
		nodes = append(nodes, node{b[0], binary.BigEndian.Uint32(b[1:]), [32]byte(b[5:])})
	}
	return nodes
}

// checkCover demands that nodes are subtrees of the tree over n leaves, sorted,
// disjoint, and each as large as the set of covered leaves allows.
func checkCover(nodes []node, n uint32) error {
	next, d := uint64(0), depth(n)
	for i, at := range nodes {
		if at.level > d || at.first() >= uint64(n) {
			return fmt.Errorf("node %d.%d lies outside of %d leaves", at.level, at.index, n)
		}
		if at.first() < next {
			return fmt.Errorf("node %d.%d is out of order or overlaps", at.level, at.index)
		}
		next = at.end()
		if at.level == d {
			continue
		}
		// Two whole siblings, or a left one whose sibling does not exist, are one
		// larger subtree.
		if at.index%2 == 0 && at.end() >= uint64(n) ||
			at.index%2 == 1 && i > 0 && nodes[i-1].level == at.level && nodes[i-1].index == at.index-1 {
			return fmt.Errorf("node %d.%d is part of a larger one", at.level, at.index)
		}
	}
	return nil
}
