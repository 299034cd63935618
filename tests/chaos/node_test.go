//go:build chaos

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/tests/printed"
)

// A process is a running munimentd.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr printed.Output
	ended          chan struct{} // closed when it has ended and was waited for
}

// tail cuts a long log down to what was written last.
func tail(log string) string {
	const most = 6000
	return log[max(0, len(log)-most):]
}

// surroundings differ from machine to machine; what the ledger makes of a block must not.
var surroundings = [validators][]string{
	{"GOMAXPROCS=1", "TZ=America/New_York", "LANG=C"},
	{"GOMAXPROCS=2", "TZ=Asia/Kathmandu", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8"},
	{"GOMAXPROCS=4", "TZ=UTC", "LANG=de_DE.UTF-8", "GOGC=30"},
	{"GOMAXPROCS=3", "TZ=Pacific/Kiritimati", "LANG=ja_JP.UTF-8", "GOGC=400"},
}

// start starts the shipped program on a member's machine.
func (c *city) start(t *testing.T, m *member) {
	t.Helper()
	program, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	c.startProgram(t, m, program)
}

func (c *city) startProgram(t *testing.T, m *member, program string, environment ...string) {
	t.Helper()
	if m.process != nil && !m.process.hasEnded() {
		t.Fatalf("node %d runs already", m.machine)
	}
	var peers []string
	for _, o := range c.nodes {
		if o.id != m.id {
			peers = append(peers, o.id+"@"+o.p2p())
		}
	}
	p := &process{ended: make(chan struct{})}
	p.cmd = c.in(c.machines[m.machine], program, "start", "--home", string(m.home), "--passphrase-file", c.passphrase,
		"--set", "grpc.listen="+m.grpc(), "--set", "p2p.listen="+m.p2p(), "--set", "p2p.peers="+strings.Join(peers, ","),
		"--set", "tiles.listen=", "--set", "monitor.listen=", "--set", "custody.erase_every=1s", "--set", "custody.replicate_every=1s",
		"--set", "watch.refuse_below_percent=2", "--set", "watch.stop_below_percent=1")
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + string(m.home)}, append(slices.Clone(surroundings[(m.machine-1)%validators]), environment...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
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
		if t.Failed() && slices.Contains(m.started[max(0, len(m.started)-2):], p) {
			t.Logf("node %d: %v\n%s%s", m.machine, p.cmd.ProcessState, tail(p.stdout.String()), tail(p.stderr.String()))
		}
	})
	m.process = p
	m.started = append(m.started, p)
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

// signal sends a signal to a member's process.
func (m *member) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := m.process.cmd.Process.Signal(s); err != nil {
		t.Fatalf("node %d: signal %v: %v\n%s", m.machine, s, err, tail(m.process.stderr.String()))
	}
}

// kill ends the process as a power switch would, and waits for its end.
func (m *member) kill(t *testing.T) {
	t.Helper()
	m.signal(t, syscall.SIGKILL)
	if got := m.process.code(t); got != -1 {
		t.Fatalf("node %d was killed and ended with code %d\n%s", m.machine, got, tail(m.process.stderr.String()))
	}
}

// terminate asks the process to end, and wants it to do so in good order.
func (m *member) terminate(t *testing.T) {
	t.Helper()
	m.signal(t, syscall.SIGTERM)
	if got := m.process.code(t); got != 0 {
		t.Errorf("node %d: after SIGTERM the exit code is %d\n%s", m.machine, got, tail(m.process.stderr.String()))
	}
}

// serves waits until the node serves departments.
func (m *member) serves(t *testing.T) time.Duration {
	t.Helper()
	return eventually(t, fmt.Sprintf("node %d serves", m.machine), func() bool {
		if m.process.hasEnded() {
			t.Fatalf("node %d ended with code %d\n%s", m.machine, m.process.code(t), tail(m.process.stderr.String()))
		}
		return strings.Contains(m.process.stdout.String(), "serving: ")
	})
}
