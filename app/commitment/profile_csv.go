package commitment

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// splitCSV cuts by csv/1: a row with its line end is a segment. The rows are
// those of RFC 4180, so a quoted field may hold line ends.
func splitCSV(content []byte, profile Profile) ([]Segment, error) {
	delimiter, err := parseCSV(profile)
	if err != nil {
		return nil, err
	}
	p := tokens{content: content}
	if err := lexCSV(&p, delimiter); err != nil {
		return nil, err
	}
	return p.segments, nil
}

// lexCSV gives p the rows of its content.
func lexCSV(p *tokens, delimiter byte) error {
	scan, err := newCSVScanner(p.content, delimiter)
	if err != nil {
		return err
	}
	row := 1
	for scan.at < len(p.content) {
		endsRow, err := scan.cell()
		if err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		if !endsRow {
			continue
		}
		if err := p.add(scan.at, false, mark{noun: nounRow, number: row}); err != nil {
			return err
		}
		row++
	}
	return p.add(scan.at, false, mark{noun: nounRow, number: row}) // a last field that is empty, or a lone BOM
}

// csvDelimiters are the delimiters that a profile may name, in the order in
// which Choose prefers them, each with its name in the profile: a profile is
// visible ASCII, so the tab is spelled out.
var csvDelimiters = []struct {
	delimiter byte
	name      string
}{{',', ","}, {';', ";"}, {'\t', "tab"}, {'|', "|"}}

// csvProfile returns csv/1 with the delimiter.
func csvProfile(delimiter byte) Profile {
	for _, d := range csvDelimiters {
		if d.delimiter == delimiter {
			return Profile("csv/1;d=" + d.name)
		}
	}
	return Text
}

// parseCSV returns the delimiter of a csv/1 profile.
func parseCSV(profile Profile) (delimiter byte, err error) {
	for _, d := range csvDelimiters {
		if profile == csvProfile(d.delimiter) {
			return d.delimiter, nil
		}
	}
	return 0, errors.New("csv delimiter is not one of , ; tab |")
}

// csvScanner is a strict scanner of RFC 4180: a quote stands only around a whole
// field or, doubled, inside one. A line ends in CRLF, LF or CR.
type csvScanner struct {
	content   []byte
	at        int
	delimiter byte
	plain     [256]bool // bytes that an unquoted field may hold
}

// newCSVScanner checks what concerns the content as a whole.
func newCSVScanner(content []byte, delimiter byte) (*csvScanner, error) {
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return nil, errors.New("csv is not UTF-8 text")
	}
	s := &csvScanner{content: content, delimiter: delimiter}
	for i := range s.plain {
		s.plain[i] = true
	}
	for _, c := range []byte{delimiter, '"', '\r', '\n'} {
		s.plain[c] = false
	}
	if bytes.HasPrefix(content, byteOrderMark) {
		s.at = len(byteOrderMark)
	}
	return s, nil
}

// cell scans a field with the delimiter or line end after it, and reports
// whether it is the last of its row. The end of the content ends a row.
func (s *csvScanner) cell() (endsRow bool, err error) {
	quoted := s.at < len(s.content) && s.content[s.at] == '"'
	if quoted {
		if err := s.quoted(); err != nil {
			return false, err
		}
	} else {
		for s.at < len(s.content) && s.plain[s.content[s.at]] {
			s.at++
		}
	}
	if s.at == len(s.content) {
		return true, nil
	}
	switch c := s.content[s.at]; {
	case c == s.delimiter:
		s.at++
		return false, nil
	case c == '\r' && s.at+1 < len(s.content) && s.content[s.at+1] == '\n':
		s.at += 2
		return true, nil
	case c == '\n' || c == '\r':
		s.at++
		return true, nil
	case quoted:
		return false, fmt.Errorf("byte %d after a closing quote", s.at)
	}
	return false, fmt.Errorf("quote within a field at byte %d", s.at)
}

// quoted scans a quoted field up to the byte after its closing quote.
func (s *csvScanner) quoted() error {
	open := s.at
	for s.at++; ; s.at++ {
		i := bytes.IndexByte(s.content[s.at:], '"')
		if i < 0 {
			return fmt.Errorf("quote at byte %d is not closed", open)
		}
		s.at += i + 1
		if s.at == len(s.content) || s.content[s.at] != '"' {
			return nil
		}
	}
}
