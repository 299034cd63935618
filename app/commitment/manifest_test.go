package commitment

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// TestParseManifestRefuses names each way in which a manifest can be wrong. The
// good one has 79 bytes.
func TestParseManifestRefuses(t *testing.T) {
	root := strings.Repeat("ab", 32)
	const (
		n    = "616e" + "07"
		v    = "6176" + "01"
		alg  = "63616c67" + "6b6d756e312d736861323536"
		seg  = "63736567" + "657261772f31"
		link = "64726f6f74" + "d82a5825000155" + "1220"
	)
	good := "a5" + n + v + alg + seg + link + root
	m, err := ParseManifest(unhex(t, good))
	if err != nil || m.N != 7 || m.Profile != Raw || hex.EncodeToString(m.Root[:]) != root || len(good) != 2*79 {
		t.Fatalf("ParseManifest of the good one = %v, %v", m, err)
	}
	for _, c := range []struct{ name, why, raw string }{
		{"nothing", "unexpected end", ""},
		{"map of four", "map of 4", "a4" + n + v + alg + seg},
		{"map of six", "too many", "a6" + n + v + alg + seg + link + root + n},
		{"map of indefinite length", "indefinite", "bf" + n + v + alg + seg + link + root + "ff"},
		{"map head not shortest", "shortest", "b805" + n + v + alg + seg + link + root},
		{"array", "major type", "85" + n + v + alg + seg + link + root},
		{"trailing byte", "follow", good + "00"},
		{"cut short", "unexpected end", good[:len(good)-2]},
		{"wrong key order", "key", "a5" + v + n + alg + seg + link + root},
		{"key twice", "key", "a5" + n + n + alg + seg + link + root},
		{"unknown key", "key", "a5" + "6178" + "07" + v + alg + seg + link + root},
		{"n not shortest, u8", "shortest", "a5" + "616e" + "1807" + v + alg + seg + link + root},
		{"n not shortest, u16", "shortest", "a5" + "616e" + "190007" + v + alg + seg + link + root},
		{"n not shortest, u32", "shortest", "a5" + "616e" + "1a00000007" + v + alg + seg + link + root},
		{"n not shortest, u64", "shortest", "a5" + "616e" + "1b0000000000000007" + v + alg + seg + link + root},
		{"n zero", "0 leaves", "a5" + "616e" + "00" + v + alg + seg + link + root},
		{"n over the limit", "more than", "a5" + "616e" + "1a01000001" + v + alg + seg + link + root},
		{"n huge", "more than", "a5" + "616e" + "1bffffffffffffffff" + v + alg + seg + link + root},
		{"n negative", "major type", "a5" + "616e" + "27" + v + alg + seg + link + root},
		{"n a float", "major type", "a5" + "616e" + "f94700" + v + alg + seg + link + root},
		{"version 2", "more than", "a5" + n + "617602" + alg + seg + link + root},
		{"version 0", "version 0", "a5" + n + "617600" + alg + seg + link + root},
		{"other algorithm", "mun1-sha257", "a5" + n + v + "63616c67" + "6b6d756e312d736861323537" + seg + link + root},
		{"algorithm as bytes", "major type", "a5" + n + v + "63616c67" + "4b6d756e312d736861323536" + seg + link + root},
		{"text of indefinite length", "indefinite", "a5" + n + v + "63616c67" + "7f6b6d756e312d736861323536ff" + seg + link + root},
		{"empty profile", "profile", "a5" + n + v + alg + "63736567" + "60" + link + root},
		{"profile with a space", "profile", "a5" + n + v + alg + "63736567" + "657261772031" + link + root},
		{"profile not UTF-8", "UTF-8", "a5" + n + v + alg + "63736567" + "6572617780ff" + link + root},
		{"profile too long", "profile", "a5" + n + v + alg + "63736567" + "7841" + strings.Repeat("61", 65) + link + root},
		{"profile longer than the manifest", "unexpected end", "a5" + n + v + alg + "63736567" + "7bffffffffffffffff"},
		{"root without tag", "major type", "a5" + n + v + alg + seg + "64726f6f74" + "58250001551220" + root},
		{"other tag", "tag 43", "a5" + n + v + alg + seg + "64726f6f74" + "d82b5825000155" + "1220" + root},
		{"no identity multibase", "multibase", "a5" + n + v + alg + seg + "64726f6f74" + "d82a5825010155" + "1220" + root},
		{"link to dag-cbor", "codec", "a5" + n + v + alg + seg + "64726f6f74" + "d82a5825000171" + "1220" + root},
		{"link of CIDv0", "CIDv1", "a5" + n + v + alg + seg + "64726f6f74" + "d82a582300" + "1220" + root},
		{"link with other multihash", "CIDv1", "a5" + n + v + alg + seg + "64726f6f74" + "d82a5825000155" + "1620" + root},
	} {
		if m, err := ParseManifest(unhex(t, c.raw)); !errors.Is(err, ErrManifest) || !strings.Contains(err.Error(), c.why) || m != (Manifest{}) {
			t.Errorf("%s: ParseManifest = %v, %v; want ErrManifest for %q", c.name, m, err, c.why)
		}
	}
	raw := unhex(t, good)
	for i := range raw {
		for bit := range 8 {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1 << bit
			if got, err := ParseManifest(flipped); err == nil && got == m {
				t.Errorf("byte %d, bit %d flipped: the same manifest", i, bit)
			}
		}
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFields: a field has one encoding, and bounds.
func TestFields(t *testing.T) {
	good := Field{FieldMediaType, "application/json"}
	raw, err := good.Marshal()
	if want := "826a6d656469612d74797065706170706c69636174696f6e2f6a736f6e"; err != nil || hex.EncodeToString(raw) != want {
		t.Fatalf("Marshal = %x, %v; want %s", raw, err, want)
	}
	if f, err := ParseField(raw); err != nil || f != good {
		t.Errorf("ParseField = %v, %v", f, err)
	}
	for name, f := range map[string]Field{
		"no key": {"", "v"}, "upper case": {"Key", "v"}, "space": {"a b", "v"}, "long key": {strings.Repeat("k", 65), "v"},
		"long value": {"k", strings.Repeat("v", 4097)}, "not UTF-8": {"k", "\xff"},
	} {
		if raw, err := f.Marshal(); !errors.Is(err, ErrField) || raw != nil {
			t.Errorf("%s: Marshal = %x, %v; want ErrField", name, raw, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "one member": "8161 61", "three members": "83616161616161", "map": "a161616161", "key is bytes": "8241616161",
		"value is a number": "82616101", "not shortest": "8278016161 61", "trailing": "82616161 6100", "upper case": "8261416161",
		"not UTF-8": "82616161ff", "cut short": "826161",
	} {
		if f, err := ParseField(unhex(t, strings.ReplaceAll(text, " ", ""))); !errors.Is(err, ErrField) || f != (Field{}) {
			t.Errorf("%s: ParseField = %v, %v; want ErrField", name, f, err)
		}
	}
}
