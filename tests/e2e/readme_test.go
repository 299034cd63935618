package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/tests/ports"
)

// step is a command of the README and what it prints.
type step struct{ command, want string }

// session reads those blocks of the README that open with a fence: a line that
// starts with "$ " is a command, what follows is its output.
func session(t *testing.T, fence string) (steps []step) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = strings.TrimSpace(line) == fence
		case !inside:
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{command: strings.TrimSpace(line[2:])})
		default:
			steps[len(steps)-1].want += line
		}
	}
	if len(steps) == 0 {
		t.Fatalf("the README has no session %s", fence)
	}
	return steps
}

// varying is what differs from run to run.
var varying = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\bbafy[a-z2-7]{55}\b|\bbafk[a-z2-7]{55}\b`), "CID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`root [A-Za-z0-9+/]{43}=`), "root HASH"},
	{regexp.MustCompile(`\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{16})\b`), "HEX"},
	{regexp.MustCompile(`log key [0-9a-f]{8}`), "log key HEX"},
	{regexp.MustCompile(`mun.car, \d+ bytes`), "mun.car, N bytes"},
	{regexp.MustCompile(`ledger day \d{4}-\d\d-\d\d`), "ledger day DATE"},
	{regexp.MustCompile(`locked on \d{4}-\d\d-\d\d`), "locked on DATE"},
	{regexp.MustCompile(`(DONE|ledger day DATE), entry \d+`), "${1}, entry N"}, // two reports may share a block
	{regexp.MustCompile(`height( +)\d+`), "height${1}N"},
	{regexp.MustCompile(`size( +)\d+ bytes`), "size${1}N bytes"},
	{regexp.MustCompile(`after block \d+`), "after block N"},
	{loopback, "ADDRESS"},
	{regexp.MustCompile(`[34] of 4 validators`), "N of 4 validators"}, // the fourth may be late
}

func normal(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.word)
	}
	return text
}

func TestReadmeSession(t *testing.T) { typed(t, "```console") }

func TestReadmeRedactAndDestroy(t *testing.T) { typed(t, "```console second") }

func TestReadmeNetwork(t *testing.T) { typed(t, "```console network") }

// withFreePorts gives a command with ports that are free here: those of the README may
// be in use. A network of several nodes names each in the command.
func withFreePorts(t *testing.T, taken map[string]string, command string) string {
	t.Helper()
	command = loopback.ReplaceAllStringFunc(command, func(address string) string {
		if taken[address] == "" {
			taken[address] = ports.Free(t)
		}
		return taken[address]
	})
	if len(taken) > 0 {
		return command
	}
	return strings.Replace(command, "munimentd start", "munimentd start --set grpc.listen=${address} --set p2p.listen=127.0.0.1:0 --set tiles.listen=127.0.0.1:0 --set monitor.listen=127.0.0.1:0", 1)
}

var loopback = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// typed types a session of the README into one shell and compares what it
// prints, but for hashes, times and ports. Standard error is not compared: the
// README shows what a program answers, not its advice.
func typed(t *testing.T, fence string) {
	t.Parallel()
	work := t.TempDir()
	address := ports.Free(t)
	taken := map[string]string{} // addresses of the README, and those that stand for them here
	var script bytes.Buffer
	const mark = "@@@ step"
	fmt.Fprintln(&script, "trap 'kill $(jobs -p) 2>/dev/null' EXIT; trap 'exit 143' TERM") // no node outlives its session
	steps := session(t, fence)
	for i, s := range steps {
		command := withFreePorts(t, taken, s.command)
		fmt.Fprintf(&script, "%s\n", command)
		if strings.Contains(command, "--example >") {
			fmt.Fprintf(&script, "address=%s\nsed -i \"s/^address = .*/address = \\\"$address\\\"/\" founding.toml\n", address)
		}
		fmt.Fprintf(&script, "echo '%s' %d\n", mark, i)
	}
	deadline, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	shell := exec.CommandContext(deadline, "bash", "-m", "-s")
	shell.Cancel, shell.WaitDelay = func() error { return shell.Process.Signal(syscall.SIGTERM) }, 30*time.Second
	shell.Dir = work
	shell.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "XDG_CONFIG_HOME="+filepath.Join(work, "config"),
		"XDG_STATE_HOME="+filepath.Join(work, "state"), "XDG_DATA_HOME="+filepath.Join(work, "data"), "NO_COLOR=1")
	shell.Stdin = &script
	var stdout, stderr bytes.Buffer
	shell.Stdout, shell.Stderr = &stdout, &stderr
	if err := shell.Run(); err != nil {
		t.Errorf("the session ends with %v", err)
	}
	rest := stdout.String()
	for i, s := range steps {
		end := fmt.Sprintf("%s %d\n", mark, i)
		got, after, ok := strings.Cut(rest, end)
		if !ok {
			t.Fatalf("$ %s\nnever ended\n%s\n%s", s.command, rest, stderr.String())
		}
		rest = after
		if normal(got) != normal(s.want) {
			t.Errorf("$ %s\ngot:\n%s\nwant:\n%s", s.command, got, s.want)
		}
	}
	if t.Failed() {
		t.Logf("standard error:\n%s", stderr.String())
	}
}
