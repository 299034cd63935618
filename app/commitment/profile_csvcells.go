package commitment

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxCSVColumns is the largest c of a csv-cells/1 profile.
	maxCSVColumns = 1 << 14

	// maxChosenCells is the largest table that ChooseCells cuts into cells.
	maxChosenCells = 1 << 20
)

// splitCSVCells cuts by csv-cells/1: a field with its quotes and the delimiter or
// line end after it is a segment. Every row has exactly c fields, so segment i is
// row i / c, column i mod c, also where all delimiters are hidden.
func splitCSVCells(content []byte, profile Profile) ([]Segment, error) {
	delimiter, columns, err := parseCSVCells(profile)
	if err != nil {
		return nil, err
	}
	p := tokens{content: content}
	if err := lexCSVCells(&p, delimiter, columns); err != nil {
		return nil, err
	}
	return p.segments, nil
}

// lexCSVCells gives p the cells of its content. It refuses a cell that would be
// cut and a cell of no bytes (an empty last field without a line end): either
// would break the rule of the index.
func lexCSVCells(p *tokens, delimiter byte, columns int) error {
	scan, err := newCSVScanner(p.content, delimiter)
	if err != nil {
		return err
	}
	for row := 1; scan.at < len(p.content); row++ {
		for column := 1; column <= columns; column++ {
			endsRow, err := scan.cell()
			switch {
			case err != nil:
				return fmt.Errorf("row %d: %w", row, err)
			case endsRow != (column == columns):
				return fmt.Errorf("row %d does not have %d columns", row, columns)
			case scan.at-p.at > MaxPayload:
				return fmt.Errorf("row %d column %d is longer than %d bytes", row, column, MaxPayload)
			case scan.at == p.at:
				return fmt.Errorf("row %d ends in an empty field without a line end", row)
			}
			if err := p.add(scan.at, false, mark{noun: nounCell, number: row, column: column}); err != nil {
				return err
			}
		}
	}
	if p.at < len(p.content) {
		return errors.New("table has no row")
	}
	return nil
}

// csvCellsProfile returns csv-cells/1 with the delimiter and number of columns.
func csvCellsProfile(delimiter byte, columns int) Profile {
	_, name, _ := strings.Cut(string(csvProfile(delimiter)), ";")
	return Profile("csv-cells/1;" + name + ";c=" + strconv.Itoa(columns))
}

// parseCSVCells returns the parameters of a csv-cells/1 profile: a known
// delimiter and 1 to 16,384 columns, in the one spelling that csvCellsProfile has.
func parseCSVCells(profile Profile) (delimiter byte, columns int, err error) {
	_, text, _ := cutLast(string(profile), ";c=")
	columns, err = strconv.Atoi(text)
	if err != nil || columns < 1 || columns > maxCSVColumns {
		return 0, 0, fmt.Errorf("csv columns are not 1 to %d", maxCSVColumns)
	}
	for _, d := range csvDelimiters {
		if profile == csvCellsProfile(d.delimiter, columns) {
			return d.delimiter, columns, nil
		}
	}
	return 0, 0, errors.New("csv delimiter is not one of , ; tab |")
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
