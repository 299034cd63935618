package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/tests/ports"
)

// desk is where officials of a city use the client: keys, configuration, journal.
type desk struct {
	t    testing.TB
	dir  string
	city *city
}

// run runs the client and wants exit code 0.
func (d *desk) run(args ...string) string {
	d.t.Helper()
	return d.exits(0, "muniment", append(args, "--passphrase-file", filepath.Join(d.dir, "passphrase"))...)
}

// exits runs a program in the folder of the desk, wants its exit code, and gives
// what it prints.
func (d *desk) exits(code int, name string, args ...string) string {
	d.t.Helper()
	cmd := exec.CommandContext(ctx(d.t), filepath.Join(programs, name), args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+d.dir, "XDG_STATE_HOME="+d.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != code {
		d.t.Fatalf("%s %v: %v, want exit code %d\n%s%s", name, args, err, code, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// newDesk founds a city as the README does, with keys of the client.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), city: &city{address: ports.Free(t)}}
	write(t, filepath.Join(d.dir, "passphrase"), []byte(passphrase+"\n"))
	founding := d.exits(0, "munimentd", "init", "--example")
	for _, office := range []string{"CLERK", "CIO"} {
		made := d.run("key", "new", "--office", office)
		for _, use := range []string{"signing", "access"} {
			public := regexp.MustCompile(use + ` key +([0-9a-f]{64})`).FindStringSubmatch(made)
			founding = strings.Replace(founding, fmt.Sprintf("<%s %s>", office, use), public[1], 1)
		}
	}
	founding = strings.Replace(founding, `"127.0.0.1:7450"`, fmt.Sprintf("%q", d.city.address), 1)
	write(t, filepath.Join(d.dir, "founding.toml"), []byte(founding))
	d.city.home = node.Home(filepath.Join(d.dir, "node"))
	d.exits(0, "munimentd", "init", "--home", string(d.city.home), "--founding", "founding.toml", "--passphrase-file", "passphrase")
	var err error
	if d.city.network, err = receipt.ParseNetwork(read(t, d.city.home.Network())); err != nil {
		t.Fatal(err)
	}
	d.run("network", "add", d.city.home.Network(), "--fingerprint", fmt.Sprintf("%x", d.city.network.Fingerprint()), "--office", "CLERK")
	return d
}

// TestMirrorIsReplayed mirrors the log of a running node, twice, and replays it
// with the node stopped: from the network file and the folder alone.
func TestMirrorIsReplayed(t *testing.T) {
	d := newDesk(t)
	n := d.city.start(t)
	documents := func(folder string, count int) string {
		dir := filepath.Join(d.dir, folder)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range count {
			write(t, filepath.Join(dir, fmt.Sprint(i)), fmt.Appendf(nil, "%s %d\n", folder, i))
		}
		return dir
	}
	d.run("anchor", "--series", "DEMO-MINUTES", documents("first", 3))
	var first, second struct{ Size, New int64 }
	mirror := func(into any) {
		if err := json.Unmarshal([]byte(d.run("log", "mirror", "log", "--tiles", n.tiles, "--output", "json")), into); err != nil {
			t.Fatal(err)
		}
	}
	mirror(&first)
	d.run("anchor", "--series", "DEMO-MINUTES", documents("second", 260)) // more than a tile
	d.run("hold", "place", "--kind", "litigation", "--matter", "a matter", "--department", "CLERK")
	mirror(&second)
	if second.Size < first.Size+260 || second.New != second.Size-first.Size {
		t.Errorf("mirrored %+v, then %+v", first, second)
	}
	// A proposal for a record under hold is refused, and the refusal is an entry.
	held := d.run("record", "show", fmt.Sprint(first.Size-2), "--output", "json")
	if !strings.Contains(held, `"series": "DEMO-MINUTES"`) {
		t.Fatalf("entry %d is no record: %s", first.Size-2, held)
	}
	d.exits(7, "muniment", "disposition", "propose", "--series", "DEMO-MINUTES", "--action", "destroy", fmt.Sprint(first.Size-2), "--passphrase-file", "passphrase")
	mirror(&second)
	n.stop()

	var got struct {
		Outcome  string
		TreeSize int64 `json:"tree_size"`
		Replay   struct{ Transactions, Signatures, Records, Refusals int64 }
	}
	replay := []string{"replay", "--network", d.city.home.Network(), "--output", "json", "log"}
	if err := json.Unmarshal([]byte(d.exits(0, "muniment-verify", replay...)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Outcome != "PASSED" || got.TreeSize != second.Size || got.Replay.Records != 263 || got.Replay.Refusals != 1 || got.Replay.Signatures != got.Replay.Transactions {
		t.Errorf("the replay finds %+v", got)
	}
	// What the mirror says of itself counts for nothing.
	tile := filepath.Join(d.dir, "log", "tile", "entries", "000")
	whole := read(t, tile)
	changed := bytes.Clone(whole)
	changed[len(changed)/2] ^= 1
	write(t, tile, changed)
	if out := d.exits(3, "muniment-verify", replay...); !strings.Contains(out, "ENTRY_NOT_IN_TREE") {
		t.Errorf("a changed entry: %s", out)
	}
	write(t, tile, whole[:len(whole)/2])
	if out := d.exits(4, "muniment-verify", replay...); !strings.Contains(out, "LOG_ENDS_EARLY") {
		t.Errorf("half a tile: %s", out)
	}
}
