package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// canary gives a word that nothing else contains.
func canary() string {
	b := make([]byte, 12)
	rand.Read(b)
	word := "canary" + hex.EncodeToString(b)
	keep("canary", []byte(word))
	return word
}

// found lists the files below dir that contain a needle as it is, in hex or in
// base64.
func found(t *testing.T, dir string, needles map[string][]byte) []string {
	t.Helper()
	var hits []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for name, needle := range needles {
			if contains(data, needle) {
				hits = append(hits, name+" in "+path)
			}
			if strings.Contains(path, string(needle)) {
				hits = append(hits, name+" in the name of "+path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

func contains(data, needle []byte) bool {
	if bytes.Contains(data, needle) || bytes.Contains(data, []byte(hex.EncodeToString(needle))) {
		return true
	}
	for shift := range 3 { // base64 of the needle at each alignment, without its ragged ends
		padded := append(make([]byte, shift), needle...)
		text := base64.StdEncoding.EncodeToString(padded)
		if text = strings.TrimRight(text, "="); len(text) > 8 && bytes.Contains(data, []byte(text[4:len(text)-2])) {
			return true
		}
	}
	return false
}

// TestS0_5_NothingOfARecordIsInTheFiles deposits a record full of canaries,
// opens it in every way, stops the node, and searches every byte that the node
// has written: files, names of files and log.
func TestS0_5_NothingOfARecordIsInTheFiles(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	words := map[string]string{"content": canary(), "file name": canary(), "title": canary(), "media type": canary()}
	var content bytes.Buffer
	for i := range 200 {
		fmt.Fprintf(&content, "Paragraph %d of the minutes mentions %s once more.\n\n", i, words["content"])
	}
	id, key := c.deposit(t, conn, "DEMO-MINUTES", content.Bytes(), []commitment.Field{
		{Key: commitment.FieldMediaType, Value: "text/" + words["media type"]},
		{Key: commitment.FieldFileName, Value: words["file name"] + ".txt"},
		{Key: commitment.FieldTitle, Value: "Minutes " + words["title"]},
	})
	anchored := submit(t, conn, c.transaction(t, "CLERK", "DEMO-MINUTES", id), "OK")
	departments := apiv1.NewDepartmentsClient(conn)
	ref := &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: anchored.FirstIndex}}
	hits, err := departments.Search(ctx(t), &apiv1.SearchRequest{Text: words["title"]})
	if err != nil || len(hits.Hits) != 1 || hits.Hits[0].FileName != words["file name"]+".txt" {
		t.Fatalf("search: %v %v", hits, err)
	}
	read, err := departments.Read(ctx(t), &apiv1.ReadRequest{Record: ref, Purpose: apiv1.Purpose_PURPOSE_CASE_WORK})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for m, err := read.Recv(); err == nil; m, err = read.Recv() {
		got = append(got, m.Chunk...)
	}
	if !bytes.Equal(got, content.Bytes()) {
		t.Fatalf("read gives %d bytes, want %d", len(got), content.Len())
	}
	evidence, err := departments.Evidence(ctx(t), &apiv1.EvidenceRequest{Record: ref, Purpose: apiv1.Purpose_PURPOSE_LEGAL})
	if err != nil {
		t.Fatal(err)
	}
	var car []byte
	for m, err := evidence.Recv(); err == nil; m, err = evidence.Recv() {
		car = append(car, m.Chunk...)
	}
	if !contains(car, []byte(words["content"])) {
		t.Fatal("the evidence does not disclose the content: the scan below would prove nothing")
	}
	// A call that fails is logged; the log must not repeat what was asked.
	if _, err := departments.Search(ctx(t), &apiv1.SearchRequest{Text: words["title"], PageToken: words["file name"]}); err == nil {
		t.Fatal("a bad page token is accepted")
	}
	n.stop()

	needles := map[string][]byte{"record key": key[:]}
	for name, word := range words {
		needles[name] = []byte(word)
	}
	for _, hit := range found(t, string(c.home), needles) {
		t.Error(hit)
	}
	for name, needle := range needles {
		if contains(n.stderr.Bytes(), needle) {
			t.Errorf("%s in the log of the node", name)
		}
	}
	// The same scan finds what is there: one word planted in a copy.
	planted := filepath.Join(t.TempDir(), "home")
	if err := os.CopyFS(planted, os.DirFS(string(c.home))); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(planted, "vault", "*.log"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("the vault has no write-ahead log: %v", err)
	}
	data, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tables[0], append(data, words["content"]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if hits := found(t, planted, needles); len(hits) != 1 {
		t.Errorf("the scan finds %v in a copy with one planted word", hits)
	}
}
