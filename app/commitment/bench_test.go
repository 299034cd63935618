package commitment

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// permitRows returns a table of n rows and a layout with one leaf per row.
func permitRows(tb testing.TB, n int) Layout {
	tb.Helper()
	l := Layout{Profile: "csv/1;d=,"}
	var content []byte
	for i := range n {
		row := fmt.Appendf(nil, "B-2031-%06d,%d Example Street,zone R-%d,fee %d.00,approved with the usual conditions,2031-02-%02d\n",
			i, i%999, i%7, 40+i%400, 1+i%28)
		content = append(content, row...)
		l.Segments = append(l.Segments, Segment{Kind: Content, Payload: row})
	}
	l.Segments = append([]Segment{{Kind: Digest, Payload: digestOf(content)}}, l.Segments...)
	for range padme(len(l.Segments)) - len(l.Segments) {
		l.Segments = append(l.Segments, Segment{Kind: Padding})
	}
	return l
}

func everyThousandth(n uint32) []Range {
	var hide []Range
	for i := uint32(500); i < n; i += 1000 {
		hide = append(hide, Range{i, i})
	}
	return hide
}

// BenchmarkCommit: the manifest of a table of 100,000 rows.
func BenchmarkCommit(b *testing.B) {
	l := permitRows(b, 100_000)
	for b.Loop() {
		if _, _, err := Commit(NewState(testKey(), l.N()), l); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCopy: a copy of 100,000 rows with 100 of them hidden, as a file.
// Target of the design: 1.5 s and 3 bytes of overhead per row.
func BenchmarkCopy(b *testing.B) {
	l := permitRows(b, 100_000)
	state := NewState(testKey(), l.N())
	m, leaves, err := Commit(state, l)
	if err != nil {
		b.Fatal(err)
	}
	hide := everyThousandth(l.N())
	var car []byte
	for b.Loop() {
		c, err := NewCopy(m, leaves, state, l.Segments, hide)
		if err != nil {
			b.Fatal(err)
		}
		car = c.Marshal()
	}
	b.ReportMetric(float64(len(car)-len(l.Content()))/100_000, "overhead-B/row")
}

// BenchmarkVerify: reading and proving the file of BenchmarkCopy.
// Target of the design: 0.6 s.
func BenchmarkVerify(b *testing.B) {
	l := permitRows(b, 100_000)
	state := NewState(testKey(), l.N())
	m, leaves, err := Commit(state, l)
	if err != nil {
		b.Fatal(err)
	}
	c, err := NewCopy(m, leaves, state, l.Segments, everyThousandth(l.N()))
	if err != nil {
		b.Fatal(err)
	}
	car := bytes.Clone(c.Marshal())
	for b.Loop() {
		c, err := ParseCopy(car)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Verify(m.Commitment()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan plans a redaction of a table of 100,000 rows.
func BenchmarkPlan(b *testing.B) {
	var table bytes.Buffer
	table.WriteString("number,name,mail,department,amount,checksum\n")
	for i := range 100_000 {
		fmt.Fprintf(&table, "%d,Name %d,n%d@example.org,Department %d,%d.00,%064x\n", i, i/3, i/3, i%7, i%1000, i)
	}
	for _, bench := range []struct {
		name     string
		profile  Profile
		selector string
	}{
		{"rows", "csv/1;d=,", "rows 50-60"},
		{"text", "csv/1;d=,", `text "n777@example.org"`},
		{"cells", "csv-cells/1;d=,;c=6", "rows 50-60 columns 2-3"},
		{"column", "csv-cells/1;d=,;c=6", "columns 3"},
	} {
		l, err := Arrange(bench.profile, table.Bytes(), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(table.Len()))
			for b.Loop() {
				if _, err := Plan(bench.profile, l.Segments, []Ask{{bench.selector, "X"}}); err != nil && !errors.Is(err, ErrPlan) {
					b.Fatal(err)
				}
			}
		})
	}
}
