package commitment

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// link and list build DAG-CBOR for the tables below.
func link(b block) string { return string(appendLink(nil, b.id)) }

func list(items ...string) string {
	return string(appendHead(nil, cborArray, uint64(len(items)))) + strings.Join(items, "")
}

// member is one entry of a map: a key and its encoded value.
type member struct{ key, value string }

func mapOf(members []member) []byte {
	b := appendHead(nil, cborMap, uint64(len(members)))
	for _, m := range members {
		b = append(appendText(b, m.key), m.value...)
	}
	return b
}

// with returns the members with one value replaced.
func with(members []member, key, value string) []member {
	out := slices.Clone(members)
	for i := range out {
		if out[i].key == key {
			out[i].value = value
		}
	}
	return out
}

// TestCopyBlockRefuses changes one member of a copy block, and links everything
// anew, so that hashes are right and the form alone is wrong.
func TestCopyBlockRefuses(t *testing.T) {
	r := commitTo(t, testKey(), numbered(5))
	manifest := newBlock(codecDagCBOR, r.manifest.Marshal())
	lens, data := newBlock(codecRaw, []byte{1, 6}), newBlock(codecRaw, []byte("leaf-2"))
	c := r.copy(t, Range{0, 1}, Range{3, 4})
	nodes := func(list []node) string { return string(appendNodeList(nil, list)) }
	good := []member{
		{"v", "\x01"}, {"dat", list(link(data))}, {"hid", nodes(c.hid)}, {"len", link(lens)},
		{"man", link(manifest)}, {"opn", nodes(c.opn)}, {"typ", "\x69mun1.copy"},
	}
	stray := newBlock(codecRaw, []byte("stray"))
	large := newBlock(codecRaw, make([]byte, chunkSize+1))
	text := newBlock(codecDagCBOR, []byte("\x61x"))
	odd := newBlock(codecRaw, make([]byte, seedSize+1))
	few := newBlock(codecRaw, appendNodes(nil, c.hid))
	whole := list("\x00", "\x00", "\x58\x20"+strings.Repeat("h", 32))
	many := slices.Repeat([]string{whole}, maxInline+1)
	short := list("\x00", "\x02", "\x58\x1f"+strings.Repeat("h", 31))
	for _, c := range []struct {
		name, why string
		members   []member
		extra     []block
	}{
		{"nothing changed", "", good, nil},
		{"map of six", "map of 6", good[:6], nil},
		{"map of eight", "too many", append(slices.Clone(good), member{"zzz", "\x01"}), nil},
		{"keys in another order", "key", append(slices.Clone(good[1:]), good[0]), nil},
		{"version 0", "version 0", with(good, "v", "\x00"), nil},
		{"version 2", "more than", with(good, "v", "\x02"), nil},
		{"version not shortest", "shortest", with(good, "v", "\x18\x01"), nil},
		{"other type", "mun1.leaf", with(good, "typ", "\x69mun1.leaf"), nil},
		{"type as bytes", "major type", with(good, "typ", "\x49mun1.copy"), nil},
		{"content of another codec", "codec", with(good, "dat", list(link(text))), []block{text}},
		{"content missing", "missing", with(good, "dat", list(link(stray))), nil},
		{"content over the limit", "262145 bytes", with(good, "dat", list(link(large))), []block{large}},
		{"content not a list", "major type", with(good, "dat", link(data)), nil},
		{"list of indefinite length", "indefinite", with(good, "dat", "\x9f"+link(data)+"\xff"), nil},
		{"lengths in a list of one", "unused", with(good, "len", list(link(lens))), nil},
		{"lengths in no block", "lengths", with(good, "len", list()), nil},
		{"manifest missing", "missing", with(good, "man", link(text)), nil},
		{"manifest is none", "malformed manifest", with(good, "man", link(text)), []block{text}},
		{"manifest linked as raw", "codec", with(good, "man", link(stray)), []block{stray}},
		{"node of two members", "node of 2", with(good, "hid", list(list("\x01", "\x00"))), nil},
		{"node of four members", "too many", with(good, "hid", list(list("\x01", "\x00", "\x40", "\x00"))), nil},
		{"hash of 31 bytes", "31 bytes", with(good, "hid", list(short)), nil},
		{"level as a float", "major type", with(good, "hid", list(list("\xf9\x00\x00", "\x00", "\x58\x20"+strings.Repeat("h", 32)))), nil},
		{"level over the limit", "more than 24", with(good, "hid", list(list("\x18\x19", "\x00", "\x58\x20"+strings.Repeat("h", 32)))), nil},
		{"too many inline", "too many", with(good, "hid", list(many...)), nil},
		{"linked though few", "belong inline", with(good, "hid", list(link(few))), []block{few}},
		{"linked and cut short", "cut short", with(good, "hid", list(link(odd))), []block{odd}},
		{"linked and missing", "missing", with(good, "hid", list(link(odd))), nil},
		{"a link among nodes", "major type", with(good, "hid", list(whole, link(few))), []block{few}},
	} {
		root := newBlock(codecDagCBOR, mapOf(c.members))
		car := marshalCAR(append([]block{root, data, lens, manifest}, c.extra...))
		got, err := ParseCopy(car)
		if c.name == "nothing changed" {
			if err != nil || !bytes.Equal(got.Marshal(), car) {
				t.Fatalf("the good block: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.why) || got.lens != nil {
			t.Errorf("%s: %v, want an error for %q", c.name, err, c.why)
		}
	}
}

// TestEvidenceBlockRefuses does the same to the evidence block.
func TestEvidenceBlockRefuses(t *testing.T) {
	r := commitTo(t, testKey(), numbered(5))
	inner := r.copy(t).blocks()
	receipt, empty := newBlock(codecRaw, []byte("a receipt\n")), newBlock(codecRaw, nil)
	large, stray := newBlock(codecRaw, make([]byte, maxReceipt+1)), newBlock(codecRaw, []byte("stray"))
	good := []member{{"v", "\x01"}, {"typ", "\x6dmun1.evidence"}, {"copy", link(inner[0])}, {"receipts", list(link(receipt))}}
	for _, c := range []struct {
		name, why string
		members   []member
		extra     []block
	}{
		{"nothing changed", "", good, nil},
		{"map of three", "map of 3", good[:3], nil},
		{"keys in another order", "key", []member{good[0], good[2], good[1], good[3]}, nil},
		{"version 0", "version 0", with(good, "v", "\x00"), nil},
		{"other type", "mun1.evidencf", with(good, "typ", "\x6dmun1.evidencf"), nil},
		{"copy linked as raw", "codec", with(good, "copy", link(receipt)), nil},
		{"copy missing", "missing", with(good, "copy", link(newBlock(codecDagCBOR, []byte("x")))), nil},
		{"manifest in place of the copy", "redacted copy", with(good, "copy", link(inner[len(inner)-1])), nil},
		{"receipt missing", "missing", with(good, "receipts", list(link(stray))), nil},
		{"receipt empty", "empty receipt", with(good, "receipts", list(link(empty))), []block{empty}},
		{"receipt over the limit", "section of 1048613 bytes", with(good, "receipts", list(link(large))), []block{large}},
		{"receipts unlinked", "unused", with(good, "receipts", list()), nil},
		{"too many receipts", "too many", with(good, "receipts", list(slices.Repeat([]string{link(receipt)}, maxReceipts+1)...)), nil},
	} {
		root := newBlock(codecDagCBOR, mapOf(c.members))
		car := marshalCAR(append(append([]block{root}, inner...), append([]block{receipt}, c.extra...)...))
		got, err := ParseBundle(car)
		if c.name == "nothing changed" {
			if err != nil || len(got.Receipts) != 1 {
				t.Fatalf("the good block: %v", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.why) || got.Receipts != nil {
			t.Errorf("%s: %v, want an error for %q", c.name, err, c.why)
		}
	}
}
