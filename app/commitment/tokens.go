package commitment

import (
	"errors"
	"fmt"
)

// maxContentLeaves leaves room for the metadata and digest leaves of a record.
const maxContentLeaves = MaxLeaves - maxFields - 1

// errTooManySegments: the content would need more leaves than a record may have.
var errTooManySegments = fmt.Errorf("more than %d segments", maxContentLeaves)

// tokens collects what a lexer finds, in order and without gaps. A lexer says
// only where a token ends, so nothing can be lost between two tokens.
type tokens struct {
	content  []byte
	at       int       // end of the last token
	segments []Segment // unless counting
	marks    []mark    // one per segment, when naming
	count    int
	purpose  purpose
}

// purpose says what a run of a lexer is for; the cuts are the same each time.
type purpose uint8

const (
	splitting purpose = iota // collect segments
	naming                   // collect marks, for Labels and Locate
	counting                 // keep nothing: does the lexer accept?
)

// add ends a token at end. A token above MaxPayload becomes several pieces.
func (t *tokens) add(end int, oracle bool, m mark) error {
	if end < t.at || end > len(t.content) {
		return errors.New("token out of order")
	}
	for m.piece = max(m.piece, 1); t.at < end; m.piece++ {
		n := cutLen(t.content[t.at:end])
		if t.count == maxContentLeaves {
			return errTooManySegments
		}
		t.count++
		switch t.purpose {
		case splitting:
			payload := t.content[t.at : t.at+n : t.at+n]
			t.segments = append(t.segments, Segment{Kind: Content, Payload: payload, Oracle: oracle})
		case naming:
			m.end = t.at + n
			t.marks = append(t.marks, m)
		}
		t.at += n
	}
	return nil
}

// cutLen returns the length of the first piece of a token: all of it up to
// MaxPayload, else MaxPayload less what would cut a UTF-8 sequence or part a
// carriage return from its line feed.
func cutLen(token []byte) int {
	if len(token) <= MaxPayload {
		return len(token)
	}
	n := wholeRunes(token, MaxPayload)
	if token[n-1] == '\r' && token[n] == '\n' {
		n--
	}
	return n
}
