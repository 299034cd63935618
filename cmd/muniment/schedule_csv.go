package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// csvColumns are the columns of a schedule as a table, one row a series. What
// says something about the whole schedule is the same in every row.
var csvColumns = []struct {
	name     string
	required bool
}{
	{"schedule", true}, {"number", true}, {"title", true}, {"description", true}, {"rule", true}, {"disposition", true},
	{"approvals", true}, {"citation", true}, {"effective date", true},
	{"code", false}, {"version", false}, {"state", false}, {"authority", false}, {"schedule citation", false}, {"verified", false},
	{"notice days", false}, {"notice heights", false}, {"fiscal start", false}, {"transitory", false}, {"batched", false},
}

// byteOrderMark is what spreadsheets put before UTF-8.
const byteOrderMark = "\ufeff"

// csvRow is a row of the table by the names of its columns.
type csvRow struct {
	line  int
	cells map[string]string
}

// parseCSV reads a schedule as a table: a header with the names of the columns
// in any order, then a row for each series. Its error is of type faults.
func parseCSV(text []byte) (authority, error) {
	if len(text) > maxAuthorityBytes {
		return authority{}, faults{tooManyBytes}
	}
	rows, err := csvRows(bytes.TrimPrefix(text, []byte(byteOrderMark)))
	if err != nil {
		return authority{}, err
	}
	var bad faults
	var f authorityFile
	for i, row := range rows {
		if i == 0 {
			row.head(&f, &bad)
		} else {
			row.same(rows[0], &bad)
		}
		f.series = append(f.series, row.series(&bad))
		if len(bad) >= maxFaults {
			break
		}
	}
	if len(bad) > 0 {
		return authority{}, bad
	}
	return f.judge()
}

func csvRows(text []byte) (rows []csvRow, err error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.ReuseRecord = false
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, faults{"it is empty"}
	}
	if err != nil {
		return nil, csvFault(err)
	}
	if bad := checkHeader(header); len(bad) > 0 {
		return nil, bad
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, csvFault(err)
		}
		if len(rows) == record.MaxScheduleRules {
			return nil, faults{fmt.Sprintf("it has more than %d series", record.MaxScheduleRules)}
		}
		line, _ := r.FieldPos(0)
		row := csvRow{line, map[string]string{}}
		for i, name := range header {
			row.cells[name] = cells[i]
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, faults{"it has a header and no series"}
	}
	return rows, nil
}

func csvFault(err error) (bad faults) {
	if at, ok := errors.AsType[*csv.ParseError](err); ok {
		bad.add(at.Line, "", "%v", at.Err)
		return bad
	}
	return faults{err.Error()}
}

// checkHeader wants each column once, and those that are required.
func checkHeader(header []string) (bad faults) {
	seen := map[string]bool{}
	for _, name := range header {
		switch {
		case seen[name]:
			bad.add(1, "", "column %.40q is there twice", name)
		case !slices.ContainsFunc(csvColumns, func(c struct {
			name     string
			required bool
		}) bool {
			return c.name == name
		}):
			bad.add(1, "", "%.40q is no column of a schedule", name)
		}
		seen[name] = true
	}
	for _, c := range csvColumns {
		if c.required && !seen[c.name] {
			bad.add(1, "", "column %q is missing", c.name)
		}
	}
	return bad
}

// wholeSchedule are the columns that say something about all of it.
var wholeSchedule = []string{"schedule", "version", "state", "authority", "schedule citation", "effective date"}

// same wants that a row is of the same schedule as the first.
func (row csvRow) same(first csvRow, bad *faults) {
	for _, name := range wholeSchedule {
		if row.cells[name] != first.cells[name] {
			bad.add(row.line, "column "+name, "%.40q, and %.40q in the first row: a table is one version of one schedule", row.cells[name], first.cells[name])
		}
	}
}

// head reads what says something about the whole schedule.
func (row csvRow) head(f *authorityFile, bad *faults) {
	f.schedule, f.authority, f.citation, f.effective = row.cells["schedule"], row.cells["authority"], row.cells["schedule citation"], row.cells["effective date"]
	f.version = 1
	if version := row.number("version", bad); version != nil {
		f.version = *version
	}
	f.state = row.truth("state", bad)
}

// series reads a row. A series without a code has its number as code.
func (row csvRow) series(bad *faults) seriesFile {
	s := seriesFile{
		line: row.line,
		code: row.cells["code"], number: row.cells["number"], title: row.cells["title"], description: row.cells["description"], citation: row.cells["citation"],
		rule: row.cells["rule"], action: row.cells["disposition"], approvals: strings.Fields(row.cells["approvals"]),
		verified: row.truth("verified", bad), transitory: row.truth("transitory", bad), batched: row.truth("batched", bad),
		noticeDays: row.number("notice days", bad), noticeHeights: row.number("notice heights", bad), fiscalStart: row.number("fiscal start", bad),
	}
	if s.code == "" {
		s.code = s.number
	}
	return s
}

// truth reads true or false; an empty cell is false.
func (row csvRow) truth(column string, bad *faults) bool {
	switch row.cells[column] {
	case "true":
		return true
	case "", "false":
	default:
		bad.add(row.line, "column "+column, "%.40q: write true or false", row.cells[column])
	}
	return false
}

// number reads a number in its one spelling; an empty cell gives nil.
func (row csvRow) number(column string, bad *faults) *uint32 {
	text := row.cells[column]
	if text == "" {
		return nil
	}
	n, err := parseNumber(text)
	if err != nil {
		bad.add(row.line, "column "+column, "%v", err)
	}
	return n
}
