package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// tilesFake serves a log as tiles. Its fields change between requests only.
type tilesFake struct {
	city    *city
	address string

	mu         sync.Mutex
	entries    [][]byte                // that the checkpoint speaks of
	cosigned   bool                    // whether it is
	spoil      func(path string) error // what goes wrong with a request; an int error is a status
	change     func(path string, data []byte) []byte
	asked      []string
	signedRoot record.Hash // instead of the root of the entries, unless zero
}

// statusError makes the fake answer with a status.
type statusError int

func (e statusError) Error() string { return fmt.Sprint(int(e)) }

// newTiles serves the log of a city at an address of its own, with the node's
// certificate and to the offices of the city alone.
func newTiles(t testing.TB, c *city) *tilesFake {
	t.Helper()
	return newTilesAs(t, c, tls.Certificate{Certificate: [][]byte{c.network.Nodes[0].Certificate}, PrivateKey: c.key("node")})
}

func newTilesAs(t testing.TB, c *city, certificate tls.Certificate) *tilesFake {
	t.Helper()
	f := &tilesFake{city: c, cosigned: true}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	f.address = l.Addr().String()
	server := &http.Server{Handler: f, TLSConfig: identity.ServerConfig(certificate, c.admit), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve tiles: %v", err)
		}
	})
	return f
}

func (f *tilesFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/")
	f.asked = append(f.asked, path)
	if f.spoil != nil {
		if err := f.spoil(path); err != nil {
			http.Error(w, "spoilt", int(err.(statusError)))
			return
		}
	}
	var data []byte
	if path == "checkpoint" {
		data = f.checkpoint()
	} else {
		tile, err := torchwood.ParseTilePath(path)
		if err != nil || tile.L != entriesLevel || int(tile.N)*torchwood.TileWidth+tile.W > len(f.entries) {
			http.NotFound(w, r)
			return
		}
		for _, raw := range f.entries[tile.N*torchwood.TileWidth:][:tile.W] {
			data = must(torchwood.AppendTileEntry(data, raw))
		}
	}
	if f.change != nil {
		data = f.change(path, data)
	}
	w.Write(data)
}

func (f *tilesFake) checkpoint() []byte {
	root := f.signedRoot
	if root == (record.Hash{}) {
		root = treeOf(f.entries)
	}
	c := f.city
	body := record.CheckpointBody(c.network.Origin, int64(len(f.entries)), root)
	lines := []string{must(receipt.SignCheckpoint(body, c.key("log")))}
	if f.cosigned {
		lines = append(lines, must(receipt.Cosign(body, receipt.CosignerName(c.network.Origin, c.network.Nodes[0].ID), c.key("cosigner"), c.time/1e9+1)))
	}
	return must(receipt.Assemble(body, lines...))
}

// show changes what the fake serves.
func (f *tilesFake) show(change func(f *tilesFake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spoil, f.change, f.asked, f.cosigned, f.signedRoot = nil, nil, nil, true, record.Hash{}
	change(f)
}

func (f *tilesFake) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func treeOf(entries [][]byte) record.Hash {
	var leaves []record.Hash
	for _, raw := range entries {
		leaves = append(leaves, record.LeafHash(raw))
	}
	return ledger.LogRoot(ledger.AppendLeaves(nil, 0, leaves))
}

// history gives a log of so many entries. Another name is another history from
// entry since on.
func history(name string, size, since int) [][]byte {
	entries := make([][]byte, size)
	for i := range entries {
		entries[i] = fmt.Appendf(nil, "entry %d", i)
		if i >= since {
			entries[i] = fmt.Appendf(nil, "%s %d", name, i)
		}
	}
	return entries
}

// readMirror reads a mirror with a client for tiles that is not ours, and wants
// so many entries of the history.
func readMirror(t *testing.T, dir string, entries [][]byte) {
	t.Helper()
	signed := must(receipt.ParseCheckpoint(must(os.ReadFile(filepath.Join(dir, "checkpoint")))))
	if signed.Size != int64(len(entries)) || signed.Root != treeOf(entries) {
		t.Fatalf("the mirror is of %d entries, want %d", signed.Size, len(entries))
	}
	client := must(torchwood.NewClient(must(torchwood.NewTileFS(os.DirFS(dir)))))
	next := 0
	for i, raw := range client.AllEntries(context.Background(), tlog.Tree{N: signed.Size, Hash: signed.Root}, 0) {
		if int(i) != next || string(raw) != string(entries[i]) {
			t.Fatalf("entry %d is %q", i, raw)
		}
		next++
	}
	if err := client.Err(); err != nil || next != len(entries) {
		t.Fatalf("%d of %d entries: %v", next, len(entries), err)
	}
}

func TestMirrorFollowsTheLog(t *testing.T) {
	d, c := newOffice(t)
	f := newTiles(t, c)
	dir := d.path("log")
	was := 0
	for _, size := range []int{3, 255, 256, 700, 700, 66_000, 66_001} {
		entries := history("", size, size)
		f.show(func(f *tilesFake) { f.entries = entries })
		var got mirrorResult
		r := d.must("log", "mirror", dir, "--tiles", f.address, "--output", "json")
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Size != int64(size) || got.New != int64(size-was) || got.Grade != "city" || got.Cosigners != "1 of 1 validators" {
			t.Errorf("%d entries after %d: %s, %v", size, was, r.stdout, err)
		}
		// The checkpoint, the full tiles that were not there, and the partial one.
		want := 1 + size/256 - was/256
		if size%256 > 0 && size != was {
			want++
		}
		if n := f.requests(); n != want {
			t.Errorf("%d entries after %d: %d requests, want %d", size, was, n, want)
		}
		readMirror(t, dir, entries)
		was = size
	}
	// Nothing is left of smaller trees.
	partial := 0
	if err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.Contains(path, ".p"+string(filepath.Separator)) {
			partial++
		}
		if strings.HasSuffix(path, ".new") || strings.HasSuffix(path, ".p") && len(must(os.ReadDir(path))) != 1 {
			t.Errorf("%s is left", path)
		}
		return err
	}); err != nil || partial != 4 { // of entries and of three levels of hashes
		t.Errorf("%d partial tiles, want 4: %v", partial, err)
	}
	r := d.must("log", "mirror", dir, "--tiles", f.address)
	if !strings.Contains(r.stdout, ": 66001 entries, 0 of them new\n") || !strings.Contains(r.stderr, "next: muniment-verify replay --network FILE") {
		t.Errorf("printed %q, %q", r.stdout, r.stderr)
	}
}

// A run that was cut off is gone on with, also where what it left belongs to
// another history.
func TestMirrorGoesOn(t *testing.T) {
	d, c := newOffice(t)
	f := newTiles(t, c)
	dir := d.path("log")
	entries := history("", 3000, 3000)
	for _, left := range []string{"the same history", "another history"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		f.show(func(f *tilesFake) { f.entries = entries[:300] })
		d.must("log", "mirror", dir, "--tiles", f.address)
		f.show(func(f *tilesFake) {
			f.entries = entries
			if left != "the same history" {
				f.entries = history("fork", 3000, 300)
			}
			f.spoil = func(path string) error {
				if path == "tile/entries/009" {
					return statusError(http.StatusInternalServerError)
				}
				return nil
			}
		})
		d.fails(exitUnavailable, "(NOT_FOUND)", "log", "mirror", dir, "--tiles", f.address)
		readMirror(t, dir, entries[:300])
		f.show(func(f *tilesFake) { f.entries = entries })
		d.must("log", "mirror", dir, "--tiles", f.address)
		if n := f.requests(); left == "the same history" && n > 6 {
			t.Errorf("%d requests for what was missing", n)
		}
		readMirror(t, dir, entries)
	}
}

// What does not continue the mirror is refused by name, and the mirror stays.
func TestMirrorRefusesAnotherLog(t *testing.T) {
	d, c := newOffice(t)
	f := newTiles(t, c)
	dir := d.path("log")
	entries := history("", 700, 700)
	f.show(func(f *tilesFake) { f.entries = entries })
	d.must("log", "mirror", dir, "--tiles", f.address)
	for _, refused := range []struct {
		name string
		code int
		says string
		show func(f *tilesFake)
	}{
		{"a smaller log", exitUnavailable, "a log of 512 entries, smaller than that in", func(f *tilesFake) { f.entries = entries[:512] }},
		{"a smaller log of another history", exitContradicted, "(LOG_DIFFERS)", func(f *tilesFake) { f.entries = history("fork", 600, 599) }},
		{"another log of the size", exitContradicted, "has another tree of 700 entries", func(f *tilesFake) { f.entries = history("fork", 700, 0) }},
		{"a larger log of another history", exitContradicted, "do not continue the log in", func(f *tilesFake) { f.entries = history("fork", 1500, 699) }},
		{"a larger log that forks in a full tile", exitContradicted, "(LOG_DIFFERS)", func(f *tilesFake) { f.entries = history("fork", 1500, 10) }},
		{"other entries than were cosigned", exitContradicted, "(LOG_DIFFERS)", func(f *tilesFake) {
			f.entries, f.signedRoot = history("", 1500, 1500), treeOf(entries)
		}},
		{"a checkpoint without cosignatures", exitIndeterminate, "(NO_QUORUM)", func(f *tilesFake) { f.entries, f.cosigned = history("", 1500, 1500), false }},
		{"bytes behind the entries", exitContradicted, "(MALFORMED)", func(f *tilesFake) {
			f.entries = history("", 1500, 1500)
			f.change = func(path string, data []byte) []byte {
				if path != "checkpoint" {
					data = append(data, 0)
				}
				return data
			}
		}},
		{"half a tile", exitContradicted, "(MALFORMED)", func(f *tilesFake) {
			f.entries = history("", 1500, 1500)
			f.change = func(path string, data []byte) []byte {
				if path != "checkpoint" {
					data = data[:len(data)/2]
				}
				return data
			}
		}},
		{"too much", exitError, "(TOO_LARGE)", func(f *tilesFake) {
			f.entries = entries
			f.change = func(string, []byte) []byte { return make([]byte, maxCheckpointBytes+1) }
		}},
		{"no right to entries", exitDenied, "(DENIED)", func(f *tilesFake) {
			f.entries = history("", 1500, 1500)
			f.spoil = func(path string) error {
				if path != "checkpoint" {
					return statusError(http.StatusForbidden)
				}
				return nil
			}
		}},
		{"no checkpoint yet", exitUnavailable, "(BUSY)", func(f *tilesFake) {
			f.entries, f.spoil = entries, func(string) error { return statusError(http.StatusServiceUnavailable) }
		}},
	} {
		f.show(refused.show)
		r := d.run("log", "mirror", dir, "--tiles", f.address)
		if r.code != refused.code || !strings.Contains(r.stderr, refused.says) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", refused.name, r.code, r.stderr, refused.code, refused.says)
		}
		readMirror(t, dir, entries)
	}
	f.show(func(f *tilesFake) { f.entries = entries })
	d.must("log", "mirror", dir, "--tiles", f.address)
}

func TestMirrorIsLookedAtFirst(t *testing.T) {
	d, c := newOffice(t)
	f := newTiles(t, c)
	dir := d.path("log")
	f.show(func(f *tilesFake) { f.entries = history("", 700, 700) })
	d.must("log", "mirror", dir, "--tiles", f.address)
	for name, spoil := range map[string]func(data []byte) []byte{
		"tile/0/000":       func(data []byte) []byte { data[40] ^= 1; return data },
		"tile/0/001":       func(data []byte) []byte { return data[:100] },
		"tile/0/002.p/188": func([]byte) []byte { return nil },
		"checkpoint":       func(data []byte) []byte { return data[:50] },
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		whole := must(os.ReadFile(path))
		if err := os.WriteFile(path, spoil(append([]byte{}, whole...)), 0o600); err != nil {
			t.Fatal(err)
		}
		r := d.run("log", "mirror", dir, "--tiles", f.address)
		if want := "(MIRROR_DAMAGED)"; r.code == exitDone || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, %q, want %s", name, r.code, r.stderr, want)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A checkpoint of another network.
	body := record.CheckpointBody("records.example.org/other", 1, record.Hash{1})
	foreign := must(receipt.Assemble(body, must(receipt.SignCheckpoint(body, c.key("log")))))
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	d.fails(exitUsage, "(WRONG_NETWORK)", "log", "mirror", dir, "--tiles", f.address)
}

func TestMirrorWithoutAListener(t *testing.T) {
	d, c := newOffice(t)
	closed := must(net.Listen("tcp", "127.0.0.1:0"))
	closed.Close()
	d.fails(exitUnavailable, "with --tiles", "log", "mirror", d.path("log"), "--tiles", closed.Addr().String())
	d.fails(exitUsage, "use HOST:PORT", "log", "mirror", d.path("log"), "--tiles", "nowhere")
	d.fails(exitUsage, "it takes one folder", "log", "mirror")
	d.fails(exitUsage, "say what to do: mirror", "log")
	// The listener for gRPC is not the one for tiles; it answers all the same.
	d.fails(exitUnavailable, "--tiles", "log", "mirror", d.path("log"), "--tiles", c.network.Nodes[0].Address)
	// Another server answers there.
	stranger := newTilesAs(t, c, tls.Certificate{Certificate: [][]byte{identityOf(t, "stranger").certificate}, PrivateKey: c.key("stranger")})
	d.fails(exitContradicted, "(OTHER_SERVER)", "log", "mirror", d.path("log"), "--tiles", stranger.address)
	if exists(d.path("log")) {
		t.Error("a folder was made for nothing")
	}
}

// BenchmarkMirror mirrors a log of 50,000 entries, of the size of anchors, over
// TLS from this process. One operation is the whole log.
func BenchmarkMirror(b *testing.B) {
	d, c := newOffice(b)
	f := newTiles(b, c)
	entries := history(strings.Repeat("x", 90), 50_000, 0)
	f.show(func(f *tilesFake) { f.entries = entries })
	n := 0
	for b.Loop() {
		d.must("log", "mirror", d.path(fmt.Sprint("log", n)), "--tiles", f.address)
		n++
	}
	b.ReportMetric(float64(len(entries)*b.N)/b.Elapsed().Seconds(), "entries/s")
}
