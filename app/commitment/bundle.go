package commitment

import (
	"errors"
	"fmt"
)

// ErrBundle: an evidence bundle is malformed.
var ErrBundle = errors.New("malformed evidence bundle")

const (
	bundleVersion = 1
	typEvidence   = "mun1.evidence"
	maxReceipts   = 1024
	maxReceipt    = maxBlock // bytes
)

// Bundle is evidence: a copy, and the receipts, redactions and reports that tie
// its commitment and what it hides to the ledger, each as its exact bytes. This
// package does not read them.
type Bundle struct {
	Copy     Copy
	Receipts [][]byte
}

// MarshalBundle encodes a bundle as a CARv1 file whose root is the evidence
// block: {v: 1, typ: "mun1.evidence", copy: link, receipts: [link]}. It refuses
// more than 1,024 receipts, and empty ones or such over 1 MiB.
func MarshalBundle(c Copy, receipts [][]byte) ([]byte, error) {
	if len(receipts) > maxReceipts {
		return nil, fmt.Errorf("%w: %d receipts", ErrBundle, len(receipts))
	}
	for i, r := range receipts {
		if len(r) == 0 || len(r) > maxReceipt {
			return nil, fmt.Errorf("%w: receipt %d of %d bytes", ErrBundle, i, len(r))
		}
	}
	return marshalCAR(Bundle{c, receipts}.blocks()), nil
}

// blocks returns the evidence block and all that it links, in the order of its links.
func (b Bundle) blocks() []block {
	inner := b.Copy.blocks()
	receipts := rawBlocks(b.Receipts)
	blocks := []block{newBlock(codecDagCBOR, evidence(inner[0].id, receipts))}
	return append(append(blocks, inner...), receipts...)
}

// evidence encodes the evidence block.
func evidence(root cid, receipts []block) []byte {
	e := appendHead(nil, cborMap, 4)
	e = appendHead(appendText(e, "v"), cborUint, bundleVersion)
	e = appendText(appendText(e, "typ"), typEvidence)
	e = appendLink(appendText(e, "copy"), root)
	return appendLinks(appendText(e, "receipts"), receipts)
}

// ParseBundle reads what MarshalBundle wrote, block for block in its order. The
// copy is well formed, not yet proven: see Copy.Verify. Receipts and copy share
// the memory of car.
func ParseBundle(car []byte) (Bundle, error) {
	file, err := parseCAR(car)
	if err != nil {
		return Bundle{}, err
	}
	root, err := file.data(file.root)
	if err != nil {
		return Bundle{}, err
	}
	r := cborReader{rest: root}
	if n := r.count(cborMap, 4); r.err == nil && n != 4 {
		r.fail("map of %d", n)
	}
	r.key("v")
	if v := r.uint(bundleVersion); r.err == nil && v != bundleVersion {
		r.fail("version %d", v)
	}
	r.key("typ")
	if typ := r.text(); r.err == nil && typ != typEvidence {
		r.fail("type %.32q", typ)
	}
	r.key("copy")
	inner := r.link(codecDagCBOR)
	r.key("receipts")
	var b Bundle
	for range r.count(cborArray, maxReceipts) {
		receipt := file.part(&r, r.link(codecRaw), maxReceipt)
		if r.err == nil && len(receipt) == 0 {
			r.fail("empty receipt")
		}
		b.Receipts = append(b.Receipts, receipt)
	}
	if err := r.end(); err != nil {
		return Bundle{}, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if b.Copy, err = file.copy(inner); err != nil {
		return Bundle{}, err
	}
	if !isCAR(car, b.blocks()) {
		return Bundle{}, fmt.Errorf("%w: blocks unused or out of order", ErrCAR)
	}
	return b, nil
}
