package commitment

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// TestTreeEqualsRFC6962 compares roots with those of transparency-dev/merkle, and
// offers it the hashes of a copy that discloses one leaf as an inclusion proof.
func TestTreeEqualsRFC6962(t *testing.T) {
	for n := 1; n <= 66; n++ {
		r := commitTo(t, testKey(), numbered(n))
		frontier := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		for i, segment := range r.layout.Segments {
			_, salt, _ := r.state.Secret(uint32(i))
			leaf := rfc6962.DefaultHasher.HashLeaf(LeafBlock(uint32(i), segment, salt)[1:])
			if [32]byte(leaf) != r.leaves[i] {
				t.Fatalf("n=%d: leaf %d = %x, want %x", n, i, r.leaves[i], leaf)
			}
			if err := frontier.Append(leaf, nil); err != nil {
				t.Fatal(err)
			}
		}
		want, err := frontier.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		if [32]byte(want) != r.manifest.Root {
			t.Errorf("n=%d: root %x, want %x", n, r.manifest.Root, want)
		}
		for i := range uint32(n) {
			c := r.copy(t, complement([]Range{{i, i}}, uint32(n))...)
			// A proof lists the siblings from the leaf up.
			slices.SortFunc(c.hid, func(a, b node) int { return int(a.level) - int(b.level) })
			var hashes [][]byte
			for _, d := range c.hid {
				hashes = append(hashes, d.value[:])
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(n), r.leaves[i][:], hashes, want); err != nil {
				t.Errorf("n=%d, leaf %d: hidden hashes are no inclusion proof: %v", n, i, err)
			}
		}
	}
}

// TestLeafBlock: the header is one block of SHA-256 and has every field in place.
func TestLeafBlock(t *testing.T) {
	salt := sha256.Sum256([]byte("salt"))
	got := LeafBlock(0x01020304, Segment{Kind: Metadata, Payload: []byte("abc")}, salt)
	want := "00" + "4d554e314c454146" + "02" + "0000" + "01020304" + "0000000000000003" + "0000000000000000" + fmt.Sprintf("%x", salt) + "616263"
	if fmt.Sprintf("%x", got) != want {
		t.Errorf("LeafBlock = %x\nwant %s", got, want)
	}
	if hash := newLeafHasher().leaf(0x01020304, Metadata, salt, []byte("a"), []byte("bc")); hash != sha256.Sum256(got) {
		t.Errorf("leaf hash %x is not that of the block", hash)
	}
}
