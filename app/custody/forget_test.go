package custody

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
)

// TestNothingErasedIsOnDisk searches every file of vault, rings and access log
// after an erasure: for what the record said and was called, for every secret that
// opened it, and for its sealed bytes. The same search finds the sealed bytes of
// all records before, and those of what lives on after.
func TestNothingErasedIsOnDisk(t *testing.T) {
	dir, c, city := t.TempDir(), &clock{}, newArchive(t)
	c.set(today)
	h := openHouse(t, vfs.Default, dir, city, c)
	secret := func(name string) (kept, map[string][]byte, [][]byte) {
		header, content := offer(fmt.Sprintf("%s of the first paragraph\n\n%s of the second paragraph\n\n%s of the third\n", name, name, name), "title with "+name)
		k := h.keepAs(t, "DEMO-MINUTES", header, content)
		r, _, err := h.vault.Find("DPW", k.Commitment)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := h.state(r)
		if err != nil {
			t.Fatal(err)
		}
		needles := map[string][]byte{
			name + " in content or title": []byte(name), name + " record key": header.Key[:], name + " layout key": s.layout[:],
		}
		for leaf, secret := range s.state.Secrets() {
			needles[fmt.Sprint(name, " sealing key ", leaf)], needles[fmt.Sprint(name, " salt ", leaf)] = secret.Enc[:], secret.Salt[:]
		}
		var sealed [][]byte
		if err := h.vault.EachSealed(r, func(_ uint32, s []byte) error { sealed = append(sealed, bytes.Clone(s[:40])); return nil }); err != nil {
			t.Fatal(err)
		}
		return k, needles, sealed
	}
	gone, plainGone, sealedGone := secret("canary-8c1d")
	part, plainPart, sealedPart := secret("canary-77ab")
	alive, plainAlive, sealedAlive := secret("canary-41fe")
	if _, _, err := h.Search(context.Background(), works, Query{Text: "title", Limit: 9}); err != nil {
		t.Fatal(err)
	}
	var plain []map[string][]byte
	plain = append(plain, plainGone, plainPart, plainAlive)
	all := map[string][]byte{}
	for i, of := range [][][]byte{sealedGone, sealedPart, sealedAlive} {
		for leaf, s := range of {
			all[fmt.Sprint("record ", i, " leaf ", leaf)] = s
		}
	}
	restart := func() {
		t.Helper()
		h.close()
		h = openHouse(t, vfs.Default, dir, city, c)
		h.close() // which leaves no log of an earlier process
		h = openHouse(t, vfs.Default, dir, city, c)
	}
	restart()
	if found := search(t, dir, all); len(found) != len(all) {
		t.Errorf("the search finds %d of %d sealed segments before the erasure", len(found), len(all))
	}
	redaction := h.file(t, part, 5)
	h.erase(t, city.destroy(t, "DEMO-MINUTES", gone), city.redact(t, "DEMO-MINUTES", part, redaction))
	if err := h.Reclaim(context.Background()); err != nil {
		t.Fatal(err)
	}
	restart()
	defer h.close()
	for _, needles := range plain {
		for what, files := range search(t, dir, needles) {
			t.Errorf("%s is in %v", what, files)
		}
	}
	found := search(t, dir, all)
	for name := range all {
		dead := strings.HasPrefix(name, "record 0 ") || name == "record 1 leaf 3" || name == "record 1 leaf 5"
		if _, is := found[name]; is == dead {
			t.Errorf("sealed %s: found %v, want %v", name, is, !dead)
		}
	}
	h.wantOpen(t, "what lives on", alive)
	if err := os.WriteFile(filepath.Join(dir, "spool"), part.canary(), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := search(t, dir, plainPart); len(found) != 1 {
		t.Errorf("the search does not find a spooled content: %v", found)
	}
}

func (k kept) canary() []byte { return []byte(k.content) }

// TestGuessingFails tries every value of a four-digit code against what is left
// of a record: with the state of before the erasure one value fits, with the
// state, the files and a copy of after it none does, and none of these holds what
// could tell.
func TestGuessingFails(t *testing.T) {
	const table, value = "name,code\nalder,4711\nbirch,0815\ncedar,2718\n", "4711"
	h := archiveHouse(t)
	header, content := offer(table, "codes")
	profile, ok := commitment.ChooseCells("codes.csv", content)
	if !ok {
		t.Fatal("the content is no table")
	}
	header.Profile = profile
	k := h.keepAs(t, "DEMO-MINUTES", header, content)
	r, _, err := h.vault.Find("DPW", k.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := h.vault.Leaves(r)
	if err != nil {
		t.Fatal(err)
	}
	var leaf uint32
	var payload string
	err = h.admit(request{works, actionSegments, k.Ref, CaseWork}, func(o opened) error {
		return h.eachSegment(o, hashes, func(at uint32, s commitment.Segment) error {
			if s.Kind == commitment.Content && strings.Contains(string(s.Payload), value) {
				leaf, payload = at, string(s.Payload)
			}
			return nil
		})
	})
	if err != nil || payload == "" {
		t.Fatal(err)
	}
	// guess tries all codes with one salt.
	guess := func(salt [32]byte) (fit string) {
		for code := range 10_000 {
			s := commitment.Segment{Kind: commitment.Content, Payload: []byte(strings.Replace(payload, value, fmt.Sprintf("%04d", code), 1))}
			if sha256.Sum256(commitment.LeafBlock(leaf, s, salt)) == hashes[leaf] {
				fit = fmt.Sprintf("%04d", code)
			}
		}
		return fit
	}
	before, _, err := h.state(r)
	if err != nil {
		t.Fatal(err)
	}
	_, salt, _ := before.state.Secret(leaf)
	if got := guess(salt); got != value {
		t.Fatalf("with the state of before the guess is %q, want %q", got, value)
	}
	h.erase(t, h.city.redact(t, "DEMO-MINUTES", k, h.file(t, k, leaf)))
	after, _, err := h.state(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, live := after.state.Secret(leaf); live {
		t.Error("the state still derives the secret of the erased leaf")
	}
	tried := 0
	for _, secret := range after.state.Secrets() { // whatever is left to try
		for _, salt := range [][32]byte{secret.Salt, secret.Enc} {
			if tried++; tried <= 40 && guess(salt) != "" {
				t.Error("a secret of another leaf tells the code")
			}
		}
	}
	car, err := h.Copy(context.Background(), works, k.Ref, CaseWork, Extent{WithName: true})
	if err != nil {
		t.Fatal(err)
	}
	tree, hidden := newSecretTree(t, *header.Key, r.Manifest.N), make([]bool, r.Manifest.N)
	hidden[leaf] = true
	for where, data := range map[string][]byte{"the state": after.marshal(), "a copy": car} {
		if _, found := tree.betrays(data, hidden); found || bytes.Contains(data, []byte(value)) {
			t.Errorf("%s holds what tells the code", where)
		}
	}
	if _, found := tree.betrays(before.marshal(), hidden); !found {
		t.Error("the state of before holds nothing that tells the code: the search proves nothing")
	}
	if !bytes.Contains(car, []byte("0815")) {
		t.Error("the copy lacks the other codes")
	}
}
