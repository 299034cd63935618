package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// A guess is one value of a code with four digits, and a hash that somebody could
// have of it.
type guess struct {
	code int
	hash [32]byte
}

// A cell is the one that is to be forgotten: what stands around it is known to
// whoever guesses, and the commitment too.
type cell struct {
	leaf    uint32
	payload string // with the true code
	code    int
	id      record.Commitment
}

// with is the cell with another code in it.
func (c cell) with(code int) commitment.Segment {
	payload := strings.Replace(c.payload, fmt.Sprintf("%04d", c.code), fmt.Sprintf("%04d", code), 1)
	return commitment.Segment{Kind: commitment.Content, Payload: []byte(payload)}
}

// public are the hashes of all codes that need no secret.
func (c cell) public() (all []guess) {
	for code := range 10_000 {
		s := c.with(code)
		mac := hmac.New(sha256.New, c.id[:])
		mac.Write(s.Payload)
		for _, h := range [][32]byte{
			sha256.Sum256(fmt.Appendf(nil, "%04d", code)), sha256.Sum256(s.Payload), sha256.Sum256(append(c.id[:], s.Payload...)), [32]byte(mac.Sum(nil)),
			sha256.Sum256(commitment.LeafBlock(c.leaf, s, [32]byte{})), sha256.Sum256(commitment.LeafBlock(c.leaf, s, c.id)),
		} {
			all = append(all, guess{code, h})
		}
	}
	return all
}

// salted are the hashes of all codes with a salt.
func (c cell) salted(salt [32]byte) (all []guess) {
	for code := range 10_000 {
		all = append(all, guess{code, sha256.Sum256(commitment.LeafBlock(c.leaf, c.with(code), salt))})
	}
	return all
}

// fits gives the codes of the guesses whose hash stands anywhere in the data.
func fits(data []byte, guesses []guess) (codes []int) {
	begins := make(map[uint64][]guess, len(guesses))
	for _, g := range guesses {
		at := binary.LittleEndian.Uint64(g.hash[:])
		begins[at] = append(begins[at], g)
	}
	for i := 0; i+32 <= len(data); i++ {
		for _, g := range begins[binary.LittleEndian.Uint64(data[i:])] {
			if [32]byte(data[i:i+32]) == g.hash && !slices.Contains(codes, g.code) {
				codes = append(codes, g.code)
			}
		}
	}
	return codes
}

// files gives all bytes of the files below a folder.
func files(t *testing.T, dir string) (data []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data = append(data, read(t, path)...)
		}
		return err
	})
	if err != nil || len(data) == 0 {
		t.Fatalf("%s: %d bytes, %v", dir, len(data), err)
	}
	return data
}

// opens gives the state that the ring of a stopped node has for a record, and the
// hashes of its leaves, as somebody reads them who has the whole home and the passphrase.
func (h *hall) opens(t *testing.T, id record.Commitment) (raw []byte, leaves [][32]byte) {
	t.Helper()
	home := node.Home(filepath.Join(t.TempDir(), "home"))
	if err := os.CopyFS(string(home), os.DirFS(string(h.home))); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(home.Vault(), vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	r, ok, err := v.Find("DPW", id)
	if err != nil || !ok {
		t.Fatalf("find record: %v", err)
	}
	if leaves, err = v.Leaves(r); err != nil {
		t.Fatal(err)
	}
	root, done, err := home.RingRoot([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	rings, err := keyring.Open(home.Rings(), root, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rings.Close()
	raw, ok, err = rings.State(keyring.RingID{Department: "DPW", Class: "DEMO-MINUTES"}, r.RID)
	if err != nil || !ok {
		t.Fatalf("state of record: %v", err)
	}
	return raw, leaves
}

// keyState reads what custody keeps in a ring (docs/spec/vault.md): a version, the
// layout key and the fingerprint before the key state.
func keyState(t *testing.T, raw []byte) commitment.State {
	t.Helper()
	s, err := commitment.ParseState(raw[1+32+32:])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestT22_S0_16_GuessingACode tries all values of a code with four digits against
// everything that there is of a record: the log and the state of the ledger, the files
// of the node, backups, and copies that hide the code. Only who has the state of the
// ring finds it, and only before the code was erased (EDPB guidelines 02/2025).
func TestT22_S0_16_GuessingACode(t *testing.T) {
	h := newHall(t)
	h.open(t)
	conn := h.dial(t, "DPW")
	h.adopt(t, h.dial(t, "CLERK"), rule("DEMO-MINUTES", record.RoleClerk))
	content := []byte("name,place,code\nalder,depot,4711\nbirch,garage,2580\ncedar,yard,1618\n")
	profile, ok := commitment.ChooseCells("codes.csv", content)
	if !ok {
		t.Fatal("the content is no table")
	}
	layout, err := commitment.Arrange(profile, content, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cell{code: 2580}
	for i, s := range layout.Segments {
		if s.Kind == commitment.Content && bytes.Contains(s.Payload, []byte("2580")) {
			c.leaf, c.payload = uint32(i), string(s.Payload)
		}
	}
	id, _ := h.depositAs(t, conn, "DEMO-MINUTES", profile, content, nil)
	c.id = id
	at, _ := h.do(t, conn, "DPW", "OK", &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: id, Day: today - 1000}}})
	index, plan, before, after := fmt.Sprint(at), h.out("plan"), h.out("backup-before"), h.out("backup-after")
	h.as(t, 0, "DPW", "redact", "plan", index, "--hide", `text "2580"`, "--code", "CT-1-210-b-20", "-o", plan)
	hash := find(t, hexHash, h.as(t, 0, "DPW", "redact", "withhold", plan).stdout)
	h.as(t, 0, "DPW", "copy", index, "--redaction", hash, "-o", h.out("copy"))
	h.as(t, 0, "DPW", "evidence", index, "--redaction", hash, "-o", h.out("evidence"))
	h.operator(t, 0, "", "backup", before)
	h.meet(t)
	h.close()

	raw, _ := h.opens(t, id)
	_, salt, live := keyState(t, raw).Secret(c.leaf)
	if !live {
		t.Fatal("the ring does not open the code before it is erased")
	}
	places := func() map[string][]byte {
		return map[string][]byte{
			"home": files(t, string(h.home)), "vault": files(t, h.home.Vault()), "peer": files(t, string(h.peer)), "copy": read(t, h.out("copy")), "evidence": read(t, h.out("evidence")),
			"backup of before": files(t, before), "plan": read(t, plan), "staff": files(t, filepath.Join(h.desk, "config")),
		}
	}
	for name, data := range places() {
		if codes := fits(data, c.public()); len(codes) != 0 {
			t.Errorf("before: %s tells the codes %v", name, codes)
		}
		// With the ring it is another matter, wherever the hash of the cell is.
		codes := fits(data, c.salted(salt))
		if has := slices.Contains([]string{"home", "vault", "copy", "evidence", "backup of before"}, name); has != slices.Equal(codes, []int{2580}) {
			t.Errorf("before, with the ring: %s tells the codes %v", name, codes)
		}
	}

	h.open(t)
	h.carry(t, h.as(t, 0, "DPW", "redact", "propose", plan).stdout, "CLERK", "COUNSEL")
	h.as(t, 0, "DPW", "copy", index, "--redaction", hash, "-o", h.out("later"))
	h.operator(t, 0, "", "backup", after)
	h.meet(t)
	h.close()
	rest, leaves := h.opens(t, id)
	if s := keyState(t, rest); s.Live(c.leaf) || bytes.Contains(files(t, h.home.Rings()), salt[:]) {
		t.Error("the ring still opens the code")
	}
	now := places()
	now["later copy"], now["backup of after"] = read(t, h.out("later")), files(t, after)
	if !bytes.Contains(now["later copy"], []byte("4711")) {
		t.Error("the later copy lacks the other codes")
	}
	// The hash of the cell is still there to guess against; a salt is not.
	if codes := fits(now["vault"], c.salted(salt)); !slices.Equal(codes, []int{2580}) {
		t.Errorf("with a salt that somebody kept, the vault tells %v: nothing is proven below", codes)
	}
	for name, data := range now {
		if codes := fits(data, c.public()); len(codes) != 0 {
			t.Errorf("after: %s tells the codes %v", name, codes)
		}
	}
	salts := leftSalts(t, rest)
	for _, left := range salts {
		for _, g := range c.salted(left) {
			if slices.Contains(leaves, g.hash) {
				t.Errorf("after: what the ring has left tells the code %d", g.code)
			}
		}
	}
	if !slices.ContainsFunc(c.salted(salt), func(g guess) bool { return slices.Contains(leaves, g.hash) }) {
		t.Error("the right salt does not tell the code either: nothing is proven")
	}
	t.Logf("after the erasure: %d guesses with %d values for the salt, in the files %d", len(salts)*10_000, len(salts), len(c.public()))
}

// leftSalts are all values that a guess could still be made with: every run of 32 bytes of
// what the ring has left, and the secrets of the other leaves.
func leftSalts(t *testing.T, raw []byte) (all [][32]byte) {
	t.Helper()
	for i := 0; i+32 <= len(raw); i++ {
		all = append(all, [32]byte(raw[i:i+32]))
	}
	for _, s := range keyState(t, raw).Secrets() {
		all = append(all, s.Salt, s.Enc)
	}
	return all
}

// TestJournalsTestGuesses is a weakness that docs/forgetting.md names: the journal of
// who anchored a document holds the HMAC of its content and the key of that.
func TestJournalsTestGuesses(t *testing.T) {
	h := newHall(t)
	h.open(t)
	defer h.close()
	content := func(code int) []byte { return fmt.Appendf(nil, "The door opens with %04d.\n", code) }
	h.anchor(t, "door.txt", content(2580))
	var journal []byte
	for _, file := range below(t, filepath.Join(h.desk, "state")) {
		journal = append(journal, read(t, filepath.Join(h.desk, "state", file))...)
	}
	var header struct{ Key string }
	line, _, _ := bytes.Cut(journal, []byte("\n"))
	if err := json.Unmarshal(line, &header); err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(header.Key)
	if err != nil {
		t.Fatal(err)
	}
	var codes []int
	for code := range 10_000 {
		mac := hmac.New(sha256.New, key)
		mac.Write(append([]byte("muniment/v1/journal/content\n"), content(code)...))
		if bytes.Contains(journal, []byte(hex.EncodeToString(mac.Sum(nil)))) {
			codes = append(codes, code)
		}
	}
	if !slices.Equal(codes, []int{2580}) {
		t.Errorf("the journal tells %v: docs/forgetting.md says another thing", codes)
	}
}
