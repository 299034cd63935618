package commitment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	gocid "github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/node/basicnode"
)

// goldenBundle is a bundle of under 4 KiB with a block of every sort.
func goldenBundle(t *testing.T) (r committed, bundle []byte) {
	t.Helper()
	r = commitTo(t, testKey(), arranged(t))
	bundle, err := MarshalBundle(r.copy(t, Range{6, 6}), [][]byte{[]byte("a receipt\n"), []byte("a certificate\n")})
	if err != nil {
		t.Fatal(err)
	}
	if len(bundle) > 4096 {
		t.Fatalf("the golden bundle has %d bytes", len(bundle))
	}
	return r, bundle
}

// TestBundleRoundTrip: what went in comes out, and proves the commitment.
func TestBundleRoundTrip(t *testing.T) {
	r, raw := goldenBundle(t)
	b, err := ParseBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Receipts) != 2 || string(b.Receipts[0]) != "a receipt\n" || string(b.Receipts[1]) != "a certificate\n" {
		t.Errorf("receipts %q", b.Receipts)
	}
	if b.Copy.Manifest() != r.manifest || b.Copy.CID() != r.copy(t, Range{6, 6}).CID() {
		t.Errorf("copy of %v", b.Copy.Manifest())
	}
	opened, err := b.Copy.Verify(r.manifest.Commitment())
	if err != nil {
		t.Fatal(err)
	}
	fields, err := opened.Fields()
	if want := []Field{{"media-type", "text/plain"}, {"file-name", "minutes.txt"}, {"title", "Harbour Commission, 3 March 2031"}}; err != nil || !slices.Equal(fields, want) {
		t.Errorf("fields %v, %v; want %v", fields, err, want)
	}
	if strings.Contains(string(raw), "Complaint") {
		t.Error("the bundle holds hidden text")
	}
	whole, err := r.copy(t).Verify(r.manifest.Commitment())
	if err != nil || string(whole.Content()) != minutes || !whole.Complete() {
		t.Errorf("whole copy: %q, %v", whole.Content(), err)
	}
	again, err := MarshalBundle(b.Copy, [][]byte{b.Receipts[0], b.Receipts[0]})
	if err != nil {
		t.Fatal(err)
	}
	if twice, err := ParseBundle(again); err != nil || len(twice.Receipts) != 2 {
		t.Errorf("one receipt twice: %v", err)
	}
}

// TestBundleFlips changes every bit of the golden bundle; each is refused.
func TestBundleFlips(t *testing.T) {
	_, raw := goldenBundle(t)
	for i := range raw {
		for bit := range 8 {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1 << bit
			if b, err := ParseBundle(flipped); err == nil || b.Receipts != nil || b.Copy.lens != nil {
				t.Fatalf("byte %d, bit %d flipped: %v", i, bit, err)
			}
		}
	}
	for end := range raw {
		if _, err := ParseBundle(raw[:end]); err == nil {
			t.Fatalf("cut to %d bytes: accepted", end)
		}
	}
}

// TestBundleSplices puts each part of another valid bundle into the golden one,
// with all links made anew, so that only the proof can refuse it.
func TestBundleSplices(t *testing.T) {
	r, _ := goldenBundle(t)
	good := r.copy(t, Range{6, 6})
	otherKey := RecordKey{1}
	for name, other := range map[string]Copy{
		"same record under another key": commitTo(t, otherKey, arranged(t)).copy(t, Range{6, 6}),
		"another text":                  commitTo(t, testKey(), arrangedText(t, strings.Replace(minutes, "four members", "all members", 1))).copy(t, Range{6, 6}),
		"another redaction":             r.copy(t, Range{4, 5}),
		"a larger record":               commitTo(t, testKey(), numbered(40)).copy(t, Range{6, 6}),
	} {
		for part, splice := range map[string]func(c *Copy){
			"manifest": func(c *Copy) { c.manifest = other.manifest },
			"hashes":   func(c *Copy) { c.hid = other.hid },
			"seeds":    func(c *Copy) { c.opn = other.opn },
			"lengths":  func(c *Copy) { c.lens = other.lens },
			"content":  func(c *Copy) { c.data = other.data },
		} {
			spliced := good
			splice(&spliced)
			if bytes.Equal(spliced.Marshal(), good.Marshal()) {
				continue // the part is the same in both
			}
			raw, err := MarshalBundle(spliced, [][]byte{[]byte("a receipt\n")})
			if err != nil {
				t.Fatal(err)
			}
			b, err := ParseBundle(raw)
			if err == nil {
				_, err = b.Copy.Verify(r.manifest.Commitment())
			}
			if !errors.Is(err, ErrCopy) {
				t.Errorf("%s of %s: %v, want ErrCopy", part, name, err)
			}
		}
	}
}

// sections cuts a CAR file into header and sections, lengths included.
func sections(t *testing.T, raw []byte) [][]byte {
	t.Helper()
	var out [][]byte
	for len(raw) > 0 {
		_, rest, err := carSection(raw)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw[:len(raw)-len(rest)])
		raw = rest
	}
	return out
}

// TestSectionSplices exchanges whole sections of valid files, leaves some out and
// puts some in.
func TestSectionSplices(t *testing.T) {
	r, raw := goldenBundle(t)
	otherRaw, err := MarshalBundle(commitTo(t, RecordKey{1}, licence(t)).copy(t, Range{3, 3}), [][]byte{[]byte("another receipt\n")})
	if err != nil {
		t.Fatal(err)
	}
	good, other := sections(t, raw), sections(t, otherRaw)
	refuse := func(name string, parts [][]byte) {
		t.Helper()
		if b, err := ParseBundle(bytes.Join(parts, nil)); err == nil {
			if _, err := b.Copy.Verify(r.manifest.Commitment()); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
	if _, err := ParseBundle(bytes.Join(good, nil)); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for j, part := range other {
			spliced := slices.Clone(good)
			spliced[i] = part
			refuse(fmt.Sprintf("section %d replaced by %d of another", i, j), spliced)
			refuse(fmt.Sprintf("section %d of another before %d", j, i), slices.Insert(slices.Clone(good), i, part))
		}
		refuse(fmt.Sprintf("section %d left out", i), slices.Delete(slices.Clone(good), i, i+1))
		refuse(fmt.Sprintf("section %d twice", i), append(slices.Clone(good), good[i]))
		if i > 0 {
			swapped := slices.Clone(good)
			swapped[i], swapped[i-1] = swapped[i-1], swapped[i]
			refuse(fmt.Sprintf("section %d before its time", i), swapped)
		}
	}
}

// TestCARRefuses names faults of the file itself.
func TestCARRefuses(t *testing.T) {
	r, _ := goldenBundle(t)
	c := r.copy(t)
	good := c.Marshal()
	if _, err := ParseCopy(good); err != nil {
		t.Fatal(err)
	}
	root := newBlock(codecDagCBOR, c.block())
	section := func(id, data []byte) []byte {
		return append(append(binary.AppendUvarint(nil, uint64(len(id)+len(data))), id...), data...)
	}
	header := func(h []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(h))), h...) }
	body := bytes.Join(sections(t, good)[1:], nil)
	stray := newBlock(codecRaw, []byte("stray"))
	v1 := header(carHeader(root.id))
	changed := bytes.Clone(good)
	changed[len(changed)-1] ^= 1
	rawRoot := appendHead(appendText(appendLink(appendHead(appendText(appendHead(nil, cborMap, 2), "roots"), cborArray, 1), cid{codecRaw, root.id.digest}), "version"), cborUint, 1)
	for name, c := range map[string]struct {
		raw []byte
		why string
	}{
		"nothing":                      {nil, "section of 0 bytes"},
		"header only":                  {v1, "missing"},
		"empty section":                {append(v1[:len(v1):len(v1)], 0), "section of 0 bytes"},
		"length not minimal":           {append(append(v1[:len(v1):len(v1)], 0xa9, 0x00), make([]byte, 41)...), "section"},
		"length overflows":             {append(v1[:len(v1):len(v1)], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "section"},
		"length without end":           {append(v1[:len(v1):len(v1)], 0xff), "section"},
		"section longer than the file": {append(v1[:len(v1):len(v1)], 0xff, 0x01, 0x00), "left"},
		"block over the limit":         {append(v1[:len(v1):len(v1)], section(stray.id.append(nil), make([]byte, maxBlock+1))...), "section of"},
		"section without CID":          {append(v1[:len(v1):len(v1)], section([]byte{1, 0x55}, nil)...), "section of 2"},
		"CIDv0":                        {append(v1[:len(v1):len(v1)], section(append([]byte{0x12, 0x20}, make([]byte, 40)...), nil)...), "CIDv1"},
		"other multihash":              {append(v1[:len(v1):len(v1)], section(append([]byte{1, 0x55, 0x13, 0x20}, make([]byte, 32)...), nil)...), "CIDv1"},
		"other codec":                  {append(v1[:len(v1):len(v1)], section(append([]byte{1, 0x70, 0x12, 0x20}, make([]byte, 32)...), nil)...), "CIDv1"},
		"unreferenced block":           {append(good[:len(good):len(good)], section(stray.id.append(nil), stray.data)...), "unused"},
		"block with a bit changed":     {changed, "has other bytes than its CID names"},
		"block twice":                  {append(good[:len(good):len(good)], sections(t, good)[1]...), "twice"},
		"version 2":                    {append(header(append(carHeader(root.id)[:len(carHeader(root.id))-1], 2)), body...), "header"},
		"two roots":                    {append(header(bytes.Replace(carHeader(root.id), []byte("roots\x81"), []byte("roots\x82"), 1)), body...), "header"},
		"root of raw codec":            {append(header(rawRoot), body...), "header"},
		"indefinite map":               {append(header(append([]byte{0xbf}, carHeader(root.id)[1:]...)), body...), "header"},
		"bundle read as copy":          {mustBundle(t, r), "copy"},
	} {
		if _, err := ParseCopy(c.raw); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want an error for %q", name, err, c.why)
		}
	}
	if _, err := ParseBundle(good); !errors.Is(err, ErrBundle) {
		t.Errorf("copy read as bundle: %v, want ErrBundle", err)
	}
}

func mustBundle(t *testing.T, r committed) []byte {
	t.Helper()
	raw, err := MarshalBundle(r.copy(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestMarshalBundleRefuses: receipts have a size, and there are not too many.
func TestMarshalBundleRefuses(t *testing.T) {
	r, _ := goldenBundle(t)
	for name, receipts := range map[string][][]byte{
		"empty":    {[]byte("one"), {}},
		"too long": {make([]byte, maxReceipt+1)},
		"too many": slices.Repeat([][]byte{[]byte("one")}, maxReceipts+1),
	} {
		if raw, err := MarshalBundle(r.copy(t), receipts); !errors.Is(err, ErrBundle) || raw != nil {
			t.Errorf("%s: %v, want ErrBundle", name, err)
		}
	}
}

// TestGoCARReads reads our files with the library's verifying reader, and decodes
// every DAG-CBOR block and encodes it again.
func TestGoCARReads(t *testing.T) {
	r, bundle := goldenBundle(t)
	exploded, err := r.copy(t, Range{6, 6}).Explode(r.manifest.Commitment())
	if err != nil {
		t.Fatal(err)
	}
	long := commitTo(t, testKey(), numbered(4500))
	for name, raw := range map[string][]byte{
		"bundle": bundle, "copy": r.copy(t).Marshal(), "exploded": exploded,
		"linked lists": long.copy(t, everySecond(4500)...).Marshal(),
	} {
		reader, err := car.NewBlockReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if reader.Version != 1 || len(reader.Roots) != 1 {
			t.Errorf("%s: version %d, roots %v", name, reader.Version, reader.Roots)
		}
		read := map[string][]byte{}
		for {
			b, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			read[b.Cid().String()] = b.RawData()
			if b.Cid().Prefix().Codec != gocid.DagCBOR {
				continue
			}
			n := basicnode.Prototype.Any.NewBuilder()
			if err := dagcbor.Decode(n, bytes.NewReader(b.RawData())); err != nil {
				t.Fatalf("%s: %s: %v", name, b.Cid(), err)
			}
			var again bytes.Buffer
			if err := dagcbor.Encode(n.Build(), &again); err != nil || !bytes.Equal(again.Bytes(), b.RawData()) {
				t.Errorf("%s: %s is encoded otherwise by the library: %v", name, b.Cid(), err)
			}
		}
		if len(read) != len(sections(t, raw))-1 || read[reader.Roots[0].String()] == nil {
			t.Errorf("%s: %d blocks read of %d", name, len(read), len(sections(t, raw))-1)
		}
		if id := r.manifest.Commitment().CID(); name != "linked lists" && !bytes.Equal(read[id], r.manifest.Marshal()) {
			t.Errorf("%s: the commitment %s does not name the manifest", name, id)
		}
		if name != "exploded" {
			continue
		}
		for i, leaf := range r.leaves {
			if _, ok := read[cid{codecRaw, leaf}.String()]; ok == (i == 3 || i == 6) {
				t.Errorf("leaf %d: has a block %t", i, ok)
			}
		}
		if _, ok := read[cid{codecRaw, r.manifest.Root}.String()]; !ok {
			t.Error("the tree's root has no block")
		}
	}
}

// TestExplodeRefuses: a copy that proves nothing is not exploded.
func TestExplodeRefuses(t *testing.T) {
	r, _ := goldenBundle(t)
	large := commitTo(t, testKey(), numbered(maxExploded+1))
	for name, c := range map[string]struct {
		copy Copy
		of   Commitment
		why  string
	}{
		"another commitment":  {r.copy(t), Commitment{}, "not of"},
		"everything hidden":   {r.copy(t, Range{0, 15}), r.manifest.Commitment(), "0 leaves"},
		"too many are opened": {large.copy(t), large.manifest.Commitment(), "4097 leaves"},
	} {
		if raw, err := c.copy.Explode(c.of); !errors.Is(err, ErrCopy) || !strings.Contains(err.Error(), c.why) || raw != nil {
			t.Errorf("%s: %v, want ErrCopy for %q", name, err, c.why)
		}
	}
}
