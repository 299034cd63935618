package receipt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"github.com/fxamacker/cbor/v2"
	"golang.org/x/mod/sumdb/tlog"
)

// proofText is the C2SP tlog-proof@v1 that receipts and state receipts share.
type proofText struct {
	extra  []byte
	index  int64
	proof  tlog.RecordProof
	signed []byte // the checkpoint
}

func (p proofText) marshal() []byte {
	return torchwood.FormatProofWithExtraData(p.index, p.extra, p.proof, p.signed)
}

// parseProofText reads the text, of at most limit bytes, and its checkpoint, in
// their one spelling.
func parseProofText(text []byte, limit int) (proofText, Checkpoint, error) {
	if len(text) > limit {
		return proofText{}, Checkpoint{}, fmt.Errorf("receipt of %d bytes: %w", len(text), ErrTooLarge)
	}
	head, signed, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 3 || len(lines) > 3+maxProofHashes {
		return proofText{}, Checkpoint{}, fmt.Errorf("receipt is no tlog-proof: %w", ErrMalformed)
	}
	extra, err1 := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	index, err2 := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 54)
	if err1 != nil || err2 != nil || index < 0 {
		return proofText{}, Checkpoint{}, fmt.Errorf("receipt: extra or index: %w", ErrMalformed)
	}
	p := proofText{extra: extra, index: index, signed: []byte(signed)}
	for _, line := range lines[3:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return proofText{}, Checkpoint{}, fmt.Errorf("receipt: inclusion proof: %w", ErrMalformed)
		}
		p.proof = append(p.proof, h)
	}
	if !bytes.Equal(p.marshal(), text) {
		return proofText{}, Checkpoint{}, fmt.Errorf("receipt is not canonical: %w", ErrMalformed)
	}
	c, err := ParseCheckpoint(p.signed)
	if err != nil {
		return proofText{}, Checkpoint{}, err
	}
	if index >= c.Size {
		return proofText{}, Checkpoint{}, fmt.Errorf("receipt: %w: entry %d is outside a tree of %d", ErrMalformed, index, c.Size)
	}
	return p, c, nil
}

// encoding writes RFC 8949 section 4.2.1 only, and empty arrays and byte
// strings where Go has nil, so that null never stands for them.
var encoding = must(func() (cbor.EncMode, error) {
	options := cbor.CoreDetEncOptions()
	options.NilContainers = cbor.NilContainerAsEmpty
	return options.EncMode()
}())

// decoding bounds what is read; every reader re-encodes and compares besides.
var decoding = must(cbor.DecOptions{
	MaxArrayElements: maxLegalityLeaves, MaxMapPairs: 16, MaxNestedLevels: 5,
	IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8RejectInvalid,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic("receipt: " + err.Error()) // the options are constants
	}
	return v
}

// decodeExtra reads the one spelling of an extra into dst, a pointer to a
// struct that is encoded as an array.
func decodeExtra(extra []byte, dst any) error {
	if err := decoding.Unmarshal(extra, dst); err != nil {
		return fmt.Errorf("receipt: extra: %w: %w", ErrMalformed, err)
	}
	again, err := encoding.Marshal(dst)
	if err != nil || !bytes.Equal(again, extra) {
		return fmt.Errorf("receipt: extra is not canonical: %w", ErrMalformed)
	}
	return nil
}

// inTree checks the inclusion proof of an entry.
func inTree(c Checkpoint, index int64, entry []byte, proof tlog.RecordProof) bool {
	return tlog.CheckRecord(proof, c.Size, c.Root, index, tlog.RecordHash(entry)) == nil
}
