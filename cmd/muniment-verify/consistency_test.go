package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/receipt"
)

// TestRetiredKeys: a receipt of a closed era passes with the consistency proof to
// its last tree, in a file of its own.
func TestRetiredKeys(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec", "vectors", "receipt.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Networks map[string]string `json:"networks"`
		Cases    []struct {
			Name  string   `json:"name"`
			Text  string   `json:"text"`
			ToPin []string `json:"to_pin"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	network := write("closed.mun", []byte(vectors.Networks["closed"]))
	n, err := receipt.ParseNetwork([]byte(vectors.Networks["closed"]))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{} // by the name of the case
	var old string
	for _, c := range vectors.Cases {
		if len(c.ToPin) == 0 {
			continue
		}
		r, err := receipt.Parse([]byte(c.Text))
		if err != nil {
			t.Fatal(err)
		}
		p := receipt.Consistency{From: r.Checkpoint.Size, To: n.Eras[0].Closed.Size}
		for _, line := range c.ToPin {
			h, err := tlog.ParseHash(line)
			if err != nil {
				t.Fatal(err)
			}
			p.Proof = append(p.Proof, h)
		}
		files[c.Name] = write(c.Name, receipt.MarshalConsistency(n.Origin, []receipt.Consistency{p}))
		old = write("old.receipt", []byte(c.Text))
	}
	good := files["closed, with proof"]
	goodText, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"without", nil, exitIndeterminate, "KEYS_RETIRED"},
		{"without, and what to do", nil, exitIndeterminate, "\nnext           muniment receipt refresh --proof PROOF FILE gets the proof"},
		{"with the proof", []string{"--consistency", good}, exitDone, "the tree is part of the last tree of closed era 1"},
		{"with another proof", []string{"--consistency", files["closed, with another proof"]}, exitContradicted, "ERA_CONTRADICTED"},
		{"with the proof of another log", []string{"--consistency", write("other", bytes.Replace(goodText, []byte("origin "), []byte("origin x"), 1))}, exitError, "the network file of"},
		{"with no proof at all", []string{"--consistency", write("junk", []byte("junk"))}, exitError, "muniment receipt refresh --proof"},
		{"with a file that is not there", []string{"--consistency", filepath.Join(dir, "none")}, exitError, "no such file"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"--network", network, old}, c.args...), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String()+stderr.String(), c.says) {
			t.Errorf("%s: exit code %d, %s%s", c.name, code, stdout.String(), stderr.String())
		}
	}
}

// TestReplayOfARetiredEra: an old mirror, whose keys are retired, is replayed with
// the consistency proof to the last tree of its era.
func TestReplayOfARetiredEra(t *testing.T) {
	c := newChain("city")
	c.anchor("CLERK", 3)
	size := len(c.entries)
	dir := t.TempDir()
	log := c.honestly(t, filepath.Join(dir, "log"))
	c.anchor("CLERK", 2)
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (list []tlog.Hash, err error) {
		for _, i := range at {
			list = append(list, hashes[i])
		}
		return list, nil
	})
	for i, raw := range c.entries {
		hashes = append(hashes, must(tlog.StoredHashes(int64(i), raw, read))...)
	}
	n := c.network
	pin := receipt.Pin{Size: int64(len(c.entries)), Root: must(tlog.TreeHash(int64(len(c.entries)), read))}
	closed, next := n.Eras[0], n.Eras[0]
	closed.Closed = &pin
	next.Logs = [][32]byte{public(key("another log"))}
	next.Validators = []receipt.Validator{{NodeID: n.Eras[0].Validators[0].NodeID, Cosigner: public(key("another cosigner"))}}
	n.Eras = []receipt.Era{closed, next}
	proof := receipt.Consistency{From: int64(size), To: pin.Size, Proof: must(tlog.ProveTree(pin.Size, int64(size), read))}
	network, file := filepath.Join(dir, "city.mun"), filepath.Join(dir, "proofs")
	for path, data := range map[string][]byte{network: n.Marshal(), file: receipt.MarshalConsistency(n.Origin, []receipt.Consistency{proof})} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range []struct {
		args []string
		code int
		says string
	}{
		{nil, exitIndeterminate, "KEYS_RETIRED"},
		{[]string{"--consistency", file}, exitDone, "PASSED"},
		{[]string{"--consistency", network}, exitError, "muniment receipt refresh --proof"},
		{[]string{"--exemption-log", "csv"}, exitUsage, "leave --exemption-log out"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append(append([]string{"replay", "--network", network}, one.args...), log), &stdout, &stderr)
		if code != one.code || !strings.Contains(stdout.String()+stderr.String(), one.says) {
			t.Errorf("%v: exit code %d, %s%s", one.args, code, stdout.String(), stderr.String())
		}
	}
}
