package commitment

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxJSONDepth is how deep arrays and objects may stand in each other.
const maxJSONDepth = 128

// byteOrderMark may stand before JSON and CSV; it stays in the first segment.
var byteOrderMark = []byte("\xef\xbb\xbf")

// splitJSON cuts by json/1: every scalar value is a segment, and all bytes
// between two scalar values are one. It accepts a JSON text of RFC 8259 or
// several, each on lines of its own (NDJSON).
func splitJSON(content []byte) ([]Segment, error) {
	p := tokens{content: content}
	if err := lexJSON(&p); err != nil {
		return nil, err
	}
	return p.segments, nil
}

// lexJSON gives p the tokens of its content.
func lexJSON(p *tokens) error {
	scan, err := newJSONScanner(p.content)
	if err != nil {
		return err
	}
	values := 0
	for {
		token, err := scan.next()
		if err != nil {
			return err
		}
		if token.kind == jsonEnd {
			return p.add(len(p.content), false, mark{noun: nounGlueAfter, number: values})
		}
		if token.kind != jsonScalar {
			continue
		}
		values++
		if err := p.add(token.start, false, mark{noun: nounGlueBefore, number: values}); err != nil {
			return err
		}
		if err := p.add(token.end, false, mark{noun: nounValue, number: values}); err != nil {
			return err
		}
	}
}

// jsonKind is what a jsonToken is.
type jsonKind uint8

const (
	jsonEnd    jsonKind = iota // end of the content
	jsonOpen                   // [ or {
	jsonClose                  // ] or }
	jsonName                   // name of a member, with its quotes
	jsonScalar                 // string, number, true, false or null
)

// jsonToken is content[start:end].
type jsonToken struct {
	kind       jsonKind
	object     bool // of jsonOpen: an object, not an array
	start, end int
}

// jsonWants is what the grammar allows at the scanner's position.
type jsonWants uint8

const (
	wantText       jsonWants = iota // a value, or the end
	wantFirstValue                  // a value or ]
	wantValue                       // a value
	wantFirstName                   // a name or }
	wantName                        // a name
	wantComma                       // a comma or the closing bracket
)

// jsonScanner is a strict pull scanner of RFC 8259. It never goes back.
type jsonScanner struct {
	content []byte
	at      int
	wants   jsonWants
	texts   int                // top-level values seen
	depth   int                // open arrays and objects
	objects [maxJSONDepth]bool // which of them are objects
}

// newJSONScanner checks what concerns the content as a whole.
func newJSONScanner(content []byte) (*jsonScanner, error) {
	if !utf8.Valid(content) {
		return nil, errors.New("json is not UTF-8")
	}
	s := &jsonScanner{content: content}
	if bytes.HasPrefix(content, byteOrderMark) {
		s.at = len(byteOrderMark)
	}
	return s, nil
}

// next returns the next token; commas, colons and white space lie between tokens.
func (s *jsonScanner) next() (jsonToken, error) {
	newline := s.space()
	if s.wants == wantText {
		return s.text(newline)
	}
	if s.wants == wantComma {
		switch s.peek() {
		case ',':
			s.at++
			s.space()
			if s.wants = wantValue; s.objects[s.depth-1] {
				s.wants = wantName
			}
		case ']', '}':
			return s.close()
		default:
			return jsonToken{}, s.unexpected()
		}
	}
	switch s.wants {
	case wantFirstName, wantName:
		if s.wants == wantFirstName && s.peek() == '}' {
			return s.close()
		}
		return s.name()
	case wantFirstValue:
		if s.peek() == ']' {
			return s.close()
		}
	}
	return s.value()
}

// text returns the first token of the next top-level value, or the end.
func (s *jsonScanner) text(newline bool) (jsonToken, error) {
	switch {
	case s.at == len(s.content) && s.texts == 0:
		return jsonToken{}, errors.New("json has no value")
	case s.at == len(s.content):
		return jsonToken{kind: jsonEnd, start: s.at, end: s.at}, nil
	case s.texts > 0 && !newline:
		return jsonToken{}, fmt.Errorf("json: second value on one line at byte %d", s.at)
	}
	s.texts++
	return s.value()
}

// value scans a scalar or the opening bracket of an array or object.
func (s *jsonScanner) value() (jsonToken, error) {
	start := s.at
	switch c := s.peek(); c {
	case '{', '[':
		if s.depth == maxJSONDepth {
			return jsonToken{}, fmt.Errorf("json is deeper than %d at byte %d", maxJSONDepth, s.at)
		}
		s.objects[s.depth] = c == '{'
		s.depth++
		if s.wants = wantFirstValue; c == '{' {
			s.wants = wantFirstName
		}
		s.at++
		return jsonToken{kind: jsonOpen, object: c == '{', start: start, end: s.at}, nil
	case '"':
		if err := s.quoted(); err != nil {
			return jsonToken{}, err
		}
	case 't', 'f', 'n':
		if err := s.literal(); err != nil {
			return jsonToken{}, err
		}
	default:
		if err := s.number(); err != nil {
			return jsonToken{}, err
		}
	}
	s.ended()
	return jsonToken{kind: jsonScalar, start: start, end: s.at}, nil
}

// name scans a member's name and the colon after it.
func (s *jsonScanner) name() (jsonToken, error) {
	start := s.at
	if s.peek() != '"' {
		return jsonToken{}, s.unexpected()
	}
	if err := s.quoted(); err != nil {
		return jsonToken{}, err
	}
	end := s.at
	s.space()
	if s.peek() != ':' {
		return jsonToken{}, s.unexpected()
	}
	s.at++
	s.wants = wantValue
	return jsonToken{kind: jsonName, start: start, end: end}, nil
}

// close scans the closing bracket of the innermost array or object.
func (s *jsonScanner) close() (jsonToken, error) {
	if object := s.peek() == '}'; object != s.objects[s.depth-1] {
		return jsonToken{}, s.unexpected()
	}
	s.at++
	s.depth--
	s.ended()
	return jsonToken{kind: jsonClose, start: s.at - 1, end: s.at}, nil
}

// ended sets what may follow a whole value.
func (s *jsonScanner) ended() {
	if s.wants = wantComma; s.depth == 0 {
		s.wants = wantText
	}
}

// quoted scans a string: no control characters, escapes of RFC 8259 only.
func (s *jsonScanner) quoted() error {
	for s.at++; s.at < len(s.content); s.at++ {
		switch c := s.content[s.at]; {
		case c == '"':
			s.at++
			return nil
		case c < 0x20:
			return s.unexpected()
		case c == '\\':
			s.at++
			if s.peek() == 'u' {
				for range 4 {
					s.at++
					if !isHex(s.peek()) {
						return s.unexpected()
					}
				}
			} else if s.peek() == 0 || bytes.IndexByte([]byte(`"\/bfnrt`), s.peek()) < 0 {
				return s.unexpected()
			}
		}
	}
	return s.unexpected()
}

// literal scans true, false or null.
func (s *jsonScanner) literal() error {
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.content[s.at:], []byte(word)) {
			s.at += len(word)
			return nil
		}
	}
	return s.unexpected()
}

// number scans a number: no leading zero, plus sign or bare point.
func (s *jsonScanner) number() error {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return s.unexpected()
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.unexpected()
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.unexpected()
		}
	}
	return nil
}

// digits skips decimal digits and reports whether there was one.
func (s *jsonScanner) digits() bool {
	start := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > start
}

// space skips white space and reports whether a line ended in it.
func (s *jsonScanner) space() (newline bool) {
	for {
		switch s.peek() {
		case '\n':
			newline = true
		case ' ', '\t', '\r':
		default:
			return newline
		}
		s.at++
	}
}

// peek returns the byte at the position, 0 at the end; JSON allows no NUL.
func (s *jsonScanner) peek() byte {
	if s.at >= len(s.content) {
		return 0
	}
	return s.content[s.at]
}

func (s *jsonScanner) unexpected() error {
	if s.at >= len(s.content) {
		return errors.New("json ends too early")
	}
	return fmt.Errorf("json: unexpected byte %#02x at %d", s.content[s.at], s.at)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
