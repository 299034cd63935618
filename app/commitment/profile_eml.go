package commitment

import (
	"bytes"
	"errors"
	"strconv"
)

// maxMailDepth is how deep multiparts and enclosed messages may stand in each other.
const maxMailDepth = 16

// mailboxPrefix begins the line that a mailbox file puts before a message.
var mailboxPrefix = []byte("From ")

// splitEML cuts by eml/1: a header field with its folded lines, a blank line after
// a header, a boundary line, a paragraph of a text body and 64 KiB of another body
// are segments. It refuses only what does not begin with a header field; a mail
// that is broken further down is cut as far as it can be read.
func splitEML(content []byte) ([]Segment, error) {
	p := tokens{content: content}
	if err := lexEML(&p); err != nil {
		return nil, err
	}
	return p.segments, nil
}

// lexEML gives p the tokens of its content.
func lexEML(p *tokens) error {
	m := mailLexer{tokens: p}
	if bytes.HasPrefix(p.content, mailboxPrefix) {
		if err := m.add(lineEnd(p.content, 0, len(p.content)), false, mark{noun: nounMailbox}); err != nil {
			return err
		}
	}
	if fieldName(p.content[p.at:]) == nil {
		return errors.New("mail does not begin with a header field")
	}
	return m.entity(len(p.content), 0, textPlain, place{})
}

// mailLexer reads a mail from front to back; its position is tokens.at.
type mailLexer struct {
	*tokens
	paragraphs paragraphCounter // of the whole mail
	chunks     int              // of the whole mail
}

// place says where in a mail a segment stands: in which parts of which enclosed
// messages. It is kept only when naming.
type place struct {
	message string // "part 2 message ", of an enclosed message
	parts   string // "2.1"
}

func (w place) String() string {
	if w.parts == "" {
		return w.message
	}
	return w.message + "part " + w.parts + " "
}

// part returns the place of the nth part of the multipart at w.
func (m *mailLexer) part(w place, n int) place {
	if m.purpose != naming {
		return place{}
	}
	if w.parts != "" {
		w.parts += "."
	}
	w.parts += strconv.Itoa(n)
	return w
}

// entity reads a header and a body up to end: a message or a part of one.
func (m *mailLexer) entity(end, depth int, defaultType string, w place) error {
	h, err := m.header(end, w)
	if err != nil {
		return err
	}
	if h.mediaType == "" {
		h.mediaType = defaultType
	}
	return m.body(h, end, depth, w)
}

// header reads header fields and the blank line after them. A line that is
// neither ends the header and belongs to the body.
func (m *mailLexer) header(end int, w place) (mailHeader, error) {
	var h mailHeader
	for m.at < end {
		lineEnds := lineEnd(m.content, m.at, end)
		line := m.content[m.at:lineEnds]
		if isLineEnd(line) {
			return h, m.add(lineEnds, false, mark{noun: nounBlankLine, place: w})
		}
		name := fieldName(line)
		if name == nil {
			return h, nil
		}
		for lineEnds < end && (m.content[lineEnds] == ' ' || m.content[lineEnds] == '\t') {
			lineEnds = lineEnd(m.content, lineEnds, end)
		}
		field := mark{noun: nounHeader, place: w}
		if m.purpose == naming {
			field.name = string(name)
		}
		_, value, _ := bytes.Cut(m.content[m.at:lineEnds], []byte{':'})
		h.read(name, value)
		if err := m.add(lineEnds, isOracleField(name, value), field); err != nil {
			return h, err
		}
	}
	return h, nil
}

// body reads the rest of an entity by its media type.
func (m *mailLexer) body(h mailHeader, end, depth int, w place) error {
	switch {
	case h.isMultipart() && h.boundary != "" && depth < maxMailDepth:
		return m.multipart(h, end, depth, w)
	case h.isMessage() && depth < maxMailDepth && fieldName(m.content[m.at:end]) != nil:
		if m.purpose == naming {
			w = place{message: w.String() + "message "}
		}
		return m.entity(end, depth+1, textPlain, w)
	case h.isText():
		return m.text(end, w)
	}
	for m.at < end {
		m.chunks++
		to := min(m.at+rawChunk, end)
		if err := m.add(to, h.isSignature(), mark{noun: nounChunk, number: m.chunks, place: w}); err != nil {
			return err
		}
	}
	return nil
}

// text reads paragraphs as text/1 does.
func (m *mailLexer) text(end int, w place) error {
	for m.at < end {
		n := paragraphLen(m.content[m.at:end])
		number, piece := m.paragraphs.next(m.content[m.at : m.at+n])
		at := mark{noun: nounParagraph, number: number, piece: piece, place: w}
		if err := m.add(m.at+n, false, at); err != nil {
			return err
		}
	}
	m.paragraphs.close()
	return nil
}

// multipart reads preamble, parts and epilogue. Without its closing boundary line
// the last part goes to the end.
func (m *mailLexer) multipart(h mailHeader, end, depth int, w place) error {
	defaultType := textPlain
	if h.mediaType == "multipart/digest" {
		defaultType = messageRFC822
	}
	delimiter := []byte("--" + h.boundary)
	line := nextBoundary(m.content, m.at, end, delimiter)
	if err := m.text(line.start, w); err != nil {
		return err
	}
	for n := 1; m.at < end; n++ {
		if err := m.add(line.end, false, mark{noun: nounBoundary, place: w}); err != nil {
			return err
		}
		if line.closing {
			return m.text(end, w)
		}
		line = nextBoundary(m.content, m.at, end, delimiter)
		if err := m.entity(line.start, depth+1, defaultType, m.part(w, n)); err != nil {
			return err
		}
	}
	return nil
}

// boundaryLine is content[start:end], a line with its line end.
type boundaryLine struct {
	start, end int
	closing    bool // ends the multipart
}

// nextBoundary finds the first boundary line in content[from:end]: the delimiter
// at the start of a line, two hyphens if it is the closing one, blanks, line end.
// Without one it returns an empty line at end. From is the start of a line.
func nextBoundary(content []byte, from, end int, delimiter []byte) boundaryLine {
	for at := from; ; {
		i := bytes.Index(content[at:end], delimiter)
		if i < 0 {
			return boundaryLine{start: end, end: end}
		}
		start := at + i
		at = start + len(delimiter)
		if start > from && content[start-1] != '\n' {
			at = start + 1
			continue
		}
		tail := content[at:lineEnd(content, at, min(end, at+maxBoundaryTail))]
		rest, closing := bytes.CutPrefix(tail, []byte("--"))
		if len(bytes.TrimLeft(rest, " \t\r\n")) == 0 && (at+len(tail) == end || bytes.HasSuffix(tail, []byte{'\n'})) {
			return boundaryLine{start: start, end: at + len(tail), closing: closing}
		}
		at = start + 1
	}
}

// lineEnd returns the position after the line feed of the line at from, or end.
func lineEnd(content []byte, from, end int) int {
	if i := bytes.IndexByte(content[from:end], '\n'); i >= 0 {
		return from + i + 1
	}
	return end
}

// isLineEnd reports whether line is nothing but LF or CRLF.
func isLineEnd(line []byte) bool { return string(line) == "\n" || string(line) == "\r\n" }
