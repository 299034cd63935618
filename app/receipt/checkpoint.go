package receipt

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"github.com/muniment/muniment/app/record"
)

// Checkpoint is a tree head with its signatures, as read: one log signature
// at most, then cosignatures in ascending order of name and key hash. Nothing
// in it is verified.
type Checkpoint struct {
	Origin     string
	Size       int64
	Root       record.Hash
	Body       []byte           // the three lines that are signed
	Signatures []note.Signature // those in the name of the origin first
}

// ParseCheckpoint reads a signed checkpoint of three lines in the order of
// [Assemble], with at least one signature.
func ParseCheckpoint(signed []byte) (Checkpoint, error) {
	if len(signed) > maxCheckpointBytes {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d bytes: %w", len(signed), ErrTooLarge)
	}
	_, err := note.Open(signed, note.VerifierList())
	unverified, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if !ok {
		return Checkpoint{}, fmt.Errorf("checkpoint is no signed note: %w", ErrMalformed)
	}
	c, err := parseBody([]byte(unverified.Note.Text))
	if err != nil {
		return Checkpoint{}, err
	}
	c.Signatures = unverified.Note.UnverifiedSigs
	if !slices.IsSortedFunc(c.Signatures, c.order) {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w: signatures do not ascend", ErrMalformed)
	}
	for i, s := range c.Signatures {
		if !validName(s.Name) || i > 0 && c.order(c.Signatures[i-1], s) == 0 || i > 0 && s.Name == c.Origin {
			return Checkpoint{}, fmt.Errorf("checkpoint: %w: two signatures of %.80q, or a bad name", ErrMalformed, s.Name)
		}
	}
	if !bytes.Equal(c.Marshal(), signed) {
		return Checkpoint{}, fmt.Errorf("checkpoint is not canonical: %w", ErrMalformed)
	}
	for _, line := range c.Lines() { // note.Open accepts any trailing bits of base64
		if _, err := parseSignatureLine(line); err != nil {
			return Checkpoint{}, err
		}
	}
	return c, nil
}

// parseBody reads the three lines of a checkpoint.
func parseBody(body []byte) (Checkpoint, error) {
	t, err := torchwood.ParseCheckpoint(string(body))
	if err != nil || !validName(t.Origin) || t.N < 1 || t.N > MaxTreeSize {
		return Checkpoint{}, fmt.Errorf("checkpoint body: %w", ErrMalformed)
	}
	if !bytes.Equal(record.CheckpointBody(t.Origin, t.N, t.Hash), body) {
		return Checkpoint{}, fmt.Errorf("checkpoint body is not canonical: %w", ErrMalformed)
	}
	return Checkpoint{Origin: t.Origin, Size: t.N, Root: t.Hash, Body: body}, nil
}

// order puts the log's signature first, then cosignatures by name and key hash.
func (c Checkpoint) order(a, b note.Signature) int {
	if isLogA, isLogB := a.Name == c.Origin, b.Name == c.Origin; isLogA != isLogB {
		if isLogA {
			return -1
		}
		return 1
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Hash, b.Hash))
}

// Marshal gives the signed note.
func (c Checkpoint) Marshal() []byte {
	out := append(slices.Clone(c.Body), '\n')
	for _, s := range c.Signatures {
		out = append(out, signatureLine(s.Name, s.Base64)...)
	}
	return out
}

func signatureLine(name, encoded string) string { return "— " + name + " " + encoded + "\n" }

// Assemble joins a checkpoint body and signature lines, each with its line
// feed, to a signed checkpoint in canonical order. Of several lines by one key
// the first given stays; of several log signatures too.
func Assemble(body []byte, lines ...string) ([]byte, error) {
	c, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		s, err := parseSignatureLine(line)
		if err != nil {
			return nil, err
		}
		known := slices.ContainsFunc(c.Signatures, func(have note.Signature) bool {
			return c.order(have, s) == 0 || have.Name == c.Origin && s.Name == c.Origin
		})
		if !known {
			c.Signatures = append(c.Signatures, s)
		}
	}
	slices.SortFunc(c.Signatures, c.order)
	out := c.Marshal()
	if _, err := ParseCheckpoint(out); err != nil {
		return nil, err
	}
	return out, nil
}

// Merge adds to a signed checkpoint the cosignatures of another one of the
// same tree. Where both hold a signature by one key, the first one's stays.
func Merge(first, second []byte) ([]byte, error) {
	a, err := ParseCheckpoint(first)
	if err != nil {
		return nil, err
	}
	b, err := ParseCheckpoint(second)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(a.Body, b.Body) {
		return nil, fmt.Errorf("merge checkpoints of sizes %d and %d: they are not of one tree", a.Size, b.Size)
	}
	return Assemble(a.Body, append(a.Lines(), b.Lines()...)...)
}

// Lines gives the signature lines, each with its line feed.
func (c Checkpoint) Lines() []string {
	lines := make([]string, len(c.Signatures))
	for i, s := range c.Signatures {
		lines[i] = signatureLine(s.Name, s.Base64)
	}
	return lines
}

// SignedBy says whether there is a signature in a name. It may be a bad one.
func (c Checkpoint) SignedBy(name string) bool {
	return slices.ContainsFunc(c.Signatures, func(s note.Signature) bool { return s.Name == name })
}

func parseSignatureLine(line string) (note.Signature, error) {
	rest, ok := strings.CutPrefix(line, "— ")
	rest, terminated := strings.CutSuffix(rest, "\n")
	name, encoded, spaced := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || !terminated || !spaced || err != nil || len(raw) < 5 || !validName(name) ||
		base64.StdEncoding.EncodeToString(raw) != encoded {
		return note.Signature{}, fmt.Errorf("signature line %.200q: %w", line, ErrMalformed)
	}
	return note.Signature{Name: name, Hash: keyHash(raw), Base64: encoded}, nil
}

func keyHash(signature []byte) uint32 {
	return uint32(signature[0])<<24 | uint32(signature[1])<<16 | uint32(signature[2])<<8 | uint32(signature[3])
}
