package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Signature types of C2SP signed-note.
const (
	typeLog       = 1 // Ed25519 over the note
	typeCosigner  = 4 // Ed25519 cosignature with a time
	maxNameBytes  = 256
	nodeIDBytes   = 20
	maxLabelBytes = 40
)

// VKey is a verifier key: a name, what it signs, and an Ed25519 public key.
// Its text form is NAME+HASH+KEY (C2SP signed-note).
type VKey struct {
	Name     string
	Cosigner bool // type 4, a timestamped cosignature; else type 1, a log signature
	Public   [32]byte
}

// LogVKey gives the verifier key of a node's log key, which bears the origin's name.
func LogVKey(origin string, public [32]byte) VKey { return VKey{Name: origin, Public: public} }

// CosignerVKey gives the verifier key of a cosigner.
func CosignerVKey(name string, public [32]byte) VKey {
	return VKey{Name: name, Cosigner: true, Public: public}
}

// CosignerName names the cosigner of a validator's node: ORIGIN/node-NODE.
func CosignerName(origin, nodeID string) string { return origin + "/" + ServerName(nodeID) }

// ServerName is the TLS server name of a node: node-NODE.
func ServerName(nodeID string) string { return "node-" + nodeID }

// NodeID gives the id of the node with this Ed25519 public key: the first 20
// bytes of its SHA-256 in hex, as CometBFT names peers.
func NodeID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:nodeIDBytes])
}

func (k VKey) typed() []byte {
	t := byte(typeLog)
	if k.Cosigner {
		t = typeCosigner
	}
	return append([]byte{t}, k.Public[:]...)
}

// Hash gives the key hash that stands in signatures.
func (k VKey) Hash() uint32 {
	sum := sha256.Sum256(append([]byte(k.Name+"\n"), k.typed()...))
	return binary.BigEndian.Uint32(sum[:])
}

// String gives the text form.
func (k VKey) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.Hash(), base64.StdEncoding.EncodeToString(k.typed()))
}

// ParseVKey reads the text form of a key of either type.
func ParseVKey(text string) (VKey, error) {
	name, rest, _ := strings.Cut(text, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(key) != 33 || key[0] != typeLog && key[0] != typeCosigner || !validName(name) {
		return VKey{}, fmt.Errorf("verifier key %.300q: %w", text, ErrMalformed)
	}
	k := VKey{Name: name, Cosigner: key[0] == typeCosigner, Public: [32]byte(key[1:])}
	if k.String() != text {
		return VKey{}, fmt.Errorf("verifier key %.300q: %w: its hash or spelling is wrong", text, ErrMalformed)
	}
	return k, nil
}

// validName tells whether s may name a signer: printable ASCII that neither
// a signed note nor a policy reads as something else.
func validName(s string) bool {
	return len(s) >= 1 && len(s) <= maxNameBytes && consistsOf(s, func(b byte) bool {
		return b > ' ' && b <= '~' && b != '+' && b != '#'
	})
}

func consistsOf(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}
