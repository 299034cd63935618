package commitment

import (
	"bytes"
	"encoding/csv"
	"slices"
	"testing"
)

func TestSplitCSV(t *testing.T) {
	testCuts(t, csvBy("csv/1;d=,"), []cutCase{
		{"header row and rows", "permit,fee\n1,40\n2,50\n", []string{"permit,fee\n", "1,40\n", "2,50\n"}},
		{"no line end at the end", "a,b\n1,2", []string{"a,b\n", "1,2"}},
		{"CRLF, LF and CR", "a\r\nb\nc\rd", []string{"a\r\n", "b\n", "c\r", "d"}},
		{"quoted newline", "a,\"x\ny\"\r\nb,c\r\n", []string{"a,\"x\ny\"\r\n", "b,c\r\n"}},
		{"quoted delimiter and doubled quotes", "\"a,\"\"b\"\"\",c\n", []string{"\"a,\"\"b\"\"\",c\n"}},
		{"blank rows are rows", "a\n\n\nb\n", []string{"a\n", "\n", "\n", "b\n"}},
		{"rows of unlike length", "a,b\nc\nd,e,f\n", []string{"a,b\n", "c\n", "d,e,f\n"}},
		{"empty last field at the end", "a,b\nc,", []string{"a,b\n", "c,"}},
		{"quotes at the end", "a,\"b\"", []string{"a,\"b\""}},
		{"byte order mark before quotes", "\xef\xbb\xbf\"a\",b\n", []string{"\xef\xbb\xbf\"a\",b\n"}},
		{"byte order mark alone", "\xef\xbb\xbf", []string{"\xef\xbb\xbf"}},

		{"quote that is not closed", "a,\"b\nc\n", nil},
		{"quote alone", "\"", nil},
		{"quote within a field", "a\"b\n", nil},
		{"text after a closing quote", "\"a\"b\n", nil},
		{"space before a quote", "a, \"b\"\n", nil},
		{"not UTF-8", "a,\xff\n", nil},
		{"NUL", "a,\x00\n", nil},
	})
	for _, p := range []Profile{"csv/1", "csv/1;d=", "csv/1;d=x", "csv/1;d=,,", "csv/1;d=\t", "csv/2;d=,", "csv/1;d=,;c=2"} {
		if _, err := splitCSV([]byte("a,b\n"), p); err == nil {
			t.Errorf("profile %q was accepted", p)
		}
	}
	if segments, err := splitCSV(nil, "csv/1;d=,"); err != nil || len(segments) != 0 {
		t.Errorf("nothing: %d segments, %v", len(segments), err)
	}
}

func TestSplitCSVCells(t *testing.T) {
	testCuts(t, cellsBy("csv-cells/1;d=,;c=2"), []cutCase{
		{"delimiters and line ends go with the field", "a,b\r\n1,2\n", []string{"a,", "b\r\n", "1,", "2\n"}},
		{"quotes go with the field", "\"a,\"\"x\",\"b\nc\"\n", []string{"\"a,\"\"x\",", "\"b\nc\"\n"}},
		{"empty fields", ",\n,\n", []string{",", "\n", ",", "\n"}},
		{"no line end at the end", "a,b", []string{"a,", "b"}},

		{"row too short", "a,b\nc\n", nil},
		{"row too long", "a,b\nc,d,e\n", nil},
		{"blank row", "a,b\n\n", nil},
		{"empty last field without a line end has no bytes", "a,", nil},
		{"byte order mark without a row", "\xef\xbb\xbf", nil},
		{"broken quotes", "a,\"b\n", nil},
	})
	testCuts(t, cellsBy("csv-cells/1;d=tab;c=1"), []cutCase{
		{"one column: a blank row is an empty field", "a\n\nb", []string{"a\n", "\n", "b"}},
		{"a second field", "a\t", nil},
	})
	for _, p := range []Profile{
		"csv-cells/1;d=,", "csv-cells/1;d=,;c=", "csv-cells/1;d=,;c=0", "csv-cells/1;d=,;c=02", "csv-cells/1;d=,;c=+2",
		"csv-cells/1;d=,;c=16385", "csv-cells/1;c=2;d=,", "csv-cells/1;d=x;c=2", "csv-cells/1;d=,;c=2;c=2", "csv/1;d=,",
	} {
		if _, err := splitCSVCells([]byte("a,b\n"), p); err == nil {
			t.Errorf("profile %q was accepted", p)
		}
	}
}

func TestEveryDelimiter(t *testing.T) {
	for _, d := range csvDelimiters {
		content := bytes.ReplaceAll([]byte("a#b\n\"1#\n2\"#c\n"), []byte("#"), []byte{d.delimiter})
		rows, err := splitCSV(content, Profile("csv/1;d="+d.name))
		if err != nil || len(rows) != 2 {
			t.Errorf("delimiter %s: %d rows, %v", d.name, len(rows), err)
		}
		cells, err := splitCSVCells(content, Profile("csv-cells/1;d="+d.name+";c=2"))
		if err != nil || len(cells) != 4 {
			t.Errorf("delimiter %s: %d cells, %v", d.name, len(cells), err)
		}
	}
}

// TestCSVAgainstTheStandardLibrary: rows and fields are those of encoding/csv, on
// files without what it leaves out or allows beyond RFC 4180.
func TestCSVAgainstTheStandardLibrary(t *testing.T) {
	reader := csv.NewReader(bytes.NewReader([]byte(permitsCSV)))
	reader.FieldsPerRecord = -1
	want, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cells, err := splitCSVCells([]byte(permitsCSV), "csv-cells/1;d=,;c=3")
	if err != nil {
		t.Fatal(err)
	}
	if len(cells) != 3*len(want) {
		t.Fatalf("got %d cells, want %d rows of 3", len(cells), len(want))
	}
	for i, row := range want {
		for j, field := range row {
			// A cell with its delimiter or line end is a table of its own.
			alone, err := csv.NewReader(bytes.NewReader(bytes.TrimSuffix(cells[3*i+j].Payload, []byte(",")))).Read()
			if err != nil || !slices.Equal(alone, []string{field}) {
				t.Errorf("row %d column %d: got %q, want %q (%v)", i, j, alone, field, err)
			}
		}
	}
}

func TestSplitCSVEveryByte(t *testing.T) {
	testEveryByte(t, "csv/1;d=,", csvBy("csv/1;d=,"), permitsCSV)
	testEveryByte(t, "csv-cells/1;d=,;c=3", cellsBy("csv-cells/1;d=,;c=3"), permitsCSV)
}

const permitsCSV = "permit,office,remark\r\n" +
	"B-7,Harbour Commission,\"berth 7,\nsee \"\"plan\"\" 3\"\r\n" +
	"B-8,\"Fisheries Office\",none\n" +
	"B-9,Archive,x\n"
