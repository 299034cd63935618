package receipt

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
)

// maxUnixSeconds is the last second of the year 9999.
const maxUnixSeconds = 253402300799

// SignCheckpoint gives the signature line of a node's log key over a
// checkpoint body, in the name of the body's origin (C2SP signed-note, type 1).
func SignCheckpoint(body []byte, key ed25519.PrivateKey) (line string, err error) {
	c, err := parseBody(body)
	if err != nil {
		return "", err
	}
	k := LogVKey(c.Origin, publicOf(key))
	return k.line(ed25519.Sign(key, body)), nil
}

// Cosign gives the cosignature line of a cosigner over a checkpoint body at a
// time in Unix seconds (C2SP tlog-cosignature, type 4).
func Cosign(body []byte, name string, key ed25519.PrivateKey, unixSeconds int64) (line string, err error) {
	if _, err := parseBody(body); err != nil {
		return "", err
	}
	if !validName(name) || unixSeconds < 1 || unixSeconds > maxUnixSeconds {
		return "", fmt.Errorf("cosigner %.80q at %d: %w", name, unixSeconds, ErrMalformed)
	}
	k := CosignerVKey(name, publicOf(key))
	signed := binary.BigEndian.AppendUint64(nil, uint64(unixSeconds))
	return k.line(append(signed, ed25519.Sign(key, cosignedMessage(body, unixSeconds))...)), nil
}

// CheckCosignature verifies one cosignature line over a body and gives its
// time in Unix seconds.
func CheckCosignature(body []byte, k VKey, line string) (unixSeconds int64, err error) {
	s, err := parseSignatureLine(line)
	if err != nil {
		return 0, err
	}
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || !k.Cosigner || s.Name != k.Name || s.Hash != k.Hash() || len(raw) != 4+8+ed25519.SignatureSize {
		return 0, fmt.Errorf("cosignature of %.80q is not of %s: %w", s.Name, k.Name, ErrMalformed)
	}
	at := binary.BigEndian.Uint64(raw[4:])
	if at < 1 || at > maxUnixSeconds || !ed25519.Verify(k.Public[:], cosignedMessage(body, int64(at)), raw[12:]) {
		return 0, fmt.Errorf("cosignature of %s is not good", k.Name)
	}
	return int64(at), nil
}

func cosignedMessage(body []byte, unixSeconds int64) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatInt(unixSeconds, 10)+"\n"), body...)
}

func (k VKey) line(signature []byte) string {
	raw := append(binary.BigEndian.AppendUint32(nil, k.Hash()), signature...)
	return signatureLine(k.Name, base64.StdEncoding.EncodeToString(raw))
}

func publicOf(key ed25519.PrivateKey) [32]byte { return [32]byte(key[32:]) }
