package statetree

import "fmt"

// Path is the position of a node: the bits that lead to it from the root. The zero Path is the root. Paths compare with ==.
type Path struct {
	depth uint16   // number of bits, 0 to 256
	bits  [32]byte // the most significant bit of the first byte first; zero beyond depth
}

// Bytes returns the position for storage: depth, two bytes big-endian, then the bits packed into ceil(depth/8) bytes.
func (p Path) Bytes() []byte { return p.AppendTo(make([]byte, 0, 2+len(p.bits))) }

// AppendTo appends Bytes to dst.
func (p Path) AppendTo(dst []byte) []byte {
	dst = append(dst, byte(p.depth>>8), byte(p.depth))
	return append(dst, p.bits[:(p.depth+7)/8]...)
}

// String gives the bits, for messages: "root" or "0110".
func (p Path) String() string {
	if p.depth == 0 {
		return "root"
	}
	text := make([]byte, p.depth)
	for i := range text {
		text[i] = '0' + Key(p.bits).bit(i)
	}
	return string(text)
}

// child returns the position one bit deeper. The depth of p is below 256.
func (p Path) child(bit byte) Path {
	p.bits[p.depth/8] |= bit << (7 - p.depth%8)
	p.depth++
	return p
}

// sharedBits counts the leading bits that two keys have in common.
func sharedBits(a, b Key) int {
	for i := range maxDepth {
		if a.bit(i) != b.bit(i) {
			return i
		}
	}
	return maxDepth
}

// damaged names the node at which a store was found damaged.
func damaged(p Path, what string) error {
	return fmt.Errorf("read state node %s: %s: %w", p, what, ErrDamaged)
}
