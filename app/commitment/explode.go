package commitment

import "fmt"

const (
	typLeaves   = "mun1.leaves"
	maxExploded = 4096
)

// Explode writes the disclosed leaves as blocks of their own, for readers with
// common IPLD tools only: each leaf block's CID holds its leaf hash, and the
// linked root block's CID the tree's root. It verifies the copy first. The root
// is the index block
// {v: 1, man: link, typ: "mun1.leaves", root: link, leaves: [link]}.
func (c Copy) Explode(want Commitment) ([]byte, error) {
	v, err := c.verify(want)
	if err != nil {
		return nil, err
	}
	if n := len(v.opened.Leaves); n == 0 || n > maxExploded {
		return nil, fmt.Errorf("%w: %d leaves to explode, 1 to %d can be", ErrCopy, n, maxExploded)
	}
	leaves := make([]block, 0, len(v.opened.Leaves))
	for i, leaf := range v.opened.Leaves {
		leaves = append(leaves, newBlock(codecRaw, LeafBlock(leaf.Index, Segment{Kind: leaf.Kind, Payload: leaf.Payload}, v.salts[i])))
	}
	root := leaves[0]
	if c.manifest.N > 1 {
		root = newBlock(codecRaw, append(append([]byte{0x01}, v.top[0][:]...), v.top[1][:]...))
	}
	manifest := newBlock(codecDagCBOR, c.manifest.Marshal())
	b := appendHead(nil, cborMap, 5)
	b = appendHead(appendText(b, "v"), cborUint, 1)
	b = appendLink(appendText(b, "man"), manifest.id)
	b = appendText(appendText(b, "typ"), typLeaves)
	b = appendLink(appendText(b, "root"), root.id)
	b = appendLinks(appendText(b, "leaves"), leaves)
	return marshalCAR(append([]block{newBlock(codecDagCBOR, b), manifest, root}, leaves...)), nil
}
