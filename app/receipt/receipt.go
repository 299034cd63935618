package receipt

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// formReceipt is the first element of a receipt's extra.
const formReceipt = 1

// Receipt is a receipt as read: nothing in it is verified.
type Receipt struct {
	Index      int64 // of the entry
	Entry      []byte
	Proof      tlog.RecordProof
	Leaves     []Leaf // ascending by index
	Checkpoint Checkpoint
}

// Leaf is a further entry of the same tree with its inclusion proof.
type Leaf struct {
	_     struct{} `cbor:",toarray"`
	Index int64
	Entry []byte
	Proof tlog.RecordProof
}

type receiptExtra struct {
	_      struct{} `cbor:",toarray"`
	Form   uint64
	Entry  []byte
	Leaves []Leaf
}

// New writes a receipt: the entry at index with its inclusion proof, the
// leaves that it needs, in any order, and a signed checkpoint. Which leaves
// an entry needs is in docs/spec/receipt.md: the block entry that ends its
// block and, for a signed act, the transaction entry and the fact entry that
// registered the key. Nothing is verified but the form.
func New(entry []byte, index int64, proof tlog.RecordProof, leaves []Leaf, signedCheckpoint []byte) ([]byte, error) {
	return receiptForm.write(Leaf{Index: index, Entry: entry, Proof: proof}, leaves, signedCheckpoint)
}

// Parse reads the one spelling of a receipt of at most MaxReceiptBytes. It
// checks form alone; see [Verify].
func Parse(text []byte) (Receipt, error) { return receiptForm.parse(text) }

// form is a form of extra with an entry and leaves.
type form struct {
	number    uint64
	maxBytes  int // of the text
	maxLeaves int
}

var receiptForm = form{formReceipt, MaxReceiptBytes, maxLeaves}

// write writes a text of the form, for an entry with its inclusion proof.
func (f form) write(entry Leaf, leaves []Leaf, signedCheckpoint []byte) ([]byte, error) {
	leaves = sorted(leaves, func(a, b Leaf) int { return cmp.Compare(a.Index, b.Index) })
	extra, err := encoding.Marshal(receiptExtra{Form: f.number, Entry: entry.Entry, Leaves: leaves})
	if err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	text := proofText{extra: extra, index: entry.Index, proof: entry.Proof, signed: signedCheckpoint}.marshal()
	if _, err := f.parse(text); err != nil {
		return nil, err
	}
	return text, nil
}

func (f form) parse(text []byte) (Receipt, error) {
	p, c, err := parseProofText(text, f.maxBytes)
	if err != nil {
		return Receipt{}, err
	}
	var extra receiptExtra
	if err := decodeExtra(p.extra, &extra); err != nil {
		return Receipt{}, err
	}
	if extra.Form != f.number || len(extra.Entry) > record.MaxEntryBytes || len(extra.Leaves) > f.maxLeaves {
		return Receipt{}, fmt.Errorf("receipt: form, entry or number of parts: %w", ErrMalformed)
	}
	for i, l := range extra.Leaves {
		if l.Index < 0 || l.Index >= c.Size || l.Index == p.index || i > 0 && extra.Leaves[i-1].Index >= l.Index ||
			len(l.Entry) > record.MaxEntryBytes || len(l.Proof) > maxProofHashes {
			return Receipt{}, fmt.Errorf("receipt: part %d: %w", i, ErrMalformed)
		}
	}
	return Receipt{Index: p.index, Entry: extra.Entry, Proof: p.proof, Leaves: slices.Clip(extra.Leaves), Checkpoint: c}, nil
}
