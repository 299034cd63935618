package keyring

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
)

// needleDomain is changed only with docs/spec/keyring.md.
const needleDomain = "MUN1 needle\n"

const (
	pieceSize  = 12      // bytes of what was sealed that one needle stands for
	pieceEvery = 8 << 10 // between two pieces of a long sealed state, at least
	maxPieces  = 64      // about so many of one sealed state
	maxNeedles = 1 << 22 // of one rotation
	needleSize = 4 + 16
)

// needle stands for a piece of sealed bytes that must not be in any file: its
// first bytes, to find candidates by, and a hash. Neither the piece nor a key can
// be had from it, so it may be kept while the piece must be gone.
type needle struct {
	head   [4]byte
	digest [16]byte // SHA-256(needleDomain || piece), cut
}

func needleOf(piece []byte) needle {
	sum := sha256.Sum256(append([]byte(needleDomain), piece...))
	return needle{head: [4]byte(piece), digest: [16]byte(sum[:])}
}

// needlesOf gives the needles of sealed bytes: two next to each other at the
// end, since a log cuts a value at its block boundaries and can spoil one of
// them, and one every few thousand bytes before.
func needlesOf(sealed []byte) []needle {
	var needles []needle
	step := max(pieceEvery, len(sealed)/maxPieces)
	for end, n := len(sealed), 0; end >= pieceSize; n++ {
		needles = append(needles, needleOf(sealed[end-pieceSize:end]))
		if n == 0 {
			end -= pieceSize
		} else {
			end -= step
		}
	}
	return needles
}

func marshalNeedles(b []byte, needles []needle) []byte {
	for _, n := range needles {
		b = append(append(b, n.head[:]...), n.digest[:]...)
	}
	return b
}

// parseNeedles reads what marshalNeedles wrote; ok is false for another length.
func parseNeedles(b []byte) (needles []needle, ok bool) {
	if len(b)%needleSize != 0 || len(b)/needleSize > maxNeedles {
		return nil, false
	}
	needles = make([]needle, 0, len(b)/needleSize)
	for ; len(b) > 0; b = b[needleSize:] {
		needles = append(needles, needle{[4]byte(b), [16]byte(b[4:])})
	}
	return needles, true
}

func (n needle) compare(other needle) int {
	return cmp.Or(bytes.Compare(n.head[:], other.head[:]), bytes.Compare(n.digest[:], other.digest[:]))
}

// haystack looks for needles in bytes, for all of them in one pass.
type haystack struct {
	needles []needle // sorted
	filter  []uint64 // bit set: a needle's head may have this hash
	shift   uint
}

func newHaystack(needles []needle) *haystack {
	h := &haystack{needles: slices.Clone(needles)}
	slices.SortFunc(h.needles, needle.compare)
	logBits := min(max(bits.Len(uint(len(needles)))+10, 16), 28)
	h.shift = uint(32 - logBits)
	h.filter = make([]uint64, 1<<(logBits-6))
	for _, n := range needles {
		at := h.hash(n.head[:])
		h.filter[at/64] |= 1 << (at % 64)
	}
	return h
}

func (h *haystack) hash(window []byte) uint32 {
	return binary.LittleEndian.Uint32(window) * 0x9e3779b1 >> h.shift
}

// count tells how many windows of data are a needle's piece.
func (h *haystack) count(data []byte) (hits uint64) {
	if len(h.needles) == 0 {
		return 0
	}
	for end := pieceSize; end <= len(data); end++ {
		window := data[end-pieceSize : end]
		if at := h.hash(window); h.filter[at/64]&(1<<(at%64)) != 0 && h.is(window) {
			hits++
		}
	}
	return hits
}

// is tells whether a window is a needle's piece. Most candidates fall at the head.
func (h *haystack) is(window []byte) bool {
	first, _ := slices.BinarySearchFunc(h.needles, [4]byte(window), func(n needle, head [4]byte) int {
		return bytes.Compare(n.head[:], head[:])
	})
	if first == len(h.needles) || h.needles[first].head != [4]byte(window) {
		return false
	}
	_, ok := slices.BinarySearchFunc(h.needles, needleOf(window), needle.compare)
	return ok
}
