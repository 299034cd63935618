package commitment

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrSeal: a sealed segment was not made by Seal under this key, record, index
// and kind, or it was changed since.
var ErrSeal = errors.New("sealed segment does not open")

const (
	sealDomain = "MUN1 seg" // changed only with docs/spec/commitment.md
	minSealed  = 32         // bytes of plaintext, padding included, at least
)

// Seal encrypts a segment under its leaf's sealing key, which seals once and no
// more. rid names the record within its custodian. The result is nonce (12),
// ciphertext, tag (16); the plaintext u32 length, payload, zeros up to Padded.
// The nonce is random, from the system's generator: FIPS 140-3 allows no other.
func Seal(enc [32]byte, rid [16]byte, index uint32, kind Kind, payload []byte) ([]byte, error) {
	if err := (Segment{Kind: kind, Payload: payload}).check(); err != nil {
		return nil, fmt.Errorf("seal segment %d: %w", index, err)
	}
	aead, err := segmentCipher(enc)
	if err != nil {
		return nil, fmt.Errorf("seal segment %d: %w", index, err)
	}
	plain := make([]byte, Padded(4+len(payload)))
	binary.BigEndian.PutUint32(plain, uint32(len(payload)))
	copy(plain[4:], payload)
	out := make([]byte, 0, len(plain)+aead.Overhead())
	return aead.Seal(out, nil, plain, sealContext(rid, index, kind)), nil
}

// Open decrypts what Seal made and returns the payload.
func Open(enc [32]byte, rid [16]byte, index uint32, kind Kind, sealed []byte) ([]byte, error) {
	aead, err := segmentCipher(enc)
	if err != nil {
		return nil, fmt.Errorf("open segment %d: %w", index, err)
	}
	plain, err := aead.Open(nil, nil, sealed, sealContext(rid, index, kind))
	if err != nil || len(plain) < minSealed {
		return nil, fmt.Errorf("open segment %d: %w", index, ErrSeal)
	}
	length := uint64(binary.BigEndian.Uint32(plain))
	if length > MaxPayload || 4+length > uint64(len(plain)) || len(plain) != Padded(int(4+length)) {
		return nil, fmt.Errorf("open segment %d: %w: length %d in %d bytes", index, ErrSeal, length, len(plain))
	}
	for _, b := range plain[4+length:] {
		if b != 0 {
			return nil, fmt.Errorf("open segment %d: %w: padding is not zero", index, ErrSeal)
		}
	}
	return plain[4 : 4+length : 4+length], nil
}

func segmentCipher(enc [32]byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(enc[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(b)
}

// sealContext is the additional data: "MUN1 seg", rid, u32 index, kind.
func sealContext(rid [16]byte, index uint32, kind Kind) []byte {
	b := append([]byte(sealDomain), rid[:]...)
	return append(binary.BigEndian.AppendUint32(b, index), byte(kind))
}
