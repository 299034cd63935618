//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/tests/printed"
)

// smallDisk is how much the last member's disk holds.
const smallDisk = 1 << 30

// smallHome makes a folder on a small disk of its own, in memory.
func smallHome(t *testing.T, dir string) node.Home {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	tool(t, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=0700", smallDisk), "none", dir)
	undo(t, "umount", "--lazy", dir) // whoever is killed with this process may be there still
	return node.Home(filepath.Join(dir, "home"))
}

// inject has system calls of a running node fail, on one file or on all, and wants
// the node to end for it, by itself.
func (n *nemesis) inject(t *testing.T, m *member, what, path string) {
	t.Helper()
	calls, _, _ := strings.Cut(what, ":")
	args := []string{"-f", "-qq", "-o", filepath.Join(work, "strace"), "-p", fmt.Sprint(m.process.cmd.Process.Pid), "-e", "trace=" + calls, "-e", "inject=" + what}
	if path != "" {
		args = append(args, "-P", path)
	}
	tracer := exec.Command("strace", args...)
	tracer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log printed.Output
	tracer.Stderr = &log
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got := m.process.code(t); got <= 0 {
		t.Errorf("node %d: %s on %q ended it with code %d, %v", m.machine, what, path, got, &log)
	}
	t.Logf("          it ended after %.1f s", time.Since(began).Seconds())
	if err := tracer.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Errorf("strace: %v\n%s", err, &log)
		}
	}
}

// diskFull fills the disk of a node, to the last byte or nearly so: it has to end by
// itself, and goes on when there is space again.
func (n *nemesis) diskFull(t *testing.T, struck []*member, mending func()) {
	m := struck[0]
	ballast := filepath.Join(filepath.Dir(string(m.home)), "ballast")
	left := int64(0)
	if n.random.IntN(2) == 0 {
		left = smallDisk / 200 // less than the part below which a node stops
	}
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the disk is full", func() bool { // the node writes meanwhile
		var disk syscall.Statfs_t
		if err := syscall.Statfs(string(m.home), &disk); err != nil {
			t.Fatal(err)
		}
		err := syscall.Fallocate(int(f.Fd()), 0, 0, max(1, int64(disk.Bavail)*disk.Bsize-left))
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		return err == nil
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := m.process.code(t); got < 0 {
		t.Errorf("node %d: with %d bytes left it ended with code %d", m.machine, left, got)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mending()
	n.back(t, struck)
}

// restored takes a backup of a running node, ends the node, takes its ledger and
// vault away, and puts back what the backup has. What it signed stays where it is.
func (n *nemesis) restored(t *testing.T, struck []*member, mending func()) {
	m := struck[0]
	m.backups++
	backup := filepath.Join(filepath.Dir(string(m.home)), fmt.Sprintf("backup-%d-%d", m.machine, m.backups))
	from := time.Since(n.began)
	n.munimentd(t, m, "backup", backup)
	n.rest(t, time.Second, 2*time.Second)
	m.kill(t)
	for _, part := range []string{m.home.Ledger(), m.home.WAL(), m.home.Vault()} {
		if err := os.RemoveAll(part); err != nil {
			t.Fatal(err)
		}
	}
	n.munimentd(t, m, "restore", backup, "--passphrase-file", n.passphrase)
	if err := os.RemoveAll(backup); err != nil {
		t.Fatal(err)
	}
	mending()
	m.wentBack = append(m.wentBack, time.Since(n.began))
	m.lapses = append(m.lapses, lapse{from, time.Since(n.began)})
	n.back(t, struck)
}

// munimentd runs a command of the operator.
func (c *city) munimentd(t *testing.T, m *member, args ...string) string {
	t.Helper()
	program, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(waiting(t), program, append(args, "--home", string(m.home))...).CombinedOutput()
	if err != nil {
		t.Fatalf("munimentd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
