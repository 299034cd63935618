package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// ErrDamaged: the store holds what this package did not write.
var ErrDamaged = errors.New("damaged vault")

// Record is what the vault knows of a deposit without opening it. All of it is
// on the ledger, or will be, but for RID.
type Record struct {
	RID        RID
	Office     record.Code
	Series     record.Code
	Custody    record.Code
	Commitment record.Commitment
	Manifest   commitment.Manifest
	NotAfter   record.Day   // last ledger day on which it can be anchored
	Anchored   bool         // the ledger holds it, at entry Index
	Index      record.Index // 0 while not anchored
	Packs      uint32       // set by Put
	Since      int64        // entries of the log when it was deposited
}

const (
	recordVersion = 3
	recordSize    = 1 + 1 + 4 + 8 + 8 + 4 + 32 // before the codes
)

// marshal encodes all but the RID, which is in the key.
func (r Record) marshal() []byte {
	b := []byte{recordVersion, 0}
	if r.Anchored {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint32(b, uint32(r.NotAfter))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Index))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Since))
	b = binary.BigEndian.AppendUint32(b, r.Packs)
	b = append(b, r.Commitment[:]...)
	for _, code := range []record.Code{r.Office, r.Series, r.Custody} {
		b = appendCode(b, code)
	}
	return append(b, r.Manifest.Marshal()...)
}

// parseRecord reads what marshal wrote.
func parseRecord(rid RID, b []byte) (Record, error) {
	if len(b) < recordSize || b[0] != recordVersion || b[1] > 1 {
		return Record{}, fmt.Errorf("%w: record of %d bytes", ErrDamaged, len(b))
	}
	r := Record{
		RID:        rid,
		Anchored:   b[1] == 1,
		NotAfter:   record.Day(binary.BigEndian.Uint32(b[2:])),
		Index:      record.Index(binary.BigEndian.Uint64(b[6:])),
		Since:      int64(binary.BigEndian.Uint64(b[14:])),
		Packs:      binary.BigEndian.Uint32(b[22:]),
		Commitment: record.Commitment(b[26:58]),
	}
	rest := b[recordSize:]
	var err error
	for _, code := range []*record.Code{&r.Office, &r.Series, &r.Custody} {
		if *code, rest, err = cutCode(rest); err != nil {
			return Record{}, err
		}
	}
	if r.Manifest, err = commitment.ParseManifest(rest); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if record.Commitment(r.Manifest.Commitment()) != r.Commitment || !bytes.Equal(r.marshal(), b) {
		return Record{}, fmt.Errorf("%w: record is not canonical", ErrDamaged)
	}
	return r, nil
}

// appendCode appends a registered code as its length u8 and its characters.
func appendCode(b []byte, code record.Code) []byte {
	return append(append(b, byte(len(code))), code...)
}

// cutCode reads what appendCode wrote, and gives what follows.
func cutCode(b []byte) (code record.Code, rest []byte, err error) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return "", nil, fmt.Errorf("%w: value ends within a code", ErrDamaged)
	}
	end := 1 + int(b[0])
	if code = record.Code(b[1:end]); !code.Valid() {
		return "", nil, fmt.Errorf("%w: code %.40q", ErrDamaged, code)
	}
	return code, b[end:], nil
}
