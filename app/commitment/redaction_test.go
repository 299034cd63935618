package commitment

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func sampleRedaction() Redaction {
	r := Redaction{Authority: "CT-FOI", Dated: "2026-11-01", Marks: []Mark{
		{Range{0, 0}, Betrays}, {Range{3, 7}, "CT-1-210-b-2"}, {Range{8, 8}, "CT-1-210-b-20"},
	}}
	for i := range r.Salt {
		r.Salt[i] = byte(i)
	}
	return r
}

func TestRedactionText(t *testing.T) {
	want := "muniment redaction v1\n" +
		"salt AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" +
		"authority CT-FOI 2026-11-01\n" +
		"mark 0-0 -\nmark 3-7 CT-1-210-b-2\nmark 8-8 CT-1-210-b-20\n"
	text, err := sampleRedaction().Marshal()
	if err != nil || string(text) != want {
		t.Fatalf("%v:\n%s", err, text)
	}
	hash, err := sampleRedaction().Hash()
	if got := hex.EncodeToString(hash[:]); err != nil || got != "d1f72d5c0b2b7ed7bf858e68d1444da98928a4359f5e124d1b10257d39ac4db5" {
		t.Errorf("hash %s, %v", got, err)
	}
}

// TestRedactionEveryByte: no text but the one that Marshal writes is read, and
// two texts are never read as one redaction.
func TestRedactionEveryByte(t *testing.T) {
	text, err := sampleRedaction().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		for flip := 1; flip < 256; flip++ {
			bad := bytes.Clone(text)
			bad[i] ^= byte(flip)
			if r, err := ParseRedaction(bad); err == nil {
				if again, _ := r.Marshal(); !bytes.Equal(again, bad) {
					t.Fatalf("byte %d: %q is read as another text", i, bad)
				}
			} else if !errors.Is(err, ErrRedaction) || r.Marks != nil {
				t.Fatalf("byte %d: %v, %v", i, r, err)
			}
		}
		if _, err := ParseRedaction(text[:i]); err == nil && !bytes.HasSuffix(text[:i], []byte("\n")) {
			t.Fatalf("cut at %d", i)
		}
	}
}

func TestRedactionRefuses(t *testing.T) {
	for name, change := range map[string]func(*Redaction){
		"no marks":     func(r *Redaction) { r.Marks = nil },
		"backwards":    func(r *Redaction) { r.Marks[1].First = 8 },
		"overlap":      func(r *Redaction) { r.Marks[2].First = 7 },
		"one run":      func(r *Redaction) { r.Marks[2].Code = r.Marks[1].Code },
		"too far":      func(r *Redaction) { r.Marks[2].Last = MaxLeaves },
		"code":         func(r *Redaction) { r.Marks[1].Code = "two words" },
		"no code":      func(r *Redaction) { r.Marks[1].Code = "" },
		"authority":    func(r *Redaction) { r.Authority = "-" },
		"date":         func(r *Redaction) { r.Dated = "1 May 2026" },
		"too many":     func(r *Redaction) { r.Marks = make([]Mark, MaxMarks+1) },
		"no authority": func(r *Redaction) { r.Authority = "" },
	} {
		r := sampleRedaction()
		change(&r)
		if _, err := r.Marshal(); !errors.Is(err, ErrRedaction) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRedaction(f *testing.F) {
	text, _ := sampleRedaction().Marshal()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRedaction(text)
		if err != nil {
			return
		}
		again, err := r.Marshal()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%q is written as %q, %v", text, again, err)
		}
	})
}
