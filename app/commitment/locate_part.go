package commitment

import (
	"bytes"
	"fmt"
	"strings"
)

// locatePart reads "part 2.1", or "part 2 message part 1" for a part of an enclosed
// message: all segments of the part, its header and the parts in it included.
func locatePart(p Profile, segs []Segment, positions []int, selector string) ([]int, error) {
	if p != EML {
		return nil, fmt.Errorf("%w: profile %s has no parts", ErrSelector, p)
	}
	for one := range strings.SplitSeq(selector, " message ") {
		parts, ok := strings.CutPrefix(one, "part ")
		if !ok {
			return nil, fmt.Errorf("%w is not of the form part 2.1", ErrSelector)
		}
		for number := range strings.SplitSeq(parts, ".") {
			if _, ok := parseNumber(number); !ok {
				return nil, fmt.Errorf("%w: %q is no part such as 2 or 2.1", ErrSelector, parts)
			}
		}
	}
	if hasGap(segs, positions) {
		return nil, ErrGaps
	}
	var found []int
	for i, m := range contentMarks(p, contentOf(segs, positions)) {
		rest, ok := strings.CutPrefix(m.place.String(), selector)
		if ok && (rest[0] == ' ' || rest[0] == '.') { // a place ends in a space, a selector does not
			found = append(found, positions[i])
		}
	}
	if len(found) == 0 {
		return nil, ErrNoMatch
	}
	return found, nil
}

// locateLines reads the part of "lines A-B" after its first word: every segment
// that holds a byte of these lines. A line ends with LF.
func locateLines(p Profile, segs []Segment, positions []int, text string) ([]int, error) {
	if p != Text {
		return nil, fmt.Errorf("%w: profile %s has no lines", ErrSelector, p)
	}
	want, err := parseNumbers(text)
	if err != nil {
		return nil, err
	}
	if hasGap(segs, positions) {
		return nil, ErrGaps
	}
	var found []int
	line, ended := 0, true // the line of the byte before, and whether it ended
	for _, position := range positions {
		payload := segs[position].Payload
		first := line
		if ended {
			first++
		}
		ended = endsWithNewline(payload)
		line = first + bytes.Count(payload, []byte{'\n'})
		if ended {
			line--
		}
		if first <= want.last && line >= want.first {
			found = append(found, position)
		}
	}
	if want.last > line {
		return nil, fmt.Errorf("%w: the last line is %d", ErrNoMatch, line)
	}
	return found, nil
}

func endsWithNewline(payload []byte) bool { return payload[len(payload)-1] == '\n' }
