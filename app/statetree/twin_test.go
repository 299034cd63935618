package statetree

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the vectors anew; then read the diff")

const vectorsFile = "../../docs/spec/vectors/statetree.json"

// vectors is the published file. Byte strings are hex.
type vectors struct {
	About string        `json:"about"`
	Trees []treeVector  `json:"trees"`
	Wrong []wrongVector `json:"refused"`
}

type treeVector struct {
	Name    string        `json:"name"`
	Entries []entryVector `json:"entries"`
	Root    string        `json:"root"`
	Proofs  []proofVector `json:"proofs"`
}

type entryVector struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type proofVector struct {
	Key   string  `json:"key"`
	Value *string `json:"value"` // null: absent
	Proof string  `json:"proof"`
}

type wrongVector struct {
	Why string `json:"why"`
	proofVector
	Root string `json:"root"`
}

func buildVectors(t *testing.T) vectors {
	v := vectors{About: "State tree, docs/spec/statetree.md. Keys are SHA-256 of a state key, or chosen to share bits."}
	for _, size := range []int{0, 1, 2, 3, 7, 64, 300} {
		tr := newTree()
		for i := range size {
			tr.update(t, Write{KeyOf(fmt.Appendf(nil, "key %d", i)), fmt.Appendf(nil, "value %d", i)})
		}
		probes := []Key{KeyOf([]byte("absent 1")), KeyOf([]byte("absent 2"))}
		for i := 0; i < size; i += 1 + size/4 {
			probes = append(probes, KeyOf(fmt.Appendf(nil, "key %d", i)))
		}
		v.Trees = append(v.Trees, vectorOf(t, fmt.Sprintf("%d keys", size), tr, probes))
	}
	near := newTree()
	near.update(t, Write{Key{}, []byte("a")}, Write{Key{31: 1}, []byte{}})
	v.Trees = append(v.Trees, vectorOf(t, "two keys that share 255 bits, one value empty", near,
		[]Key{{}, {31: 1}, {31: 2}, {0x80}, {16: 1}}))
	some, keys := sample(t)
	v.Trees = append(v.Trees, vectorOf(t, "an end of each kind", some, []Key{keys["this key"], keys["nothing"], keys["another key"]}))

	raw := mustProve(t, some, keys["another key"]).Marshal()
	refuse := func(why string, key Key, proof []byte) {
		v.Wrong = append(v.Wrong, wrongVector{why, proofVector{Key: hex.EncodeToString(key[:]), Proof: hex.EncodeToString(proof)},
			hex.EncodeToString(some.root[:])})
	}
	refuse("the proof is of another key", keys["nothing"], raw)
	refuse("a byte follows", keys["another key"], append(bytes.Clone(raw), 0))
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x01
		refuse(fmt.Sprintf("byte %d changed", i), keys["another key"], bad)
	}
	return v
}

func vectorOf(t *testing.T, name string, tr *tree, probes []Key) treeVector {
	v := treeVector{Name: name, Root: hex.EncodeToString(tr.root[:]), Entries: []entryVector{}}
	for _, key := range sortedKeys(tr.values) {
		v.Entries = append(v.Entries, entryVector{hex.EncodeToString(key[:]), hex.EncodeToString(tr.values[key])})
	}
	for _, key := range probes {
		p := proofVector{Key: hex.EncodeToString(key[:]), Proof: hex.EncodeToString(mustProve(t, tr, key).Marshal())}
		if value, ok := tr.values[key]; ok {
			text := hex.EncodeToString(value)
			p.Value = &text
		}
		v.Proofs = append(v.Proofs, p)
	}
	return v
}

func TestVectorsArePublished(t *testing.T) {
	want, err := json.MarshalIndent(buildVectors(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (SHA-256 %x) is not what the code gives; run with -rewrite and read the diff", vectorsFile, sha256.Sum256(got))
	}
}

// The twin is an independent implementation in JavaScript, written from the page. It must agree with the vectors, and not with wrong ones.
func TestTwinAgrees(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil { // it is in .ci/run
		t.Skip("the twin in JavaScript needs Node 20: ", err)
	}
	run := func(file string) (string, error) {
		out, err := exec.Command("node", "../../scripts/twin/statetree.mjs", file).CombinedOutput()
		return string(out), err
	}
	if out, err := run(vectorsFile); err != nil {
		t.Fatalf("the twin disagrees: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	empty := []byte(`"root": "00`)
	if !bytes.Contains(raw, empty) {
		t.Fatal("the vectors lack the empty tree")
	}
	raw = bytes.Replace(raw, empty, []byte(`"root": "01`), 1)
	wrong := t.TempDir() + "/wrong.json"
	if err := os.WriteFile(wrong, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(wrong); err == nil {
		t.Fatalf("the twin accepts a wrong root:\n%s", out)
	}
}
