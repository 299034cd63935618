package commitment

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var (
	// ErrSelector: the selector is malformed, or does not fit the profile.
	ErrSelector = errors.New("selector")

	// ErrNoMatch: the selector is well formed and nothing fits it.
	ErrNoMatch = errors.New("no such segment")

	// ErrGaps: the selector needs the whole content, and some of it is gone.
	ErrGaps = errors.New("parts of the content are gone: select by segments or text")
)

// maxSelector bounds a selector in bytes.
const maxSelector = 4096

// Locate returns the indexes into segs, ascending and without repeats, of the
// content segments that the selector names. Segs are as for Labels, and numbers
// are those of the labels, from 1.
//
//	rows 2-5               csv/1, csv-cells/1
//	columns 3              csv-cells/1
//	rows 2-5 columns 3     csv-cells/1: the fields that lie in both
//	paragraphs 2-5         text/1, eml/1
//	lines 10-12            text/1: every segment that holds a byte of them
//	header Subject         eml/1: every field of that name, in parts too
//	part 2.1               eml/1: a part with its header and the parts in it
//	/applicant/name        json/1: an RFC 6901 pointer; see pointerSpans
//	text "some words"      every segment that holds a byte of these bytes; Go string syntax
//	segments 2-5           every profile: content segments by position
//
// A number must exist and a selector must find something. Text is searched in the
// bytes as they stand: not in base64, quoted-printable or escapes of JSON.
// It returns ErrSelector, ErrNoMatch or ErrGaps.
func Locate(p Profile, segs []Segment, selector string) ([]int, error) {
	found, err := locate(p, segs, selector)
	if err != nil {
		return nil, fmt.Errorf("select %q: %w", selector, err)
	}
	return found, nil
}

func locate(p Profile, segs []Segment, selector string) ([]int, error) {
	if len(selector) > maxSelector {
		return nil, fmt.Errorf("%w is longer than %d bytes", ErrSelector, maxSelector)
	}
	positions := contentPositions(segs)
	if strings.HasPrefix(selector, "/") {
		return locatePointer(p, segs, positions, selector)
	}
	word, rest, _ := strings.Cut(selector, " ")
	switch word {
	case "text":
		return locateText(segs, positions, rest)
	case "segments":
		return locateRange(positions, rest)
	case "header":
		return locateHeader(p, segs, positions, rest)
	case "part":
		return locatePart(p, segs, positions, selector)
	case "lines":
		return locateLines(p, segs, positions, rest)
	case "rows", "columns", "paragraphs":
		return locateNumbers(p, segs, positions, selector)
	}
	return nil, fmt.Errorf("%w begins with none of rows, columns, paragraphs, lines, header, part, text, segments, /", ErrSelector)
}

// contentPositions returns the indexes of the content segments.
func contentPositions(segs []Segment) []int {
	positions := make([]int, 0, len(segs))
	for i, s := range segs {
		if s.Kind == Content {
			positions = append(positions, i)
		}
	}
	return positions
}

// contentOf returns the segments at positions.
func contentOf(segs []Segment, positions []int) []Segment {
	content := make([]Segment, len(positions))
	for i, position := range positions {
		content[i] = segs[position]
	}
	return content
}

// hasGap reports whether the payload of a content segment is gone.
func hasGap(segs []Segment, positions []int) bool {
	return slices.ContainsFunc(positions, func(i int) bool { return len(segs[i].Payload) == 0 })
}

// numbers is a closed range of numbers from 1; the zero value holds every number.
type numbers struct{ first, last int }

func (n numbers) holds(i int) bool { return n.last == 0 || n.first <= i && i <= n.last }

// parseNumbers reads "7" or "2-5": decimal, from 1, without leading zeros or signs.
func parseNumbers(text string) (numbers, error) {
	first, last, both := strings.Cut(text, "-")
	if !both {
		last = first
	}
	a, okA := parseNumber(first)
	b, okB := parseNumber(last)
	if !okA || !okB || a > b {
		return numbers{}, fmt.Errorf("%w: %q is no range such as 7 or 2-5", ErrSelector, text)
	}
	return numbers{a, b}, nil
}

func parseNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= MaxLeaves && strconv.Itoa(n) == text
}

// locateRange reads the part of "segments A-B" after its first word.
func locateRange(positions []int, text string) ([]int, error) {
	want, err := parseNumbers(text)
	if err != nil {
		return nil, err
	}
	if want.last > len(positions) {
		return nil, fmt.Errorf("%w: the last one is %d", ErrNoMatch, len(positions))
	}
	return slices.Clone(positions[want.first-1 : want.last]), nil
}

// locateNumbers reads "rows A-B", "columns A-B", both, or "paragraphs A-B".
func locateNumbers(p Profile, segs []Segment, positions []int, selector string) ([]int, error) {
	words := strings.Split(selector, " ")
	_, _, notCells := parseCSVCells(p)
	_, notRows := parseCSV(p)
	fits := map[string]bool{
		"rows":       notCells == nil || notRows == nil,
		"columns":    notCells == nil,
		"paragraphs": p == Text || p == EML,
	}
	if len(words) != 2 && (len(words) != 4 || words[0] != "rows" || words[2] != "columns") {
		return nil, fmt.Errorf("%w is not of the form %s 2-5", ErrSelector, words[0])
	}
	var rows, columns numbers // of paragraphs: rows
	for i := 0; i < len(words); i += 2 {
		if !fits[words[i]] {
			return nil, fmt.Errorf("%w: profile %s has no %s", ErrSelector, p, words[i])
		}
		want, err := parseNumbers(words[i+1])
		if err != nil {
			return nil, err
		}
		if words[i] == "columns" {
			columns = want
		} else {
			rows = want
		}
	}
	if p == EML && hasGap(segs, positions) {
		return nil, ErrGaps
	}
	noun := nounRow
	switch {
	case p == Text || p == EML:
		noun = nounParagraph
	case notCells == nil:
		noun = nounCell
	}
	var found []int
	var last mark // the largest numbers there are
	for i, m := range contentMarks(p, contentOf(segs, positions)) {
		if m.noun != noun {
			continue
		}
		last.number, last.column = max(last.number, m.number), max(last.column, m.column)
		if rows.holds(m.number) && columns.holds(m.column) {
			found = append(found, positions[i])
		}
	}
	switch {
	case rows.last > last.number:
		return nil, fmt.Errorf("%w: the last of %s is %d", ErrNoMatch, words[0], last.number)
	case columns.last > last.column:
		return nil, fmt.Errorf("%w: the last of columns is %d", ErrNoMatch, last.column)
	}
	return found, nil
}

// locateHeader reads the part of "header NAME" after its first word.
func locateHeader(p Profile, segs []Segment, positions []int, name string) ([]int, error) {
	switch {
	case p != EML:
		return nil, fmt.Errorf("%w: profile %s has no header", ErrSelector, p)
	case len(fieldName([]byte(name+":"))) != len(name) || name == "":
		return nil, fmt.Errorf("%w: %q is no name of a header field", ErrSelector, name)
	case hasGap(segs, positions):
		return nil, ErrGaps
	}
	var found []int
	for i, m := range contentMarks(p, contentOf(segs, positions)) {
		if m.noun == nounHeader && strings.EqualFold(m.name, name) {
			found = append(found, positions[i])
		}
	}
	if len(found) == 0 {
		return nil, ErrNoMatch
	}
	return found, nil
}

// locateText reads the part of `text "..."` after its first word. An occurrence
// may begin in one segment and end in a later one: it selects all that it touches.
func locateText(segs []Segment, positions []int, quoted string) ([]int, error) {
	text, err := strconv.Unquote(quoted)
	if err != nil || quoted[0] != '"' || text == "" {
		return nil, fmt.Errorf("%w is not of the form text \"some words\"", ErrSelector)
	}
	found := occurrences(segs, positions, text)
	if len(found) == 0 {
		return nil, ErrNoMatch
	}
	return found, nil
}

// occurrences returns those of positions whose segments hold a byte of text.
func occurrences(segs []Segment, positions []int, text string) []int {
	failure := failureTable(text)
	var found []int
	matched := 0 // bytes of text that end at the current byte
	sofar := 0   // bytes before the current segment
	starts := make([]int, len(positions))
	for n, position := range positions {
		payload := segs[position].Payload
		starts[n] = sofar
		if len(payload) == 0 {
			matched = 0 // nothing is known of what would have followed
			continue
		}
		lowest := n + 1 // first segment that an occurrence ending here touches
		for at := range payload {
			for matched > 0 && payload[at] != text[matched] {
				matched = failure[matched-1]
			}
			if payload[at] == text[matched] {
				matched++
			}
			if matched < len(text) {
				continue
			}
			matched = failure[matched-1]
			start := sofar + at + 1 - len(text)
			lowest = min(lowest, n)
			for lowest > 0 && starts[lowest] > start {
				lowest--
			}
		}
		sofar += len(payload)
		for len(found) > 0 && lowest <= n && found[len(found)-1] >= positions[lowest] {
			found = found[:len(found)-1]
		}
		for ; lowest <= n; lowest++ {
			found = append(found, positions[lowest])
		}
	}
	return found
}

// failureTable returns, for each prefix of text, the length of its longest proper
// border (Knuth, Morris, Pratt), so that a search never reads a byte twice.
func failureTable(text string) []int {
	failure := make([]int, len(text))
	for i, k := 1, 0; i < len(text); i++ {
		for k > 0 && text[i] != text[k] {
			k = failure[k-1]
		}
		if text[i] == text[k] {
			k++
		}
		failure[i] = k
	}
	return failure
}
