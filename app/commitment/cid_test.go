package commitment

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	gocid "github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// TestCIDAgreesWithGoCID compares text and bytes with the library's.
func TestCIDAgreesWithGoCID(t *testing.T) {
	block := numberedManifest(t).Marshal()
	sum, err := multihash.Sum(block, multihash.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	want := gocid.NewCidV1(gocid.DagCBOR, sum)
	got := numberedManifest(t).Commitment()
	if got.CID() != want.String() || got.String() != got.CID() {
		t.Errorf("CID = %s, want %s", got.CID(), want)
	}
	if back, err := ParseCID(want.String()); err != nil || back != got {
		t.Errorf("ParseCID(%s) = %v, %v", want, back, err)
	}
}

func numberedManifest(t *testing.T) Manifest { return commitTo(t, testKey(), numbered(5)).manifest }

// TestParseCIDRefuses: one spelling of one form.
func TestParseCIDRefuses(t *testing.T) {
	good := numberedManifest(t).Commitment().CID()
	b, err := gocid.Decode(good)
	if err != nil {
		t.Fatal(err)
	}
	longHash, err := multihash.Sum([]byte("x"), multihash.SHA2_512, -1)
	if err != nil {
		t.Fatal(err)
	}
	last := map[byte]string{'a': "b", 'i': "j", 'q': "r", 'y': "z"} // the spare bits set
	for name, text := range map[string]string{
		"nothing":         "",
		"no multibase":    good[1:],
		"upper case":      "B" + strings.ToUpper(good[1:]),
		"hexadecimal":     fmt.Sprintf("f%x", b.Bytes()),
		"newline inside":  good[:20] + "\n" + good[20:],
		"trailing":        good + "a",
		"padding":         good + "=",
		"cut short":       good[:len(good)-1],
		"spare bits":      good[:len(good)-1] + last[good[len(good)-1]],
		"CIDv0":           gocid.NewCidV0(b.Hash()).String(),
		"raw codec":       gocid.NewCidV1(gocid.Raw, b.Hash()).String(),
		"other multihash": gocid.NewCidV1(gocid.DagCBOR, longHash).String(),
	} {
		if got, err := ParseCID(text); !errors.Is(err, ErrCID) || got != (Commitment{}) {
			t.Errorf("%s: ParseCID(%q) = %v, %v; want ErrCID", name, text, got, err)
		}
	}
	for i := range len(good) {
		flipped := []byte(good)
		flipped[i] ^= 1
		if got, err := ParseCID(string(flipped)); err == nil && got == numberedManifest(t).Commitment() {
			t.Errorf("character %d changed: still the same commitment", i)
		}
	}
}
