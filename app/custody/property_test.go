package custody

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// drawContent draws a content that a profile takes.
func drawContent(rt *rapid.T, p commitment.Profile) string {
	word := rapid.StringMatching(`[a-z]{1,24}`)
	words := rapid.SliceOfN(word, 1, 30).Draw(rt, "words")
	var b strings.Builder
	switch p {
	case commitment.Raw:
		b.Write(rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(rt, "bytes"))
		b.WriteString(strings.Repeat(strings.Join(words, "."), 1<<rapid.IntRange(0, 12).Draw(rt, "size")))
	case commitment.Text:
		b.WriteString(strings.Join(words, "\n\n"))
	case commitment.JSON:
		for i, w := range words {
			fmt.Fprintf(&b, "{%q: [%d, %q, null]}\n", w, i, w+"!")
		}
	case commitment.EML:
		fmt.Fprintf(&b, "From: %s\r\nDKIM-Signature: v=1; bh=%s\r\nSubject: %s\r\n\r\n%s\r\n", words[0], words[0], words[0], strings.Join(words, "\r\n\r\n"))
	default: // tables of two columns
		for _, w := range words {
			fmt.Fprintf(&b, "%s,%s%s\n", w, w, w)
		}
	}
	return b.String()
}

// secretTree is every value from which secrets of a record follow, with the leaves
// that follow from it: computed here from docs/spec/commitment.md.
type secretTree map[[32]byte]commitment.Range

func newSecretTree(t testing.TB, key [32]byte, n uint32) secretTree {
	tree := secretTree{}
	var visit func(seed [32]byte, level int, first uint32)
	expand := func(seed [32]byte, info string) (a, b [32]byte) {
		out, err := hkdf.Expand(sha256.New, seed[:], info, 64)
		if err != nil {
			t.Fatal(err)
		}
		return [32]byte(out[:32]), [32]byte(out[32:])
	}
	visit = func(seed [32]byte, level int, first uint32) {
		if first >= n {
			return
		}
		last := first + 1<<level - 1
		tree[seed] = commitment.Range{First: first, Last: min(last, n-1)}
		if level == 0 {
			enc, salt := expand(seed, "MUN1 leaf")
			tree[enc], tree[salt] = tree[seed], tree[seed]
			return
		}
		left, right := expand(seed, "MUN1 ggm")
		visit(left, level-1, first)
		visit(right, level-1, first+1<<(level-1))
	}
	visit(key, bits.Len32(n-1), 0)
	return tree
}

// betrays gives a leaf of the hidden ones whose secrets follow from a value that
// stands anywhere in data.
func (tree secretTree) betrays(data []byte, hidden []bool) (leaf uint32, found bool) {
	for at := 0; at+32 <= len(data); at++ {
		if r, ok := tree[[32]byte(data[at:])]; ok {
			for i := r.First; i <= r.Last; i++ {
				if hidden[i] {
					return i, true
				}
			}
		}
	}
	return 0, false
}

// drawRedaction draws one that can be filed: some leaves, and what would betray
// them.
func drawRedaction(rt *rapid.T, segments []commitment.Segment) ([]commitment.Mark, bool) {
	filled := uint32(slices.IndexFunc(append(slices.Clone(segments), commitment.Segment{Kind: commitment.Padding}), func(s commitment.Segment) bool {
		return s.Kind == commitment.Padding
	}))
	var asked []commitment.Range
	for range rapid.IntRange(1, 5).Draw(rt, "ranges") {
		first := rapid.Uint32Range(0, filled-1).Draw(rt, "first")
		asked = append(asked, commitment.Range{First: first, Last: min(filled-1, first+rapid.Uint32Range(0, 4).Draw(rt, "more"))})
	}
	var marks []commitment.Mark
	for _, r := range commitment.Redact(segments, asked, true) {
		marks = append(marks, commitment.Mark{Range: r, Code: "CT-1-210-b-2"})
	}
	return marks, len(marks) > 0
}

// TestWhatIsHiddenIsHidden: for records of every profile, and any mixture of
// redactions that are withheld and that were erased, every copy proves what it
// discloses against the commitment of the deposit, and what is hidden follows
// neither from the copy, nor from the bundle, nor from what the ring keeps.
func TestWhatIsHiddenIsHidden(t *testing.T) {
	profiles := []commitment.Profile{commitment.Raw, commitment.Text, commitment.JSON, commitment.EML, "csv/1;d=,", "csv-cells/1;d=,;c=2"}
	h, ctx := newHouse(t), context.Background()
	seen := map[commitment.Profile]int{}
	erasedSome := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom(profiles).Draw(rt, "profile")
		header, content := offer(drawContent(rt, p), "a title of its own")
		header.Profile = p
		header.Fields = header.Fields[:rapid.IntRange(0, 3).Draw(rt, "fields")]
		layout, err := commitment.Arrange(p, content, header.Fields)
		if err != nil {
			rt.Fatal(err)
		}
		ref := h.kept(t, clerk, header, content)
		var withheld, erased []commitment.Range
		var hashes [][32]byte
		for range rapid.IntRange(0, 4).Draw(rt, "redactions") {
			marks, ok := drawRedaction(rt, layout.Segments)
			if !ok {
				continue
			}
			hash := mustFile(t, h.Custody, clerk, ref, redactionText(t, marks...))
			for _, m := range marks {
				if len(hashes)%2 == 0 {
					erased = append(erased, m.Range)
				} else {
					withheld = append(withheld, m.Range)
				}
			}
			hashes = append(hashes, hash)
		}
		if len(erased) > 0 {
			h.punctures(t, ref, erased...)
			erasedSome++
		}
		seen[p]++
		tree := newSecretTree(t, *header.Key, layout.N())
		r, _, err := h.vault.Find(ref.Office, ref.Commitment)
		if err != nil {
			rt.Fatal(err)
		}
		left, _, err := h.state(r)
		if err != nil {
			rt.Fatal(err)
		}
		gone := leavesOf(layout.N(), erased)
		if leaf, found := tree.betrays(left.marshal(), gone); found {
			rt.Fatalf("erased leaf %d follows from what the ring keeps", leaf)
		}
		var applied [][32]byte
		for i, hash := range hashes {
			if i%2 == 1 {
				applied = append(applied, hash)
			}
		}
		withName := rapid.Bool().Draw(rt, "with name")
		e := Extent{Redactions: applied, WithName: withName}
		hide := append(slices.Clone(erased), withheld...)
		car, err := h.Copy(ctx, clerk, ref, CaseWork, e)
		if err != nil {
			rt.Fatal(err)
		}
		if !withName {
			for i, s := range layout.Segments {
				if isTitle(s) {
					hide = append(hide, commitment.Range{First: uint32(i), Last: uint32(i)})
				}
			}
		}
		wantDisclosed(t, rt, tree, layout, ref.Commitment, car, commitment.Redact(layout.Segments, hide, true))
		bundle, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{Redactions: applied, WithName: true}, receipts("a receipt"))
		if err != nil {
			rt.Fatal(err)
		}
		wantDisclosed(t, rt, tree, layout, ref.Commitment, bundle, commitment.Redact(layout.Segments, append(slices.Clone(erased), withheld...), true))
	})
	if len(seen) < len(profiles) || erasedSome == 0 {
		t.Errorf("profiles %v, %d erasures: not all were tried", seen, erasedSome)
	}
}

// leavesOf tells for each of n leaves whether it is in a range.
func leavesOf(n uint32, ranges []commitment.Range) []bool {
	in := make([]bool, n)
	for _, r := range ranges {
		for i := r.First; i <= r.Last; i++ {
			in[i] = true
		}
	}
	return in
}

// wantDisclosed verifies a file, a copy or a bundle, and wants all leaves but the
// hidden ones disclosed, and nothing of these.
func wantDisclosed(t *testing.T, rt *rapid.T, tree secretTree, l commitment.Layout, want record.Commitment, file []byte, hide []commitment.Range) {
	made, err := commitment.ParseCopy(file)
	if err != nil {
		b, bundleErr := commitment.ParseBundle(file)
		if bundleErr != nil {
			rt.Fatal(err, bundleErr)
		}
		made = b.Copy
	}
	opened, err := made.Verify(commitment.Commitment(want))
	if err != nil {
		rt.Fatal(err)
	}
	if !slices.Equal(opened.Hidden, hide) {
		rt.Fatalf("hidden %v, want %v", opened.Hidden, hide)
	}
	hidden := leavesOf(l.N(), hide)
	for _, leaf := range opened.Leaves {
		if s := l.Segments[leaf.Index]; hidden[leaf.Index] || leaf.Kind != s.Kind || !bytes.Equal(leaf.Payload, s.Payload) {
			rt.Fatalf("leaf %d is disclosed as %s %q", leaf.Index, leaf.Kind, leaf.Payload)
		}
	}
	if leaf, found := tree.betrays(file, hidden); found {
		rt.Fatalf("hidden leaf %d follows from the file", leaf)
	}
	var disclosed []byte
	for _, leaf := range opened.Leaves {
		disclosed = append(disclosed, leaf.Payload...)
	}
	for i, s := range l.Segments {
		if hidden[i] && len(s.Payload) >= 16 && bytes.Contains(file, s.Payload) && !bytes.Contains(disclosed, s.Payload) {
			rt.Fatalf("the bytes of hidden leaf %d stand in the file", i)
		}
	}
}

// TestSecretTreeFindsSeeds: the search of TestWhatIsHiddenIsHidden sees what it
// looks for.
func TestSecretTreeFindsSeeds(t *testing.T) {
	key := commitment.RecordKey{1, 2, 3}
	state := commitment.NewState(key, 21)
	tree := newSecretTree(t, key, 21)
	enc, salt, _ := state.Secret(13)
	state.Puncture(13)
	raw := state.Marshal()
	hidden := leavesOf(21, []commitment.Range{{First: 13, Last: 13}})
	if leaf, found := tree.betrays(raw, hidden); found {
		t.Errorf("leaf %d follows from a state that lacks it", leaf)
	}
	hidden[12] = true
	if leaf, found := tree.betrays(raw, hidden); !found || leaf != 12 {
		t.Errorf("leaf 12 stands in the state: found %v, %d", found, leaf)
	}
	hidden[12] = false
	for what, value := range map[string][32]byte{"sealing key": enc, "salt": salt, "record key": key} {
		if leaf, found := tree.betrays(append(bytes.Clone(raw), value[:]...), hidden); !found || leaf != 13 {
			t.Errorf("%s of leaf 13: found %v, %d", what, found, leaf)
		}
	}
}
