package commitment

import (
	"bytes"
	"fmt"
	"strings"
)

// noun says what a segment is in its profile.
type noun uint8

const (
	nounSegment    noun = iota // nothing more is known
	nounChunk                  // raw/1, and bodies of a mail that are no text
	nounParagraph              // text/1, and text bodies of a mail
	nounRow                    // csv/1
	nounCell                   // csv-cells/1
	nounValue                  // json/1: a scalar value
	nounGlueBefore             // json/1: names and punctuation before a value
	nounGlueAfter              // json/1: after the last value
	nounHeader                 // eml/1: a header field
	nounBlankLine              // eml/1: the end of a header
	nounBoundary               // eml/1: a boundary line of a multipart
	nounMailbox                // eml/1: the line that a mailbox file adds
	nounMetadata               // a leaf that is no content
	nounDigest
	nounPadding
)

// mark names one segment. Numbers count from 1.
type mark struct {
	noun   noun
	number int
	column int    // of nounCell
	piece  int    // of a token or paragraph that was cut
	name   string // of nounHeader; of nounMetadata the CID of the original
	place  place  // of the nouns of eml/1
	end    int    // of the segment in the content
}

// maxLabelName is how much of a header field's name a label shows.
const maxLabelName = 64

func (m mark) String() string {
	label := m.place.String() + m.base()
	if m.piece > 1 {
		label += fmt.Sprintf(" piece %d", m.piece)
	}
	return label
}

func (m mark) base() string {
	switch m.noun {
	case nounChunk:
		return fmt.Sprintf("chunk %d", m.number)
	case nounParagraph:
		return fmt.Sprintf("paragraph %d", m.number)
	case nounRow:
		return fmt.Sprintf("row %d", m.number)
	case nounCell:
		return fmt.Sprintf("row %d column %d", m.number, m.column)
	case nounValue:
		return fmt.Sprintf("value %d", m.number)
	case nounGlueBefore:
		return fmt.Sprintf("glue before value %d", m.number)
	case nounGlueAfter:
		return fmt.Sprintf("glue after value %d", m.number)
	case nounHeader:
		return "header " + m.name[:min(len(m.name), maxLabelName)]
	case nounBlankLine:
		return "blank line"
	case nounBoundary:
		return "boundary line"
	case nounMailbox:
		return "mailbox line"
	case nounMetadata:
		if m.name != "" {
			return "derived from " + m.name
		}
		return "metadata"
	case nounDigest:
		return "digest"
	case nounPadding:
		return "padding"
	}
	return fmt.Sprintf("segment %d", m.number)
}

// Label returns a short name of segs[i] for people, such as "row 12" or
// "header Subject". It holds nothing of the content but the name of a mail's
// header field, and nothing of metadata but the CID of the original. Each call reads all segments: use Labels for more than one.
// It returns "" when i is out of range.
func Label(p Profile, segs []Segment, i int) string {
	if i < 0 || i >= len(segs) {
		return ""
	}
	return marksOf(p, segs)[i].String()
}

// Labels returns the labels of all segments. Segs are the content segments of a
// record in order, or all of its leaves; a content segment without payload is one
// that is gone or withheld, and counts as one row, paragraph or value.
func Labels(p Profile, segs []Segment) []string {
	labels := make([]string, len(segs))
	for i, m := range marksOf(p, segs) {
		labels[i] = m.String()
	}
	return labels
}

// marksOf returns the mark of each segment.
func marksOf(p Profile, segs []Segment) []mark {
	content := make([]Segment, 0, len(segs))
	for _, s := range segs {
		if s.Kind == Content {
			content = append(content, s)
		}
	}
	found := contentMarks(p, content)
	marks := make([]mark, len(segs))
	for i, s := range segs {
		switch s.Kind {
		case Content:
			marks[i], found = found[0], found[1:]
		case Metadata:
			marks[i] = mark{noun: nounMetadata, name: original(s.Payload)}
		case Digest:
			marks[i].noun = nounDigest
		case Padding:
			marks[i].noun = nounPadding
		default:
			marks[i].number = i + 1
		}
	}
	return marks
}

// original returns the CID in a metadata leaf that says of which record this one is
// a rendition, "" if it says none.
func original(payload []byte) string {
	f, err := ParseField(payload)
	if err != nil || f.Key != FieldDerivedFrom {
		return ""
	}
	c, err := ParseCID(f.Value)
	if err != nil {
		return ""
	}
	return c.CID()
}

// contentMarks returns the mark of each content segment.
func contentMarks(p Profile, segs []Segment) []mark {
	if _, err := parseCSV(p); err == nil {
		return rowMarks(segs)
	}
	if _, columns, err := parseCSVCells(p); err == nil {
		return byPosition(segs, func(i int) mark {
			return mark{noun: nounCell, number: i/columns + 1, column: i%columns + 1}
		})
	}
	switch p {
	case Raw:
		return byPosition(segs, func(i int) mark { return mark{noun: nounChunk, number: i + 1} })
	case Text:
		return paragraphMarks(segs)
	case JSON:
		return lexedMarks(segs, lexJSON, jsonMarksWithGaps)
	case EML:
		return lexedMarks(segs, lexEML, mailMarksWithGaps)
	}
	return segmentMarks(segs)
}

// byPosition returns a mark for each segment by its position.
func byPosition(segs []Segment, at func(i int) mark) []mark {
	marks := make([]mark, len(segs))
	for i := range segs {
		marks[i] = at(i)
	}
	return marks
}

// segmentMarks is the last resort: segments by number.
func segmentMarks(segs []Segment) []mark {
	return byPosition(segs, func(i int) mark { return mark{number: i + 1} })
}

// lexedMarks runs the lexer again over the joined payloads. It calls withGaps when
// a payload is gone, and gives plain numbers when the lexer does not cut as segs are.
func lexedMarks(segs []Segment, lex func(*tokens) error, withGaps func([]Segment) []mark) []mark {
	content, ok := join(segs)
	if !ok {
		return withGaps(segs)
	}
	p := tokens{content: content, purpose: naming}
	if err := lex(&p); err != nil || len(p.marks) != len(segs) {
		return segmentMarks(segs)
	}
	end := 0
	for i, s := range segs {
		if end += len(s.Payload); p.marks[i].end != end {
			return segmentMarks(segs)
		}
	}
	return p.marks
}

// join returns the content that segs were cut from, false when a payload is gone.
func join(segs []Segment) ([]byte, bool) {
	size := 0
	for _, s := range segs {
		if len(s.Payload) == 0 {
			return nil, false
		}
		size += len(s.Payload)
	}
	content := make([]byte, 0, size)
	for _, s := range segs {
		content = append(content, s.Payload...)
	}
	return content, true
}

// rowMarks numbers rows. A piece that was cut from a longer row has open quotes
// or no line end at its end.
func rowMarks(segs []Segment) []mark {
	marks := make([]mark, len(segs))
	row, piece, quotes := 1, 1, 0
	for i, s := range segs {
		marks[i] = mark{noun: nounRow, number: row, piece: piece}
		quotes += bytes.Count(s.Payload, []byte{'"'})
		full := len(s.Payload) > MaxPayload-utf8Slack
		if full && (quotes%2 == 1 || !endsLine(s.Payload)) {
			piece++
			continue
		}
		row, piece, quotes = row+1, 1, 0
	}
	return marks
}

// utf8Slack is by how much cutLen may stay below MaxPayload, and one more.
const utf8Slack = 5

func endsLine(payload []byte) bool {
	last := payload[len(payload)-1]
	return last == '\n' || last == '\r'
}

// paragraphMarks numbers paragraphs of text/1.
func paragraphMarks(segs []Segment) []mark {
	var count paragraphCounter
	return byPosition(segs, func(i int) mark {
		number, piece := count.next(segs[i].Payload)
		return mark{noun: nounParagraph, number: number, piece: piece}
	})
}

// paragraphCounter numbers paragraphs and the pieces of those above 4 KiB.
type paragraphCounter struct{ number, piece int }

// next counts a text/1 segment; a paragraph ends with a blank line.
func (c *paragraphCounter) next(payload []byte) (number, piece int) {
	if c.piece == 0 {
		c.number++
	}
	c.piece++
	number, piece = c.number, c.piece
	if line, ok := bytes.CutSuffix(payload, []byte{'\n'}); len(payload) == 0 ||
		ok && isBlankLine(line[bytes.LastIndexByte(line, '\n')+1:]) {
		c.close()
	}
	return number, piece
}

// close ends the paragraph: a text ends.
func (c *paragraphCounter) close() { c.piece = 0 }

// jsonMarksWithGaps names what can be named when payloads are gone: values and
// glue take turns, so the first byte of any present segment settles all, as long
// as no token was cut.
func jsonMarksWithGaps(segs []Segment) []mark {
	firstIsValue, known := false, false
	for i, s := range segs {
		switch {
		case len(s.Payload) == 0:
			continue
		case len(s.Payload) > MaxPayload-utf8Slack:
			return segmentMarks(segs)
		}
		isGlue := strings.IndexByte(" \t\r\n,:[]{}\xef", s.Payload[0]) >= 0
		isFirst := isGlue == (i%2 == 1)
		if known && isFirst != firstIsValue {
			return segmentMarks(segs)
		}
		firstIsValue, known = isFirst, true
	}
	if !known {
		return segmentMarks(segs)
	}
	return byPosition(segs, func(i int) mark {
		isValue := firstIsValue == (i%2 == 0)
		number := i/2 + 1
		if !isValue && firstIsValue {
			number = i/2 + 2
		}
		switch {
		case isValue:
			return mark{noun: nounValue, number: number}
		case i == len(segs)-1:
			return mark{noun: nounGlueAfter, number: number - 1}
		}
		return mark{noun: nounGlueBefore, number: number}
	})
}

// mailMarksWithGaps names the header fields before the first gap. What follows a
// gap may be anything: a name taken from it could be content.
func mailMarksWithGaps(segs []Segment) []mark {
	marks := segmentMarks(segs)
	for i, s := range segs {
		name := fieldName(s.Payload)
		if name == nil {
			break
		}
		marks[i] = mark{noun: nounHeader, name: string(name)}
	}
	return marks
}
