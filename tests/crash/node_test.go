package crash

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/muniment/muniment/tests/printed"
)

// A process is a running munimentd.
type process struct {
	cmd    *exec.Cmd
	stdout printed.Output
	stderr printed.Output
	ended  chan struct{} // closed when it has ended and was waited for
}

// start starts the node of a city. It is ended with the test at the latest.
func (c *city) start(t *testing.T, environment ...string) *process {
	t.Helper()
	program, err := munimentd()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{ended: make(chan struct{})}
	p.cmd = exec.Command(program, "start", "--home", string(c.home), "--passphrase-file", c.passphrase,
		"--set", "grpc.listen="+c.address, "--set", "p2p.listen=127.0.0.1:0", "--set", "tiles.listen=", "--set", "monitor.listen=")
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + string(c.home), "MUNIMENT_ABCI_LOG=" + c.calls}, environment...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	endWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.started = append(c.started, p)
	go func() {
		_ = p.cmd.Wait() // the tests judge the state of the process instead
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, mostly
		<-p.ended
		if t.Failed() && slices.Contains(c.started[max(0, len(c.started)-2):], p) {
			t.Logf("%v\n%s%s", p.cmd.ProcessState, &p.stdout, tail(p.stderr.String()))
		}
	})
	return p
}

// tail cuts a long log down to what was written last.
func tail(log string) string {
	const most = 4000
	return log[max(0, len(log)-most):]
}

// hasEnded says whether the process is over.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// code waits for the end of the process and gives its exit code, -1 after a signal.
func (p *process) code(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-waiting(t).Done():
		t.Fatalf("the process does not end\n%s", tail(p.stderr.String()))
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process as a power switch would, and waits for its end.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill: %v\n%s", err, tail(p.stderr.String()))
	}
	if got := p.code(t); got != -1 {
		t.Fatalf("a killed process ended with code %d\n%s", got, tail(p.stderr.String()))
	}
}

// terminate asks the process to end, and wants it to do so in good order.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("terminate: %v\n%s", err, tail(p.stderr.String()))
	}
	if got := p.code(t); got != 0 {
		t.Errorf("after SIGTERM the exit code is %d", got)
	}
	for _, word := range []string{"panic", "CONSENSUS FAILURE", "outstanding", "goroutine ", "msg=alarm", "cannot go on"} {
		if strings.Contains(p.stderr.String(), word) {
			t.Errorf("after SIGTERM the log holds %q:\n%s", word, tail(p.stderr.String()))
		}
	}
}
