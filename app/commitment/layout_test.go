package commitment

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestArrange: leaves stand in their order and are padded.
func TestArrange(t *testing.T) {
	l := arranged(t)
	want := []Kind{Metadata, Metadata, Metadata, Digest, Content, Content, Content, Content}
	want = append(want, slices.Repeat([]Kind{Padding}, 8)...)
	var got []Kind
	for _, s := range l.Segments {
		got = append(got, s.Kind)
	}
	if !slices.Equal(got, want) || l.Profile != Text || l.N() != 16 {
		t.Errorf("kinds %v of profile %s, want %v", got, l.Profile, want)
	}
	if string(l.Content()) != minutes {
		t.Errorf("content %q", l.Content())
	}
	empty, err := Arrange(Raw, nil, nil)
	if err != nil || empty.N() != 16 || empty.Segments[0].Kind != Digest || empty.Segments[1].Kind != Padding || len(empty.Content()) != 0 {
		t.Errorf("empty content: %v, %v", empty, err)
	}
	large, err := Arrange(Raw, make([]byte, 99*rawChunk), nil)
	if err != nil || large.N() != 104 {
		t.Errorf("100 leaves are padded to %d, want 104: %v", large.N(), err)
	}
	for name, c := range map[string]struct {
		profile Profile
		content string
		fields  []Field
		want    error
	}{
		"unknown profile":    {"odt/1", "x", nil, ErrProfile},
		"lexer refuses":      {Text, "\xff", nil, ErrProfile},
		"field twice":        {Raw, "x", []Field{{"a", "1"}, {"a", "2"}}, ErrLayout},
		"malformed field":    {Raw, "x", []Field{{"A", "1"}}, ErrField},
		"too many fields":    {Raw, "x", make([]Field, maxFields+1), ErrLayout},
		"no profile":         {"", "x", nil, ErrProfile},
		"parameters unasked": {"raw/1;d=,", "x", nil, ErrProfile},
	} {
		if l, err := Arrange(c.profile, []byte(c.content), c.fields); !errors.Is(err, c.want) || l.Segments != nil {
			t.Errorf("%s: Arrange = %v, %v; want %v", name, l, err, c.want)
		}
	}
}

// TestCommitRefuses: a layout within its limits, a state that is whole.
func TestCommitRefuses(t *testing.T) {
	punctured := NewState(testKey(), 3)
	punctured.Puncture(1)
	with := func(s Segment) Layout {
		l := numbered(3)
		l.Segments[1] = s
		return l
	}
	for name, c := range map[string]struct {
		s State
		l Layout
	}{
		"no leaves":            {NewState(testKey(), 1), Layout{Profile: Raw}},
		"no profile":           {NewState(testKey(), 3), Layout{Segments: numbered(3).Segments}},
		"state of other size":  {NewState(testKey(), 4), numbered(3)},
		"punctured state":      {punctured, numbered(3)},
		"zero state":           {State{}, numbered(3)},
		"kind zero":            {NewState(testKey(), 3), with(Segment{})},
		"padding with bytes":   {NewState(testKey(), 3), with(Segment{Kind: Padding, Payload: []byte{0}})},
		"digest of odd length": {NewState(testKey(), 3), with(Segment{Kind: Digest, Payload: []byte{0}})},
		"false digest":         {NewState(testKey(), 3), with(Segment{Kind: Digest, Payload: digestOf([]byte("leaf-0leaf-1leaf-2"))})},
		"payload too long":     {NewState(testKey(), 3), with(Segment{Kind: Content, Payload: make([]byte, MaxPayload+1)})},
	} {
		if m, leaves, err := Commit(c.s, c.l); !errors.Is(err, ErrLayout) || m != (Manifest{}) || leaves != nil {
			t.Errorf("%s: Commit = %v, %v; want ErrLayout", name, m, err)
		}
	}
}

// TestCommitIsFresh: the same content under another key has an unrelated
// commitment, and every single leaf differs.
func TestCommitIsFresh(t *testing.T) {
	a, b := commitTo(t, testKey(), arranged(t)), commitTo(t, RecordKey{1}, arranged(t))
	for i := range a.leaves {
		if a.leaves[i] == b.leaves[i] || slices.Index(a.leaves, a.leaves[i]) != i {
			t.Errorf("leaf %d is not unique", i)
		}
	}
}

// TestRedact: content takes digest and oracles with it; metadata does not.
func TestRedact(t *testing.T) {
	segments := slices.Clone(arranged(t).Segments) // 0 to 2 metadata, 1 the name, 3 digest, 4 to 7 content
	segments[7].Oracle = true
	segments[8].Kind = 0
	for _, c := range []struct {
		name     string
		hide     []Range
		withName bool
		want     []Range
	}{
		{"nothing", nil, true, nil},
		{"nothing but the name", nil, false, []Range{{1, 1}}},
		{"content", []Range{{5, 5}}, true, []Range{{3, 3}, {5, 5}, {7, 7}}},
		{"content and the name", []Range{{5, 5}}, false, []Range{{1, 1}, {3, 3}, {5, 5}, {7, 7}}},
		{"an oracle itself", []Range{{7, 7}}, true, []Range{{3, 3}, {7, 7}}},
		{"a segment of unknown kind", []Range{{8, 8}}, true, []Range{{3, 3}, {7, 8}}},
		{"metadata", []Range{{2, 2}}, true, []Range{{2, 2}}},
		{"padding", []Range{{9, 15}}, true, []Range{{9, 15}}},
		{"unsorted, touching, beyond the end", []Range{{14, 99}, {5, 4}, {12, 13}, {40, 41}}, true, []Range{{12, 15}}},
	} {
		if got := Redact(segments, c.hide, c.withName); !slices.Equal(got, c.want) {
			t.Errorf("%s: Redact = %v, want %v", c.name, got, c.want)
		}
	}
}

// TestSplitTextAndRaw shows where paragraphs end.
func TestSplitTextAndRaw(t *testing.T) {
	long := strings.Repeat("word ", 1000)       // no newline: cut after a space
	lines := strings.Repeat("a line\n", 1000)   // cut after a newline
	runes := strings.Repeat("\u00e9", 3000)     // two bytes each: cut between them
	odd := "x" + strings.Repeat("\u00e9", 3000) // one byte off: cut at 4,095
	for _, c := range []struct {
		name    string
		profile Profile
		content string
		want    []int // lengths
	}{
		{"nothing", Text, "", nil},
		{"one line", Text, "a", []int{1}},
		{"two paragraphs", Text, "a\n\nb\n", []int{3, 2}},
		{"blank lines in front", Text, "\n\na\n", []int{2, 2}},
		{"blank lines with spaces and CRLF", Text, "a\r\n \t\r\n\r\nb", []int{9, 1}},
		{"blank lines at the end", Text, "a\n\n\n", []int{4}},
		{"spaces at the end", Text, "a\n\n  ", []int{5}},
		{"single newlines", Text, "a\nb\nc", []int{5}},
		{"cut after a space", Text, long, []int{4095, 905}},
		{"cut after a newline", Text, lines, []int{4095, 2905}},
		{"cut between runes", Text, runes, []int{4096, 1904}},
		{"cut before a rune", Text, odd, []int{4095, 1906}},
		{"window ends in a blank line", Text, strings.Repeat("x", 4094) + "\n \nb", []int{4095, 2, 1}},
		{"window ends after blank lines", Text, strings.Repeat("x", 4094) + "\n\nb", []int{4096, 1}},
		{"window ends within the next paragraph", Text, strings.Repeat("x", 4000) + "\n\n" + strings.Repeat("y", 200), []int{4002, 200}},
		{"raw", Raw, strings.Repeat("z", rawChunk+1), []int{rawChunk, 1}},
	} {
		segments, err := Split(c.profile, []byte(c.content))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		var got []int
		for _, s := range segments {
			got = append(got, len(s.Payload))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: lengths %v, want %v", c.name, got, c.want)
		}
	}
}

// TestSplitTextIsLossless for any bytes, and keeps its bound; no cut falls into
// a UTF-8 sequence of valid text.
func TestSplitTextIsLossless(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]string{"\n", " ", "\r\n", "\t", "\u00e9", "\U0001f4dc", "word", "\xff", "\xa9", strings.Repeat("x", 1500)})
		content := []byte(strings.Join(rapid.SliceOfN(part, 0, 60).Draw(rt, "parts"), ""))
		segments := splitText(content)
		if err := checkLossless(segments, content); err != nil {
			rt.Fatal(err)
		}
		for i, s := range segments {
			if len(s.Payload) > textChunk || utf8.Valid(content) && !utf8.Valid(s.Payload) {
				rt.Fatalf("segment %d of %d bytes", i, len(s.Payload))
			}
		}
	})
}

// TestCheckLossless: a lexer that loses, adds or swaps a byte is caught.
func TestCheckLossless(t *testing.T) {
	segment := func(s string) Segment { return Segment{Kind: Content, Payload: []byte(s)} }
	content := []byte("abcd")
	if err := checkLossless([]Segment{segment("ab"), segment("cd")}, content); err != nil {
		t.Fatal(err)
	}
	for name, segments := range map[string][]Segment{
		"lost at the end":   {segment("ab")},
		"lost inside":       {segment("ab"), segment("d")},
		"added":             {segment("ab"), segment("cde")},
		"added at the end":  {segment("ab"), segment("cd"), segment("e")},
		"swapped":           {segment("cd"), segment("ab")},
		"empty segment":     {segment("ab"), segment(""), segment("cd")},
		"not content":       {segment("ab"), {Kind: Metadata, Payload: []byte("cd")}},
		"nothing":           nil,
		"segment too large": {{Kind: Content, Payload: make([]byte, MaxPayload+1)}},
	} {
		if err := checkLossless(segments, content); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestPadme compares with the published definition, in floating point.
func TestPadme(t *testing.T) {
	for n := 2; n < 1<<24; n += 1 + n/7 {
		e := math.Floor(math.Log2(float64(n)))
		unit := math.Pow(2, e-math.Floor(math.Log2(e))-1)
		if got, want := padme(n), int(math.Ceil(float64(n)/unit)*unit); got != want {
			t.Errorf("padme(%d) = %d, want %d", n, got, want)
		}
		if over := float64(padme(n)-n) / float64(n); over > 0.12 {
			t.Errorf("padme(%d) adds %.0f %%", n, 100*over)
		}
	}
	if padme(MaxLeaves) != MaxLeaves || Padded(0) != 32 || Padded(33) != 36 {
		t.Errorf("padme(%d) = %d, Padded(0) = %d, Padded(33) = %d", MaxLeaves, padme(MaxLeaves), Padded(0), Padded(33))
	}
}

// TestSeal: what was sealed opens again, under its own key, record, index and
// kind only; lengths show no more than Padded; nonces differ.
func TestSeal(t *testing.T) {
	enc, rid := [32]byte{1}, [16]byte{2}
	for _, n := range []int{0, 1, 28, 29, 1000, MaxPayload} {
		payload := bytes.Repeat([]byte{7}, n)
		sealed, err := Seal(enc, rid, 3, Content, payload)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != 12+Padded(n+4)+16 {
			t.Errorf("%d bytes sealed in %d", n, len(sealed))
		}
		if got, err := Open(enc, rid, 3, Content, sealed); err != nil || !bytes.Equal(got, payload) {
			t.Errorf("Open of %d bytes: %d bytes, %v", n, len(got), err)
		}
	}
	sealed, err := Seal(enc, rid, 3, Content, []byte("fee 40.00"))
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Seal(enc, rid, 3, Content, []byte("fee 40.00")); bytes.Equal(sealed, again) {
		t.Error("the nonce repeats")
	}
	refuse := func(name string, enc [32]byte, rid [16]byte, index uint32, kind Kind, sealed []byte) {
		t.Helper()
		if got, err := Open(enc, rid, index, kind, sealed); !errors.Is(err, ErrSeal) || got != nil {
			t.Errorf("%s: Open = %q, %v; want ErrSeal", name, got, err)
		}
	}
	refuse("other key", [32]byte{2}, rid, 3, Content, sealed)
	refuse("other record", enc, [16]byte{3}, 3, Content, sealed)
	refuse("other index", enc, rid, 4, Content, sealed)
	refuse("other kind", enc, rid, 3, Metadata, sealed)
	refuse("nothing", enc, rid, 3, Content, nil)
	refuse("cut short", enc, rid, 3, Content, sealed[:len(sealed)-1])
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 0x10
		refuse("flipped", enc, rid, 3, Content, flipped)
	}
	aead, err := segmentCipher(enc)
	if err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string][]byte{
		"no length":             {0, 0},
		"length over the end":   append([]byte{0, 0, 0, 29}, make([]byte, 28)...),
		"length over the limit": append([]byte{0xff, 0, 0, 0}, make([]byte, 28)...),
		"padding not zero":      append([]byte{0, 0, 0, 1, 'x'}, bytes.Repeat([]byte{1}, 27)...),
		"padding too long":      append([]byte{0, 0, 0, 1, 'x'}, make([]byte, 35)...),
	} {
		refuse(name, enc, rid, 3, Content, aead.Seal(nil, nil, plain, sealContext(rid, 3, Content)))
	}
	if _, err := Seal(enc, rid, 3, Content, make([]byte, MaxPayload+1)); err == nil {
		t.Error("a payload over the limit was sealed")
	}
}
