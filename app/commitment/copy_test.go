package commitment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawRecord draws a record of up to sixty leaves of all kinds and commits to it.
func drawRecord(rt *rapid.T) (Layout, State, Manifest, [][32]byte) {
	content := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "content")
	cuts := rapid.SliceOfN(rapid.IntRange(0, len(content)), 0, 40).Draw(rt, "cuts")
	slices.Sort(cuts)
	l := Layout{Profile: Raw, Segments: []Segment{{Kind: Metadata, Payload: []byte("field")}, {Kind: Digest, Payload: digestOf(content)}}}
	from := 0
	for _, cut := range append(slices.Compact(cuts), len(content)) {
		l.Segments = append(l.Segments, Segment{Kind: Content, Payload: content[from:cut], Oracle: cut%7 == 1})
		from = cut
	}
	for range rapid.IntRange(0, 15).Draw(rt, "padding") {
		l.Segments = append(l.Segments, Segment{Kind: Padding})
	}
	s := NewState(RecordKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "key")), l.N())
	m, leaves, err := Commit(s, l)
	if err != nil {
		rt.Fatal(err)
	}
	return l, s, m, leaves
}

// TestCopyDiscloses: for any redaction, the copy proves exactly the leaves that
// are not hidden, from the file as from memory, and no hidden secret follows
// from the seeds it carries.
func TestCopyDiscloses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, whole, m, leaves := drawRecord(rt)
		hide, punctured := drawRanges(rt, l.N()), drawRanges(rt, l.N())
		s := whole
		s.PunctureRanges(punctured)
		made, err := NewCopy(m, leaves, s, l.Segments, hide)
		if err != nil {
			rt.Fatal(err)
		}
		c, err := ParseCopy(made.Marshal())
		if err != nil {
			rt.Fatal(err)
		}
		opened, err := c.Verify(m.Commitment())
		if err != nil {
			rt.Fatal(err)
		}
		want := Redact(l.Segments, append(hide, punctured...), true)
		if !slices.Equal(opened.Hidden, want) || opened.N != l.N() || opened.Profile != l.Profile {
			rt.Fatalf("hidden %v of %d, want %v of %d", opened.Hidden, opened.N, want, l.N())
		}
		disclosed := make(map[uint32]Leaf)
		for _, leaf := range opened.Leaves {
			disclosed[leaf.Index] = leaf
		}
		known := derivable(c.opn)
		for i, segment := range l.Segments {
			leaf, ok := disclosed[uint32(i)]
			if hidden := contains(want, uint32(i)); ok == hidden {
				rt.Fatalf("leaf %d: disclosed %t, hidden %t", i, ok, hidden)
			}
			if ok && (leaf.Kind != segment.Kind || !bytes.Equal(leaf.Payload, segment.Payload)) {
				rt.Fatalf("leaf %d: disclosed %v, want %v", i, leaf, segment)
			}
			for _, value := range pathSecrets(whole, uint32(i)) {
				if !ok && known[value] {
					rt.Fatalf("hidden leaf %d can be derived from the copy", i)
				}
			}
		}
	})
}

// TestCopyIsMinimal: a copy holds no more hashes and seeds than the largest
// subtrees, counted here by trying all of them.
func TestCopyIsMinimal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l, s, m, leaves := drawRecord(rt)
		c, err := NewCopy(m, leaves, s, l.Segments, drawRanges(rt, l.N()))
		if err != nil {
			rt.Fatal(err)
		}
		hiddenLeaves := c.Hidden()
		whole := func(level uint8, index uint32, wantHidden bool) bool {
			d := node{level: level, index: index}
			if d.first() >= uint64(l.N()) || level > depth(l.N()) {
				return false
			}
			for i := d.first(); i < min(d.end(), uint64(l.N())); i++ {
				if contains(hiddenLeaves, uint32(i)) != wantHidden {
					return false
				}
			}
			return true
		}
		for _, list := range []struct {
			hidden bool
			nodes  []node
		}{{true, c.hid}, {false, c.opn}} {
			count := 0
			for level := range depth(l.N()) + 1 {
				for index := uint32(0); node.first(node{level: level, index: index}) < uint64(l.N()); index++ {
					if whole(level, index, list.hidden) && !whole(level+1, index/2, list.hidden) {
						count++
					}
				}
			}
			if count != len(list.nodes) {
				rt.Fatalf("hidden=%t: %d nodes, the minimum is %d", list.hidden, len(list.nodes), count)
			}
		}
	})
}

// TestVerifyRefuses changes one thing in a good copy of the licence (leaves 1 and
// 5 of 7 hidden) and wants the refusal that names it.
func TestVerifyRefuses(t *testing.T) {
	r := commitTo(t, testKey(), licence(t))
	good := r.copy(t, Range{5, 5})
	// opn: 0.0, 1.1 (leaves 2, 3), 0.4, 0.6 as 1.3. hid: 0.1, 0.5.
	secretNode := func(level uint8, index uint32) node {
		s := NewState(testKey(), 8)
		for leaf := uint32(0); leaf < 8; leaf++ {
			if d := (node{level: level, index: index}); uint64(leaf) < d.first() || uint64(leaf) >= d.end() {
				s.Puncture(leaf)
			}
		}
		return s.seeds[0]
	}
	lens, data := good.lens[0], good.data[0]
	for _, c := range []struct {
		name, why string
		change    func(c *Copy)
	}{
		{"nothing changed", "", func(*Copy) {}},
		{"other root", "of bafy", func(c *Copy) { c.manifest.Root[0] ^= 1 }},
		{"n one more", "lengths", func(c *Copy) { c.manifest.N = 8 }},
		{"n one less", "", func(c *Copy) { c.manifest.N = 6 }},
		{"other profile", "of bafy", func(c *Copy) { c.manifest.Profile = Raw }},
		{"hidden leaves swapped", "root", func(c *Copy) { c.hid[0].value, c.hid[1].value = c.hid[1].value, c.hid[0].value }},
		{"hidden hash changed", "root", func(c *Copy) { c.hid[1].value[31] ^= 1 }},
		{"hidden hash one level up", "overlap", func(c *Copy) {
			c.hid[1] = node{1, 2, c.hid[1].value}
			c.hid = append(c.hid, node{0, 5, c.hid[1].value})
		}},
		{"leaf offered as node", "neither hidden nor disclosed", func(c *Copy) { c.hid[1].level, c.hid[1].index = 1, 2 }},
		{"node offered as leaf", "root", func(c *Copy) { c.hid[0].value = nodeHash(r.leaves[0], r.leaves[1]) }},
		{"hidden hash missing", "neither hidden nor disclosed", func(c *Copy) { c.hid = c.hid[:1] }},
		{"hidden hash twice", "overlap", func(c *Copy) { c.hid = append(c.hid, c.hid[1]) }},
		{"hidden hash out of order", "out of order", func(c *Copy) { slices.Reverse(c.hid) }},
		{"hidden also disclosed", "neither hidden nor disclosed", func(c *Copy) { c.hid[0].index = 2 }},
		{"seed of another leaf", "root", func(c *Copy) { c.opn[0].value = secretNode(0, 1).value }},
		{"seed changed", "root", func(c *Copy) { c.opn[1].value[0] ^= 1 }},
		{"seed missing", "neither hidden nor disclosed", func(c *Copy) { c.opn = c.opn[:3] }},
		{"seed covers the hidden leaf", "", func(c *Copy) { c.opn[2] = secretNode(1, 2) }},
		{"seed at the wrong index", "", func(c *Copy) { c.opn[0].index = 1 }},
		{"cover not the largest", "part of a larger one", func(c *Copy) {
			c.opn = slices.Insert(slices.Delete(c.opn, 1, 2), 1, secretNode(0, 2), secretNode(0, 3))
		}},
		{"lone left child", "part of a larger one", func(c *Copy) { c.opn[3] = secretNode(0, 6) }},
		{"hidden node not the largest", "part of a larger one", func(c *Copy) {
			c.opn = nil
			c.hid = []node{{2, 0, [32]byte{}}, {1, 2, [32]byte{}}, {1, 3, [32]byte{}}}
			c.lens, c.data = [][]byte{{}}, nil
		}},
		{"kinds swapped", "root", func(c *Copy) { c.lens[0][0] = byte(Content) }},
		{"unknown kind", "kind 5", func(c *Copy) { c.lens[0][0] = 5 }},
		{"kind zero", "kind 0", func(c *Copy) { c.lens[0][0] = 0 }},
		{"digest of wrong length", "digest of", func(c *Copy) { c.lens[0][0] = byte(Digest) }},
		{"padding with bytes", "padding of", func(c *Copy) { c.lens[0][0] = byte(Padding) }},
		{"bytes moved between leaves", "root", func(c *Copy) { c.lens[0][1]--; c.lens[0][3]++ }},
		{"length one more", "content ends early", func(c *Copy) { c.lens[0][9]++ }},
		{"length one less", "more than its leaves need", func(c *Copy) { c.lens[0][9]-- }},
		{"length missing", "9 bytes of lengths", func(c *Copy) { c.lens = [][]byte{lens[:9]} }},
		{"length not in its shortest form", "no kind and length", func(c *Copy) { c.lens = [][]byte{append(lens[:9:9], lens[9]|0x80, 0)} }},
		{"length overflows", "no kind and length", func(c *Copy) { c.lens = [][]byte{append(lens[:7:7], 0xff, 0xff, 0xff, 0xff, 0x7f)} }},
		{"length over the limit", "bytes", func(c *Copy) { c.lens = [][]byte{append(lens[:9:9], 0xff, 0xff, 0x7f)} }},
		{"unused length", "more than its leaves need", func(c *Copy) { c.lens = [][]byte{append(lens[:len(lens):len(lens)], 1, 0)} }},
		{"content changed", "root", func(c *Copy) { c.data[0][20] ^= 1 }},
		{"content missing", "content ends early", func(c *Copy) { c.data = [][]byte{data[:len(data)-1]} }},
		{"unused content", "more than its leaves need", func(c *Copy) { c.data = [][]byte{append(data[:len(data):len(data)], 'x')} }},
		{"chunk not full", "holds", func(c *Copy) { c.data = [][]byte{data[:4], data[4:]} }},
		{"empty chunk", "holds", func(c *Copy) { c.data = append(c.data, nil) }},
	} {
		changed := Copy{
			manifest: good.manifest, hid: slices.Clone(good.hid), opn: slices.Clone(good.opn),
			lens: [][]byte{bytes.Clone(lens)}, data: [][]byte{bytes.Clone(data)},
		}
		c.change(&changed)
		// What reading would refuse, verifying must not let pass either.
		opened, verifyErr := changed.Verify(r.manifest.Commitment())
		parsed, err := ParseCopy(changed.Marshal())
		if err == nil {
			_, err = parsed.Verify(r.manifest.Commitment())
		}
		if c.name == "nothing changed" {
			if err != nil || verifyErr != nil {
				t.Fatalf("the good copy: %v, %v", err, verifyErr)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want an error for %q", c.name, err, c.why)
		}
		if c.name == "chunk not full" || c.name == "empty chunk" {
			continue // chunks are the file's matter, not the proof's
		}
		if !errors.Is(verifyErr, ErrCopy) || opened.Leaves != nil || opened.Hidden != nil {
			t.Errorf("%s: Verify = %v, %v; want ErrCopy", c.name, opened, verifyErr)
		}
	}
}

// TestVerifyDigest: a disclosed digest must be that of the disclosed content, so
// no copy discloses it beside hidden content.
func TestVerifyDigest(t *testing.T) {
	// Commit makes no such record, so its leaf is exchanged by hand.
	r := commitTo(t, testKey(), numbered(4))
	r.layout.Segments[0] = Segment{Kind: Digest, Payload: digestOf([]byte("something else"))}
	_, salt, _ := r.state.Secret(0)
	r.leaves[0] = newLeafHasher().leaf(0, Digest, salt, r.layout.Segments[0].Payload)
	r.manifest.Root = treeRoot(r.leaves)
	if _, err := r.copy(t).Verify(r.manifest.Commitment()); err == nil || !strings.Contains(err.Error(), "digest of leaf 0") {
		t.Errorf("false digest: %v", err)
	}
	r = commitTo(t, testKey(), licence(t))
	marked := slices.Clone(r.layout.Segments)
	marked[1].Kind, marked[5].Kind = Padding, Padding // deceive Redact: hide 5, disclose 1
	hidden := r.copy(t, Range{5, 5})
	hidden.opn = r.state.without([]Range{{5, 5}}).seeds
	hidden.hid = hidden.hid[1:]
	hidden.lens = [][]byte{slices.Insert(bytes.Clone(hidden.lens[0]), 2, byte(Digest), digestSize)}
	at := len(r.layout.Segments[0].Payload)
	hidden.data = [][]byte{slices.Insert(bytes.Clone(hidden.data[0]), at, r.layout.Segments[1].Payload...)}
	if _, err := hidden.Verify(r.manifest.Commitment()); err == nil || !strings.Contains(err.Error(), "digest of leaf 1") {
		t.Errorf("digest beside hidden content: %v", err)
	}
}

// TestNewCopyRefuses: no copy is made that would not verify.
func TestNewCopyRefuses(t *testing.T) {
	r := commitTo(t, testKey(), licence(t))
	otherKey := NewState(RecordKey{1}, 7)
	changed := slices.Clone(r.layout.Segments)
	changed[3].Payload = []byte(`"Eve"`)
	otherLeaves := slices.Clone(r.leaves)
	otherLeaves[6][0] ^= 1
	manifest := r.manifest
	manifest.N = 8
	for _, c := range []struct {
		name, why string
		m         Manifest
		leaves    [][32]byte
		s         State
		segments  []Segment
	}{
		{"state of another record", "leaf 0 does not have its hash", r.manifest, r.leaves, otherKey, r.layout.Segments},
		{"segment changed", "leaf 3 does not have its hash", r.manifest, r.leaves, r.state, changed},
		{"leaf hash changed", "root", r.manifest, otherLeaves, r.state, r.layout.Segments},
		{"leaf hash missing", "7 leaves, 6 hashes", r.manifest, r.leaves[:6], r.state, r.layout.Segments},
		{"segment missing", "6 segments", r.manifest, r.leaves, r.state, r.layout.Segments[:6]},
		{"state of other size", "8 leaves", r.manifest, r.leaves, NewState(testKey(), 8), r.layout.Segments},
		{"manifest of other size", "8 leaves", manifest, r.leaves, r.state, r.layout.Segments},
		{"zero manifest", "0 leaves", Manifest{}, nil, State{}, nil},
	} {
		if _, err := NewCopy(c.m, c.leaves, c.s, c.segments, nil); !errors.Is(err, ErrCopy) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want ErrCopy for %q", c.name, err, c.why)
		}
	}
}

// TestCopyOfPuncturedRecord: after erasure the payloads are gone, and a copy shows
// what is left of the record.
func TestCopyOfPuncturedRecord(t *testing.T) {
	r := commitTo(t, testKey(), arranged(t))
	gone := Redact(r.layout.Segments, []Range{{5, 5}}, false)
	r.state.PunctureRanges(gone)
	left := slices.Clone(r.layout.Segments)
	for i := range left {
		if contains(gone, uint32(i)) {
			left[i].Payload = nil
		}
	}
	left[6].Payload = nil // live, but its ciphertext was lost
	opened, err := mustCopy(t, r, left).Verify(r.manifest.Commitment())
	if err != nil {
		t.Fatal(err)
	}
	if want := []Range{{1, 1}, {3, 3}, {5, 6}}; !slices.Equal(opened.Hidden, want) || opened.Complete() {
		t.Errorf("hidden %v, complete %t; want %v", opened.Hidden, opened.Complete(), want)
	}
	if got, want := string(opened.Content()), "Minutes of the Harbour Commission\r\n\r\nAdjourned at 8 p.m.\n"; got != want {
		t.Errorf("content %q, want %q", got, want)
	}
}

func mustCopy(t *testing.T, r committed, segments []Segment) Copy {
	t.Helper()
	c, err := NewCopy(r.manifest, r.leaves, r.state, segments, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMemoryIsBounded: small files that declare much are refused before they
// cost memory.
func TestMemoryIsBounded(t *testing.T) {
	const n = 10_000_000
	m := Manifest{N: n, Profile: Raw}
	root := node{level: depth(n)}
	padding := bytes.Repeat([]byte{byte(Padding), 0}, chunkSize/2)
	nodes := appendNodes(nil, slices.Repeat([]node{{level: 0, index: 7}}, perBlock))
	links := func(b []byte, count int) []byte {
		list := appendHead(nil, cborArray, uint64(count))
		return append(list, bytes.Repeat(appendLink(nil, cidOf(codecRaw, b)), count)...)
	}
	empty := appendLink(nil, cidOf(codecRaw, nil))
	for _, c := range []struct {
		name, why     string
		dat, hid, len []byte
		opn           []node
		data          []byte
	}{
		{"a seed for all leaves, no lengths", "leaves disclosed", []byte{0x80}, []byte{0x80}, empty, []node{root}, nil},
		{"lengths in one block, linked again and again", "leaves disclosed", []byte{0x80}, []byte{0x80}, links(padding, 77), []node{root}, padding},
		{"content linked again and again", "bytes disclosed", links(padding, 16_000), []byte{0x80}, empty, nil, padding},
		{"hashes linked again and again", "out of order", []byte{0x80}, links(nodes, 16_000), empty, nil, nodes},
		{"a list said to be long", "too many", binary.BigEndian.AppendUint32([]byte{0x9a}, 1<<31), nil, nil, nil, nil},
	} {
		b := appendHead(nil, cborMap, 7)
		b = appendHead(appendText(b, "v"), cborUint, 1)
		b = append(appendText(b, "dat"), c.dat...)
		b = append(appendText(b, "hid"), c.hid...)
		b = append(appendText(b, "len"), c.len...)
		b = appendLink(appendText(b, "man"), cidOf(codecDagCBOR, m.Marshal()))
		b = appendNodeList(appendText(b, "opn"), c.opn)
		b = appendText(appendText(b, "typ"), typCopy)
		car := marshalCAR([]block{newBlock(codecDagCBOR, b), newBlock(codecRaw, c.data), newBlock(codecRaw, nil), newBlock(codecDagCBOR, m.Marshal())})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseCopy(car)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want an error for %q", c.name, err, c.why)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: %d bytes allocated to refuse a file of %d", c.name, used, len(car))
		}
	}
	hiddenAll := Copy{manifest: m, hid: []node{root}, lens: [][]byte{{}}}
	c, err := ParseCopy(hiddenAll.Marshal())
	if err != nil || !slices.Equal(c.Hidden(), []Range{{0, n - 1}}) {
		t.Errorf("ten million hidden leaves: %v, %v", c.Hidden(), err)
	}
}
