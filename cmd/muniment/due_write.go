package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// The forms of lists and reports.
const (
	formatText = "text"
	formatCSV  = "csv"
	formatJSON = "json"
)

func formatFlag(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "format", "", "text, csv or json (default: as --output says)")
	fixed := cobra.FixedCompletions([]string{formatText, formatCSV, formatJSON}, cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc("format", fixed); err != nil {
		panic(err) // the flag is there
	}
}

// form is the format that was asked for. It goes before --output.
func (p *program) form(format string) (string, error) {
	switch format {
	case "":
		return p.output, nil
	case formatJSON:
		p.output = formatJSON
		return format, nil
	case formatText, formatCSV:
		p.output = formatText
		return format, nil
	}
	return "", usage("format %q: use text, csv or json", printable(format))
}

// writeCSV writes a table with a line of names first (RFC 4180). A cell that a
// spreadsheet would take for a formula cannot occur: all are codes, numbers,
// dates and sentences of the project's own.
func writeCSV(w io.Writer, names []string, rows [][]string) error {
	c := csv.NewWriter(w)
	if names != nil {
		if err := c.Write(names); err != nil {
			return err
		}
	}
	return c.WriteAll(rows)
}

// dueWriter writes a due list, or a dry run, while it comes in.
type dueWriter struct {
	program *program
	form    string
	dry     bool
	table   *tabwriter.Writer // text
	csv     *csv.Writer
	items   int
}

func (p *program) dueWriter(format string, dry bool) (*dueWriter, error) {
	form, err := p.form(format)
	if err != nil {
		return nil, err
	}
	w := &dueWriter{program: p, form: form, dry: dry, table: tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0), csv: csv.NewWriter(p.stdout)}
	switch form {
	case formatCSV:
		names := []string{"record", "department", "series", "custody", "date", "standing", "due_day", "holds", "missing", "disposition", "alone", "approvals"}
		if dry {
			names = append(names, "class", "because")
		}
		return w, w.csv.Write(names)
	case formatJSON:
		_, err = io.WriteString(p.stdout, "{\n  \"items\": [")
	}
	return w, err
}

func (w *dueWriter) item(i dueItem) (err error) {
	switch w.form {
	case formatText:
		_, err = fmt.Fprintf(w.table, "%d\t%s\t%s\t%s\t%s\t%s\n", i.Index, i.Department, i.Series, i.date(), cmp.Or(i.Class, i.Standing), i.because())
	case formatCSV:
		cells := i.cells()
		if w.dry {
			cells = append(cells, i.Class, i.because())
		}
		err = w.csv.Write(cells)
	case formatJSON:
		var text []byte
		if text, err = json.Marshal(i); err == nil {
			_, err = fmt.Fprintf(w.program.stdout, "%s\n    %s", comma(w.items), text)
		}
	}
	w.items++
	return err
}

// cells is the item as a line of a table.
func (i *dueItem) cells() []string {
	disposition := ""
	if i.Disposition != 0 {
		disposition = strconv.FormatUint(i.Disposition, 10)
	}
	holds := strings.ReplaceAll(strings.Trim(fmt.Sprint(i.Holds), "[]"), " ", ";")
	return []string{
		strconv.FormatUint(i.Index, 10), i.Department, i.Series, i.Custody, i.Date, i.Standing, i.DueDay, holds,
		strings.Join(i.Missing, "; "), disposition, strconv.FormatBool(i.Alone), strings.Join(i.Approvals, ";"),
	}
}

func comma(before int) string {
	if before == 0 {
		return ""
	}
	return ","
}

// flush writes out what has come in so far.
func (w *dueWriter) flush() error {
	switch w.form {
	case formatText:
		return w.table.Flush()
	case formatCSV:
		w.csv.Flush()
		return w.csv.Error()
	}
	return nil
}

// end writes the totals: in a table of CSV there is no place for them, there
// they are said.
func (w *dueWriter) end(t fmt.Stringer) error {
	if err := w.flush(); err != nil {
		return err
	}
	switch w.form {
	case formatText:
		_, err := fmt.Fprintln(w.program.stdout, t.String())
		return err
	case formatCSV:
		w.program.say("%s", t.String())
		return nil
	}
	text, err := json.MarshalIndent(t, "  ", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w.program.stdout, "%s],\n  \"totals\": %s\n}\n", lineAfter(w.items), text)
	}
	return err
}

func lineAfter(items int) string {
	if items == 0 {
		return ""
	}
	return "\n  "
}
