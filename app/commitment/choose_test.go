package commitment

import (
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	memo := "From: Harbour Commission\nTo: Archive\nDate: 3 March 2031\n\nBerth 7 is closed.\n"
	for _, c := range []struct {
		name, file, content string
		want                Profile
	}{
		{"nothing", "", "", Text},
		{"prose", "", "Minutes of the Harbour Commission, Monday,\nheld in room 4.\n", Text},
		{"one byte that is no UTF-8", "minutes.txt", "Minutes \xe4\n", Raw},
		{"NUL", "minutes.txt", "Minutes\x00\n", Raw},
		{"image", "plan.png", "\x89PNG\r\n\x1a\n", Raw},

		{"object", "", `{"a":1}`, JSON},
		{"array after space and byte order mark", "", "\xef\xbb\xbf\n [1]", JSON},
		{"object in a file of another name", "a.csv", `{"a":1}`, JSON},
		{"a text per line", "", "{\"a\":1}\n{\"a\":2}\n", JSON},
		{"scalar is prose without the name", "", "7\n", Text},
		{"scalar with the name", "a.JSON", "7\n", JSON},
		{"broken JSON", "a.json", `{"a":1`, Text},
		{"broken JSON that is no UTF-8", "a.json", "{\"a\":\"\xff\"}", Raw},

		{"mail", "", noticeMail, EML},
		{"mail that is no UTF-8", "", noticeMail + "\xe4", EML},
		{"mail from a mailbox file", "", "From harbour\n" + noticeMail, EML},
		{"machine field folded", "", "From: a\nReceived: x\n y\n\nb\n", EML},
		{"memorandum is prose", "memo.txt", memo, Text},
		{"memorandum that the name calls a mail", "memo.eml", memo, EML},
		{"name calls it a mail and it is none", "x.eml", "// no mail\n", Text},
		{"name calls it a mail and it is none, nor text", "x.eml", "\xff", Raw},
		{"machine field in the body", "", memo + "Message-ID: x\n", Text},

		{"table by content", "", "a,b,c\n1,2,3\n4,5,6\n", "csv/1;d=,"},
		{"table by content, tab", "", "a\tb\tc\n1\t2\t3\n4\t5\t6\n", "csv/1;d=tab"},
		{"two columns need the name", "", "a,b\n1,2\n3,4\n", Text},
		{"two columns with the name", "x.csv", "a,b\n1,2\n3,4\n", "csv/1;d=,"},
		{"unlike rows need the name", "", "a,b,c\n1,2\n3,4,5\n", Text},
		{"unlike rows with the name", "x.csv", "a,b,c\n1,2\n3,4,5\n", "csv/1;d=,"},
		{"blank rows do not count", "", "a,b,c\n1,2,3\n\n4,5,6\r\n\r\n", "csv/1;d=,"},
		{"decimal commas", "x.csv", "fee;levy;sum\n1,5;2,5;4,0\n1,0;2;3\n", "csv/1;d=;"},
		{"most columns win", "x.csv", "a,b;c;d\n1,2;3;4\n", "csv/1;d=;"},
		{"the comma wins a tie", "x.csv", "a,b;c\n1,2;3\n", "csv/1;d=,"},
		{"vertical bars", "x.csv", "a|b\n1|2\n", "csv/1;d=|"},
		{"a name for tabs leaves only the tab", "x.tsv", "a,b,c\n1,2,3\n", "csv/1;d=tab"},
		{"one column with the name", "x.csv", "a\nb\n", "csv/1;d=,"},
		{"only a header row", "x.csv", "a;b;c\n", "csv/1;d=;"},
		{"broken quotes", "x.csv", "a,b\n\"1,2\n", Text},
		{"empty file with the name", "x.csv", "", Text},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Choose(c.file, []byte(c.content))
			if got != c.want {
				t.Fatalf("got %s, want %s", got, c.want)
			}
			if !got.Valid() {
				t.Errorf("%q is no valid profile", got)
			}
			if _, err := Split(got, []byte(c.content)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChooseCells(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		want                Profile
	}{
		{"rectangular", "x.csv", "a;b\n1;2\n", "csv-cells/1;d=;;c=2"},
		{"tab", "x.tsv", "a\tb\n1\t2\n", "csv-cells/1;d=tab;c=2"},
		{"one column", "x.csv", "a\nb\n", "csv-cells/1;d=,;c=1"},
		{"not rectangular", "x.csv", "a;b\n1\n", ""},
		{"blank row", "x.csv", "a;b\n\n1;2\n", ""},
		{"empty last field without a line end", "x.csv", "a;b\n1;", ""},
		{"no table", "x.txt", "Minutes\n", ""},
		{"as many cells as are chosen", "x.csv", strings.Repeat("a,b\n", maxChosenCells/2), "csv-cells/1;d=,;c=2"},
		{"more cells", "x.csv", strings.Repeat("a,b\n", maxChosenCells/2+1), ""},
		{"too many columns", "x.csv", strings.Repeat("a,", maxCSVColumns) + "b\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ChooseCells(c.file, []byte(c.content))
			if got != c.want || ok != (c.want != "") {
				t.Fatalf("got %q %t, want %q", got, ok, c.want)
			}
			if ok {
				if _, err := Split(got, []byte(c.content)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
