package statetree

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// MaxProofBytes is the size of the longest proof.
const MaxProofBytes = 1 + 64 + 2 + maxDepth/8 + maxDepth*32

// What a key's way ends at.
const (
	endKey     = 1 // the leaf of this key
	endNothing = 2 // an empty subtree
	endOther   = 3 // the leaf of another key
)

// Proof shows what a tree holds for one key: its value, or nothing. The zero Proof shows nothing and verifies nowhere.
type Proof struct {
	end            byte
	otherKey       Key      // endOther only
	otherValueHash [32]byte // endOther only
	siblings       []Hash   // beside the way, from depth 1 down; Empty where nothing stands
}

// Prove returns the proof of presence or absence of a key in the tree with the given root.
func Prove(r Reader, root Hash, key Key) (Proof, error) {
	var p Proof
	path, hash := Path{}, root
	for hash != Empty {
		here, err := read(r, path, hash)
		if err != nil {
			return Proof{}, err
		}
		if here.isLeaf() {
			if Key(here.node[1:33]) == key {
				p.end = endKey
				return p, nil
			}
			p.end, p.otherKey, p.otherValueHash = endOther, Key(here.node[1:33]), [32]byte(here.node[33:])
			return p, nil
		}
		children := [2]Hash{Hash(here.node[1:33]), Hash(here.node[33:])}
		bit := key.bit(int(path.depth))
		p.siblings = append(p.siblings, children[1-bit])
		path, hash = path.child(bit), children[bit]
	}
	p.end = endNothing
	return p, nil
}

// Verify checks that the tree with the given root holds value under key (present), or nothing under key (not present, value nil).
// It returns nil, or an error that wraps ErrNotProven.
func Verify(root Hash, key Key, value []byte, present bool, p Proof) error {
	hash, err := p.endHash(key, value, present)
	if err != nil {
		return err
	}
	for depth := len(p.siblings); depth > 0; depth-- {
		sibling := p.siblings[depth-1]
		if key.bit(depth-1) == 0 {
			hash = hashNode(tagInner, hash, sibling)
		} else {
			hash = hashNode(tagInner, sibling, hash)
		}
	}
	if hash != root {
		return fmt.Errorf("it leads to another root: %w", ErrNotProven)
	}
	return nil
}

// endHash returns the hash that stands at the end of the key's way if the claim holds.
func (p Proof) endHash(key Key, value []byte, present bool) (Hash, error) {
	if err := p.check(); err != nil {
		return Hash{}, fmt.Errorf("%w: %w", err, ErrNotProven)
	}
	switch {
	case present != (p.end == endKey):
		return Hash{}, fmt.Errorf("it shows presence instead of absence or the reverse: %w", ErrNotProven)
	case present:
		return hashNode(tagLeaf, key, sha256.Sum256(value)), nil
	case value != nil:
		return Hash{}, fmt.Errorf("a value is given for an absent key: %w", ErrNotProven)
	case p.end == endNothing:
		return Empty, nil
	}
	if shared := sharedBits(key, p.otherKey); shared == maxDepth || shared < len(p.siblings) {
		return Hash{}, fmt.Errorf("the other leaf does not stand on the way of the key: %w", ErrNotProven)
	}
	return hashNode(tagLeaf, p.otherKey, p.otherValueHash), nil
}

// check finds what no tree can give; see the list of refusals in docs/spec/statetree.md.
func (p Proof) check() error {
	depth := len(p.siblings)
	switch {
	case p.end < endKey || p.end > endOther:
		return fmt.Errorf("unknown end %d: %w", p.end, ErrMalformedProof)
	case depth > maxDepth || depth == maxDepth && p.end == endNothing:
		return fmt.Errorf("depth %d: %w", depth, ErrMalformedProof)
	case depth > 0 && p.siblings[depth-1] == Empty:
		return fmt.Errorf("the end stands beside nothing: %w", ErrMalformedProof)
	}
	return nil
}

// Marshal returns the one spelling of the proof, at most MaxProofBytes.
func (p Proof) Marshal() []byte {
	out := make([]byte, 0, 1+64+2+maxDepth/8+32*len(p.siblings))
	out = append(out, p.end)
	if p.end == endOther {
		out = append(out, p.otherKey[:]...)
		out = append(out, p.otherValueHash[:]...)
	}
	out = binary.BigEndian.AppendUint16(out, uint16(len(p.siblings)))
	bitmap := len(out)
	out = append(out, make([]byte, (len(p.siblings)+7)/8)...)
	for i, sibling := range p.siblings {
		if sibling != Empty {
			out[bitmap+i/8] |= 0x80 >> (i % 8)
			out = append(out, sibling[:]...)
		}
	}
	return out
}

// ParseProof reads what Marshal wrote and refuses every other spelling with an error that wraps ErrMalformedProof.
func ParseProof(raw []byte) (Proof, error) {
	if len(raw) > MaxProofBytes {
		return Proof{}, fmt.Errorf("%d bytes: %w", len(raw), ErrMalformedProof)
	}
	in := reader{rest: raw}
	p := Proof{end: in.take(1)[0]}
	if p.end == endOther {
		p.otherKey, p.otherValueHash = Key(in.take(32)), [32]byte(in.take(32))
	}
	depth := int(binary.BigEndian.Uint16(in.take(2)))
	if depth > maxDepth {
		return Proof{}, fmt.Errorf("depth %d: %w", depth, ErrMalformedProof)
	}
	bitmap := in.take((depth + 7) / 8)
	if depth%8 != 0 && bitmap[depth/8]<<(depth%8) != 0 {
		return Proof{}, fmt.Errorf("bits beyond the depth: %w", ErrMalformedProof)
	}
	for i := range depth {
		var sibling Hash
		if bitmap[i/8]<<(i%8)&0x80 != 0 {
			if sibling = Hash(in.take(32)); sibling == Empty && !in.short {
				return Proof{}, fmt.Errorf("sibling at depth %d is given and empty: %w", i+1, ErrMalformedProof)
			}
		}
		p.siblings = append(p.siblings, sibling)
	}
	if in.short || len(in.rest) > 0 {
		return Proof{}, fmt.Errorf("missing or trailing bytes: %w", ErrMalformedProof)
	}
	if err := p.check(); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// reader takes bytes from the front; once they run out it gives zero bytes and says so.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.short, r.rest = true, nil
		return make([]byte, n)
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}
