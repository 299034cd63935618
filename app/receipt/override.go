package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// MaxOverrideBytes bounds a signed override.
const MaxOverrideBytes = 8 << 10

// OverrideDays is how far ahead the last day of an override may be: what is to
// last longer is decided on the ledger.
const OverrideDays = 30

const (
	overrideTitle  = "muniment/override/v1"
	overrideDomain = "muniment/v1/override\n" // before the lines that are signed
)

// ErrOverrideSignature is returned for an override that its key has not signed.
var ErrOverrideSignature = errors.New("override is not signed by the key that it names")

// Override is a signed override (docs/spec/override.md): it lets nodes connect
// that a ledger does not list. Whether its key may do so is decided by the
// ledger of whoever is given it.
type Override struct {
	Network   record.Network
	Nodes     []string     // ids, ascending
	Until     record.Day   // the last day
	Key       record.KeyID // of an office's signing key
	Signature []byte
}

// body gives the lines that are signed.
func (o Override) body() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nnetwork %x\n", overrideTitle, o.Network)
	for _, id := range o.Nodes {
		fmt.Fprintf(&b, "node %s\n", id)
	}
	fmt.Fprintf(&b, "until %s\nkey %x\n", o.Until, o.Key)
	return b.Bytes()
}

func (o Override) marshal() []byte {
	return fmt.Appendf(o.body(), "signed %s\n", base64.StdEncoding.EncodeToString(o.Signature))
}

func (o Override) message() []byte { return append([]byte(overrideDomain), o.body()...) }

// Sign writes the override for its network, nodes and last day, signed with an
// office's signing key. What cannot be an override gives ErrMalformed.
func (o Override) Sign(key ed25519.PrivateKey) ([]byte, error) {
	o.Nodes = slices.Sorted(slices.Values(o.Nodes))
	o.Key = record.KeyIDOf(key.Public().(ed25519.PublicKey))
	o.Signature = ed25519.Sign(key, o.message())
	text := o.marshal()
	if _, err := ParseOverride(text); err != nil {
		return nil, err
	}
	return text, nil
}

// Verify checks the signature against the public key whose id the override names.
func (o Override) Verify(public [32]byte) error {
	if record.KeyIDOf(public[:]) != o.Key || !ed25519.Verify(public[:], o.message(), o.Signature) {
		return ErrOverrideSignature
	}
	return nil
}

// ParseOverride reads an override. It accepts the one spelling that
// [Override.Sign] writes, and verifies nothing: see [Override.Verify].
func ParseOverride(text []byte) (Override, error) {
	if len(text) > MaxOverrideBytes {
		return Override{}, fmt.Errorf("override: %d bytes: %w", len(text), ErrTooLarge)
	}
	r := lineReader{lines: strings.Split(string(text), "\n")}
	r.ok = len(r.lines) > 1 && r.lines[0] == overrideTitle
	r.lines = r.lines[1:]
	var o Override
	r.hex("network ", o.Network[:])
	for r.follows("node ") {
		o.Nodes = append(o.Nodes, r.value("node "))
	}
	var err error
	o.Until, err = retention.ParseDay(r.value("until "))
	r.hex("key ", o.Key[:])
	o.Signature = r.base64("signed ")
	if !r.ok || err != nil || len(o.Signature) != ed25519.SignatureSize || !bytes.Equal(o.marshal(), text) {
		return Override{}, fmt.Errorf("override: %w: it is not in the form of one", ErrMalformed)
	}
	if len(o.Nodes) < 1 || len(o.Nodes) > maxNodes {
		return Override{}, fmt.Errorf("override: %w: %d nodes, use 1 to %d", ErrMalformed, len(o.Nodes), maxNodes)
	}
	for i, id := range o.Nodes {
		if !validNodeID(id) || i > 0 && o.Nodes[i-1] >= id {
			return Override{}, fmt.Errorf("override: %w: node %.80q, or nodes do not ascend", ErrMalformed, id)
		}
	}
	return o, nil
}

// lineReader takes the lines of a text in order; ok turns false at the first
// that does not fit.
type lineReader struct {
	lines []string
	ok    bool
}

func (r *lineReader) follows(prefix string) bool {
	return len(r.lines) > 0 && strings.HasPrefix(r.lines[0], prefix)
}

func (r *lineReader) value(prefix string) string {
	if !r.follows(prefix) {
		r.ok = false
		return ""
	}
	value := strings.TrimPrefix(r.lines[0], prefix)
	r.lines = r.lines[1:]
	return value
}

func (r *lineReader) base64(prefix string) []byte {
	raw, err := base64.StdEncoding.DecodeString(r.value(prefix))
	r.ok = r.ok && err == nil
	return raw
}

func (r *lineReader) hex(prefix string, to []byte) {
	raw, err := hex.DecodeString(r.value(prefix))
	if err != nil || len(raw) != len(to) {
		r.ok = false
		return
	}
	copy(to, raw)
}
