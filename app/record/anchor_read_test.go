package record

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// sampleAnchors are anchor entries of every shape.
func sampleAnchors() []AnchorEntry {
	anchors := []AnchorEntry{
		{Office: "DPW", Series: "DEMO-PERMITS", Custody: "CITY", Commitment: fill[Commitment](6), Day: 20_000},
		{Office: "A", Series: "B", Commitment: fill[Commitment](7), Day: -25_600},
		{Office: "A", Series: "B", Flags: FlagUndated},
		{Office: "ABCDEFGHIJKLMNOP", Series: "1234567890123.-A", Custody: "0A", Day: 22_280, Flags: FlagBatch},
	}
	for _, day := range []Day{0, 23, 24, 255, 256, 65_535, 65_536, math.MaxInt32, -1, -24, -25, -256, -257, -65_536, -65_537, math.MinInt32} {
		anchors = append(anchors, AnchorEntry{Office: "DPW", Series: "DEMO-MAIL", Day: day})
	}
	return anchors
}

// checkAnchorReader compares the reader with ParseEntry.
func checkAnchorReader(t *testing.T, r *AnchorReader, b []byte) {
	t.Helper()
	before := bytes.Clone(b)
	parsed, parseErr := ParseEntry(b)
	want, isAnchor := parsed.(AnchorEntry)
	err := r.Read(b)
	if (err == nil) != (parseErr == nil && isAnchor) {
		t.Fatalf("%x: read %v, parsed as %T, %v", b, err, parsed, parseErr)
	}
	if r.Entry != want {
		t.Fatalf("%x: read %+v, want %+v", b, r.Entry, want)
	}
	if err != nil && !errors.Is(err, ErrMalformed) {
		t.Fatalf("%x: %v, want it malformed", b, err)
	}
	if !bytes.Equal(b, before) {
		t.Fatalf("the reader changed %x", before)
	}
}

// TestAnchorReaderReadsWhatParseEntryReads: each entry, each with a byte
// changed, cut short and lengthened, one after the other by one reader.
func TestAnchorReaderReadsWhatParseEntryReads(t *testing.T) {
	var r AnchorReader
	for _, e := range sampleEntries(t) {
		b, err := MarshalEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		checkAnchorReader(t, &r, b)
	}
	for _, e := range sampleAnchors() {
		b, err := MarshalEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Read(b); err != nil || r.Entry != e {
			t.Fatalf("read %+v, %v, want %+v", r.Entry, err, e)
		}
		for i := range b {
			for _, mask := range []byte{0x01, 0x02, 0x03, 0x20, 0x80, 0xff} {
				bad := bytes.Clone(b)
				bad[i] ^= mask
				checkAnchorReader(t, &r, bad)
			}
		}
		for cut := range b {
			checkAnchorReader(t, &r, b[:cut])
		}
		checkAnchorReader(t, &r, append(bytes.Clone(b), 0))
	}
}

// TestAnchorReaderKeepsNothingOfTheInput: the bytes may be used again, and the
// codes that the reader remembers are bounded.
func TestAnchorReaderKeepsNothingOfTheInput(t *testing.T) {
	var r AnchorReader
	b, err := MarshalEntry(sampleAnchors()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Read(b); err != nil {
		t.Fatal(err)
	}
	got := r.Entry
	clear(b)
	if got != sampleAnchors()[0] {
		t.Errorf("after the bytes were cleared: %+v", got)
	}
	for i := range 2 * mostCodes {
		series := Code([]byte{'S', 'A' + byte(i>>12), 'A' + byte(i>>8&15), 'A' + byte(i>>4&15), 'A' + byte(i&15)})
		if err := r.Read(AppendAnchorEntry(nil, AnchorEntry{Office: "DPW", Series: series})); err != nil || r.Entry.Series != series {
			t.Fatalf("%s: %+v, %v", series, r.Entry, err)
		}
	}
	if len(r.codes) > mostCodes {
		t.Errorf("%d codes are remembered, want at most %d", len(r.codes), mostCodes)
	}
}

func FuzzAnchorReader(f *testing.F) {
	for _, e := range sampleAnchors() {
		f.Add(AppendAnchorEntry(nil, e))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r AnchorReader
		checkAnchorReader(t, &r, b)
		checkAnchorReader(t, &r, b) // again, with codes remembered
	})
}

func BenchmarkAnchorReader(b *testing.B) {
	var lines [4][]byte
	for i := range lines {
		lines[i] = AppendAnchorEntry(nil, sampleAnchors()[i])
	}
	var r AnchorReader
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := r.Read(lines[i%len(lines)]); err != nil {
			b.Fatal(err)
		}
	}
}
