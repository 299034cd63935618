package commitment

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// Choose returns the profile for a content: the first of these whose lexer accepts.
//
//  1. json/1, when the content begins with { or [, or name ends in .json, .jsonl,
//     .ndjson or .geojson.
//  2. eml/1, when the first header has From and one field that a mail system
//     writes (machineFields), or name ends in .eml.
//  3. csv/1, with the delimiter of chooseDelimiter.
//  4. text/1, for UTF-8 without NUL.
//  5. raw/1.
//
// Name is a file name, used for its ending alone, and may be empty. Choose never
// returns csv-cells/1, whose leaves cost more than a row's: see ChooseCells.
func Choose(name string, content []byte) Profile {
	ending := ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		ending = strings.ToLower(name[i+1:])
	}
	if (slices.Contains([]string{"json", "jsonl", "ndjson", "geojson"}, ending) || looksLikeJSON(content)) && accepts(content, lexJSON) {
		return JSON
	}
	if (ending == "eml" || looksLikeMail(content)) && accepts(content, lexEML) {
		return EML
	}
	if delimiter, ok := chooseDelimiter(ending, content); ok {
		lex := func(p *tokens) error { return lexCSV(p, delimiter) }
		if accepts(content, lex) {
			return csvProfile(delimiter)
		}
	}
	// The paragraphs are counted by making them; a segment has at least one byte,
	// so a short content needs no count.
	if utf8.Valid(content) && bytes.IndexByte(content, 0) < 0 &&
		(len(content) <= maxContentLeaves || len(splitText(content)) <= maxContentLeaves) {
		return Text
	}
	return Raw
}

// ChooseCells returns the csv-cells/1 profile for a content: name ends and content
// looks as Choose wants it for csv/1, every row has the same number of fields, and
// the table has at most 1,048,576 cells. It reports false for any other content.
func ChooseCells(name string, content []byte) (Profile, bool) {
	delimiter, err := parseCSV(Choose(name, content))
	if err != nil {
		return "", false
	}
	shape, err := csvShapeOf(content, delimiter, true)
	if err != nil || shape.columns > maxCSVColumns {
		return "", false
	}
	p := tokens{content: content, purpose: counting}
	if lexCSVCells(&p, delimiter, shape.columns) != nil || p.count == 0 || p.count > maxChosenCells {
		return "", false
	}
	return csvCellsProfile(delimiter, shape.columns), true
}

// accepts runs a lexer without keeping what it finds.
func accepts(content []byte, lex func(*tokens) error) bool {
	return lex(&tokens{content: content, purpose: counting}) == nil
}

// looksLikeJSON reports whether the content begins as an array or an object.
func looksLikeJSON(content []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(content, byteOrderMark), " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// machineFields are header fields that mail systems write and people do not:
// a memorandum with From, To and Date is not a mail.
var machineFields = [][]byte{
	[]byte("Received"), []byte("Message-ID"), []byte("MIME-Version"), []byte("Return-Path"),
}

// looksLikeMail reports whether the content begins with a mail's header.
func looksLikeMail(content []byte) bool {
	at := 0
	if bytes.HasPrefix(content, mailboxPrefix) {
		at = lineEnd(content, 0, len(content))
	}
	from, machine := false, false
	for at < len(content) {
		end := lineEnd(content, at, len(content))
		name := fieldName(content[at:end])
		folded := content[at] == ' ' || content[at] == '\t'
		if name == nil && !folded {
			break
		}
		from = from || bytes.EqualFold(name, []byte("From"))
		for _, field := range machineFields {
			machine = machine || bytes.EqualFold(name, field)
		}
		at = end
	}
	return from && machine
}

// csvShape is what a table looks like under one delimiter.
type csvShape struct {
	rows        int // without blank ones
	columns     int // of the first row
	rectangular bool
}

// errNotRectangular: the rows of a table differ in their number of fields.
var errNotRectangular = errors.New("table is not rectangular")

// csvShapeOf reads content as a table; rows of nothing but a line end are left
// out. Strict refuses a table that is not rectangular at the row that shows it.
func csvShapeOf(content []byte, delimiter byte, strict bool) (csvShape, error) {
	scan, err := newCSVScanner(content, delimiter)
	if err != nil {
		return csvShape{}, err
	}
	shape := csvShape{rectangular: true}
	for scan.at < len(content) {
		start, columns := scan.at, 0
		for endsRow := false; !endsRow; columns++ {
			if endsRow, err = scan.cell(); err != nil {
				return csvShape{}, err
			}
		}
		if columns == 1 && len(bytes.Trim(content[start:min(scan.at, start+3)], "\r\n")) == 0 {
			continue
		}
		if shape.rows++; shape.rows == 1 {
			shape.columns = columns
		}
		if shape.rectangular = shape.rectangular && columns == shape.columns; strict && !shape.rectangular {
			return csvShape{}, errNotRectangular
		}
	}
	return shape, nil
}

// chooseDelimiter returns the delimiter of a table, one of , ; tab |, and whether
// the content is a table at all. The rule, with the candidates in that order:
//
//   - A candidate counts only if the lexer accepts the content with it.
//   - The rectangular candidate with the most columns wins, the earlier of two
//     alike. It needs three rows and three columns; two rows and two columns
//     for a name that ends in .csv, .tsv or .tab.
//   - Else, and only for such a name, the candidate with the most columns in its
//     first row wins, the earlier of two alike.
//   - A name that ends in .tsv or .tab leaves the tab as the only candidate.
func chooseDelimiter(ending string, content []byte) (delimiter byte, ok bool) {
	named := slices.Contains([]string{"csv", "tsv", "tab"}, ending)
	least := 3
	if named {
		least = 2
	}
	table, columns := false, 0
	for _, d := range csvDelimiters {
		if slices.Contains([]string{"tsv", "tab"}, ending) && d.delimiter != '\t' {
			continue
		}
		shape, err := csvShapeOf(content, d.delimiter, !named)
		if err != nil || shape.rows == 0 {
			continue
		}
		isTable := shape.rectangular && shape.columns >= least && shape.rows >= least
		if table == isTable && shape.columns > columns || isTable && !table {
			delimiter, columns, table = d.delimiter, shape.columns, isTable
		}
	}
	return delimiter, table || named && columns > 0
}
