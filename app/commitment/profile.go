package commitment

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrProfile: the profile is unknown, or its lexer refuses the content.
var ErrProfile = errors.New("segmentation profile")

// Profile names the rule by which a content was cut, with its parameters:
// "raw/1", "text/1", "json/1", "csv/1;d=,", "csv-cells/1;d=,;c=12", "eml/1".
// It informs readers; a verifier takes lengths from the copy and never cuts again.
type Profile string

// The profiles without parameters.
const (
	Raw  Profile = "raw/1"
	Text Profile = "text/1"
	JSON Profile = "json/1"
	EML  Profile = "eml/1"
)

const (
	maxProfile = 64       // bytes of a profile string
	rawChunk   = 64 << 10 // bytes of a raw/1 segment
	textChunk  = 4 << 10  // bytes of a text/1 segment, at most
)

// Valid reports whether p is 1 to 64 characters of visible ASCII.
// A valid profile need not be one that this version can cut by.
func (p Profile) Valid() bool {
	if len(p) == 0 || len(p) > maxProfile {
		return false
	}
	for i := range len(p) {
		if p[i] < 0x21 || p[i] > 0x7e {
			return false
		}
	}
	return true
}

// Split cuts content into content segments by profile p. Their concatenation is
// content, byte for byte; the same input gives the same segments. It returns
// ErrProfile when the profile is unknown or the content does not have its form.
func Split(p Profile, content []byte) ([]Segment, error) {
	if uint64(len(content)) > MaxContent {
		return nil, fmt.Errorf("content: %d bytes are more than %d", len(content), uint64(MaxContent))
	}
	segments, err := split(p, content)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrProfile, p, err)
	}
	if err := checkLossless(segments, content); err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrProfile, p, err)
	}
	return segments, nil
}

// split dispatches on the profile's name, the part before its parameters; a
// profile without any is only its name.
func split(p Profile, content []byte) ([]Segment, error) {
	switch {
	case p == Raw:
		return splitRaw(content), nil
	case p == Text:
		if !utf8.Valid(content) {
			return nil, errors.New("content is not UTF-8")
		}
		return splitText(content), nil
	case p == JSON:
		return splitJSON(content)
	case p == EML:
		return splitEML(content)
	case strings.HasPrefix(string(p), "csv/1;"):
		return splitCSV(content, p)
	case strings.HasPrefix(string(p), "csv-cells/1;"):
		return splitCSVCells(content, p)
	}
	return nil, errors.New("unknown profile")
}

// checkLossless is the rule on which every other promise rests: what was cut is
// the content, in order, nothing lost and nothing added.
func checkLossless(segments []Segment, content []byte) error {
	if len(segments) > MaxLeaves {
		return fmt.Errorf("%d segments are more than %d", len(segments), MaxLeaves)
	}
	rest := content
	for i, s := range segments {
		if s.Kind != Content || len(s.Payload) == 0 || len(s.Payload) > MaxPayload {
			return fmt.Errorf("segment %d: %s of %d bytes", i, s.Kind, len(s.Payload))
		}
		if !bytes.HasPrefix(rest, s.Payload) {
			return fmt.Errorf("segment %d differs from the content", i)
		}
		rest = rest[len(s.Payload):]
	}
	if len(rest) != 0 {
		return fmt.Errorf("segments end %d bytes before the content", len(rest))
	}
	return nil
}

// splitRaw cuts into chunks of 64 KiB.
func splitRaw(content []byte) []Segment {
	var segments []Segment
	for len(content) > 0 {
		n := min(rawChunk, len(content))
		segments = append(segments, Segment{Kind: Content, Payload: content[:n:n]})
		content = content[n:]
	}
	return segments
}

// splitText cuts into paragraphs: a segment ends after a run of blank lines, and
// where 4 KiB hold no such end, after the last newline, else the last space,
// else the last whole UTF-8 sequence within them. It accepts any bytes.
func splitText(content []byte) []Segment {
	var segments []Segment
	for len(content) > 0 {
		n := paragraphLen(content)
		segments = append(segments, Segment{Kind: Content, Payload: content[:n:n]})
		content = content[n:]
	}
	return segments
}

// paragraphLen returns the length of the first text/1 segment of content.
func paragraphLen(content []byte) int {
	window := content[:min(textChunk, len(content))]
	blank := false // the line before pos was blank
	for pos := 0; pos < len(window); {
		newline := bytes.IndexByte(window[pos:], '\n')
		if newline < 0 {
			if line, _, _ := bytes.Cut(content[pos:], []byte{'\n'}); blank && !isBlankLine(line) {
				return pos
			}
			break
		}
		isBlank := isBlankLine(window[pos : pos+newline])
		if blank && !isBlank {
			return pos
		}
		blank = isBlank
		pos += newline + 1
	}
	if len(window) == len(content) {
		return len(content)
	}
	if i := bytes.LastIndexByte(window, '\n'); i >= 0 {
		return i + 1
	}
	if i := bytes.LastIndexByte(window, ' '); i >= 0 {
		return i + 1
	}
	return wholeRunes(content, len(window))
}

// isBlankLine reports whether line, without its newline, shows nothing.
func isBlankLine(line []byte) bool { return len(bytes.Trim(line, " \t\r")) == 0 }

// wholeRunes returns the largest length up to n that does not cut a UTF-8
// sequence; bytes that are no UTF-8 are cut at n.
func wholeRunes(content []byte, n int) int {
	for back := 0; back < utf8.UTFMax && n-back > 0; back++ {
		if utf8.RuneStart(content[n-back]) {
			return n - back
		}
	}
	return n
}
