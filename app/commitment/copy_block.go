package commitment

import "fmt"

const (
	copyVersion = 1
	typCopy     = "mun1.copy"
	maxInline   = 1024                 // seeds or hashes that stand in the copy block itself
	perBlock    = chunkSize / seedSize // records of a block of seeds or hashes
)

// block encodes the copy's root block, a DAG-CBOR map:
// {v: 1, dat: [link], hid: nodes, len: link or [link], man: link, opn: nodes, typ: "mun1.copy"}.
func (c Copy) block() []byte {
	b := appendHead(nil, cborMap, 7)
	b = appendHead(appendText(b, "v"), cborUint, copyVersion)
	b = appendLinks(appendText(b, "dat"), rawBlocks(c.data))
	b = appendNodeList(appendText(b, "hid"), c.hid)
	b = appendText(b, "len")
	if len(c.lens) == 1 {
		b = appendLink(b, cidOf(codecRaw, c.lens[0]))
	} else {
		b = appendLinks(b, rawBlocks(c.lens))
	}
	b = appendLink(appendText(b, "man"), cidOf(codecDagCBOR, c.manifest.Marshal()))
	b = appendNodeList(appendText(b, "opn"), c.opn)
	return appendText(appendText(b, "typ"), typCopy)
}

// blocks returns the copy block and all that it links, in the order of its links.
func (c Copy) blocks() []block {
	out := []block{newBlock(codecDagCBOR, c.block())}
	out = append(out, rawBlocks(c.data)...)
	out = append(out, nodeBlocks(c.hid)...)
	out = append(out, rawBlocks(c.lens)...)
	out = append(out, newBlock(codecDagCBOR, c.manifest.Marshal()))
	return append(out, nodeBlocks(c.opn)...)
}

func rawBlocks(chunks [][]byte) []block {
	out := make([]block, 0, len(chunks))
	for _, chunk := range chunks {
		out = append(out, newBlock(codecRaw, chunk))
	}
	return out
}

func appendLinks(dst []byte, blocks []block) []byte {
	dst = appendHead(dst, cborArray, uint64(len(blocks)))
	for _, b := range blocks {
		dst = appendLink(dst, b.id)
	}
	return dst
}

// nodeBlocks returns the raw blocks of a list that is too long to stand inline.
func nodeBlocks(nodes []node) []block {
	if len(nodes) <= maxInline {
		return nil
	}
	var out []block
	for len(nodes) > 0 {
		n := min(perBlock, len(nodes))
		out = append(out, newBlock(codecRaw, appendNodes(make([]byte, 0, n*seedSize), nodes[:n])))
		nodes = nodes[n:]
	}
	return out
}

// appendNodeList appends [[level, index, bytes32], ...], or links where the list
// is long.
func appendNodeList(dst []byte, nodes []node) []byte {
	if len(nodes) > maxInline {
		return appendLinks(dst, nodeBlocks(nodes))
	}
	dst = appendHead(dst, cborArray, uint64(len(nodes)))
	for _, d := range nodes {
		dst = appendHead(dst, cborArray, 3)
		dst = appendHead(dst, cborUint, uint64(d.level))
		dst = appendHead(dst, cborUint, uint64(d.index))
		dst = appendBytes(dst, d.value[:])
	}
	return dst
}

// ParseCopy reads a CARv1 file that Marshal wrote; every other arrangement of the
// same blocks is refused. What it returns is well formed, not yet proven: see
// Verify. The copy shares the memory of car.
func ParseCopy(car []byte) (Copy, error) {
	file, err := parseCAR(car)
	if err != nil {
		return Copy{}, err
	}
	c, err := file.copy(file.root)
	if err != nil {
		return Copy{}, err
	}
	if !isCAR(car, c.blocks()) {
		return Copy{}, fmt.Errorf("%w: blocks unused or out of order", ErrCAR)
	}
	return c, nil
}

// copy reads the copy whose root block is id. The caller writes it anew and
// compares, which settles all questions of spelling and order.
func (f carFile) copy(id cid) (Copy, error) {
	raw, err := f.data(id)
	if err != nil {
		return Copy{}, err
	}
	r := cborReader{rest: raw}
	if n := r.count(cborMap, 7); r.err == nil && n != 7 {
		r.fail("map of %d", n)
	}
	var c Copy
	r.key("v")
	if v := r.uint(copyVersion); r.err == nil && v != copyVersion {
		r.fail("version %d", v)
	}
	r.key("dat")
	c.data = f.linked(&r, chunkSize)
	r.key("hid")
	c.hid = f.nodeList(&r)
	r.key("len")
	if r.major() == cborTag {
		c.lens = [][]byte{f.chunk(&r, r.link(codecRaw))}
	} else {
		c.lens = f.linked(&r, chunkSize)
	}
	r.key("man")
	manifest := f.chunk(&r, r.link(codecDagCBOR))
	r.key("opn")
	c.opn = f.nodeList(&r)
	r.key("typ")
	if typ := r.text(); r.err == nil && typ != typCopy {
		r.fail("type %.32q", typ)
	}
	if err := r.end(); err != nil {
		return Copy{}, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	if c.manifest, err = ParseManifest(manifest); err != nil {
		return Copy{}, fmt.Errorf("%w: %w", ErrCopy, err)
	}
	for _, cover := range [][]node{c.hid, c.opn} {
		if err := checkCover(cover, c.manifest.N); err != nil {
			return Copy{}, fmt.Errorf("%w: %w", ErrCopy, err)
		}
	}
	if err := c.checkSize(f.size); err != nil {
		return Copy{}, err
	}
	return c, nil
}

// chunk returns the bytes of a linked block, at most chunkSize.
func (f carFile) chunk(r *cborReader, id cid) []byte { return f.part(r, id, chunkSize) }

// part returns the bytes of a linked block, at most limit.
func (f carFile) part(r *cborReader, id cid, limit int) []byte {
	if r.err != nil {
		return nil
	}
	b, err := f.data(id)
	if err != nil {
		r.fail("%w", err)
		return nil
	}
	if len(b) > limit {
		r.fail("block %s of %d bytes", id, len(b))
		return nil
	}
	return b
}

// linked reads an array of links to raw blocks which are full, of size bytes,
// but for the last, which is not empty.
func (f carFile) linked(r *cborReader, size int) [][]byte {
	n := r.count(cborArray, maxBlock)
	var out [][]byte
	for i := range n {
		b := f.chunk(r, r.link(codecRaw))
		if r.err != nil {
			return nil
		}
		if len(b) == 0 || len(b) > size || i < n-1 && len(b) != size {
			r.fail("block %d of %d holds %d bytes where %d belong", i, n, len(b), size)
			return nil
		}
		out = append(out, b)
	}
	return out
}

// nodeList reads seeds or hashes, inline or linked.
func (f carFile) nodeList(r *cborReader) []node {
	ahead := *r // the form shows in the first member
	if n := ahead.count(cborArray, maxBlock); n > 0 && ahead.major() == cborTag {
		return f.linkedNodes(r)
	}
	n := r.count(cborArray, maxInline)
	nodes := make([]node, 0, n)
	for range n {
		if members := r.count(cborArray, 3); r.err == nil && members != 3 {
			r.fail("node of %d members", members)
		}
		nodes = append(nodes, node{uint8(r.uint(maxDepth)), uint32(r.uint(MaxLeaves)), r.hash()})
	}
	return nodes
}

func (f carFile) linkedNodes(r *cborReader) []node {
	var nodes []node
	next := uint64(0)
	for _, b := range f.linked(r, perBlock*seedSize) {
		if len(b)%seedSize != 0 {
			r.fail("block of nodes is cut short")
			return nil
		}
		// Order is checked here, so that a block linked twice cannot multiply.
		for _, d := range parseNodes(b) {
			if d.level > maxDepth || d.first() < next {
				r.fail("node %d.%d is out of order or overlaps", d.level, d.index)
				return nil
			}
			next = d.end()
			nodes = append(nodes, d)
		}
	}
	if r.err == nil && len(nodes) <= maxInline {
		r.fail("%d nodes belong inline", len(nodes))
	}
	return nodes
}
