package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func TestTestnetHomes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"node-10", "node-2", "node-1", "node-x", "offices"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	homes, err := testnetHomes(dir)
	var names []string
	for _, home := range homes {
		names = append(names, filepath.Base(home))
	}
	if got := strings.Join(names, " "); got != "node-1 node-2 node-10" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := testnetHomes(filepath.Join(dir, "offices")); err == nil {
		t.Error("a folder without nodes is a network")
	}
}

// TestTestnetView: one line for each node, also for one that does not answer, in
// columns, and in place of the view before.
func TestTestnetView(t *testing.T) {
	answers := []answer{
		{home: "demo/node-1", status: &apiv1.StatusResponse{Height: 12, LogSize: 345, CosignedSize: 345, Peers: 3, FreeBytes: 5 << 30, Claim: "C1"}},
		{home: "demo/node-2", status: &apiv1.StatusResponse{Height: 7, CatchingUp: true}},
		{home: "demo/node-3", err: errors.New("it was stopped")},
	}
	var view bytes.Buffer
	if err := (options{output: "text"}).drawTestnet(&view, answers); err != nil {
		t.Fatal(err)
	}
	const want = `node    height  log  cosigned  peers  state         free disk  claim
node-1  12      345  345       3      in step       5120 MiB   C1
node-2  7       0    0         0      catching up   0 MiB      keeps no content
node-3  -       -    -         -      does not run  -          -
`
	if view.String() != want {
		t.Errorf("got\n%s\nwant\n%s", view.String(), want)
	}
	first, second := redrawn("a\nb\n", 0), redrawn("a\nb\n", 4)
	if strings.Contains(first, "A\r") || !strings.HasPrefix(second, "\x1b[4A\r") || strings.Count(first, "\n") != 4 {
		t.Errorf("drawn %q, then %q", first, second)
	}
	view.Reset()
	if err := (options{output: "json"}).drawTestnet(&view, answers); err != nil || !strings.Contains(view.String(), `"home":"demo/node-3","running":false}`) {
		t.Errorf("%s, %v", view.String(), err)
	}
}
