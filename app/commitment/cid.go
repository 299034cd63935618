package commitment

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
)

// ErrCID: not a CID of the one form that this package knows.
var ErrCID = errors.New("not a CIDv1 of SHA-256")

// The multicodec numbers in use: https://github.com/multiformats/multicodec.
const (
	codecRaw     byte = 0x55
	codecDagCBOR byte = 0x71
)

const cidSize = 4 + sha256.Size

// cid is a CIDv1: 0x01, codec, 0x12 (sha2-256), 0x20 (its length), digest.
type cid struct {
	codec  byte
	digest [32]byte
}

func cidOf(codec byte, block []byte) cid { return cid{codec, sha256.Sum256(block)} }

func (c cid) append(dst []byte) []byte {
	return append(append(dst, 0x01, c.codec, 0x12, 0x20), c.digest[:]...)
}

// cidFromBytes reads a whole binary CID.
func cidFromBytes(b []byte) (cid, error) {
	if len(b) != cidSize || b[0] != 0x01 || b[2] != 0x12 || b[3] != 0x20 ||
		b[1] != codecRaw && b[1] != codecDagCBOR {
		return cid{}, ErrCID
	}
	return cid{b[1], [32]byte(b[4:])}, nil
}

// String returns the CID in multibase base32 lower case, without padding.
func (c cid) String() string {
	return "b" + base32Lower().EncodeToString(c.append(nil))
}

func base32Lower() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

// Commitment is the SHA-256 of a record's manifest. It goes on the chain and
// tells nothing about the record to whoever lacks the record key.
type Commitment [32]byte

// CID returns the commitment as text: a CIDv1 with codec dag-cbor, "bafyrei...".
func (c Commitment) CID() string { return cid{codecDagCBOR, c}.String() }

// String returns the same as CID.
func (c Commitment) String() string { return c.CID() }

// ParseCID reads what CID wrote, and no other spelling of it.
func ParseCID(text string) (Commitment, error) {
	if len(text) == 0 || text[0] != 'b' {
		return Commitment{}, fmt.Errorf("commitment %.80q: %w", text, ErrCID)
	}
	raw, err := base32Lower().DecodeString(text[1:])
	if err != nil {
		return Commitment{}, fmt.Errorf("commitment %.80q: %w", text, ErrCID)
	}
	id, err := cidFromBytes(raw)
	// Base32 has spare bits at the end and its decoder skips newlines: compare.
	if err != nil || id.codec != codecDagCBOR || id.String() != text {
		return Commitment{}, fmt.Errorf("commitment %.80q: %w", text, ErrCID)
	}
	return id.digest, nil
}

// block is an IPLD block: a CID and the bytes it names.
type block struct {
	id   cid
	data []byte
}

func newBlock(codec byte, data []byte) block { return block{cidOf(codec, data), data} }

// valid reports whether the bytes are the ones that the CID names.
func (b block) valid() bool {
	digest := sha256.Sum256(b.data)
	return bytes.Equal(digest[:], b.id.digest[:])
}
