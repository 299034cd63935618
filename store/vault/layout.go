package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/commitment"
)

// ErrLayout: a sealed layout or catalogue entry was not made under this key for
// this record, or was changed since.
var ErrLayout = errors.New("sealed layout does not open")

// LeafFact is what a custodian remembers of a leaf so as not to cut the content
// again.
type LeafFact struct {
	Kind   commitment.Kind
	Oracle bool
	Size   uint32 // bytes of the payload
}

const (
	layoutDomain  = "MUN1 layout" // changed only with docs/spec/vault.md
	layoutVersion = 1
	oracleBit     = 0x80 // of the byte that holds the kind
)

// SealLayout seals the facts of a record's leaves under a key that dies with the
// record. Lengths of hidden segments would betray them, so they are sealed too.
func SealLayout(key [32]byte, rid RID, facts []LeafFact) ([]byte, error) {
	aead, err := layoutCipher(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, marshalLayout(facts), layoutContext(rid)), nil
}

// OpenLayout opens what SealLayout made.
func OpenLayout(key [32]byte, rid RID, sealed []byte) ([]LeafFact, error) {
	aead, err := layoutCipher(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, layoutContext(rid))
	if err != nil {
		return nil, ErrLayout
	}
	return parseLayout(plain)
}

func layoutCipher(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func layoutContext(rid RID) []byte { return append([]byte(layoutDomain), rid[:]...) }

func marshalLayout(facts []LeafFact) []byte {
	b := binary.BigEndian.AppendUint32([]byte{layoutVersion}, uint32(len(facts)))
	for _, f := range facts {
		first := byte(f.Kind)
		if f.Oracle {
			first |= oracleBit
		}
		b = binary.AppendUvarint(append(b, first), uint64(f.Size))
	}
	return b
}

// parseLayout reads what marshalLayout wrote.
func parseLayout(b []byte) ([]LeafFact, error) {
	if len(b) < 5 || b[0] != layoutVersion {
		return nil, fmt.Errorf("%w: %d bytes", ErrLayout, len(b))
	}
	count, rest := binary.BigEndian.Uint32(b[1:]), b[5:]
	if count > commitment.MaxLeaves || uint64(count)*2 > uint64(len(rest)) {
		return nil, fmt.Errorf("%w: %d leaves in %d bytes", ErrLayout, count, len(b))
	}
	facts := make([]LeafFact, 0, count)
	for range count {
		if len(rest) == 0 {
			return nil, fmt.Errorf("%w: it ends early", ErrLayout)
		}
		f := LeafFact{Kind: commitment.Kind(rest[0] &^ oracleBit), Oracle: rest[0]&oracleBit != 0}
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > commitment.MaxPayload || !f.Kind.Valid() {
			return nil, fmt.Errorf("%w: leaf %d", ErrLayout, len(facts))
		}
		f.Size, rest = uint32(size), rest[1+n:]
		facts = append(facts, f)
	}
	if len(rest) != 0 || !bytes.Equal(marshalLayout(facts), b) {
		return nil, fmt.Errorf("%w: not canonical", ErrLayout)
	}
	return facts, nil
}

// CatalogueLeaf is a metadata leaf in a department's catalogue: the very bytes
// that are sealed in the record, so that it dies with the leaf and the record.
type CatalogueLeaf struct {
	Leaf   uint32
	Sealed []byte
}

func marshalCatalogue(leaves []CatalogueLeaf) []byte {
	var b []byte
	for _, l := range leaves {
		b = binary.BigEndian.AppendUint32(b, l.Leaf)
		b = binary.BigEndian.AppendUint32(b, uint32(len(l.Sealed)))
		b = append(b, l.Sealed...)
	}
	return b
}

// parseCatalogue reads what marshalCatalogue wrote.
func parseCatalogue(b []byte) ([]CatalogueLeaf, error) {
	var leaves []CatalogueLeaf
	for len(b) > 0 {
		if len(b) < 8 || uint64(binary.BigEndian.Uint32(b[4:])) > uint64(len(b)-8) {
			return nil, fmt.Errorf("%w: catalogue entry ends early", ErrDamaged)
		}
		n := binary.BigEndian.Uint32(b[4:])
		leaves = append(leaves, CatalogueLeaf{binary.BigEndian.Uint32(b), bytes.Clone(b[8 : 8+n])})
		b = b[8+n:]
	}
	return leaves, nil
}
