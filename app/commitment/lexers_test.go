package commitment

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// A lexer cuts a content by the profile that its test names.
type lexer func(content []byte) ([]Segment, error)

func csvBy(p Profile) lexer {
	return func(content []byte) ([]Segment, error) { return splitCSV(content, p) }
}

func cellsBy(p Profile) lexer {
	return func(content []byte) ([]Segment, error) { return splitCSVCells(content, p) }
}

// A cutCase says what a lexer makes of a content; no parts means that it refuses.
type cutCase struct {
	name    string
	content string
	want    []string
}

func testCuts(t *testing.T, cut lexer, cases []cutCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			segments, err := cut([]byte(c.content))
			if (err != nil) != (c.want == nil) {
				t.Fatalf("error %v, want refusal %t", err, c.want == nil)
			}
			if got := payloads(segments); !slices.Equal(got, c.want) {
				t.Fatalf("got  %q\nwant %q", got, c.want)
			}
			checkCut(t, cut, []byte(c.content))
		})
	}
}

func payloads(segments []Segment) []string {
	var texts []string
	for _, s := range segments {
		texts = append(texts, string(s.Payload))
	}
	return texts
}

// checkCut checks what holds of every lexer on every input: nothing lost, nothing
// added, no segment empty or too long, no copy made, and the same again next time.
func checkCut(t *testing.T, cut lexer, content []byte) []Segment {
	t.Helper()
	before := bytes.Clone(content)
	segments, err := cut(content)
	again, errAgain := cut(bytes.Clone(content))
	if (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
		t.Fatalf("first run: %v, second run: %v", err, errAgain)
	}
	if !bytes.Equal(before, content) {
		t.Fatal("the lexer changed its input")
	}
	if err != nil {
		if segments != nil {
			t.Fatalf("refused with %v and returned %d segments", err, len(segments))
		}
		return nil
	}
	if err := checkLossless(segments, content); err != nil {
		t.Fatal(err)
	}
	at := 0
	for i, s := range segments {
		if &s.Payload[0] != &content[at] || cap(s.Payload) != len(s.Payload) {
			t.Fatalf("segment %d is no exact subslice of the content", i)
		}
		at += len(s.Payload)
	}
	same := func(a, b Segment) bool { return bytes.Equal(a.Payload, b.Payload) && a.Oracle == b.Oracle }
	if !slices.EqualFunc(segments, again, same) {
		t.Fatal("two runs cut differently")
	}
	return segments
}

// testEveryByte changes each byte of a valid content to a few others. The lexer
// may then accept or refuse, and must keep its promises.
func testEveryByte(t *testing.T, p Profile, cut lexer, content string) {
	t.Helper()
	accepted, refused := 0, 0
	for i := range content {
		for _, c := range []byte("\x00\n\",:-]\xff") {
			changed := []byte(content)
			changed[i] = c
			segments := checkCut(t, cut, changed)
			if segments == nil {
				refused++
				continue
			}
			accepted++
			if labels := Labels(p, segments); slices.Contains(labels, "") || len(labels) != len(segments) {
				t.Fatalf("byte %d set to %q: labels %q", i, c, labels)
			}
		}
	}
	t.Logf("accepted %d, refused %d", accepted, refused)
	if accepted == 0 {
		t.Fatal("no change was accepted: the changes test nothing")
	}
}

func TestTokenAboveTheLimitIsCut(t *testing.T) {
	const max = MaxPayload
	cases := []struct {
		name  string
		token string
		want  []int
	}{
		{"as long as a segment may be", strings.Repeat("x", max), []int{max}},
		{"one byte more", strings.Repeat("x", max+1), []int{max, 1}},
		{"thrice and a bit", strings.Repeat("x", 3*max+5), []int{max, max, max, 5}},
		{"two-byte letter across the limit", strings.Repeat("x", max-1) + "äx", []int{max - 1, 3}},
		{"four-byte letter across the limit", strings.Repeat("x", max-3) + "😀x", []int{max - 3, 5}},
		{"letter that ends at the limit", strings.Repeat("x", max-2) + "äx", []int{max, 1}},
		{"CRLF across the limit", strings.Repeat("x", max-1) + "\r\nx", []int{max - 1, 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			content := tokens{content: []byte(c.token)}
			if err := content.add(len(c.token), false, mark{}); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, s := range content.segments {
				got = append(got, len(s.Payload))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestLongTokensInEveryLexer(t *testing.T) {
	long := strings.Repeat("harbour ", 3<<17) // 3 MiB
	cases := []struct {
		profile Profile
		cut     lexer
		content string
		want    []string // labels
	}{
		{JSON, splitJSON, `{"minutes":"` + long + `"}`, []string{
			"glue before value 1", "value 1", "value 1 piece 2", "value 1 piece 3", "value 1 piece 4", "glue after value 1"}},
		{"csv/1;d=,", csvBy("csv/1;d=,"), "a,\"" + long + "\"\nb,c\n", []string{
			"row 1", "row 1 piece 2", "row 1 piece 3", "row 1 piece 4", "row 2"}},
		{"csv/1;d=,", csvBy("csv/1;d=,"), "\"" + strings.Repeat("harbour\n", MaxPayload/8)[1:] + "x\"\nb\n", []string{
			"row 1", "row 1 piece 2", "row 2"}}, // the first piece ends with a line end within quotes
		{EML, splitEML, "Subject: " + long + "\nTo: harbour@example.org\n\n", []string{
			"header Subject", "header Subject piece 2", "header Subject piece 3", "header Subject piece 4", "header To", "blank line"}},
	}
	for _, c := range cases {
		t.Run(string(c.profile), func(t *testing.T) {
			segments := checkCut(t, c.cut, []byte(c.content))
			if got := Labels(c.profile, segments); !slices.Equal(got, c.want) {
				t.Errorf("labels %q\nwant   %q", got, c.want)
			}
		})
	}
	if _, err := splitCSVCells([]byte("a,\""+long+"\"\n"), "csv-cells/1;d=,;c=2"); err == nil {
		t.Error("a cell above the limit was cut: the index no longer gives row and column")
	}
}

func TestTooManySegmentsAreRefused(t *testing.T) {
	content := bytes.Repeat([]byte("x\n"), maxContentLeaves+1)
	if err := lexCSV(&tokens{content: content, purpose: counting}, ','); err != errTooManySegments {
		t.Errorf("got %v, want %v", err, errTooManySegments)
	}
	full := tokens{content: content[2:], purpose: counting}
	if err := lexCSV(&full, ','); err != nil || full.count != maxContentLeaves {
		t.Errorf("%d segments: %v", full.count, err)
	}
}
