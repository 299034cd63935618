package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/app/keyfile"
)

const childVariable = "MUNIMENT_TEST_CHILD"

func TestMain(m *testing.M) {
	iterations = keyfile.MinIterations
	if os.Getenv(childVariable) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"muniment": main})
}

// desk is a user's computer: directories, a passphrase file, and documents.
type desk struct {
	t        testing.TB
	dir      string
	places   places
	stdin    io.Reader
	terminal bool
	now      func() time.Time
}

// result is what a run of the program gave.
type result struct {
	code           int
	stdout, stderr string
}

const testPassphrase = "correct horse battery"

func newDesk(t testing.TB) *desk {
	d := &desk{t: t, dir: t.TempDir(), now: time.Now}
	d.places = places{config: filepath.Join(d.dir, "config", "muniment"), state: filepath.Join(d.dir, "state", "muniment")}
	d.file("passphrase", testPassphrase+"\n")
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

// file writes a document, with a date that no test depends on by accident.
func (d *desk) file(name, content string) string {
	d.t.Helper()
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
	when := time.Date(2031, 2, 14, 12, 0, 0, 0, time.Local)
	if err := os.Chtimes(path, when, when); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// run executes one command line in this process.
func (d *desk) run(args ...string) result {
	var stdout, stderr bytes.Buffer
	p := &program{stdin: d.stdin, stdout: &stdout, stderr: &stderr, stdoutTerminal: d.terminal, now: d.now, pause: time.Millisecond, places: d.places}
	if p.stdin == nil {
		p.stdin = strings.NewReader("")
	}
	code := p.run(context.Background(), append(args, "--passphrase-file", d.path("passphrase")))
	return result{code, stdout.String(), stderr.String()}
}

// must executes a command line that has to succeed.
func (d *desk) must(args ...string) result {
	d.t.Helper()
	r := d.run(args...)
	if r.code != exitDone {
		d.t.Fatalf("muniment %s: exit code %d, stdout %q, stderr %q", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r
}

// fails executes a command line that has to fail with a code and say a word.
func (d *desk) fails(code int, says string, args ...string) result {
	d.t.Helper()
	r := d.run(args...)
	if r.code != code || !strings.Contains(r.stderr, says) {
		d.t.Fatalf("muniment %s: exit code %d, stderr %q; want code %d and %q", strings.Join(args, " "), r.code, r.stderr, code, says)
	}
	return r
}

// anchorJSON runs anchor and reads what it prints.
func (d *desk) anchorJSON(code int, args ...string) anchorResult {
	d.t.Helper()
	r := d.run(append([]string{"anchor", "--series", "DEMO-MINUTES", "--output", "json"}, args...)...)
	var got anchorResult
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != code {
		d.t.Fatalf("anchor %v: exit code %d, want %d; stdout %q, stderr %q, %v", args, r.code, code, r.stdout, r.stderr, err)
	}
	return got
}

// child gives the program as a process of its own.
func (d *desk) child(args ...string) *exec.Cmd {
	c := exec.Command(must(os.Executable()), append(args, "--passphrase-file", d.path("passphrase"))...)
	c.Env = append(os.Environ(), childVariable+"=1", "XDG_CONFIG_HOME="+filepath.Dir(d.places.config), "XDG_STATE_HOME="+filepath.Dir(d.places.state), "HOME="+d.dir)
	return c
}

// newOffice gives a desk that acts for PERMITS, and a city that knows its keys.
func newOffice(t testing.TB) (*desk, *city) {
	t.Helper()
	d := newDesk(t)
	d.must("key", "new", "--office", "PERMITS")
	c := newCity(t, must(d.places.loadConfig()).Keys)
	d.pin(c)
	return d, c
}

// pin pins the network of a city.
func (d *desk) pin(c *city) {
	d.t.Helper()
	path := d.path("network.mun")
	if err := os.WriteFile(path, c.file, 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.must("network", "add", path, "--fingerprint", fingerprint(c.network))
}
