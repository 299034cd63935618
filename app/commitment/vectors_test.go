package commitment

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/spec/vectors/commitment.json anew")

const (
	vectorFile = "../../docs/spec/vectors/commitment.json"
	twin       = "../../scripts/twin/commitment.mjs"
)

// hexBytes are shown in hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

type vectors struct {
	Scheme  string          `json:"scheme"`
	Records []recordVector  `json:"records"`
	Sealed  []sealVector    `json:"sealed"`
	Padding []paddingVector `json:"padding"`
}

type recordVector struct {
	Name       string         `json:"name"`
	Key        hexBytes       `json:"key"`
	Profile    Profile        `json:"profile"`
	Leaves     []leafVector   `json:"leaves"`
	Root       hexBytes       `json:"root"`
	Manifest   hexBytes       `json:"manifest"`
	Commitment hexBytes       `json:"commitment"`
	CID        string         `json:"cid"`
	States     []stateVector  `json:"states"`
	Copies     []copyVector   `json:"copies"`
	Bundles    []bundleVector `json:"bundles"`
}

type leafVector struct {
	Kind    Kind     `json:"kind"`
	Payload hexBytes `json:"payload"`
	Enc     hexBytes `json:"enc"`
	Salt    hexBytes `json:"salt"`
	Hash    hexBytes `json:"hash"`
}

type stateVector struct {
	Punctured [][2]uint32 `json:"punctured"`
	State     hexBytes    `json:"state"`
}

type copyVector struct {
	Hidden [][2]uint32 `json:"hidden"`
	CID    string      `json:"cid"`
	CAR    hexBytes    `json:"car"`
	Leaves hexBytes    `json:"leavesCar"`
}

type bundleVector struct {
	Hidden   [][2]uint32 `json:"hidden"`
	Receipts []hexBytes  `json:"receipts"`
	CAR      hexBytes    `json:"car"`
}

type sealVector struct {
	Enc     hexBytes `json:"enc"`
	RID     hexBytes `json:"rid"`
	Index   uint32   `json:"index"`
	Kind    Kind     `json:"kind"`
	Payload hexBytes `json:"payload"`
	Sealed  hexBytes `json:"sealed"`
}

type paddingVector struct {
	N      int `json:"n"`
	Padme  int `json:"padme"`
	Sealed int `json:"sealed"`
}

// testKey is the record key of all vectors: 00 01 02 ... 1f.
func testKey() (k RecordKey) {
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

// licence is vector V2: a record of seven leaves, without padding.
func licence(tb testing.TB) Layout {
	tb.Helper()
	const content = `{"name":"Ada","ssn":"123-45-6789"}`
	mediaType, err := Field{FieldMediaType, "application/json"}.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	l := Layout{Profile: JSON, Segments: []Segment{
		{Kind: Metadata, Payload: mediaType},
		{Kind: Digest, Payload: digestOf([]byte(content))},
	}}
	for _, part := range []string{`{"name":`, `"Ada"`, `,"ssn":`, `"123-45-6789"`, `}`} {
		l.Segments = append(l.Segments, Segment{Kind: Content, Payload: []byte(part)})
	}
	return l
}

// numbered is vector V3: n content leaves "leaf-0", "leaf-1" and so on.
func numbered(n int) Layout {
	l := Layout{Profile: Raw}
	for i := range n {
		l.Segments = append(l.Segments, Segment{Kind: Content, Payload: fmt.Appendf(nil, "leaf-%d", i)})
	}
	return l
}

const minutes = "Minutes of the Harbour Commission\r\n\r\nPresent: four members.\nThe fee for berth 7 was set.\n\n\n" +
	"Complaint of a resident, withheld on request.\n \t\nAdjourned at 8 p.m.\n"

// arranged is vector V4: minutes as Arrange lays them out, with padding.
func arranged(tb testing.TB) Layout { return arrangedText(tb, minutes) }

func arrangedText(tb testing.TB, content string) Layout {
	tb.Helper()
	l, err := Arrange(Text, []byte(content), []Field{
		{FieldMediaType, "text/plain"}, {FieldFileName, "minutes.txt"}, {FieldTitle, "Harbour Commission, 3 March 2031"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// committed is a record with all that copies of it are made from.
type committed struct {
	layout   Layout
	state    State
	manifest Manifest
	leaves   [][32]byte
}

func commitTo(tb testing.TB, key RecordKey, l Layout) committed {
	tb.Helper()
	s := NewState(key, l.N())
	m, leaves, err := Commit(s, l)
	if err != nil {
		tb.Fatal(err)
	}
	return committed{l, s, m, leaves}
}

func (c committed) copy(tb testing.TB, hide ...Range) Copy {
	tb.Helper()
	made, err := NewCopy(c.manifest, c.leaves, c.state, c.layout.Segments, hide)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func pairs(ranges []Range) [][2]uint32 {
	out := [][2]uint32{}
	for _, r := range ranges {
		out = append(out, [2]uint32{r.First, r.Last})
	}
	return out
}

func describe(t *testing.T, name string, l Layout, hide ...[]Range) recordVector {
	key := testKey()
	r := commitTo(t, key, l)
	id := r.manifest.Commitment()
	v := recordVector{
		Name: name, Key: key[:], Profile: l.Profile, Root: r.manifest.Root[:], Manifest: r.manifest.Marshal(),
		Commitment: id[:], CID: id.CID(), States: []stateVector{}, Copies: []copyVector{}, Bundles: []bundleVector{},
	}
	for i, secret := range r.state.Secrets() {
		v.Leaves = append(v.Leaves, leafVector{
			l.Segments[i].Kind, l.Segments[i].Payload, bytes.Clone(secret.Enc[:]), bytes.Clone(secret.Salt[:]), bytes.Clone(r.leaves[i][:]),
		})
	}
	for _, h := range hide {
		s := r.state
		s.PunctureRanges(h)
		v.States = append(v.States, stateVector{pairs(s.Hidden()), s.Marshal()})
		c := r.copy(t, h...)
		exploded, err := c.Explode(id)
		if err != nil {
			t.Fatal(err)
		}
		v.Copies = append(v.Copies, copyVector{pairs(c.Hidden()), c.CID(), c.Marshal(), exploded})
	}
	return v
}

func currentVectors(t *testing.T) vectors {
	v := vectors{Scheme: manifestAlgorithm}
	v.Records = append(v.Records,
		describe(t, "V1: one empty leaf", Layout{Profile: Raw, Segments: []Segment{{Kind: Content, Payload: []byte{}}}}, nil),
		describe(t, "V2: a licence, seven leaves", licence(t), nil, []Range{{5, 5}}, []Range{{0, 0}}, []Range{{2, 5}}))
	for _, n := range []int{2, 3, 4, 5, 8, 9, 17} {
		v.Records = append(v.Records, describe(t, fmt.Sprintf("V3: %d numbered leaves", n), numbered(n), []Range{{uint32(n) - 1, uint32(n) - 1}}))
	}
	text := describe(t, "V4: minutes, padded to sixteen leaves", arranged(t), Redact(arranged(t).Segments, []Range{{6, 6}}, false))
	r := commitTo(t, testKey(), arranged(t))
	receipts := [][]byte{[]byte("a receipt\n"), []byte("a certificate\n")}
	c := r.copy(t, Redact(r.layout.Segments, []Range{{6, 6}}, false)...)
	car, err := MarshalBundle(c, receipts)
	if err != nil {
		t.Fatal(err)
	}
	text.Bundles = append(text.Bundles, bundleVector{pairs(c.Hidden()), []hexBytes{receipts[0], receipts[1]}, car})
	v.Records = append(v.Records, text)

	for i, payload := range []string{"", "permit B-7", strings.Repeat("row ", 40)} {
		v.Sealed = append(v.Sealed, sealedWith(t, uint32(i), Content, payload))
	}
	for _, n := range []int{0, 1, 2, 3, 9, 16, 17, 33, 100, 4097, 100_000, 1 << 20, 1<<24 - 1, 1 << 24} {
		v.Padding = append(v.Padding, paddingVector{n, padme(n), Padded(n)})
	}
	return v
}

// sealedWith seals with a nonce that the vectors fix, which Seal never does.
func sealedWith(t *testing.T, index uint32, kind Kind, payload string) sealVector {
	enc, _, _ := NewState(testKey(), 8).Secret(index)
	rid := [16]byte([]byte("sixteen bytes id"))
	b, err := aes.NewCipher(enc[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(b)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, Padded(4+len(payload)))
	plain[3] = byte(len(payload))
	copy(plain[4:], payload)
	nonce := bytes.Repeat([]byte{byte(index)}, 12)
	sealed := aead.Seal(nonce, nonce, plain, sealContext(rid, index, kind))
	if got, err := Open(enc, rid, index, kind, sealed); err != nil || string(got) != payload {
		t.Errorf("Open of sealed vector %d = %q, %v; want %q", index, got, err, payload)
	}
	return sealVector{enc[:], rid[:], index, kind, []byte(payload), sealed}
}

// TestVectors compares the published vectors with what the package computes.
func TestVectors(t *testing.T) {
	got, err := json.MarshalIndent(currentVectors(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(vectorFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the package and %s differ; run go test -update and read the difference", vectorFile)
	}
}

// TestTwinVectors lets the JavaScript twin recompute the vectors from their keys
// and payloads.
func TestTwinVectors(t *testing.T) {
	needNode(t)
	out, err := exec.Command("node", twin, "vectors", vectorFile).CombinedOutput()
	if err != nil {
		t.Fatalf("node %s vectors: %v\n%s", twin, err, out)
	}
	if !strings.Contains(string(out), "10 records") {
		t.Errorf("the twin checked something else: %s", out)
	}
}

// TestTwinVerify lets the twin verify copies in every form, and refuse them
// for another commitment.
func TestTwinVerify(t *testing.T) {
	other := Commitment{1}.CID()
	for _, c := range []struct {
		name   string
		record committed
		hide   []Range
	}{
		{"everything disclosed", commitTo(t, testKey(), arranged(t)), nil},
		{"everything hidden", commitTo(t, testKey(), numbered(5)), []Range{{0, 4}}},
		{"lists in blocks of their own", commitTo(t, testKey(), numbered(4500)), everySecond(4500)},
		{"lists of two blocks", commitTo(t, testKey(), numbered(16000)), everySecond(16000)},
		{"content in several chunks", commitTo(t, testKey(), bulky(3, 200<<10)), []Range{{1, 1}}},
		{"lengths in several chunks", commitTo(t, testKey(), bulky(88_000, 128)), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := c.record.copy(t, c.hide...)
			bundle, err := MarshalBundle(made, [][]byte{[]byte("receipt")})
			if err != nil {
				t.Fatal(err)
			}
			id := c.record.manifest.Commitment().CID()
			if out, err := runTwin(t, made.Marshal(), id); err != nil {
				t.Errorf("copy: %v\n%s", err, out)
			}
			flipped := bytes.Clone(bundle)
			flipped[len(flipped)/2] ^= 1
			if out, err := runTwin(t, flipped, id); err == nil {
				t.Errorf("one bit changed: %s", out)
			}
			if out, err := runTwin(t, bundle, other); err == nil {
				t.Errorf("bundle: verified for another commitment: %s", out)
			}
		})
	}
}

// needNode skips a test of the twin where Node is not installed. It is in .ci/run.
func needNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("the twin in JavaScript needs Node 20: ", err)
	}
}

// runTwin verifies a copy or bundle with the twin.
func runTwin(t *testing.T, car []byte, cid string) (string, error) {
	needNode(t)
	path := filepath.Join(t.TempDir(), "evidence.mun.car")
	if err := os.WriteFile(path, car, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", twin, "verify", path, cid).CombinedOutput()
	return string(out), err
}

func everySecond(n uint32) []Range {
	var hide []Range
	for i := uint32(0); i < n; i += 2 {
		hide = append(hide, Range{i, i})
	}
	return hide
}

// bulky has n content leaves of size bytes.
func bulky(n, size int) Layout {
	l := Layout{Profile: Raw}
	for i := range n {
		payload := make([]byte, size)
		for j := range payload {
			payload[j] = byte(j>>8 ^ j*7 ^ i)
		}
		l.Segments = append(l.Segments, Segment{Kind: Content, Payload: payload})
	}
	return l
}
