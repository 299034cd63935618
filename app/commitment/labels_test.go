package commitment

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	long := strings.Repeat("word ", 1000) // 5,000 bytes: two segments of text/1
	for _, c := range []struct {
		name    string
		profile Profile
		content string
		gone    []int // segments without payload
		want    []string
	}{
		{"chunks", Raw, strings.Repeat("x", rawChunk+1), nil, []string{"chunk 1", "chunk 2"}},
		{"chunks, one gone", Raw, strings.Repeat("x", rawChunk+1), []int{0}, []string{"chunk 1", "chunk 2"}},

		{"paragraphs", Text, "a\n\nb\n\nc", nil, []string{"paragraph 1", "paragraph 2", "paragraph 3"}},
		{"long paragraph", Text, long + "\n\nb", nil, []string{"paragraph 1", "paragraph 1 piece 2", "paragraph 2"}},
		{"paragraphs, one gone", Text, "a\n\nb\n\nc", []int{1}, []string{"paragraph 1", "paragraph 2", "paragraph 3"}},

		{"rows", "csv/1;d=,", "a,b\n\"1\n\",2\n3,4", nil, []string{"row 1", "row 2", "row 3"}},
		{"rows, one gone", "csv/1;d=,", "a,b\n1,2\n3,4", []int{0}, []string{"row 1", "row 2", "row 3"}},
		{"cells", "csv-cells/1;d=,;c=2", "a,b\n1,2\n", nil,
			[]string{"row 1 column 1", "row 1 column 2", "row 2 column 1", "row 2 column 2"}},
		{"cells, all gone", "csv-cells/1;d=,;c=2", "a,b\n1,2\n", []int{0, 1, 2, 3},
			[]string{"row 1 column 1", "row 1 column 2", "row 2 column 1", "row 2 column 2"}},

		{"values", JSON, `{"a":1,"b":"x"}`, nil,
			[]string{"glue before value 1", "value 1", "glue before value 2", "value 2", "glue after value 2"}},
		{"values, first glue gone", JSON, `{"a":1,"b":"x"}`, []int{0},
			[]string{"glue before value 1", "value 1", "glue before value 2", "value 2", "glue after value 2"}},
		{"values, one left", JSON, `{"a":1,"b":"x"}`, []int{0, 1, 2, 4},
			[]string{"glue before value 1", "value 1", "glue before value 2", "value 2", "glue after value 2"}},
		{"value first, some gone", JSON, "1\n2\n", []int{1, 3}, []string{"value 1", "glue before value 2", "value 2", "glue after value 2"}},
		{"all gone", JSON, "[1]", []int{0, 1, 2}, []string{"segment 1", "segment 2", "segment 3"}},
		{"no value", JSON, "[]", nil, []string{"glue after value 0"}},

		{"mail", EML, "From a\nTo: b\n\nc\n\nd", nil,
			[]string{"mailbox line", "header To", "blank line", "paragraph 1", "paragraph 2"}},
		{"mail, a header gone: what follows may be content", EML, "To: b\nSubject: c\nDate: d\n\nSecret: e\n", []int{1},
			[]string{"header To", "segment 2", "segment 3", "segment 4", "segment 5"}},
		{"long name of a header field", EML, strings.Repeat("N", 100) + ": a\n", nil,
			[]string{"header " + strings.Repeat("N", maxLabelName)}},

		{"unknown profile", "pdf/1", "", nil, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var segments []Segment
			if c.profile != "pdf/1" {
				var err error
				if segments, err = Split(c.profile, []byte(c.content)); err != nil {
					t.Fatal(err)
				}
			}
			for _, i := range c.gone {
				segments[i].Payload = nil
			}
			if got := Labels(c.profile, segments); !slices.Equal(got, c.want) {
				t.Fatalf("got  %q\nwant %q", got, c.want)
			}
			for i, want := range c.want {
				if got := Label(c.profile, segments, i); got != want {
					t.Errorf("segment %d alone: got %q, want %q", i, got, want)
				}
			}
		})
	}
}

func TestLabelsOfAllLeaves(t *testing.T) {
	segments := []Segment{
		{Kind: Metadata, Payload: []byte("m")}, {Kind: Digest, Payload: []byte("d")},
		{Kind: Content, Payload: []byte("a\n")}, {Kind: Padding}, {Kind: Content, Payload: []byte("b\n")}, {Kind: Padding},
	}
	got := Labels("csv/1;d=,", segments)
	want := []string{"metadata", "digest", "row 1", "padding", "row 2", "padding"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, i := range []int{-1, 6} {
		if got := Label("csv/1;d=,", segments, i); got != "" {
			t.Errorf("segment %d: %q", i, got)
		}
	}
}

// TestLabelsOfOtherCuts: segments that the profile's lexer would not make are
// numbered, not named wrongly.
func TestLabelsOfOtherCuts(t *testing.T) {
	for _, c := range []struct {
		profile  Profile
		payloads []string
	}{
		{JSON, []string{`{"a":`, `1}`}},
		{JSON, []string{`{"a":`, `1`, `,`, `}`}},
		{JSON, []string{`[1`, `,`, `2`, `]`, "\n"}}, // as many as the lexer makes
		{JSON, []string{`[`, `1]`, ``}},
		{EML, []string{"To: a\nSubject: b\n", "\n"}},
		{EML, []string{"no mail"}},
		{"pdf/1", []string{"a", "b"}},
	} {
		var segments []Segment
		var want []string
		for i, p := range c.payloads {
			segments = append(segments, Segment{Kind: Content, Payload: []byte(p)})
			want = append(want, fmt.Sprintf("segment %d", i+1))
		}
		if c.payloads[len(c.payloads)-1] == "" {
			want = []string{"glue before value 1", "value 1", "glue after value 1"} // with a gap, turns are all there is
		}
		if got := Labels(c.profile, segments); !slices.Equal(got, want) {
			t.Errorf("%s %q: got %q, want %q", c.profile, c.payloads, got, want)
		}
	}
}
