package commitment

import (
	"bytes"
	"fmt"
)

// Leaf is a disclosed leaf: proven to stand at Index in its record.
type Leaf struct {
	Index   uint32
	Kind    Kind
	Payload []byte
}

// Opened is what a copy proves: these leaves are in the record, and no more is
// known of the Hidden ones. Leaves are in order of their index.
type Opened struct {
	N       uint32
	Profile Profile
	Leaves  []Leaf
	Hidden  []Range
}

// Content returns the disclosed content, end to end, with nothing in place of
// what is hidden.
func (o Opened) Content() []byte {
	var parts [][]byte
	for _, leaf := range o.Leaves {
		if leaf.Kind == Content {
			parts = append(parts, leaf.Payload)
		}
	}
	return bytes.Join(parts, nil)
}

// Complete reports whether the whole content is disclosed: nothing is hidden, or
// the digest leaf, which Verify has compared with the content, is not.
func (o Opened) Complete() bool {
	for _, leaf := range o.Leaves {
		if leaf.Kind == Digest {
			return true
		}
	}
	return len(o.Hidden) == 0
}

// Fields returns the disclosed metadata. It returns ErrField when a metadata leaf
// is none that this package writes.
func (o Opened) Fields() ([]Field, error) {
	var fields []Field
	for _, leaf := range o.Leaves {
		if leaf.Kind != Metadata {
			continue
		}
		f, err := ParseField(leaf.Payload)
		if err != nil {
			return nil, fmt.Errorf("leaf %d: %w", leaf.Index, err)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// Verify proves the copy against a commitment that the caller knows from the
// chain, or returns ErrCopy with the reason and nothing opened. Payloads share
// the memory of the copy where they can.
func (c Copy) Verify(want Commitment) (Opened, error) {
	v, err := c.verify(want)
	if err != nil {
		return Opened{}, err
	}
	return v.opened, nil
}

func (c Copy) verify(want Commitment) (*verifier, error) {
	if got := c.manifest.Commitment(); got != want {
		return nil, fmt.Errorf("%w: of %s, not of %s", ErrCopy, got, want)
	}
	v := &verifier{
		n: c.manifest.N, hid: c.hid, opn: c.opn, hasher: newLeafHasher(),
		lens: pieces{chunks: c.lens}, data: pieces{chunks: c.data},
		opened: Opened{N: c.manifest.N, Profile: c.manifest.Profile, Hidden: c.Hidden()},
	}
	root, _, err := v.subtree(node{level: depth(v.n)})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	if len(v.hid) != 0 || len(v.opn) != 0 || !v.lens.done() || !v.data.done() {
		return nil, fmt.Errorf("%w: holds more than its leaves need", ErrCopy)
	}
	if root != c.manifest.Root {
		return nil, fmt.Errorf("%w: leaves do not have the manifest's root", ErrCopy)
	}
	if err := v.opened.checkDigest(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	return v, nil
}

// checkDigest compares a disclosed digest with the disclosed content. A digest
// beside hidden content is refused, since it lets a reader test guesses.
func (o Opened) checkDigest() error {
	for _, leaf := range o.Leaves {
		if leaf.Kind == Digest && !bytes.Equal(leaf.Payload, digestOf(o.Content())) {
			return fmt.Errorf("digest of leaf %d is not that of the disclosed content", leaf.Index)
		}
	}
	return nil
}

// verifier walks the tree once, from left to right, and takes what it needs from
// the front of four lists.
type verifier struct {
	n          uint32
	hid, opn   []node
	lens, data pieces
	hasher     *leafHasher
	opened     Opened
	salts      [][32]byte  // of opened.Leaves
	top        [2][32]byte // children of the root
}

// cover says what lies below a node.
type cover uint8

const (
	mixed  cover = iota // some leaves hidden, some disclosed
	hidden              // the node is listed in hid
	opened              // the node is listed in opn
)

// subtree returns the hash of a node. Covers must be complete, disjoint and
// minimal: two children of one kind should have been listed as their parent.
func (v *verifier) subtree(at node) ([32]byte, cover, error) {
	if len(v.hid) > 0 && v.hid[0].level == at.level && v.hid[0].index == at.index {
		hash := v.hid[0].value
		v.hid = v.hid[1:]
		return hash, hidden, nil
	}
	if len(v.opn) > 0 && v.opn[0].level == at.level && v.opn[0].index == at.index {
		seed := v.opn[0]
		v.opn = v.opn[1:]
		hash, err := v.open(seed)
		return hash, opened, err
	}
	if at.level == 0 {
		return [32]byte{}, mixed, fmt.Errorf("leaf %d is neither hidden nor disclosed", at.index)
	}
	left, kind, err := v.subtree(node{level: at.level - 1, index: 2 * at.index})
	if err != nil {
		return [32]byte{}, mixed, err
	}
	right := node{level: at.level - 1, index: 2*at.index + 1}
	if right.first() >= uint64(v.n) {
		if kind != mixed {
			return [32]byte{}, mixed, fmt.Errorf("node %d.%d is part of a larger one", right.level, at.index*2)
		}
		return left, mixed, nil
	}
	rightHash, rightKind, err := v.subtree(right)
	if err != nil {
		return [32]byte{}, mixed, err
	}
	if kind != mixed && kind == rightKind {
		return [32]byte{}, mixed, fmt.Errorf("node %d.%d is part of a larger one", right.level, right.index)
	}
	return v.join(at, left, rightHash), mixed, nil
}

// open derives the leaves below a seed, takes their bytes, and returns the hash
// of the subtree.
func (v *verifier) open(d node) ([32]byte, error) {
	if d.level == 0 {
		return v.leaf(d)
	}
	left, right := children(d)
	leftHash, err := v.open(left)
	if err != nil || right.first() >= uint64(v.n) {
		return leftHash, err
	}
	rightHash, err := v.open(right)
	if err != nil {
		return [32]byte{}, err
	}
	return v.join(d, leftHash, rightHash), nil
}

// join hashes the children of a node, and remembers those of the root.
func (v *verifier) join(at node, left, right [32]byte) [32]byte {
	if at.level == depth(v.n) {
		v.top = [2][32]byte{left, right}
	}
	return nodeHash(left, right)
}

func (v *verifier) leaf(d node) ([32]byte, error) {
	leaf, length, ok := Leaf{Index: d.index}, uint64(0), false
	if leaf.Kind, length, ok = v.lens.length(); !ok {
		return [32]byte{}, fmt.Errorf("leaf %d: no kind and length", d.index)
	}
	if length > MaxPayload {
		return [32]byte{}, fmt.Errorf("leaf %d: %d bytes", d.index, length)
	}
	if leaf.Payload, ok = v.data.take(int(length)); !ok {
		return [32]byte{}, fmt.Errorf("leaf %d: content ends early", d.index)
	}
	if err := (Segment{Kind: leaf.Kind, Payload: leaf.Payload}).check(); err != nil {
		return [32]byte{}, fmt.Errorf("leaf %d: %w", d.index, err)
	}
	salt := leafSecret(d.value).Salt
	v.opened.Leaves = append(v.opened.Leaves, leaf)
	v.salts = append(v.salts, salt)
	return v.hasher.leaf(leaf.Index, leaf.Kind, salt, leaf.Payload), nil
}

// pieces reads chunks as one run of bytes: the rest of the current one, then
// those that follow.
type pieces struct {
	head   []byte
	chunks [][]byte
}

// take returns the next n bytes, copied only where they cross chunks.
func (p *pieces) take(n int) ([]byte, bool) {
	p.refill()
	if n <= len(p.head) {
		b := p.head[:n:n]
		p.head = p.head[n:]
		return b, true
	}
	var joined []byte
	for n > 0 && len(p.head) > 0 {
		k := min(n, len(p.head))
		joined = append(joined, p.head[:k]...)
		p.head = p.head[k:]
		n -= k
		p.refill()
	}
	return joined, n == 0
}

// length reads one kind and one minimal uvarint of at most four bytes.
func (p *pieces) length() (Kind, uint64, bool) {
	kind, ok := p.take(1)
	if !ok {
		return 0, 0, false
	}
	var raw [4]byte
	for i := range raw {
		b, ok := p.take(1)
		if !ok {
			return 0, 0, false
		}
		if raw[i] = b[0]; b[0] < 0x80 {
			value, width := minimalUvarint(raw[:i+1])
			return Kind(kind[0]), value, width > 0
		}
	}
	return 0, 0, false
}

// refill moves on to the next chunk when the current one is used up.
func (p *pieces) refill() {
	for len(p.head) == 0 && len(p.chunks) > 0 {
		p.head, p.chunks = p.chunks[0], p.chunks[1:]
	}
}

// done reports whether all bytes were taken.
func (p *pieces) done() bool {
	p.refill()
	return len(p.head) == 0
}
