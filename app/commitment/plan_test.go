package commitment

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

// planLines arranges a record without metadata and gives its plan, one line a mark.
// The digest is leaf 0, and the first segment leaf 1.
func planLines(t *testing.T, p Profile, content string, asks ...Ask) []string {
	t.Helper()
	return planOf(t, p, content, nil, asks...)
}

func planOf(t *testing.T, p Profile, content string, fields []Field, asks ...Ask) []string {
	t.Helper()
	l, err := Arrange(p, []byte(content), fields)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := Plan(p, l.Segments, asks)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range marks {
		lines = append(lines, fmt.Sprintf("%d-%d %s %s: %s", m.First, m.Last, m.Code, m.Why, m.Label))
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestPlanRows(t *testing.T) {
	content := "name,mail,paid\nA. Marsh,a.marsh@example.org,120\nB. Field,b@example.org,120\nC. Hill,A.Marsh@Example.org,7\n"
	wantLines(t, planLines(t, rows, content, Ask{"rows 2", "CT-1-210-b-2"}),
		"0-0 - digest: digest",
		"2-2 CT-1-210-b-2 asked: row 2",
		"4-4 CT-1-210-b-2 same text: row 4",
	)
}

func TestPlanRefuses(t *testing.T) {
	l, err := Arrange(Text, []byte("one\n\ntwo\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		asks []Ask
		want error
	}{
		"no asks":          {nil, ErrPlan},
		"too many":         {make([]Ask, MaxAsks+1), ErrPlan},
		"no code":          {[]Ask{{"paragraphs 1", ""}}, ErrPlan},
		"code of betrayal": {[]Ask{{"paragraphs 1", Betrays}}, ErrPlan},
		"no selector":      {[]Ask{{"chapter 1", "X"}}, ErrSelector},
		"nothing there":    {[]Ask{{"paragraphs 3", "X"}}, ErrNoMatch},
	} {
		if marks, err := Plan(Text, l.Segments, c.asks); !errors.Is(err, c.want) || marks != nil {
			t.Errorf("%s: %v, %v", name, marks, err)
		}
	}
}

// TestPlanDigests: digests of a hidden cell, in every form, are found.
func TestPlanDigests(t *testing.T) {
	secret := "maple"
	five, one, two := md5.Sum([]byte(secret)), sha1.Sum([]byte(secret)), sha256.Sum256([]byte(secret))
	crc := crc32.ChecksumIEEE([]byte(secret))
	for name, digest := range map[string]string{
		"md5":                 hex.EncodeToString(five[:]),
		"sha-1, capitals":     strings.ToUpper(hex.EncodeToString(one[:])),
		"sha-256 with a name": "sha256:" + hex.EncodeToString(two[:]),
		"base64":              base64.StdEncoding.EncodeToString(two[:]),
		"base64 for URLs":     base64.RawURLEncoding.EncodeToString(one[:]),
		"with a prefix":       "sha256-" + base64.StdEncoding.EncodeToString(two[:]),
		"crc32":               fmt.Sprintf("%08x", crc),
		"crc32 in decimal":    fmt.Sprint(crc),
	} {
		t.Run(name, func(t *testing.T) {
			content := "word,seen\n" + secret + ",1\nother," + digest + "\n"
			wantLines(t, planLines(t, cells, content, Ask{"rows 2 columns 1", "X"}),
				"0-0 - digest: digest", "3-3 X asked: row 2 column 1", "6-6 - checksum: row 3 column 2")
			if lines := planLines(t, cells, content, Ask{"rows 3 columns 1", "X"}); len(lines) != 2 {
				t.Errorf("found for another value: %q", lines)
			}
		})
	}
}

func TestPlanSameText(t *testing.T) {
	for _, c := range []struct {
		name    string
		profile Profile
		content string
		ask     string
		want    []string // besides the digest
	}{
		{"words in another case, over a line end", Text, "Jane Roe\n\nseen: JANE\n  ROE\n\nJanet Roe\n", `text "Jane Roe"`,
			[]string{"1-1 X asked: paragraph 1", "2-2 X same text: paragraph 2"}},
		{"words over the end of a segment", rows, "a,Jane\nRoe,b\nJane Roe\n", `text "Jane Roe"`,
			[]string{"1-2 X same text: row 1", "3-3 X asked: row 3"}},
		{"no part of a longer word or number", Text, "code 120\n\n1200\n\n3.120\n\n120.5\n\nx120\n\nat 120.\n", `text "code 120"`, []string{"1-1 X asked: paragraph 1"}},
		{"a number", cells, "a,120\nb,1200\n120,3.120\n120.5,x120\n(120),d\n", "rows 1 columns 2",
			[]string{"2-2 X asked: row 1 column 2", "5-5 X same text: row 3 column 1", "9-9 X same text: row 5 column 1"}},
		{"a value of two characters", cells, "a,no\nb,no\n", "rows 1 columns 2", []string{"2-2 X asked: row 1 column 2"}},
		{"a value with quotes and spaces", cells, "a,\" Elm \"\nElm,c\n", "rows 1 columns 2", []string{"2-2 X asked: row 1 column 2", "3-3 X same text: row 2 column 1"}},
		{"the address in a cell", cells, "a,Roe <jr@example.org>\nb,mailto:JR@example.org\n", "rows 1 columns 2",
			[]string{"2-2 X asked: row 1 column 2", "4-4 X same text: row 2 column 2"}},
		{"values and names of json", JSON, `{"Elm":1,"b":"Elm","c":"Elm tree","d":true,"e":true}`, "/b",
			[]string{"1-1 X same text: glue before value 1", "4-4 X asked: value 2", "6-6 X same text: value 3"}},
		{"true says nothing", JSON, `[true,true]`, "/0", []string{"2-2 X asked: value 1"}},
		{"a date in a row", rows, "Elm,1/2/2031\nOak,1/2/2031\n", "rows 1", []string{"1-1 X asked: row 1"}},
		{"an account in a row", rows, "Elm,0012345\nOak,0012345\n", "rows 1", []string{"1-1 X asked: row 1", "2-2 X same text: row 2"}},
		{"the same paragraph", Text, "one thing\n\nother\n\none thing\n", "paragraphs 1", []string{"1-1 X asked: paragraph 1", "3-3 X same text: paragraph 3"}},
		{"a line that is quoted", Text, "The harbour is closed today\n\nHe wrote:\n> The harbour is\n> closed today\n\nnone\n", "paragraphs 1",
			[]string{"1-1 X asked: paragraph 1", "2-2 X same text: paragraph 2"}},
		{"a telephone number in a paragraph", Text, "Call 860-555-0147 now.\n\nSee 860-555-0147\n\n2031-01-02\n", "paragraphs 1",
			[]string{"1-1 X asked: paragraph 1", "2-2 X same text: paragraph 2"}},
		{"a soft line break of a mail", EML, "From: a@example.org\n\nJane Roe\n\nJane R=\r\noe\n", `text "Jane Roe"`,
			[]string{"3-3 X asked: paragraph 1", "4-4 X same text: paragraph 2"}},
		{"a header: address and name", EML, "From: Jane Roe <jr@example.org>\nTo: b@example.org\nReply-To: JR@example.org\n\nbest, jane roe\n", "header From",
			[]string{"1-1 X asked: header From", "3-3 X same text: header Reply-To", "5-5 X same text: paragraph 1"}},
		{"a subject that was answered", EML, "From: a@example.org\nSubject: Re: Berth 7\n\nAbout berth 7.\n", "header Subject",
			[]string{"2-2 X asked: header Subject", "4-4 X same text: paragraph 1"}},
		{"what names the form of a mail", EML, "From: a@example.org\nMIME-Version: 1.0\n\n1.0\n", "header MIME-Version", []string{"2-2 X asked: header MIME-Version"}},
		{"chunks alike", Raw, strings.Repeat("x", 3*rawChunk), "segments 1", []string{"1-1 X asked: chunk 1", "2-3 X same text: chunk 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantLines(t, planLines(t, c.profile, c.content, Ask{c.ask, "X"}), append([]string{"0-0 - digest: digest"}, c.want...)...)
		})
	}
}

// TestPlanCommonValues: what stands everywhere is not proposed, unless it was asked
// for as text.
func TestPlanCommonValues(t *testing.T) {
	var table strings.Builder
	for i := range 40 {
		fmt.Fprintf(&table, "id%d,Water\n", 100+i)
	}
	for ask, want := range map[string]int{"rows 1": 2, "rows 1 columns 2": 2, `text "Water"`: 41} {
		l, err := Arrange(cells, []byte(table.String()), nil)
		if err != nil {
			t.Fatal(err)
		}
		marks, err := Plan(cells, l.Segments, []Ask{{ask, "X"}})
		if err != nil || len(marks) != want {
			t.Errorf("%s: %d marks, %v; want %d", ask, len(marks), err, want)
		}
	}
}

// TestPlanOrder: a leaf has the code of the first ask that names it, and what is
// hidden anyway is not proposed again.
func TestPlanOrder(t *testing.T) {
	content := "Jane Roe and John Doe\n\nJane Roe\n\nJohn Doe\n\nElm\n"
	wantLines(t, planLines(t, Text, content, Ask{`text "John Doe"`, "B"}, Ask{"paragraphs 1-2", "A"}, Ask{"paragraphs 3", "C"}),
		"0-0 - digest: digest", "1-1 B asked: paragraph 1", "2-2 A asked: paragraph 2", "3-3 B asked: paragraph 3")
	planned := []PlannedMark{{Mark: Mark{Range{1, 2}, "A"}}, {Mark: Mark{Range{3, 3}, "A"}}, {Mark: Mark{Range{4, 4}, "B"}}, {Mark: Mark{Range{6, 6}, "B"}}}
	if got, want := Marks(planned), []Mark{{Range{1, 3}, "A"}, {Range{4, 4}, "B"}, {Range{6, 6}, "B"}}; !slices.Equal(got, want) {
		t.Errorf("marks %v, want %v", got, want)
	}
}

func TestPlanBetrayals(t *testing.T) {
	row := sha256.Sum256([]byte("Elm,7,x"))
	for _, c := range []struct {
		name    string
		profile Profile
		content string
		ask     string
		want    []string
	}{
		{"a column that is named", "csv-cells/1;d=,;c=3", "name,no,row_hash\nElm,7,aa\nOak,8,bb\n", "rows 2 columns 1",
			[]string{"4-4 X asked: row 2 column 1", "6-6 - checksum: row 2 column 3"}},
		{"a column of other names", "csv-cells/1;d=,;c=3", "name,no,hashtag\nElm,7,aa\nOak,8,bb\n", "rows 2 columns 1", []string{"4-4 X asked: row 2 column 1"}},
		{"a digest of the row", rows, "Elm,7,x\nlist " + hex.EncodeToString(row[:]) + "\n", "rows 1", []string{"1-1 X asked: row 1", "2-2 - checksum: row 2"}},
		{"a digest of the row of a cell", "csv-cells/1;d=,;c=3", "Elm,7,x\na,b," + hex.EncodeToString(row[:]) + "\n", "rows 1 columns 1",
			[]string{"1-1 X asked: row 1 column 1", "6-6 - checksum: row 2 column 3"}},
		{"members in objects around it", JSON, `{"md5":"a","in":{"name":"Elm","fileSHA256":"b"},"other":{"hash":"c","n":"Oak"},"checksums":["d","e"]}`, "/in/name",
			[]string{"2-2 - checksum: value 1", "4-4 X asked: value 2", "6-6 - checksum: value 3", "12-12 - checksum: value 6", "14-14 - checksum: value 7"}},
		{"members of other texts", JSON, "{\"a\":\"Elm\",\"crc\":1}\n{\"a\":\"Oak\",\"crc\":2}\n", "segments 2", []string{"2-2 X asked: value 1", "4-4 - checksum: value 2"}},
		{"a signature in the text", Text, "Elm\n\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n\nOak\n", "paragraphs 1",
			[]string{"1-1 X asked: paragraph 1", "2-3 - checksum: paragraph 2"}},
		{"a signature in XML", Text, "Elm\n\n<ds:DigestValue>x</ds:DigestValue>\n\nOak\n", "paragraphs 1", []string{"1-1 X asked: paragraph 1", "2-2 - checksum: paragraph 2"}},
		{"a mail's signatures", EML, "DKIM-Signature: bh=x\nFrom: a@example.org\n\nElm\n\nOak\n", "paragraphs 1", []string{"1-1 - signature: header DKIM-Signature", "4-4 X asked: paragraph 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantLines(t, planLines(t, c.profile, c.content, Ask{c.ask, "X"}), append([]string{"0-0 - digest: digest"}, c.want...)...)
		})
	}
}

func TestPlanMetadata(t *testing.T) {
	whole := md5.Sum([]byte("name\nJane Roe\n"))
	wantLines(t, planOf(t, Text, "name\nJane Roe\n", []Field{
		{FieldMediaType, "Jane Roe"}, {FieldFileName, "jane_roe-2031.txt"}, {FieldTitle, "Letter of Jane Roe"}, {"source", "Jane"},
		{"sum", hex.EncodeToString(whole[:])}, {FieldDerivedFrom, "Jane Roe"},
	}, Ask{`text "Jane Roe"`, "X"}),
		"1-2 - file name: metadata", "4-4 - checksum: metadata", "6-6 - digest: digest", "7-7 X asked: paragraph 1")
}

// FuzzPlan: a plan has its form, hides what was asked for and what must be hidden,
// and words that were asked for stand whole nowhere else.
func FuzzPlan(f *testing.F) {
	f.Add(uint8(0), uint8(0), "a,Elm\nb,elm tree\n", "Elm")
	f.Add(uint8(1), uint8(0), "Elm\n\n> e\nlm ELM\n", "Elm")
	f.Add(uint8(2), uint8(0), `{"Elm":["Elm",12.5,{"md5":"x"}]}`, "12.5")
	f.Add(uint8(4), uint8(3), "a,md5\nElm,x\n", "Elm")
	f.Add(uint8(3), uint8(0), "From: Elm <e@example.org>\n\nE=\nlm\n", "Elm")
	f.Fuzz(func(t *testing.T, which, gap uint8, content, words string) {
		p := []Profile{rows, Text, JSON, EML, cells}[which%5]
		l, err := Arrange(p, []byte(content), []Field{{FieldFileName, "x"}})
		if err != nil {
			return
		}
		if gap > 0 {
			l.Segments[int(gap)%len(l.Segments)].Payload = nil
		}
		for _, ask := range []string{fmt.Sprintf("text %q", words), "segments 1"} {
			marks, err := Plan(p, l.Segments, []Ask{{ask, "X"}})
			if err != nil {
				if marks != nil || !errors.Is(err, ErrSelector) && !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrGaps) {
					t.Fatalf("%s: %v, %v", ask, marks, err)
				}
				continue
			}
			r := Redaction{Authority: "A", Dated: "2031-01-01", Marks: Marks(marks)}
			if _, err := r.Marshal(); err != nil {
				t.Fatal(err)
			}
			hidden := mergeRanges(r.Ranges(), l.N())
			if must := Redact(l.Segments, hidden, true); !slices.Equal(must, hidden) {
				t.Fatalf("hides %v, must hide %v", hidden, must)
			}
			asked, err := Locate(p, l.Segments, ask)
			for _, leaf := range asked {
				if err != nil || !contains(hidden, uint32(leaf)) {
					t.Fatalf("leaf %d is not hidden, %v", leaf, err)
				}
			}
			plain := strings.ToLower(trimValue(words))
			if len(plain) < minValue || strings.ContainsFunc(plain, func(r rune) bool { return r < 'a' || r > 'z' }) || ask == "segments 1" {
				continue
			}
			for i, s := range l.Segments {
				if s.Kind == Content && !contains(hidden, uint32(i)) && slices.Contains(strings.FieldsFunc(strings.ToLower(string(s.Payload)), func(r rune) bool { return !isWordRune(r) }), plain) {
					t.Fatalf("%q stands in %q", plain, s.Payload)
				}
			}
		}
	})
}
