package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Leaves of the minutes: file name, title, digest, then three paragraphs.
const (
	leafName, leafDigest, leafFirst, leafSecond, leafThird = 0, 2, 3, 4, 5

	minutesText = "The council met.\n\nThe bridge stays shut.\n\nThe council rose.\n"
)

func named(name string) commitment.Field {
	return commitment.Field{Key: commitment.FieldFileName, Value: name}
}

func minutes() document {
	return newDocument(minutesText, named("minutes.txt"), commitment.Field{Key: commitment.FieldTitle, Value: "Minutes"})
}

// cases are the files that the scripts find in their folder, by name, honest
// ones and lies.
func cases(t testing.TB) map[string][]byte {
	t.Helper()
	city := network("city", origin)
	l := newLedger(city)
	doc, other, third := minutes(), newDocument("Another record.\n"), newDocument("A third record.\n")
	at, otherAt, thirdAt := l.anchor(doc.id()), l.anchor(other.id()), l.anchor(third.id())
	superseded, foreign := l.supersede(at, otherAt), l.supersede(otherAt, thirdAt)
	own := l.receipt(at, true)
	honest := bundle(doc.copy(), own)

	town := newLedger(network("town", origin))
	townReceipt := town.receipt(town.anchor(doc.id()), true)
	files := map[string][]byte{
		"city.mun":  city.Marshal(),
		"town.mun":  town.network.Marshal(),                                 // the same origin, other keys
		"coast.mun": network("city", "records.example.org/coast").Marshal(), // another origin

		"honest.mun.car":     honest,
		"redacted.mun.car":   bundle(doc.copy(leafSecond), own),
		"history.mun.car":    bundle(doc.copy(), own, l.receipt(superseded, true), l.stateReceipt()),
		"minutes.receipt":    own,
		"supersede.receipt":  l.receipt(superseded, true),
		"state.receipt":      l.stateReceipt(),
		"copy.mun.car":       doc.copy().Marshal(),
		"unanchored.mun.car": bundle(doc.copy()),
		"stateonly.mun.car":  bundle(doc.copy(), l.stateReceipt()),

		"changed.mun.car":    bytes.Replace(honest, []byte("stays shut"), []byte("stays open"), 1),
		"spliced.mun.car":    spliced(t, honest, []byte("stays shut"), []byte("stays open")),
		"other.mun.car":      bundle(doc.copy(), l.receipt(otherAt, true)),
		"otherpast.mun.car":  bundle(doc.copy(), own, l.receipt(foreign, true)),
		"uncosigned.mun.car": bundle(doc.copy(), l.receipt(at, false)),
		"townonly.mun.car":   bundle(doc.copy(), townReceipt),
		"mixed.mun.car":      bundle(doc.copy(), townReceipt, own),
		"worst.mun.car":      bundle(doc.copy(), townReceipt, l.receipt(otherAt, true)),
		"forged.receipt":     bytes.Replace(own, []byte("\nindex "), []byte("\nindex 1"), 1),
		"crlf.receipt":       bytes.ReplaceAll(own, []byte("\n"), []byte("\r\n")),
		"short.mun.car":      honest[:len(honest)-1],
		"half.mun.car":       honest[:len(honest)/2],
		"head.mun.car":       honest[:20],
		"grown.mun.car":      append(bytes.Clone(honest), 0),
		"empty":              {},
		"garbage":            []byte("\x00\xff\x1b]0;owned\a garbage \u202e"),
		"hugecar":            append(binary.AppendUvarint(nil, 1<<30), "rest"...),
		"hugeblock.mun.car":  append(bytes.Clone(honest), append(binary.AppendUvarint(nil, 1<<30), "rest"...)...),
		"hugeextra.receipt":  hugeExtra(own),
	}
	for name, golden := range map[string]string{ // made by package receipt, in a network of their own
		"archive.mun": "solo.mun", "lawful.legality": "destruction.legality", "early.legality": "destruction-early.legality", "short.legality": "destruction-short.legality",
		"destroyed.certificate": "destroyed.certificate", "due.certificate": "due.certificate", "erased.certificate": "redacted.certificate",
	} {
		data, err := os.ReadFile(filepath.Join("..", "..", "app", "receipt", "testdata", golden))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	files["changed.legality"] = changedEntry(files["lawful.legality"])
	files["altered.certificate"] = bytes.Replace(files["destroyed.certificate"], []byte("Department  HR"), []byte("Department  IT"), 1)
	files["decided.mun.car"] = newHiddenWorld().whole()
	held := newHeldWorld()
	files["stands.held"], files["short.held"] = heldFile(held.first, held.parts...), heldFile(held.first, held.parts[:4]...)
	for _, name := range slices.Sorted(maps.Keys(hostileNames)) {
		d := newDocument("content of "+name+"\n", named(hostileNames[name]), commitment.Field{Key: "proven", Value: "\x1b[2J\x1b[31mPASSED\n  proven         everything\u202e"})
		files[name+".mun.car"] = bundle(d.copy(), l.receipt(l.anchor(d.id()), true))
	}
	return files
}

// hostileNames are file names that a depositor might choose.
var hostileNames = map[string]string{
	"parent": "../escaped", "hidden": ".bashrc", "folder": "a/b", "rooted": "/tmp/escaped", "windows": `a\b`, "drive": "c:x", "flag": "-rf",
	"escape": "a\x1b[2Jb", "newline": "a\nb", "turned": "a\u202etxt.exe", "device": "nul.txt", "dots": "..", "nothing": "", "space": "a.txt ", "long": strings.Repeat("a", 201),
}

// hugeExtra gives a receipt whose extra declares an entry of 1 GiB.
func hugeExtra(text []byte) []byte {
	lines := strings.SplitN(string(text), "\n", 3)
	lines[1] = "extra " + base64.StdEncoding.EncodeToString([]byte{0x83, 1, 0x5a, 0x40, 0, 0, 0, 1, 2})
	return []byte(strings.Join(lines, "\n"))
}

// changedEntry changes the series in the entries of a file, and leaves the rest.
func changedEntry(text []byte) []byte {
	lines := strings.SplitN(string(text), "\n", 3)
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		panic(err)
	}
	lines[1] = "extra " + base64.StdEncoding.EncodeToString(bytes.ReplaceAll(extra, []byte("CT-M1-105"), []byte("CT-M1-106")))
	return []byte(strings.Join(lines, "\n"))
}

// TestGolden: the files are, byte for byte, what was committed. The bundle is
// small enough to flip all of it.
func TestGolden(t *testing.T) {
	files := cases(t)
	if got := len(files["honest.mun.car"]); got > 4<<10 {
		t.Errorf("the golden bundle has %d bytes, at most 4096 are wanted", got)
	}
	for _, name := range []string{"city.mun", "honest.mun.car", "redacted.mun.car"} {
		path := filepath.Join("testdata", name)
		if *rewrite {
			if err := os.WriteFile(path, files[name], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(files[name], want) {
			t.Errorf("%s: the bytes have changed (%v): if that is meant, change docs/spec first and run with -rewrite", path, err)
		}
	}
}

func golden(t testing.TB) (receipt.Network, []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "honest.mun.car"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "city.mun"))
	if err != nil {
		t.Fatal(err)
	}
	return must(receipt.ParseNetwork(text)), data
}

// TestT26_EveryByteCounts: no byte of the golden bundle can be changed in any
// of its bits, left out, or doubled, and no part of it cut off.
func TestT26_EveryByteCounts(t *testing.T) {
	n, data := golden(t)
	if r := must(inspect(n, data)); r.Outcome != receipt.Passed {
		t.Fatalf("the golden bundle: %s", r.text())
	}
	try := func(what string, at int, changed []byte) {
		t.Helper()
		if r, err := inspect(n, changed); err != nil || r.Outcome == receipt.Passed || r.Outcome == "" || len(r.Reasons) != 1 {
			t.Errorf("%s at byte %d: %v %v %v", what, at, r.Outcome, r.Reasons, err)
		}
	}
	for i := range data {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << bit
			try(fmt.Sprintf("bit %d flipped", bit), i, changed)
		}
		try("cut", i, data[:i])
		try("left out", i, append(bytes.Clone(data[:i]), data[i+1:]...))
		try("doubled", i, append(bytes.Clone(data[:i+1]), data[i:]...))
	}
}

// TestT26_EveryReceiptByteCounts flips the bits of the receipt inside the
// bundle, with all CIDs made right again, so that the receipt alone must tell.
func TestT26_EveryReceiptByteCounts(t *testing.T) {
	n, data := golden(t)
	text := must(commitment.ParseBundle(data)).Receipts[0]
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		forged := spliced(t, data, text, changed)
		if _, err := commitment.ParseBundle(forged); err != nil {
			t.Fatalf("byte %d: the forger's bundle has not the form: %v", i, err)
		}
		if r, err := inspect(n, forged); err != nil || r.Outcome == receipt.Passed {
			t.Errorf("byte %d of the receipt: %v %v", i, r.Outcome, err)
		}
	}
}

// TestT26_EveryCopyByteCounts does the same with every block of the copy.
func TestT26_EveryCopyByteCounts(t *testing.T) {
	n, data := golden(t)
	inner := must(commitment.ParseBundle(data)).Copy.Marshal()
	_, width := binary.Uvarint(inner)
	rest := inner[width:]
	length, _ := binary.Uvarint(inner)
	rest = rest[length:]
	for len(rest) > 0 {
		length, width := binary.Uvarint(rest)
		block := rest[width+36 : width+int(length)]
		rest = rest[width+int(length):]
		for i := range block {
			changed := bytes.Clone(block)
			changed[i] ^= 1
			if r, err := inspect(n, spliced(t, data, block, changed)); err != nil || r.Outcome == receipt.Passed {
				t.Errorf("byte %d of a block of %d: %v %v", i, len(block), r.Outcome, err)
			}
		}
	}
}

// FuzzInspect: no input makes the program crash or write to a terminal more
// than text, and content passes only as the golden files have it.
func FuzzInspect(f *testing.F) {
	n, data := golden(f)
	files := cases(f)
	var honest [][]byte
	for _, name := range []string{"honest.mun.car", "redacted.mun.car", "history.mun.car"} {
		honest = append(honest, files[name])
		f.Add(files[name])
	}
	for _, name := range []string{"minutes.receipt", "state.receipt", "copy.mun.car", "spliced.mun.car", "hugecar", "hugeextra.receipt", "escape.mun.car"} {
		f.Add(files[name])
	}
	for name := range hostileNames {
		honest = append(honest, files[name+".mun.car"])
	}
	f.Add(data[:len(data)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := inspect(n, data)
		if err != nil {
			t.Fatal(err)
		}
		if (r.Outcome == receipt.Passed) != (len(r.Reasons) == 0) {
			t.Errorf("%s with reasons %v", r.Outcome, r.Reasons)
		}
		known := false
		for _, h := range honest {
			known = known || bytes.Equal(h, data)
		}
		if r.Outcome == receipt.Passed && r.Content != nil && !known {
			t.Errorf("passed: %s", r.text())
		}
		onlyText(t, r.text())
		var out strings.Builder
		if err := (options{output: "json"}).write(&out, r, r.text); err != nil {
			t.Fatal(err)
		}
		onlyText(t, out.String())
	})
}

// onlyText fails where a terminal would do more than show characters.
func onlyText(t *testing.T, s string) {
	t.Helper()
	if got := strings.ReplaceAll(s, "\n", " "); got != printable(got) {
		t.Errorf("not for a terminal: %q", s)
	}
}

func BenchmarkInspect(b *testing.B) {
	n, data := golden(b)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := inspect(n, data); err != nil || r.Outcome != receipt.Passed {
			b.Fatal(r.Outcome, err)
		}
	}
}
