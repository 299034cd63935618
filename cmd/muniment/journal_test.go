package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// lines goes through the lines of a text, each with its line end.
func lines(text string) iter.Seq[string] { return strings.Lines(text) }

var journalNetwork = record.Network{1, 2, 3}

func openTestJournal(t testing.TB, dir string) (*journal, error) {
	t.Helper()
	j, err := openJournal(context.Background(), dir, journalNetwork, func() { t.Error("the journal is locked") })
	if err == nil {
		t.Cleanup(func() { j.close() })
	}
	return j, err
}

// testBatch signs a transaction that anchors n records, made of a number.
func testBatch(number byte, n int) (raw []byte, contents []fingerprint32) {
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY"}
	for i := range n {
		m.Items = append(m.Items, record.AnchorItem{Commitment: record.Commitment{number, byte(i), 1}, Day: 9})
		contents = append(contents, fingerprint32{number, byte(i), 2})
	}
	body := must(record.NewBody(journalNetwork, record.Nonce{number}, 30000, m))
	return must(record.Sign(ed25519.NewKeyFromSeed(make([]byte, 32)), body)), contents
}

// sampleJournal has a batch that is done, one that is partly done and one that
// was dropped.
func sampleJournal(t testing.TB) (dir, text string) {
	dir = t.TempDir()
	j := must(openTestJournal(t, dir))
	for number, n := range []int{2, 3, 1} {
		raw, contents := testBatch(byte(number+1), n)
		b := must(j.signed(raw, contents))
		var err error
		switch number {
		case 0:
			err = j.keep(b, map[int]uint64{0: 10, 1: 11})
		case 1:
			err = j.keep(b, map[int]uint64{2: 22})
		case 2:
			err = j.drop(b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	j.close()
	return dir, string(must(os.ReadFile(filepath.Join(dir, "anchors.jsonl"))))
}

// describe says what a journal knows, in a text that can be compared.
func (j *journal) describe() string {
	var all []string
	for s, k := range j.done {
		all = append(all, fmt.Sprintf("done %s %x %x %d", s.series, s.content[:3], k.commitment[:3], k.index))
	}
	for _, b := range j.pending {
		all = append(all, fmt.Sprintf("pending %x %d open", b.message.Items[0].Commitment[:3], len(b.open)))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

const sampleKnows = `done DEMO-MINUTES 010002 010001 10
done DEMO-MINUTES 010102 010101 11
done DEMO-MINUTES 020202 020201 22
pending 020001 2 open`

func TestJournalRemembers(t *testing.T) {
	dir, _ := sampleJournal(t)
	j := must(openTestJournal(t, dir))
	if got := j.describe(); got != sampleKnows {
		t.Errorf("the journal knows\n%s\nwant\n%s", got, sampleKnows)
	}
}

// write puts a text in place of a journal and opens it.
func reopen(t testing.TB, dir, text string) (*journal, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "anchors.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return openTestJournal(t, dir)
}

// readJournal takes in a text without a disk.
func readJournal(text string) (*journal, error) {
	j := &journal{done: map[slot]kept{}}
	_, err := j.read(journalNetwork, []byte(text))
	return j, err
}

func TestJournalCutAtEveryByte(t *testing.T) {
	dir, text := sampleJournal(t)
	header, _, _ := strings.Cut(text, "\n")
	want, whole := "", "" // what is known after the whole lines
	for line := range lines(text) {
		for cut := range len(line) {
			j, err := readJournal(whole + line[:cut])
			if whole == "" {
				if !errors.Is(err, errJournal) {
					t.Fatalf("cut to %d bytes, inside the header: %v", cut, err)
				}
				continue
			}
			if err != nil || j.describe() != want {
				t.Fatalf("cut to %d bytes: %v, it knows\n%s\nwant\n%s", len(whole)+cut, err, j.describe(), want)
			}
		}
		whole += line
		want = must(readJournal(whole)).describe()
	}
	for _, cut := range []int{len(header) + 1, len(header) + 2, len(text) / 2, len(text) - 1} {
		j := must(reopen(t, dir, text[:cut]))
		raw, contents := testBatch(9, 1)
		must(j.signed(raw, contents))
		knew := j.describe()
		j.close()
		if j = must(openTestJournal(t, dir)); j.describe() != knew {
			t.Errorf("cut to %d bytes and written on, it knows\n%s\nwant\n%s", cut, j.describe(), knew)
		}
		j.close()
	}
}

func TestJournalFlippedAtEveryByte(t *testing.T) {
	_, text := sampleJournal(t)
	for i := range len(text) {
		for _, bit := range []byte{1, 0x80} {
			changed := []byte(text)
			changed[i] ^= bit
			if _, err := readJournal(string(changed)); !errors.Is(err, errJournal) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
		}
	}
}

func TestJournalLineTwice(t *testing.T) {
	dir, text := sampleJournal(t)
	at := 0
	for line := range lines(text) {
		at += len(line)
		doubled := text[:at] + line + text[at:]
		j, err := reopen(t, dir, doubled)
		if strings.HasPrefix(line, `{"journal"`) {
			if !errors.Is(err, errJournal) {
				t.Errorf("header twice: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := j.describe(); got != sampleKnows {
			t.Errorf("line %.20s twice: the journal knows\n%s", line, got)
		}
		j.close()
	}
}

func TestJournalRefuses(t *testing.T) {
	dir, text := sampleJournal(t)
	other, otherText := sampleJournal(t)
	_ = other
	header, rest, _ := strings.Cut(text, "\n")
	_, otherRest, _ := strings.Cut(otherText, "\n")
	j := must(reopen(t, dir, text))
	raw, contents := testBatch(7, 2)
	b := must(newPending(raw, contents))
	short := *b
	short.contents = contents[:1]
	cases := map[string]string{
		"an empty file":               "",
		"no header":                   rest,
		"lines under another key":     header + "\n" + otherRest,
		"a line that says nothing":    text + string(j.line(journalLine{})),
		"a line that says two things": text + string(j.line(journalLine{Dropped: strings.Repeat("ab", 32), Done: []doneItem{{Series: "A"}}})),
		"an unknown field":            text + string(j.line(map[string]string{"signedd": "x"})),
		"too few contents":            text + string(j.signedLine(&short)),
		"no transaction":              text + string(j.line(journalLine{Signed: "AAAA"})),
		"a short commitment":          text + string(j.line(journalLine{Done: []doneItem{{Series: "A", Content: strings.Repeat("ab", 32), Commitment: "ab"}}})),
		"an upper-case id":            text + string(j.line(journalLine{Dropped: strings.Repeat("AB", 32)})),
	}
	j.close()
	for name, changed := range cases {
		if _, err := reopen(t, dir, changed); !errors.Is(err, errJournal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "anchors.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(context.Background(), dir, record.Network{9}, func() {}); !errors.Is(err, errJournal) {
		t.Errorf("journal of another network: %v", err)
	}
}

func TestJournalStaysSmall(t *testing.T) {
	dir := t.TempDir()
	j := must(openTestJournal(t, dir))
	for number := range byte(20) {
		raw, contents := testBatch(number, 100)
		b := must(j.signed(raw, contents))
		items := map[int]uint64{}
		for i := range contents {
			items[i] = uint64(number)*1000 + uint64(i)
		}
		if err := j.keep(b, items); err != nil {
			t.Fatal(err)
		}
	}
	raw, contents := testBatch(99, 3)
	must(j.signed(raw, contents))
	before := j.describe()
	j.close()
	path := filepath.Join(dir, "anchors.jsonl")
	large := must(os.Stat(path)).Size()
	j = must(openTestJournal(t, dir))
	j.close()
	small := must(os.Stat(path)).Size()
	j = must(openTestJournal(t, dir))
	if got := j.describe(); got != before || len(j.done) != 2000 || len(j.pending) != 1 {
		t.Errorf("compaction changed what is known: %d done, %d pending", len(j.done), len(j.pending))
	}
	if perRecord := float64(small) / 2000; small > large*2/3 || perRecord > 260 {
		t.Errorf("from %d to %d bytes, %.0f a record", large, small, perRecord)
	}
}

func FuzzJournal(f *testing.F) {
	dir, text := sampleJournal(f)
	_ = dir
	f.Add([]byte(text))
	f.Add([]byte("{\"journal\":1}\n"))
	f.Add([]byte(text[:len(text)/2]))
	f.Fuzz(func(t *testing.T, data []byte) {
		j := &journal{done: map[slot]kept{}}
		whole, err := j.read(journalNetwork, data)
		if err != nil {
			return
		}
		again := &journal{done: map[slot]kept{}}
		if _, err := again.read(journalNetwork, j.compacted(journalNetwork)); err != nil || again.describe() != j.describe() || whole > len(data) {
			t.Errorf("compacted it knows\n%s\nbefore\n%s\n%v", again.describe(), j.describe(), err)
		}
	})
}
