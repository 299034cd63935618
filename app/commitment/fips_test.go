package commitment

import (
	"bytes"
	"crypto/fips140"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestRecordPath takes a record from its bytes to its commitment, seals and opens
// its segments, erases one, and proves the rest.
func TestRecordPath(t *testing.T) {
	t.Logf("FIPS 140-3 mode: %t", fips140.Enabled())
	l := arranged(t)
	r := commitTo(t, testKey(), l)
	rid := [16]byte{1}
	sealed := make(map[uint32][]byte)
	for i, secret := range r.state.Secrets() {
		b, err := Seal(secret.Enc, rid, i, l.Segments[i].Kind, l.Segments[i].Payload)
		if err != nil {
			t.Fatal(err)
		}
		sealed[i] = b
	}
	r.state.PunctureRanges(Redact(l.Segments, []Range{{6, 6}}, true))
	kept, err := ParseState(r.state.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	left := slices.Clone(l.Segments)
	for i := range left {
		left[i].Payload = nil
	}
	for i, secret := range kept.Secrets() {
		if left[i].Payload, err = Open(secret.Enc, rid, i, left[i].Kind, sealed[i]); err != nil {
			t.Fatal(err)
		}
	}
	c, err := NewCopy(r.manifest, r.leaves, kept, left, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := MarshalBundle(c, [][]byte{[]byte("receipt")})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := b.Copy.Verify(r.manifest.Commitment())
	if err != nil {
		t.Fatal(err)
	}
	if want := []Range{{3, 3}, {6, 6}}; !slices.Equal(opened.Hidden, want) || !bytes.HasSuffix(opened.Content(), []byte("8 p.m.\n")) {
		t.Errorf("hidden %v, want %v; content %q", opened.Hidden, want, opened.Content())
	}
}

// TestRecordPathFIPS runs TestRecordPath where the standard library refuses every
// algorithm and use that FIPS 140-3 does not approve.
func TestRecordPathFIPS(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestRecordPath$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "FIPS 140-3 mode: true") || !strings.Contains(string(out), "--- PASS: TestRecordPath") {
		t.Errorf("under fips140=only: %v\n%s", err, out)
	}
}
