package commitment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrLayout: a layout breaks a limit or the rules of its kinds.
var ErrLayout = errors.New("malformed layout")

const (
	minLeaves  = 16     // leaves of a record, padding included, at least
	digestSize = 8 + 32 // payload of the digest leaf
)

// Layout is a record as it stands before it is hidden: all segments in leaf
// order, metadata, then the digest, then content, then padding.
type Layout struct {
	Profile  Profile
	Segments []Segment

	digest []byte // payload of the digest leaf as Arrange computed it; nil: not known
}

// Arrange cuts the content by the profile and adds the other leaves: one per
// field in the order given, the digest of the content, and padding up to
// Padmé's bound (at least 16 leaves). Keys of fields must differ.
func Arrange(p Profile, content []byte, fields []Field) (Layout, error) {
	return arrange(p, content, fields, func(n int) int { return max(minLeaves, padme(n)) })
}

// arrange pads n leaves up to pad(n).
func arrange(p Profile, content []byte, fields []Field, pad func(n int) int) (Layout, error) {
	cut, err := Split(p, content)
	if err != nil {
		return Layout{}, err
	}
	if len(fields) > maxFields {
		return Layout{}, fmt.Errorf("%w: %d fields", ErrLayout, len(fields))
	}
	n := len(fields) + 1 + len(cut)
	padded := pad(n)
	if max(n, padded) > MaxLeaves {
		return Layout{}, fmt.Errorf("%w: %d leaves are more than %d", ErrLayout, max(n, padded), MaxLeaves)
	}
	segments := make([]Segment, 0, max(n, padded))
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		payload, err := f.Marshal()
		if err != nil {
			return Layout{}, err
		}
		if seen[f.Key] {
			return Layout{}, fmt.Errorf("%w: field %q twice", ErrLayout, f.Key)
		}
		seen[f.Key] = true
		segments = append(segments, Segment{Kind: Metadata, Payload: payload})
	}
	digest := digestOf(content)
	segments = append(segments, Segment{Kind: Digest, Payload: bytes.Clone(digest)})
	segments = append(segments, cut...)
	for len(segments) < padded {
		segments = append(segments, Segment{Kind: Padding})
	}
	return Layout{Profile: p, Segments: segments, digest: digest}, nil
}

// digestOf returns the digest leaf's payload: u64 length, SHA-256.
func digestOf(content []byte) []byte {
	sum := sha256.Sum256(content)
	return append(binary.BigEndian.AppendUint64(nil, uint64(len(content))), sum[:]...)
}

// N returns the number of leaves.
func (l Layout) N() uint32 { return uint32(len(l.Segments)) }

// Content returns the original bytes: all content segments, end to end.
func (l Layout) Content() []byte {
	var parts [][]byte
	for _, s := range l.Segments {
		if s.Kind == Content {
			parts = append(parts, s.Payload)
		}
	}
	return bytes.Join(parts, nil)
}

// check demands that every leaf is well formed, and that a digest leaf is true:
// with a false one, no copy that discloses it would verify. The content of a
// layout that Arrange made is not hashed again.
func (l Layout) check() error {
	length := uint64(0)
	for i, s := range l.Segments {
		if err := s.check(); err != nil {
			return fmt.Errorf("leaf %d: %w", i, err)
		}
		if s.Kind == Content {
			length += uint64(len(s.Payload))
		}
	}
	if length > MaxContent {
		return fmt.Errorf("content of %d bytes", length)
	}
	want := l.digest
	if want == nil {
		want = l.computeDigest(length)
	}
	for i, s := range l.Segments {
		if s.Kind == Digest && !bytes.Equal(s.Payload, want) {
			return fmt.Errorf("leaf %d: digest of another content", i)
		}
	}
	return nil
}

func (l Layout) computeDigest(length uint64) []byte {
	sum := sha256.New()
	for _, s := range l.Segments {
		if s.Kind == Content {
			sum.Write(s.Payload)
		}
	}
	return sum.Sum(binary.BigEndian.AppendUint64(nil, length))
}

// check demands what every leaf of every record must fulfil.
func (s Segment) check() error {
	if !s.Kind.Valid() || len(s.Payload) > MaxPayload {
		return fmt.Errorf("%s of %d bytes", s.Kind, len(s.Payload))
	}
	if s.Kind == Padding && len(s.Payload) != 0 || s.Kind == Digest && len(s.Payload) != digestSize {
		return fmt.Errorf("%s of %d bytes", s.Kind, len(s.Payload))
	}
	return nil
}

// Commit computes the manifest of a layout under a state without a punctured
// leaf, as NewState makes it, and the leaf hashes that copies are made from.
func Commit(s State, l Layout) (Manifest, [][32]byte, error) {
	if len(l.Segments) == 0 || len(l.Segments) > MaxLeaves || !l.Profile.Valid() {
		return Manifest{}, nil, fmt.Errorf("%w: %d leaves, profile %.64q", ErrLayout, len(l.Segments), l.Profile)
	}
	if s.n != l.N() || len(s.seeds) != 1 || s.seeds[0].level != depth(s.n) {
		return Manifest{}, nil, fmt.Errorf("%w: %s for %d leaves", ErrLayout, s, l.N())
	}
	if err := l.check(); err != nil {
		return Manifest{}, nil, fmt.Errorf("%w: %w", ErrLayout, err)
	}
	leaves := make([][32]byte, l.N())
	h := newLeafHasher()
	for i, secret := range s.Secrets() {
		leaves[i] = h.leaf(i, l.Segments[i].Kind, secret.Salt, l.Segments[i].Payload)
	}
	return Manifest{N: l.N(), Profile: l.Profile, Root: treeRoot(leaves)}, leaves, nil
}

// Redact returns what must really be hidden so that the given leaves are: when
// content is among them, the digest leaf and all oracles too, since both let a
// reader test guesses. A segment of unknown kind (zero) counts as content. Unless withName is set, the file name is hidden as well.
// The result is sorted and merged; it is what to puncture, and what NewCopy takes.
func Redact(segments []Segment, hide []Range, withName bool) []Range {
	n := uint32(min(len(segments), MaxLeaves))
	hide = mergeRanges(hide, n)
	content := false
	for _, r := range hide {
		for i := r.First; i <= r.Last && !content; i++ {
			content = segments[i].Kind == Content || segments[i].Kind == 0
		}
	}
	extra := hide
	for i, s := range segments[:n] {
		if content && (s.Kind == Digest || s.Oracle) || !withName && s.isFileName() {
			extra = append(extra, Range{uint32(i), uint32(i)})
		}
	}
	return mergeRanges(extra, n)
}

// isFileName reports whether the segment is the metadata leaf of the file name.
func (s Segment) isFileName() bool {
	if s.Kind != Metadata {
		return false
	}
	f, err := ParseField(s.Payload)
	return err == nil && f.Key == FieldFileName
}

// Padded returns the length to which n bytes are padded before they are sealed:
// Padmé's bound, at least 32.
func Padded(n int) int { return max(minSealed, padme(n)) }

// padme rounds n up so that its binary form has no more significant digits than
// its exponent has: lengths leak at most O(log log n) bits, and no more than 12 %
// is added (Nikitin et al., PETS 2019).
func padme(n int) int {
	if n < 2 {
		return n
	}
	e := bits.Len(uint(n)) - 1
	s := bits.Len(uint(e))
	mask := 1<<(e-s) - 1
	return (n + mask) &^ mask
}
