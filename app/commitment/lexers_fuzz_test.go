package commitment

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzLexer fuzzes a lexer: whatever it accepts it cuts losslessly, within limits
// and the same each time, and the labels of the segments fit the segments.
func fuzzLexer(f *testing.F, p Profile, cut lexer, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		segments := checkCut(t, cut, content)
		labels := Labels(p, segments)
		if len(labels) != len(segments) || slices.Contains(labels, "") {
			t.Fatalf("%d segments have the labels %q", len(segments), labels)
		}
		for _, label := range labels {
			if strings.HasPrefix(label, "segment ") {
				t.Fatalf("the lexer's own segments are not named: %q", labels)
			}
		}
		for i := range segments {
			segments[i].Payload = nil
			if got := Labels(p, segments); len(got) != len(segments) {
				t.Fatalf("%d segments with gaps have %d labels", len(segments), len(got))
			}
			if i == 8 {
				break
			}
		}
	})
}

func FuzzSplitJSON(f *testing.F) {
	fuzzLexer(f, JSON, splitJSON, licenceJSON, "{\"a\":1}\n{\"a\":2}\n", "\xef\xbb\xbf[]", `["\ud800",-0.5e-7]`)
}

func FuzzSplitCSV(f *testing.F) {
	fuzzLexer(f, "csv/1;d=,", csvBy("csv/1;d=,"), permitsCSV, "\xef\xbb\xbf\"a\",", "a\r\r\n\n\rb")
}

func FuzzSplitCSVCells(f *testing.F) {
	fuzzLexer(f, "csv-cells/1;d=,;c=3", cellsBy("csv-cells/1;d=,;c=3"), permitsCSV, ",,\n,,\r", "a,b,\"\"")
}

func FuzzSplitEML(f *testing.F) {
	fuzzLexer(f, EML, splitEML, noticeMail, nested(3), "From a\nTo: b\n\nc\n\nd", "Content-Type: message/rfc822\n\nTo: a\n")
}

func FuzzSplitText(f *testing.F) {
	fuzzLexer(f, Text, func(content []byte) ([]Segment, error) { return splitText(content), nil },
		minutes, strings.Repeat("word ", 1000), "\n\n \t\r\n\n", strings.Repeat("ä", 4096))
}

// FuzzChoose: the profile that is chosen cuts the content, and text is never raw.
func FuzzChoose(f *testing.F) {
	for _, name := range []string{"", "a.json", "a.eml", "a.csv", "a.tsv"} {
		for _, content := range []string{licenceJSON, permitsCSV, noticeMail, minutes, "\xff"} {
			f.Add(name, []byte(content))
		}
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		p := Choose(name, content)
		if _, err := Split(p, content); err != nil {
			t.Fatalf("%s was chosen: %v", p, err)
		}
		if isText := utf8.Valid(content) && bytes.IndexByte(content, 0) < 0; isText && p == Raw {
			t.Fatal("raw/1 was chosen for a text")
		}
		if cells, ok := ChooseCells(name, content); ok {
			if _, err := Split(cells, content); err != nil {
				t.Fatalf("%s was chosen: %v", cells, err)
			}
		}
	})
}

// FuzzLocate: any selector is refused with a known error or finds segments that
// exist, in order; what `text` finds is what a plain search finds.
func FuzzLocate(f *testing.F) {
	contents := []struct {
		profile Profile
		content string
	}{
		{"csv/1;d=,", permitsCSV}, {"csv-cells/1;d=,;c=3", permitsCSV}, {EML, noticeMail}, {JSON, licenceJSON}, {Text, minutes},
	}
	for i := range contents {
		for _, selector := range []string{
			"rows 2-3", "columns 1", "rows 1 columns 2-3", "paragraphs 1", "header Subject", "/holder/rooms/1", "/path",
			`text "berth 7"`, `text "n\n"`, "segments 1-2", "lines 2-3", "part 1.2", "part 1.3 message part 1",
		} {
			f.Add(uint8(i), uint8(0), selector)
			f.Add(uint8(i), uint8(3), selector)
		}
	}
	f.Fuzz(func(t *testing.T, which, gap uint8, selector string) {
		c := contents[int(which)%len(contents)]
		segments, err := Split(c.profile, []byte(c.content))
		if err != nil {
			t.Fatal(err)
		}
		if gap > 0 {
			segments[int(gap)%len(segments)].Payload = nil
		}
		found, err := Locate(c.profile, segments, selector)
		switch {
		case err != nil && (found != nil || !errors.Is(err, ErrSelector) && !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrGaps)):
			t.Fatalf("found %d with %v", found, err)
		case err == nil && len(found) == 0:
			t.Fatal("found nothing without an error")
		case !slices.IsSorted(found) || len(slices.Compact(slices.Clone(found))) != len(found):
			t.Fatalf("out of order: %d", found)
		case len(found) > 0 && (found[0] < 0 || found[len(found)-1] >= len(segments)):
			t.Fatalf("out of range: %d of %d", found, len(segments))
		}
	})
}

// FuzzLocateText compares the search across segments with a plain one.
func FuzzLocateText(f *testing.F) {
	f.Add("aabaaab\naab\n", "aab")
	f.Add("a\n\n\nb\n", "\n\n")
	f.Fuzz(func(t *testing.T, content, text string) {
		segments, err := Split("csv/1;d=,", []byte(content))
		if err != nil || text == "" || len(text) > 64 {
			return
		}
		positions := contentPositions(segments)
		got := occurrences(segments, positions, text)
		var want []int
		start := 0
		for i, s := range segments {
			end := start + len(s.Payload)
			for at := max(0, start-len(text)+1); at < end; at++ {
				if strings.HasPrefix(content[at:], text) {
					want = append(want, i)
					break
				}
			}
			start = end
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: got %d, want %d", text, content, got, want)
		}
	})
}
