package commitment

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A locateCase says which content segments a selector finds, or why it does not.
type locateCase struct {
	name     string
	profile  Profile
	content  string
	selector string
	want     []int
	err      error
}

const (
	rows  Profile = "csv/1;d=,"
	cells Profile = "csv-cells/1;d=,;c=2"

	feeTable  = "a,b\n1,2\n3,4\n"
	threeText = "first\n\nsecond\n\nthird\n"

	// tree is cut into glue at the even and values at the odd positions: 1, 2, 3, 4.
	tree = `{"a":{"b":1,"c":[2,3]},"a":4,"~/":{}}`
)

func testLocate(t *testing.T, cases []locateCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			segments, err := Split(c.profile, []byte(c.content))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Locate(c.profile, segments, c.selector)
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Fatalf("got %d, %v\nwant %d, %v", got, err, c.want, c.err)
			}
		})
	}
}

func TestLocateByNumberAndName(t *testing.T) {
	testLocate(t, []locateCase{
		{"rows", rows, feeTable, "rows 2-3", []int{1, 2}, nil},
		{"one row", rows, feeTable, "rows 1", []int{0}, nil},
		{"rows beyond the last", rows, feeTable, "rows 3-4", nil, ErrNoMatch},
		{"columns need cells", rows, feeTable, "columns 1", nil, ErrSelector},
		{"rows of cells", cells, feeTable, "rows 2-3", []int{2, 3, 4, 5}, nil},
		{"columns", cells, feeTable, "columns 2", []int{1, 3, 5}, nil},
		{"columns beyond the last", cells, feeTable, "columns 2-3", nil, ErrNoMatch},
		{"rows and columns", cells, feeTable, "rows 2-3 columns 1", []int{2, 4}, nil},
		{"columns before rows", cells, feeTable, "columns 1 rows 2", nil, ErrSelector},
		{"rows twice", cells, feeTable, "rows 1 rows 2", nil, ErrSelector},
		{"rows of a text", Text, threeText, "rows 1", nil, ErrSelector},

		{"paragraphs", Text, threeText, "paragraphs 2-3", []int{1, 2}, nil},
		{"paragraph in pieces", Text, strings.Repeat("word ", 1000) + "\n\nb", "paragraphs 1", []int{0, 1}, nil},
		{"paragraphs of a table", rows, feeTable, "paragraphs 1", nil, ErrSelector},
		{"paragraphs of a mail count through all parts", EML, noticeMail, "paragraphs 3-4", []int{13, 25}, nil},

		{"lines of one paragraph", Text, threeText, "lines 3", []int{1}, nil},
		{"lines of two", Text, threeText, "lines 2-3", []int{0, 1}, nil},
		{"the last line, without its end", Text, "a\n\nb\nc", "lines 4", []int{1}, nil},
		{"lines beyond the last", Text, threeText, "lines 5-6", nil, ErrNoMatch},
		{"lines beyond a last line without end", Text, "a\nb", "lines 3", nil, ErrNoMatch},
		{"a long line in pieces", Text, strings.Repeat("word ", 1000) + "\nb\n", "lines 1", []int{0, 1}, nil},
		{"the line after one in pieces", Text, strings.Repeat("word ", 1000) + "\nb\n", "lines 2", []int{1}, nil},
		{"lines of no content", Text, "", "lines 1", nil, ErrNoMatch},
		{"lines of a mail", EML, noticeMail, "lines 1", nil, ErrSelector},

		{"part", EML, noticeMail, "part 2", []int{29, 30, 31, 32}, nil},
		{"part within a part", EML, noticeMail, "part 1.2", []int{15, 16, 17, 18, 19}, nil},
		{"part with the message in it", EML, noticeMail, "part 1.3", []int{21, 22, 23, 24, 25}, nil},
		{"part that is a multipart", EML, noticeMail, "part 1", []int{8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27}, nil},
		{"part that is not there", EML, noticeMail, "part 1.4", nil, ErrNoMatch},
		{"part of a mail without parts", EML, "To: a\n\nb\n", "part 1", nil, ErrNoMatch},
		{"part of a message that is no part", EML, noticeMail, "part 1.3 message part 1", nil, ErrNoMatch},
		{"part of an enclosed message", EML, lines("Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: message/rfc822", "",
			"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "first", "--b", "", "second", "--b--", "--a--"), "part 1 message part 2", []int{11, 12}, nil},
		{"part without a number", EML, noticeMail, "part ", nil, ErrSelector},
		{"part zero", EML, noticeMail, "part 1.0", nil, ErrSelector},
		{"part with a tail", EML, noticeMail, "part 1 ", nil, ErrSelector},
		{"parts", EML, noticeMail, "part 1-2", nil, ErrSelector},
		{"part of a text", Text, threeText, "part 1", nil, ErrSelector},

		{"header", EML, noticeMail, "header From", []int{2}, nil},
		{"header in parts and enclosed messages, any case", EML, noticeMail, "header subject", []int{3, 23}, nil},
		{"header that is not there", EML, noticeMail, "header Bcc", nil, ErrNoMatch},
		{"header without a name", EML, noticeMail, "header ", nil, ErrSelector},
		{"header with a colon", EML, noticeMail, "header From:", nil, ErrSelector},
		{"header with a space", EML, noticeMail, "header From To", nil, ErrSelector},
		{"header of a text", Text, threeText, "header From", nil, ErrSelector},
	})
}

func TestLocateByPointerAndText(t *testing.T) {
	testLocate(t, []locateCase{
		{"pointer to a value", JSON, tree, "/a/b", []int{1}, nil},
		{"pointer into an array", JSON, tree, "/a/c/1", []int{5}, nil},
		{"pointer to an array: with the glue around it", JSON, tree, "/a/c", []int{2, 3, 4, 5, 6}, nil},
		{"pointer to a name that stands twice", JSON, tree, "/a", []int{0, 1, 2, 3, 4, 5, 6, 7}, nil},
		{"pointer with escapes, to an empty object", JSON, tree, "/~0~1", []int{8}, nil},
		{"pointer to nothing", JSON, tree, "/a/x", nil, ErrNoMatch},
		{"pointer past a value", JSON, tree, "/a/b/c", nil, ErrNoMatch},
		{"array index with a leading zero", JSON, tree, "/a/c/01", nil, ErrNoMatch},
		{"array index beyond the end", JSON, tree, "/a/c/2", nil, ErrNoMatch},
		{"pointer with a bare tilde", JSON, tree, "/~2", nil, ErrSelector},
		{"pointer with a tilde at the end", JSON, tree, "/a~", nil, ErrSelector},
		{"pointer to the empty name", JSON, `{"":7}`, "/", []int{1}, nil},
		{"name with escapes in the content", JSON, `{"\u0061\/":7}`, "/a~1", []int{1}, nil},
		{"one text per line: in each", JSON, "{\"a\":1}\n{\"a\":2,\"b\":3}\n", "/a", []int{1, 3}, nil},
		{"array at the top", JSON, `[[1],[2]]`, "/1/0", []int{3}, nil},
		{"pointer into a text", Text, threeText, "/a", nil, ErrSelector},

		{"text", Text, threeText, `text "second"`, []int{1}, nil},
		{"text in several segments", Text, threeText, `text "ir"`, []int{0, 2}, nil},
		{"text across segments", Text, threeText, `text "\n\nsecond\n\nt"`, []int{0, 1, 2}, nil},
		{"text across segments that begins anew within itself", rows, "aab\naac\n", `text "aac"`, []int{1}, nil},
		{"occurrences that overlap", rows, "aXa\n,aX\na\n", `text "aX"`, []int{0, 1}, nil},
		{"text with quotes", rows, feeTable, `text "\"1\""`, nil, ErrNoMatch},
		{"text that is not there", Text, threeText, `text "fourth"`, nil, ErrNoMatch},
		{"text in another case", Text, threeText, `text "First"`, nil, ErrNoMatch},
		{"empty text", Text, threeText, `text ""`, nil, ErrSelector},
		{"text without quotes", Text, threeText, `text second`, nil, ErrSelector},
		{"text in back quotes", Text, threeText, "text `second`", nil, ErrSelector},
		{"text in single quotes", Text, threeText, "text 's'", nil, ErrSelector},
		{"text with a tail", Text, threeText, `text "a" `, nil, ErrSelector},

		{"segments", Raw, "x", "segments 1", []int{0}, nil},
		{"segments of any profile", JSON, tree, "segments 2-3", []int{1, 2}, nil},
		{"segments beyond the last", Raw, "x", "segments 1-2", nil, ErrNoMatch},

		{"nothing", Raw, "x", "", nil, ErrSelector},
		{"unknown word", Raw, "x", "lines 1", nil, ErrSelector},
		{"range backwards", rows, feeTable, "rows 3-2", nil, ErrSelector},
		{"zero", rows, feeTable, "rows 0", nil, ErrSelector},
		{"leading zero", rows, feeTable, "rows 01", nil, ErrSelector},
		{"sign", rows, feeTable, "rows +1", nil, ErrSelector},
		{"open range", rows, feeTable, "rows 1-", nil, ErrSelector},
		{"two spaces", rows, feeTable, "rows  1", nil, ErrSelector},
		{"no number", rows, feeTable, "rows", nil, ErrSelector},
		{"number beyond any record", rows, feeTable, "rows 99999999999999999999", nil, ErrSelector},
		{"selector too long", Raw, "x", "text \"" + strings.Repeat("x", maxSelector) + "\"", nil, ErrSelector},
	})
}

func TestLocateAmongAllLeaves(t *testing.T) {
	segments := []Segment{
		{Kind: Metadata, Payload: []byte("a")}, {Kind: Digest, Payload: []byte("a")},
		{Kind: Content, Payload: []byte("a\n")}, {Kind: Padding}, {Kind: Content, Payload: []byte("ba\n")},
	}
	for selector, want := range map[string][]int{
		"rows 1-2": {2, 4}, "segments 2": {4}, `text "a"`: {2, 4}, `text "a\nb"`: {2, 4}, "rows 2": {4},
	} {
		if got, err := Locate("csv/1;d=,", segments, selector); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %d, %v, want %d", selector, got, err, want)
		}
	}
}

func TestLocateWithGaps(t *testing.T) {
	for _, c := range []struct {
		name     string
		profile  Profile
		content  string
		gone     int
		selector string
		want     []int
		err      error
	}{
		{"rows", "csv/1;d=,", "a\nb\nc\n", 1, "rows 2-3", []int{1, 2}, nil},
		{"cells", "csv-cells/1;d=,;c=2", "a,b\n1,2\n", 0, "columns 1", []int{0, 2}, nil},
		{"paragraphs", Text, "a\n\nb\n\nc\n", 0, "paragraphs 3", []int{2}, nil},
		{"segments", JSON, "[1]", 0, "segments 1-3", []int{0, 1, 2}, nil},
		{"text does not reach over a gap", "csv/1;d=,", "ab\nb\ncd\n", 1, `text "\nc"`, nil, ErrNoMatch},
		{"text elsewhere", "csv/1;d=,", "ab\nb\ncd\n", 1, `text "d"`, []int{2}, nil},
		{"pointer", JSON, "[1]", 0, "/0", nil, ErrGaps},
		{"header", EML, "To: a\nCc: b\n\n", 0, "header Cc", nil, ErrGaps},
		{"part", EML, "To: a\nCc: b\n\n", 0, "part 1", nil, ErrGaps},
		{"lines", Text, "a\n\nb\n\nc\n", 0, "lines 3", nil, ErrGaps},
		{"paragraphs of a mail", EML, "To: a\nCc: b\n\nc\n", 0, "paragraphs 1", nil, ErrGaps},
	} {
		t.Run(c.name, func(t *testing.T) {
			segments, err := Split(c.profile, []byte(c.content))
			if err != nil {
				t.Fatal(err)
			}
			segments[c.gone].Payload = nil
			got, err := Locate(c.profile, segments, c.selector)
			if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
				t.Fatalf("got %d, %v\nwant %d, %v", got, err, c.want, c.err)
			}
		})
	}
}

// TestLocateFindsWhatLabelsShow: what `segments` prints can be selected by the
// number that it prints.
func TestLocateFindsWhatLabelsShow(t *testing.T) {
	for _, c := range []struct {
		profile Profile
		content string
	}{
		{"csv/1;d=,", permitsCSV}, {"csv-cells/1;d=,;c=3", permitsCSV}, {EML, noticeMail},
		{Text, "a\n\nb\n\n" + strings.Repeat("word ", 1000) + "\n\nc"},
	} {
		segments, err := Split(c.profile, []byte(c.content))
		if err != nil {
			t.Fatal(err)
		}
		tried := 0
		for i, label := range Labels(c.profile, segments) {
			label, _, _ = strings.Cut(label, " piece")
			selector := strings.NewReplacer("row ", "rows ", "column ", "columns ", "paragraph ", "paragraphs ").Replace(label)
			for _, word := range []string{"header ", "rows ", "paragraphs "} {
				at := strings.Index(selector, word)
				if at < 0 {
					continue
				}
				tried++
				if got, err := Locate(c.profile, segments, selector[at:]); err != nil || !slices.Contains(got, i) {
					t.Errorf("%s: segment %d, %s: got %d, %v", c.profile, i, selector[at:], got, err)
				}
			}
		}
		if tried < 4 {
			t.Errorf("%s: only %d labels tried", c.profile, tried)
		}
	}
}
