package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func TestAnchorFilesFoldersAndStdin(t *testing.T) {
	d, c := newOffice(t)
	d.file("minutes/b.txt", "second")
	d.file("minutes/a.txt", "first")
	d.file("minutes/deep/c.csv", "a,b,c\n1,2,3\n4,5,6\n")
	if err := os.Symlink("a.txt", d.path("minutes/link")); err != nil {
		t.Fatal(err)
	}
	d.stdin = strings.NewReader("third")
	got := d.anchorJSON(exitDone, d.path("minutes"), "-", "--receipts", d.path("receipts"))
	var files []string
	for _, r := range got.Records {
		files = append(files, strings.TrimPrefix(r.File, d.dir+"/"))
	}
	if want := []string{"minutes/a.txt", "minutes/b.txt", "minutes/deep/c.csv", "-"}; !slices.Equal(files, want) {
		t.Errorf("anchored %v, want %v", files, want)
	}
	if want := []string{"a,b,c\n1,2,3\n4,5,6\n", "first", "second", "third"}; !slices.Equal(c.contents(), want) {
		t.Errorf("on the ledger: %q, want %q", c.contents(), want)
	}
	for i, r := range got.Records {
		if r.Index != got.Records[0].Index+uint64(i) {
			t.Errorf("record %d has index %d: one batch was expected, in the order of the files", i, r.Index)
		}
		text := must(os.ReadFile(r.Receipt))
		info := must(os.Stat(r.Receipt))
		verdict := must(receipt.Verify(c.network, text))
		if verdict.Outcome != receipt.Passed || info.Mode().Perm() != 0o600 || filepath.Base(r.Receipt) != fmt.Sprintf("%d.receipt", r.Index) {
			t.Errorf("%s: %s, mode %v", r.Receipt, verdict.Outcome, info.Mode())
		}
	}
}

func TestAnchorAnEmptyDocument(t *testing.T) {
	d, c := newOffice(t)
	got := d.anchorJSON(exitDone, d.file("empty.txt", ""), d.file("one.txt", "1"))
	if got.Anchored != 2 || !slices.Equal(c.contents(), []string{"", "1"}) {
		t.Errorf("%+v, on the ledger %q", got, c.contents())
	}
	if r := d.must("read", numeral(got.Records[0].Index)); r.stdout != "" {
		t.Errorf("read %q", r.stdout)
	}
}

func TestAnchorSaysTheSameInText(t *testing.T) {
	d, _ := newOffice(t)
	path := d.file("a.txt", "first")
	first := d.must("anchor", "--series", "DEMO-MINUTES", path)
	var index int
	var cid string
	if _, err := fmt.Sscanf(first.stdout, "%d\t%s\t"+path, &index, &cid); err != nil || !strings.HasPrefix(cid, "bafy") {
		t.Fatalf("stdout %q: %v", first.stdout, err)
	}
	for _, want := range []string{"1 anchored, 0 already anchored, 0 failed", fmt.Sprintf("next: muniment evidence %d", index)} {
		if !strings.Contains(first.stderr, want) {
			t.Errorf("stderr %q lacks %q", first.stderr, want)
		}
	}
	second := d.must("anchor", "--series", "DEMO-MINUTES", path)
	if want := fmt.Sprintf("already anchored as record %d", index); !strings.Contains(second.stdout, want) {
		t.Errorf("second run: stdout %q lacks %q", second.stdout, want)
	}
}

// Where people watch a bar, the lines wait for its end; they are the same.
func TestLinesAreHeldBehindTheBar(t *testing.T) {
	d, _ := newOffice(t)
	args := []string{"anchor", "--series", "DEMO-MINUTES", d.file("a.txt", "first"), d.file("b.txt", "second"), "--passphrase-file", d.path("passphrase")}
	var stdout, stderr bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, stderrTerminal: true, now: time.Now, places: d.places}
	if code := p.run(t.Context(), args); code != exitDone || !strings.Contains(stderr.String(), "2 anchored") {
		t.Fatalf("exit code %d, stderr %q", code, stderr.String())
	}
	plain := d.must(args[:len(args)-2]...).stdout
	for held := range lines(stdout.String()) {
		if !strings.Contains(plain, strings.TrimSuffix(held, "\n")) {
			t.Errorf("behind the bar: %q, without it: %q", held, plain)
		}
	}
	if strings.Count(stdout.String(), "\n") != 2 {
		t.Errorf("stdout %q", stdout.String())
	}
}

func TestAnchorTwiceMakesOneRecord(t *testing.T) {
	d, c := newOffice(t)
	paths := []string{d.file("a.txt", "first"), d.file("b.txt", "second"), d.file("copy-of-a.txt", "first")}
	first := d.anchorJSON(exitDone, paths...)
	if first.Anchored != 2 || first.Already != 1 || first.Records[2].Index != first.Records[0].Index {
		t.Errorf("first run: %+v", first)
	}
	second := d.anchorJSON(exitDone, append(paths, "--receipts", d.path("receipts"))...)
	if second.Anchored != 0 || second.Already != 3 || second.Records[1].Index != first.Records[1].Index {
		t.Errorf("second run: %+v", second)
	}
	if _, err := os.Stat(second.Records[1].Receipt); err != nil {
		t.Errorf("no receipt of a record that was anchored before: %v", err)
	}
	again := d.anchorJSON(exitDone, paths[0], "--again")
	if again.Anchored != 1 || again.Records[0].Index == first.Records[0].Index {
		t.Errorf("with --again: %+v", again)
	}
	if want := []string{"first", "first", "second"}; !slices.Equal(c.contents(), want) {
		t.Errorf("on the ledger: %q, want %q", c.contents(), want)
	}
	if third := d.anchorJSON(exitDone, paths[0]); third.Records[0].Index != again.Records[0].Index || !third.Records[0].Already {
		t.Errorf("after --again: %+v", third)
	}
}

func TestAnchorDatesAndMetadata(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("permits.csv", "no,street,use\n1,Elm,shed\n2,Oak,sign\n")
	day := func(text string) record.Day { return must(parseDay(text)) }
	for _, test := range []struct {
		series string
		flags  []string
		day    record.Day
		undate uint32
	}{
		{"DEMO-MINUTES", nil, day("2031-02-14"), 0},
		{"DEMO-PERMITS", nil, day("2031-02-28"), 0},
		{"DEMO-PERMITS", []string{"--again", "--date", "2032-02-01", "--title", "Permits"}, day("2032-02-29"), 0},
		{"DEMO-PERMITS", []string{"--again", "--undated", "--profile", "raw/1"}, 0, record.FlagUndated},
		{"DEMO-PERMITS", []string{"--again", "--undated", "--profile", "cells"}, 0, record.FlagUndated},
	} {
		d.must(append([]string{"anchor", path, "--series", test.series}, test.flags...)...)
		entry := c.entry(record.Index(c.view.Head().Size - 2)).(record.AnchorEntry)
		if entry.Day != test.day || entry.Flags != test.undate || entry.Custody != "CITY" || entry.Office != "PERMITS" || string(entry.Series) != test.series {
			t.Errorf("%s %v: entry %+v, want day %d", test.series, test.flags, entry, test.day)
		}
		header := c.vault[entry.Commitment].header
		var fields []string
		for _, f := range header.Fields {
			fields = append(fields, f.Key+"="+f.Value)
		}
		want := []string{"media-type=text/csv", "file-name=permits.csv"}
		wantProfile := "csv/1;d=,"
		if slices.Contains(test.flags, "--title") {
			want = append(want, "title=Permits")
		}
		if slices.Contains(test.flags, "raw/1") {
			wantProfile = "raw/1"
		}
		if slices.Contains(test.flags, "cells") {
			wantProfile = "csv-cells/1;d=,;c=3"
		}
		if !slices.Equal(fields, want) || header.Profile != wantProfile {
			t.Errorf("%v: fields %v, profile %s; want %v, %s", test.flags, fields, header.Profile, want, wantProfile)
		}
	}
}

func TestAnchorInBatches(t *testing.T) {
	d, c := newOffice(t)
	for i := range batchItems + 3 {
		d.file(fmt.Sprintf("many/%04d.txt", i), fmt.Sprint("document ", i))
	}
	got := d.anchorJSON(exitDone, d.path("many"))
	if got.Anchored != batchItems+3 || len(c.contents()) != batchItems+3 {
		t.Errorf("%d anchored, %d on the ledger", got.Anchored, len(c.contents()))
	}
	if c.submits != 2 {
		t.Errorf("%d transactions, want 2", c.submits)
	}
}

func TestSomeOfABatchFail(t *testing.T) {
	d, c := newOffice(t)
	good, bad := d.file("good.json", `{"a": 1}`), d.file("bad.json", `{"a": `)
	r := d.run("anchor", "--series", "DEMO-MINUTES", "--profile", "json/1", good, bad)
	if r.code != exitSome || !strings.Contains(r.stderr, "muniment: anchor "+bad+": it cannot be cut by json/1") || !strings.Contains(r.stderr, "(PROFILE_REFUSED)") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	if strings.Count(r.stderr, "bad.json") != 1 || strings.Contains(r.stderr, "good.json") || !strings.Contains(r.stdout, "good.json") {
		t.Errorf("each failure is one sentence: stdout %q, stderr %q", r.stdout, r.stderr)
	}
	if got := c.contents(); !slices.Equal(got, []string{`{"a": 1}`}) {
		t.Errorf("on the ledger: %q", got)
	}
	d.fails(exitRefused, "(PROFILE_REFUSED)", "anchor", "--series", "DEMO-MINUTES", "--profile", "json/1", bad)
}

func TestRecordKeyIsFreshAndStaysInMemory(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "the content that nobody may find")
	var keys []string
	c.set(hooks{deposit: func(h *apiv1.DepositHeader) error {
		keys = append(keys, string(h.RecordKey))
		return nil
	}})
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	d.must("anchor", "--series", "DEMO-MINUTES", path, "--again")
	if len(keys) != 2 || keys[0] == keys[1] || len(keys[0]) != 32 {
		t.Fatalf("%d record keys, of %d bytes", len(keys), len(keys[0]))
	}
	forbidden := append(keys, "the content that nobody may find", "a.txt")
	for _, key := range keys {
		forbidden = append(forbidden, fmt.Sprintf("%x", key))
	}
	searched := 0
	for _, dir := range []string{d.places.config, d.places.state} {
		err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
			if err != nil || info.IsDir() {
				return err
			}
			searched++
			text := string(must(os.ReadFile(name)))
			for _, secret := range forbidden {
				if strings.Contains(text, secret) || strings.Contains(name, secret) {
					t.Errorf("%s holds %q", name, secret)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if searched < 4 {
		t.Errorf("only %d files were searched", searched)
	}
}

// TestAnchorWhatWasDestroyed: of content whose record is gone no evidence is
// suggested.
func TestAnchorWhatWasDestroyed(t *testing.T) {
	d, c := newOffice(t)
	one, two := d.file("one.txt", "1"), d.file("two.txt", "2")
	first := d.anchorJSON(exitDone, one, two).Records[0].Index
	under := &apiv1.DispositionInfo{Index: 90, Action: "DESTROY", Lock: 95, Status: "COMPLETE", Reports: []*apiv1.ReportInfo{{Entry: 99, Outcome: "DONE"}}}
	c.set(hooks{disposed: func(index uint64) *apiv1.DispositionInfo {
		if index == first {
			return under
		}
		return nil
	}})
	gone := fmt.Sprintf("one.txt: already anchored as record %d, which was destroyed: --again anchors it as a new record\n", first)
	next := func(index uint64) string { return fmt.Sprintf("next: muniment evidence %d -o", index) }
	again := func(paths ...string) string {
		return d.must(append([]string{"anchor", "--series", "DEMO-MINUTES"}, paths...)...).stderr
	}
	if said := again(one); !strings.Contains(said, gone) || strings.Contains(said, "next: ") {
		t.Errorf("said %q", said)
	}
	if said := again(one, two); !strings.Contains(said, gone) || !strings.Contains(said, next(first+1)) {
		t.Errorf("of two: %q", said)
	}
	under.Reports[0].Outcome = "PRESERVED"
	if said := again(one); strings.Contains(said, "destroyed") || !strings.Contains(said, next(first)) {
		t.Errorf("preserved: %q", said)
	}
	under.Reports[0].Outcome, under.Status = "DONE", "LOCKED"
	if said := again(one); strings.Contains(said, "destroyed") || !strings.Contains(said, next(first)) {
		t.Errorf("not carried out: %q", said)
	}
}
