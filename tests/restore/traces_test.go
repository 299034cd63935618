package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestT12_NothingIsWrittenBesideTheHome: a node that takes and gives content and
// is backed up writes into its home and into the backup alone, has nothing else
// open, and its memory gets into no core dump.
func TestT12_NothingIsWrittenBesideTheHome(t *testing.T) {
	c := newCity(t, 1)
	home, temporary, folder := c.custodian, t.TempDir(), t.TempDir()
	program := must(shipped())
	t.Chdir(folder) // where a node would drop files without a path
	p := c.startProgram(t, program, home, "TMPDIR="+temporary)
	p.serves(t)
	conn := c.dial(t, department)
	large := []byte(strings.Repeat("A permit like any other.\n", 200_000))
	if _, err := c.deposit(within(t), conn, large); err != nil {
		t.Fatal(err)
	}
	records := c.keep(t, conn, 16)
	for _, k := range records {
		if content, reason := ask(within(t), conn, k); content != k.content {
			t.Fatalf("record %d: %s", k.index, reason)
		}
	}
	munimentd(t, 0, "backup", filepath.Join(t.TempDir(), "backup"), "--home", string(home))

	limits := string(must(os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))))
	if fields := strings.Fields(between(limits, "Max core file size", "\n")); len(fields) < 2 || fields[0] != "0" || fields[1] != "0" {
		t.Errorf("core dumps: %v", fields)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil && !errors.Is(err, fs.ErrPermission) { // only root may look into a process whose memory is nobody's
		t.Fatal(err)
	}
	for _, f := range open {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", p.cmd.Process.Pid, f.Name()))
		if err != nil {
			continue // it came and went
		}
		system := strings.HasPrefix(target, "/dev/") || strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, "/sys/")
		if strings.HasPrefix(target, "/") && !strings.HasPrefix(target, string(home)) && !system {
			t.Errorf("the node has %s open", target)
		}
	}
	p.stop(t)
	for _, dir := range []string{temporary, folder} {
		if names := namesIn(t, dir); len(names) > 0 {
			t.Errorf("the node has left %v in %s", names, dir)
		}
	}
	err = filepath.WalkDir(string(home), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// between gives what stands in a text after one word and before another.
func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	found, _, _ := strings.Cut(rest, after)
	return found
}
