package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/node"
)

// secrets are the canaries and the keys of all fixtures of this run, by what they
// are. No node's file, and nothing that a munimentd says, may hold one of them: it
// is looked at where each test ends.
var secrets = struct {
	sync.Mutex
	all map[string]string // secret: what it is
}{all: map[string]string{passphrase: "passphrase"}}

// keep notes a secret.
func keep(what string, secret []byte) {
	secrets.Lock()
	defer secrets.Unlock()
	secrets.all[string(secret)] = what
}

// keepRecord notes what a record says, line by line, and its title.
func keepRecord(content []byte, args []string) {
	const most = 20 // lines of one record
	lines := 0
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > minForm && lines < most {
			keep("content of a record", line)
			lines++
		}
	}
	if i := slices.Index(args, "--title"); i >= 0 {
		keep("title of a record", []byte(args[i+1]))
	}
}

// keepKeys notes the keys of a home.
func keepKeys(t testing.TB, home node.Home) {
	t.Helper()
	keys, err := node.OpenKeys(home, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	for use, key := range map[string]ed25519.PrivateKey{"node": keys.Node, "validator": keys.Validator, "cosigner": keys.Cosigner, "log": keys.Log, "custodian": keys.Custodian} {
		if key != nil {
			keep(use+" key", key.Seed())
		}
	}
	files, err := filepath.Glob(filepath.Join(home.Keys(), "*.key"))
	if err != nil || len(files) == 0 {
		t.Fatalf("a home has no keys: %v", err)
	}
	for _, file := range files { // what is sealed by the passphrase itself
		if label, key, err := keyfile.Open([]byte(passphrase), read(t, file)); err == nil && len(key) == 32 {
			keep(label+" key", key)
		}
	}
}

// minForm is the length of the shortest text that is searched for.
const minForm = 8

// form is a secret in one of the ways in which bytes are written.
type form struct {
	what string
	text []byte
}

// forms are all ways to write a secret. In base64 and base32 a text looks otherwise
// at each place in a group; without the ends that depend on what is around it stays.
func forms(what string, secret []byte) (all []form) {
	add := func(how string, text []byte) {
		if len(text) >= minForm {
			all = append(all, form{what + how, text})
		}
	}
	add("", secret)
	add(" in hex", []byte(hex.EncodeToString(secret)))
	add(" in hex", []byte(strings.ToUpper(hex.EncodeToString(secret))))
	for shift := range 3 {
		whole := append(make([]byte, shift), secret...)
		whole = whole[:len(whole)/3*3]
		add(" in base64", []byte(base64.StdEncoding.EncodeToString(whole)[min(shift, 1)*4:]))
		add(" in base64", []byte(base64.URLEncoding.EncodeToString(whole)[min(shift, 1)*4:]))
	}
	for shift := range 5 {
		whole := append(make([]byte, shift), secret...)
		whole = whole[:len(whole)/5*5]
		text := base32.StdEncoding.EncodeToString(whole)[min(shift, 1)*8:]
		add(" in base32", []byte(text))
		add(" in base32", []byte(strings.ToLower(text)))
	}
	var little, big []byte
	for _, c := range utf16.Encode([]rune(string(secret))) {
		little, big = binary.LittleEndian.AppendUint16(little, c), binary.BigEndian.AppendUint16(big, c)
	}
	add(" in UTF-16", little)
	add(" in UTF-16", big)
	return all
}

// search finds many texts at once: by their first bytes.
type search struct {
	first [1 << 16]bool
	by    map[uint64][]form
}

func newSearch() *search {
	s := &search{by: make(map[uint64][]form)}
	secrets.Lock()
	defer secrets.Unlock()
	for secret, what := range secrets.all {
		for _, f := range forms(what, []byte(secret)) {
			start := binary.BigEndian.Uint64(f.text)
			s.first[start>>48], s.by[start] = true, append(s.by[start], f)
		}
	}
	return s
}

// in gives what some bytes hold, also compressed ones.
func (s *search) in(data []byte) (hits []string) {
	hits = s.plain(data)
	for at := 0; ; at++ {
		next := bytes.Index(data[at:], []byte{0x1f, 0x8b, 8})
		if next < 0 {
			break
		}
		at += next
		if r, err := gzip.NewReader(bytes.NewReader(data[at:])); err == nil {
			inner, _ := io.ReadAll(io.LimitReader(r, 64<<20)) // what comes before an end that is cut off counts
			for _, hit := range s.plain(inner) {
				hits = append(hits, hit+", compressed")
			}
		}
	}
	slices.Sort(hits)
	return slices.Compact(hits)
}

func (s *search) plain(data []byte) (hits []string) {
	var window uint64
	for i, b := range data {
		window = window<<8 | uint64(b)
		if i < minForm-1 || !s.first[window>>48] {
			continue
		}
		for _, f := range s.by[window] {
			if bytes.HasPrefix(data[i-minForm+1:], f.text) {
				hits = append(hits, f.what)
			}
		}
	}
	return hits
}

// below looks at all files below a folder, and at their names.
func (s *search) below(t testing.TB, dir string, besides ...string) (bytes int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if slices.Contains(besides, name) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		for _, hit := range s.in([]byte(name)) {
			t.Errorf("the name %s holds the %s", name, hit)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, hit := range s.in(data) {
			t.Errorf("%s holds the %s", path, hit)
		}
		bytes += len(data)
		return err
	})
	if err != nil {
		t.Errorf("look for secrets: %v", err)
	}
	return bytes
}

// said looks at what a program has put out.
func (s *search) said(t testing.TB, what string, out ...[]byte) {
	t.Helper()
	for _, hit := range s.in(bytes.Join(out, []byte{'\n'})) {
		t.Errorf("%s holds the %s", what, hit)
	}
}

// noSecretsBelow looks at what is below a folder when the test ends, but for some of it.
func noSecretsBelow(t testing.TB, dir string, besides ...string) {
	t.Helper()
	t.Cleanup(func() { newSearch().below(t, dir, besides...) })
}

// TestTheSearchFindsSecrets in each form, at each place, and nothing where there is none.
func TestTheSearchFindsSecrets(t *testing.T) {
	word, key := canary(), newKey(t).Seed()
	s := newSearch()
	for _, secret := range [][]byte{[]byte(word), key} {
		for lead := range 7 {
			text := append(bytes.Repeat([]byte{'x'}, lead), secret...)
			var squeezed bytes.Buffer
			w := gzip.NewWriter(&squeezed)
			w.Write(text)
			w.Close()
			var wide []byte
			for _, c := range utf16.Encode([]rune(string(text))) {
				wide = binary.LittleEndian.AppendUint16(wide, c)
			}
			for how, written := range map[string][]byte{
				"plain": text, "hex": fmt.Appendf(nil, "%x", text), "base64": []byte(base64.StdEncoding.EncodeToString(append(text, 'y'))),
				"base32": []byte(base32.StdEncoding.EncodeToString(append(text, 'y'))), "UTF-16": wide, "gzip": squeezed.Bytes(),
			} {
				if len(s.in(append([]byte("before"), append(written, "after"...)...))) == 0 {
					t.Errorf("%s after %d bytes is not found", how, lead)
				}
				if hits := s.in(written[:len(written)/2]); len(hits) != 0 && how != "gzip" {
					t.Errorf("half of it in %s: found %v", how, hits)
				}
			}
		}
	}
	if hits := s.in(read(t, filepath.Join(programs, "muniment-verify"))); len(hits) != 0 {
		t.Errorf("found %v in a program", hits)
	}
}
