package commitment

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestHostileContents gives the lexers what would ruin one that is not linear, or
// one that recurses with its input. That it ends, and how, is the test.
func TestHostileContents(t *testing.T) {
	const million = 1_000_000
	mixed := "Content-Type: multipart/mixed; boundary=x\n\n"
	for _, c := range []struct {
		name    string
		cut     lexer
		content string
		want    int // segments; 0 for a refusal
	}{
		{"brackets without end", splitJSON, strings.Repeat("[", 10*million), 0},
		{"objects without end", splitJSON, strings.Repeat(`{"a":`, 2*million), 0},
		{"a million values", splitJSON, "[" + strings.Repeat("1,", million-1) + "1]", 2*million + 1},
		{"a million empty arrays", splitJSON, "[" + strings.Repeat("[],", million) + "[]]", 3}, // cut at 1 MiB
		{"a million lines", splitJSON, strings.Repeat("1\n", million), 2 * million},
		{"ten million backslashes", splitJSON, `["` + strings.Repeat(`\\`, 5*million) + `"]`, 12},
		{"ten million quotes", splitJSON, strings.Repeat(`"`, 10*million), 0},
		{"ten million blanks", splitJSON, strings.Repeat(" ", 10*million), 0},

		{"ten million quotes, even", csvBy("csv/1;d=,"), strings.Repeat(`"`, 10*million), 10},
		{"ten million quotes, odd", csvBy("csv/1;d=,"), strings.Repeat(`"`, 10*million+1), 0},
		{"ten million delimiters", csvBy("csv/1;d=,"), strings.Repeat(",", 10*million), 10},
		{"two million line ends", csvBy("csv/1;d=,"), strings.Repeat("\n", 2*million), 2 * million},
		{"a million cells", cellsBy("csv-cells/1;d=,;c=1"), strings.Repeat("\"\"\n", million), million},

		{"a million boundaries", splitEML, mixed + strings.Repeat("--x\n", million), million + 2},
		{"a million near boundaries", splitEML, mixed + strings.Repeat("--xy\n", million), 1224},
		{"a boundary without end", splitEML, mixed + "--x" + strings.Repeat(" ", 10*million), 2444},
		{"ten million hyphens", splitEML, "Content-Type: multipart/mixed; boundary=-\n\n" + strings.Repeat("-", 10*million), 2444},
		{"a million parts with headers", splitEML, mixed + strings.Repeat("--x\nA: b\n\n", million/2), million/2*3 + 2},
		{"five thousand multiparts in each other", splitEML, nested(5000), 5035},
		{"a million enclosed messages", splitEML, strings.Repeat("Content-Type: message/rfc822\n\n", million), 0},
		{"a million header fields", splitEML, strings.Repeat("A: b\n", million), million},
		{"a million folded lines", splitEML, "A:\n" + strings.Repeat(" b\n", million), 3},
		{"a name without end", splitEML, strings.Repeat("A", 10*million), 0},
		{"a line without end", splitEML, "A: b\n\n" + strings.Repeat("c", 10*million), 2444},
		{"a Content-Type without end", splitEML, "Content-Type: a/b" + strings.Repeat("(", 10*million), 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := []byte(c.content)
			segments, err := c.cut(content)
			if c.name == "a million enclosed messages" {
				if err != nil || len(segments) < 2*maxMailDepth {
					t.Fatalf("%d segments, %v", len(segments), err)
				}
			} else if (err != nil) != (c.want == 0) || len(segments) != c.want {
				t.Fatalf("%d segments, %v; want %d", len(segments), err, c.want)
			}
			if err == nil {
				if err := checkLossless(segments, content); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestHostileLabels: naming is linear too.
func TestHostileLabels(t *testing.T) {
	content := []byte("Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\nA: b\n\n", 100_000))
	segments, err := splitEML(content)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Labels(EML, segments)[len(segments)-1], "part 100000 blank line"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	found, err := Locate(EML, segments, "header a")
	if err != nil || len(found) != 100_000 {
		t.Errorf("%d fields, %v", len(found), err)
	}
	found, err = Locate(EML, segments, `text "`+strings.Repeat("x", 2000)+`y"`)
	if found != nil || err == nil {
		t.Errorf("found %d, %v", found, err)
	}
}

// benchTable returns a table of n rows, about 90 bytes each.
func benchTable(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "B-2031-%06d,%d Example Street,zone R-%d,\"fee %d.00, paid\",approved as usual,2031-02-%02d\r\n", i, i%999, i%7, 40+i%400, 1+i%28)
	}
	return b.Bytes()
}

func benchLexer(b *testing.B, cut lexer, content []byte) {
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, err := cut(content); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplitJSON(b *testing.B) {
	benchLexer(b, splitJSON, bytes.Repeat([]byte(licenceJSON), 1<<15))
}

func BenchmarkSplitCSV(b *testing.B) {
	benchLexer(b, csvBy("csv/1;d=,"), benchTable(100_000))
}

func BenchmarkSplitCSVCells(b *testing.B) {
	benchLexer(b, cellsBy("csv-cells/1;d=,;c=6"), benchTable(100_000))
}

func BenchmarkSplitEML(b *testing.B) {
	body := strings.Repeat("Berth 7 is closed.\r\n\r\n", 100_000)
	benchLexer(b, splitEML, []byte("From: Harbour Commission\r\nContent-Type: text/plain\r\n\r\n"+body))
}

func BenchmarkSplitText(b *testing.B) {
	content := []byte(strings.Repeat(minutes, 20_000))
	benchLexer(b, func(content []byte) ([]Segment, error) { return splitText(content), nil }, content)
}

func BenchmarkChoose(b *testing.B) {
	content := benchTable(100_000)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if p := Choose("", content); p != "csv/1;d=," {
			b.Fatal(p)
		}
	}
}

func BenchmarkLabels(b *testing.B) {
	content := bytes.Repeat([]byte(licenceJSON), 1<<12)
	segments, err := splitJSON(content)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if labels := Labels(JSON, segments); len(labels) != len(segments) {
			b.Fatal(len(labels))
		}
	}
}
