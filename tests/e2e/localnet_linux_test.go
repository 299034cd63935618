package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/tests/ports"
	"github.com/muniment/muniment/tests/printed"
)

var (
	inStep     = regexp.MustCompile(`node-[1-4] +(\d+) +[1-9]\d* +[1-9]\d* +3 +in step`)
	doesNotRun = regexp.MustCompile(`node-3 +- +- +- +- +does not run`)
)

// TestLocalnet is what somebody sees who runs make localnet in a terminal: a view
// of four nodes in step, which is drawn in place and tells of a node that died;
// Ctrl-C ends all of them, and the same folder starts the same network again. A
// peer that died is no error to the others.
func TestLocalnet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	net, secret := filepath.Join(dir, "net"), write(t, filepath.Join(dir, "passphrase"), []byte(passphrase+"\n"))
	program(t, 0, "", "munimentd", "testnet", net, "--validators", "4", "--base-port", strconv.Itoa(ports.FreeRun(t, 50)), "--passphrase-file", secret)

	heights := make([]int, 2)
	for run := range heights {
		s := openTerminal(t, "bash", "../../scripts/localnet.sh", dir)
		until(t, "four nodes in step", func() bool {
			heights[run] = s.inStep()
			return heights[run] > 0
		})
		if run == 0 {
			s.asOffice(t, dir)
			if err := syscall.Kill(s.process(t, "munimentd", net+"/node-3"), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			until(t, "a node that does not run", func() bool { return doesNotRun.MatchString(s.view()) })
		}
		for i := range 4 {
			log := fmt.Sprintf("%s/node-%d.log", net, i+1)
			if text := read(t, log); run == 0 && (len(text) == 0 || bytes.Contains(text, []byte("ERROR"))) {
				t.Errorf("%s speaks of errors, or says nothing: %d bytes\n%s", filepath.Base(log), len(text), text)
			}
		}
		s.press(t, 0x03)
		until(t, "an end", func() bool { return strings.Contains(s.screen(), "stopped; the network is in "+dir) })
		if err := s.shell.Wait(); err != nil {
			t.Errorf("Ctrl-C ends it with %v", err)
		}
		if left := s.processes(t); len(left) > 0 {
			t.Errorf("still there: %v", left)
		}
	}
	if heights[1] < heights[0] {
		t.Errorf("the second time the network begins at height %d, after %d", heights[1], heights[0])
	}
}

// asOffice types what the script names for an office of the network.
func (s *terminal) asOffice(t *testing.T, dir string) {
	lines := strings.Split(strings.ReplaceAll(s.screen(), "\r", ""), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "  export ") {
			continue
		}
		shell := exec.CommandContext(ctx(t), "bash", "-c", strings.Join(lines[i:i+2], "\n"))
		shell.Dir = dir
		if err := os.Symlink(programs, filepath.Join(dir, "bin")); err != nil {
			t.Fatal(err)
		}
		if out, err := shell.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("DEMO-")) {
			t.Errorf("%v\n%v\n%s", shell.Args, err, out)
		}
		return
	}
	t.Errorf("no word for offices:\n%s", s.screen())
}

// terminal is one with a program in it: a session of its own, so that all that the
// program starts can be found by it.
type terminal struct {
	shell *exec.Cmd
	side  *os.File // where a person would sit
	text  printed.Output
}

func openTerminal(t *testing.T, name string, args ...string) *terminal {
	t.Helper()
	side, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(side.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(side.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	s := &terminal{shell: exec.Command(name, args...), side: side}
	s.shell.Env = append(os.Environ(), "BIN="+programs, "TERM=xterm")
	s.shell.Stdin, s.shell.Stdout, s.shell.Stderr = tty, tty, tty
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for pid := range s.processes(t) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		side.Close()
		if t.Failed() {
			t.Logf("the screen:\n%s", s.screen())
		}
	})
	go func() { _, _ = io.Copy(&s.text, side) }() // until the last process has let go of the terminal
	return s
}

func (s *terminal) press(t *testing.T, key byte) {
	t.Helper()
	if _, err := s.side.Write([]byte{key}); err != nil {
		t.Fatal(err)
	}
}

// screen is all that was written, and view what the last drawing of the nodes has.
func (s *terminal) screen() string { return s.text.String() }

func (s *terminal) view() string {
	screen := s.screen()
	return screen[max(0, strings.LastIndex(screen, "node    height")):]
}

// inStep gives the height of the fourth node once all have three peers, cosign and
// are in step, and the view was drawn over the one before.
func (s *terminal) inStep() (height int) {
	lines := inStep.FindAllStringSubmatch(s.view(), -1)
	if len(lines) != 4 || !strings.Contains(s.screen(), "\x1b[7A\rnode    height") {
		return 0
	}
	height, _ = strconv.Atoi(lines[3][1])
	return height
}

// processes gives the command lines of the session by process id.
func (s *terminal) processes(t *testing.T) map[int]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	there := map[int]string{}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // gone meanwhile
		}
		// After the name, which may hold anything: state, parent, group, session.
		_, after, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(after)
		if len(fields) < 4 || fields[3] != strconv.Itoa(s.shell.Process.Pid) || fields[0] == "Z" {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		there[pid] = strings.ReplaceAll(string(command), "\x00", " ")
	}
	return there
}

// process finds a process of the session by words of its command line.
func (s *terminal) process(t *testing.T, words ...string) int {
	t.Helper()
next:
	for pid, command := range s.processes(t) {
		for _, word := range words {
			if !strings.Contains(command, word) {
				continue next
			}
		}
		return pid
	}
	t.Fatalf("no process %v", words)
	return 0
}
