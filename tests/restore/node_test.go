package restore

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/tests/printed"
)

// A process is a munimentd that runs a node.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr printed.Output
	ended          chan struct{} // closed when it has ended and was waited for
}

// startArgs is how the node of a home of the city is started.
func (c *city) startArgs(home node.Home) []string {
	args := []string{"start", "--home", string(home), "--passphrase-file", c.passphrase, "--set", "custody.erase_every=" + c.eraseEvery,
		"--set", "watch.refuse_below_percent=2", "--set", "watch.stop_below_percent=1", "--set", "tiles.listen=", "--set", "monitor.listen="}
	if c.validator == "" {
		return append(args, "--set", "grpc.listen="+c.addresses[0], "--set", "p2p.listen=127.0.0.1:0")
	}
	if home == c.validator {
		return append(args, "--set", "grpc.listen="+c.addresses[1], "--set", "p2p.listen="+c.p2p[1],
			"--set", "p2p.peers="+c.ids[0]+"@"+c.p2p[0])
	}
	return append(args, "--set", "grpc.listen="+c.addresses[0], "--set", "p2p.listen="+c.p2p[0],
		"--set", "p2p.peers="+c.ids[1]+"@"+c.p2p[1])
}

// ambient is what every process gets of this one's environment.
func ambient() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + work, "SOFTHSM2_CONF=" + os.Getenv("SOFTHSM2_CONF")}
}

// start starts the node of a home. It is ended with the test at the latest.
func (c *city) start(t testing.TB, home node.Home, more ...string) *process {
	t.Helper()
	return c.launch(t, exec.Command(must(shipped()), append(c.startArgs(home), more...)...))
}

func (c *city) startProgram(t testing.TB, program string, home node.Home, environment ...string) *process {
	t.Helper()
	return c.launch(t, exec.Command(program, c.startArgs(home)...), environment...)
}

func (c *city) launch(t testing.TB, cmd *exec.Cmd, environment ...string) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	p.cmd.Env = append(ambient(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the tests judge the state of the process instead
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, mostly
		<-p.ended
		if t.Failed() {
			t.Logf("%v\n%s%s", p.cmd.ProcessState, &p.stdout, p.stderr.String()[max(0, len(p.stderr.String())-4000):])
		}
	})
	return p
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// code waits for the end of the process and gives its exit code.
func (p *process) code(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-within(t).Done():
		t.Fatalf("the process does not end\n%s", &p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends the process in good order.
func (p *process) stop(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := p.code(t); got != 0 {
		t.Errorf("after SIGTERM the exit code is %d\n%s", got, &p.stderr)
	}
}

// serves waits until the node serves departments.
func (p *process) serves(t testing.TB) {
	t.Helper()
	eventually(t, "the node serves", func() bool {
		if p.hasEnded() {
			t.Fatalf("the node ended with code %d\n%s", p.code(t), &p.stderr)
		}
		return strings.Contains(p.stdout.String(), "serving: ")
	})
}

// munimentd runs a command to its end, wants its exit code, and gives what it
// printed, or the sentence of its error.
func munimentd(t testing.TB, code int, args ...string) string {
	t.Helper()
	return program(t, must(shipped()), nil, code, args...)
}

func program(t testing.TB, path string, environment []string, code int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(within(t), path, args...)
	cmd.Env = append(ambient(), environment...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code || strings.Contains(stderr.String(), "goroutine ") {
		t.Fatalf("munimentd %s: exit code %d, want %d: %v\n%s%s", strings.Join(args, " "), got, code, err, &stdout, &stderr)
	}
	if code != 0 {
		return stderr.String()
	}
	return stdout.String()
}

// state is what status says of a node.
type state struct {
	Height      int64    `json:"height,string"`
	LogSize     int64    `json:"log_size,string"`
	CatchingUp  bool     `json:"catching_up"`
	Pending     int64    `json:"erasures_pending,string"`
	Quarantined []string `json:"quarantined"`
	Claim       string   `json:"claim"`
}

func status(t testing.TB, home node.Home) (s state) {
	t.Helper()
	if err := json.Unmarshal([]byte(munimentd(t, 0, "status", "--home", string(home), "--output", "json")), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// copied copies a home, without its socket, into a folder of the test.
func copied(t testing.TB, home node.Home) node.Home {
	t.Helper()
	to := node.Home(filepath.Join(t.TempDir(), "home"))
	copyFolder(t, string(home), string(to))
	return to
}

func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// lose removes parts of a home.
func lose(t testing.TB, home node.Home, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err := os.RemoveAll(filepath.Join(string(home), part)); err != nil {
			t.Fatal(err)
		}
	}
}

// restored puts backups back, a folder of data and a file of a keyring, where
// they are not empty.
func (c *city) restored(t testing.TB, home node.Home, data, keyring string) {
	t.Helper()
	for _, args := range [][]string{{data}, {"--keyring", keyring}} {
		if slices.Contains(args, "") {
			continue
		}
		munimentd(t, 0, append([]string{"restore", "--home", string(home), "--passphrase-file", c.passphrase}, args...)...)
	}
}
