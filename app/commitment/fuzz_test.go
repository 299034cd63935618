package commitment

import (
	"bytes"
	"testing"
)

// The fuzz targets hold every parser to one law: what it accepts is exactly what
// its writer would have written.

func FuzzParseManifest(f *testing.F) {
	f.Add(Manifest{N: 1, Profile: Raw}.Marshal())
	f.Add(Manifest{N: MaxLeaves, Profile: "csv-cells/1;d=,;c=12", Root: [32]byte{1}}.Marshal())
	f.Add([]byte{0xa5, 0x61, 'n', 0x18, 0x07})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseManifest(raw)
		if err != nil && m != (Manifest{}) {
			t.Errorf("refused, but returned %v", m)
		}
		if err == nil && !bytes.Equal(m.Marshal(), raw) {
			t.Errorf("%x is also written %x", raw, m.Marshal())
		}
	})
}

func FuzzParseState(f *testing.F) {
	for _, n := range []uint32{1, 7, 16, MaxLeaves} {
		s := NewState(testKey(), n)
		f.Add(s.Marshal())
		s.Puncture(n / 2)
		f.Add(s.Marshal())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := ParseState(raw)
		if err != nil {
			if s.n != 0 || s.seeds != nil {
				t.Errorf("refused, but returned %v", s)
			}
			return
		}
		if !bytes.Equal(s.Marshal(), raw) {
			t.Errorf("%x is also written %x", raw, s.Marshal())
		}
		// The form is canonical: puncturing what is punctured changes nothing.
		again := s
		again.PunctureRanges(s.Hidden())
		if !bytes.Equal(again.Marshal(), raw) {
			t.Errorf("%x is not canonical", raw)
		}
		if live := complement(s.Hidden(), s.n); len(live) > 0 {
			if _, _, ok := s.Secret(live[0].First); !ok {
				t.Errorf("leaf %d is neither hidden nor live", live[0].First)
			}
		}
	})
}

// FuzzParseCopy varies the blocks of a copy and links them anew, since no fuzzer
// finds the bytes for a hash.
func FuzzParseCopy(f *testing.F) {
	l := numbered(20)
	s := NewState(testKey(), l.N())
	m, leaves, err := Commit(s, l)
	if err != nil {
		f.Fatal(err)
	}
	for _, hide := range [][]Range{nil, {{3, 3}}, {{0, 18}}, {{0, 19}}} {
		c, err := NewCopy(m, leaves, s, l.Segments, hide)
		if err != nil {
			f.Fatal(err)
		}
		var data []byte
		for _, chunk := range c.data {
			data = append(data, chunk...)
		}
		f.Add(appendNodes(nil, c.hid), appendNodes(nil, c.opn), c.lens[0], data, m.Marshal())
	}
	f.Fuzz(func(t *testing.T, hid, opn, lens, data, manifest []byte) {
		if len(data) > chunkSize || len(lens) > chunkSize {
			return
		}
		built := Copy{hid: parseNodes(hid), opn: parseNodes(opn), lens: [][]byte{lens}, data: chunks(data)}
		b := block{data: built.block()}
		was := cidOf(codecDagCBOR, built.manifest.Marshal())
		b.data = bytes.Replace(b.data, was.append(nil), cidOf(codecDagCBOR, manifest).append(nil), 1)
		blocks := append([]block{newBlock(codecDagCBOR, b.data)}, rawBlocks(built.data)...)
		blocks = append(append(blocks, nodeBlocks(built.hid)...), rawBlocks(built.lens)...)
		blocks = append(append(blocks, newBlock(codecDagCBOR, manifest)), nodeBlocks(built.opn)...)
		car := marshalCAR(blocks)
		c, err := ParseCopy(car)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Marshal(), car) {
			t.Errorf("%x is also written %x", car, c.Marshal())
		}
		opened, err := c.Verify(m.Commitment())
		if err != nil {
			return
		}
		// Whatever verifies is the truth about this record.
		for _, leaf := range opened.Leaves {
			if want := l.Segments[leaf.Index]; leaf.Kind != want.Kind || !bytes.Equal(leaf.Payload, want.Payload) {
				t.Errorf("leaf %d proven to be %q", leaf.Index, leaf.Payload)
			}
		}
	})
}

// FuzzParseBundle varies the CAR file itself.
func FuzzParseBundle(f *testing.F) {
	l := numbered(5)
	s := NewState(testKey(), l.N())
	m, leaves, err := Commit(s, l)
	if err != nil {
		f.Fatal(err)
	}
	c, err := NewCopy(m, leaves, s, l.Segments, []Range{{2, 2}})
	if err != nil {
		f.Fatal(err)
	}
	for _, receipts := range [][][]byte{nil, {[]byte("a receipt\n")}, {[]byte("one"), []byte("one")}} {
		raw, err := MarshalBundle(c, receipts)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add(c.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseBundle(raw)
		if err != nil {
			if b.Receipts != nil || b.Copy.lens != nil {
				t.Error("refused, but returned something")
			}
		} else if again, err := MarshalBundle(b.Copy, b.Receipts); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%x is also written %x: %v", raw, again, err)
		}
		if c, err := ParseCopy(raw); err == nil && !bytes.Equal(c.Marshal(), raw) {
			t.Errorf("%x is also written %x", raw, c.Marshal())
		}
	})
}

// FuzzParseField covers the last small parser.
func FuzzParseField(f *testing.F) {
	f.Add([]byte("\x82\x65title\x60"))
	f.Add([]byte("\x82\x78\x01a\x61b"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		field, err := ParseField(raw)
		if err != nil {
			if field != (Field{}) {
				t.Errorf("refused, but returned %v", field)
			}
			return
		}
		if again, err := field.Marshal(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("%x is also written %x: %v", raw, again, err)
		}
	})
}
