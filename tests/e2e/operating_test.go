package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestOneNodePerHomeAndAddress: a second process on the same home, and another
// node on the same address, are refused, and the first one does not notice. An
// idle node ends at once when it is told to, and leaves no socket.
func TestOneNodePerHomeAndAddress(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	c.refused(t, 7, "another munimentd runs this home: stop that one first")
	program(t, 7, "another munimentd runs this home: stop that one first", "munimentd", "rebuild", "--home", string(c.home))
	other := newCity(t)
	other.address = c.address
	other.refused(t, 7, "address already in use: stop the other program or change the address in munimentd.toml")
	doctor := program(t, 0, "", "munimentd", "doctor", "--home", string(c.home)).stdout
	for _, want := range []string{"ok       listeners      held by the running node", "ok       node           height 1, the last block is "} {
		if !strings.Contains(doctor, want) {
			t.Errorf("doctor lacks %q:\n%s", want, doctor)
		}
	}
	if text := program(t, 0, "", "munimentd", "status", "--home", string(c.home)).stdout; !strings.Contains(text, "validators   1, peers 0, catching up: false") {
		t.Errorf("status:\n%s", text)
	}
	if _, err := apiv1.NewAuditorsClient(c.dial(t, "CLERK")).Checkpoint(ctx(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("the first node: %v", err)
	}
	n.stop()
	if _, err := os.Stat(c.home.Socket()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	program(t, 8, "no node runs in this home: start it with munimentd start", "munimentd", "status", "--home", string(c.home))
}

// TestKilledNodeStartsAgain: what a killed node leaves keeps nothing from going on.
func TestKilledNodeStartsAgain(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	index := c.anchorMany(t, c.dial(t, "CLERK"), 1)[0]
	n.kill()
	if _, err := os.Stat(c.home.Socket()); err != nil {
		t.Fatalf("the killed node has left no socket: %v", err)
	}
	program(t, 8, "no node runs in this home: start it with munimentd start", "munimentd", "status", "--home", string(c.home))
	program(t, 0, "", "munimentd", "doctor", "--home", string(c.home))
	n = c.start(t)
	passes(t, c.network, receiptOf(t, c.dial(t, "CLERK"), index))
	n.stop()
}

func passes(t testing.TB, n receipt.Network, text []byte) receipt.Verdict {
	t.Helper()
	v, err := receipt.Verify(n, text)
	if err != nil || v.Outcome != receipt.Passed {
		t.Fatalf("receipt: %s, %v", v.Text(), err)
	}
	return v
}

// TestLogVerifyNamesTheLine: a changed line of the access log is named, by log
// verify and by doctor.
func TestLogVerifyNamesTheLine(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	id, _ := c.deposit(t, conn, "DEMO-MINUTES", []byte("The council met.\n"), nil)
	index := submit(t, conn, c.transaction(t, "CLERK", "DEMO-MINUTES", id), "OK").FirstIndex
	for range 3 {
		if len(evidence(t, conn, index)) == 0 {
			t.Fatal("no evidence")
		}
	}
	n.stop()
	home := string(c.home)
	if out := program(t, 0, "", "munimentd", "log", "verify", "--home", home).stdout; !strings.Contains(out, " lines, chain whole, head ") {
		t.Errorf("log verify: %s", out)
	}
	files, err := filepath.Glob(filepath.Join(c.home.Accesses(), "access-*.log"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	whole := read(t, files[0])
	lines := bytes.SplitAfter(whole, []byte("\n"))
	if len(lines) < 4 {
		t.Fatalf("%d lines", len(lines))
	}
	for what, changed := range map[string][]byte{
		"changed": bytes.Replace(whole, lines[1], bytes.Replace(lines[1], []byte("CLERK"), []byte("CLERC"), 1), 1),
		"removed": bytes.Replace(whole, lines[1], nil, 1),
		"doubled": bytes.Replace(whole, lines[1], append(bytes.Clone(lines[1]), lines[1]...), 1),
	} {
		if bytes.Equal(changed, whole) {
			t.Fatalf("%s: nothing changed in %q", what, lines[1])
		}
		write(t, files[0], changed)
		e := program(t, 3, "keep the file as it is and look for who changed it", "munimentd", "log", "verify", "--home", home)
		if !strings.Contains(e.stderr, "line ") {
			t.Errorf("%s: no line is named: %s", what, e.stderr)
		}
		if out := program(t, 7, "1 of ", "munimentd", "doctor", "--home", home).stdout; !strings.Contains(out, "bad      access log") {
			t.Errorf("%s: doctor:\n%s", what, out)
		}
	}
}

// TestRebuild: after a rebuild the node goes on, old and new receipts hold, and
// the new tree contains the old one. The ledger as it was stays.
func TestRebuild(t *testing.T) {
	c := newCity(t)
	home := string(c.home)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	indexes := c.anchorMany(t, conn, 5)
	var receipts [][]byte
	for _, i := range indexes {
		receipts = append(receipts, receiptOf(t, conn, i))
	}
	before := tree(t, c.network, receipts[4])
	n.stop()
	out := program(t, 0, "", "munimentd", "rebuild", "--home", home).stdout
	if !strings.Contains(out, "replayed ") || !strings.Contains(out, "all agree") || !strings.Contains(out, "ledger.old") {
		t.Errorf("rebuild: %s", out)
	}
	for name, want := range map[string]bool{"ledger": true, "ledger.old": true, "ledger.rebuilt": false} {
		if _, err := os.Stat(filepath.Join(home, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	program(t, 7, "ledger of an earlier rebuild is still there: remove it", "munimentd", "rebuild", "--home", home)
	n = c.start(t)
	conn = c.dial(t, "CLERK")
	for i, index := range indexes {
		passes(t, c.network, receipts[i])
		passes(t, c.network, receiptOf(t, conn, index))
	}
	after := tree(t, c.network, receiptOf(t, conn, c.anchorMany(t, conn, 1)[0]))
	if err := consistency(t, conn, before.N, after.N).check(before, after); err != nil {
		t.Errorf("from the tree before the rebuild to one after it: %v", err)
	}
	n.stop()
}

func tree(t *testing.T, n receipt.Network, text []byte) tlog.Tree {
	t.Helper()
	r, err := receipt.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	passes(t, n, text)
	return tlog.Tree{N: r.Checkpoint.Size, Hash: r.Checkpoint.Root}
}

// TestDamagedLedger flips bytes in the files of a stopped node's database, in
// tables and in the write-ahead log. The node names the damage and ends, or it
// did not need that byte, and then everything is as it was. It never panics and
// never serves something else.
func TestDamagedLedger(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	indexes := c.anchorMany(t, conn, 3)
	n.stop()
	n = c.start(t) // opening writes tables of what was in the log
	conn = c.dial(t, "CLERK")
	indexes = append(indexes, c.anchorMany(t, conn, 3)...)
	receiptOf(t, conn, indexes[5])
	size := logSize(t, c)
	n.kill() // a clean stop would leave nothing in the log
	if err := os.Remove(c.home.Socket()); err != nil {
		t.Fatal(err)
	}
	named := map[string]int{}
	for _, pattern := range []string{"*.sst", "*.log"} {
		files, err := filepath.Glob(filepath.Join(c.home.Ledger(), pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		file := files[len(files)-1]
		for _, f := range files {
			if a, b := len(read(t, f)), len(read(t, file)); a > b {
				file = f
			}
		}
		whole := read(t, file)
		for _, at := range []int{len(whole) / 10, len(whole) / 3, len(whole) / 2} {
			damaged := *c
			damaged.home = node.Home(filepath.Join(t.TempDir(), "home"))
			if err := os.CopyFS(string(damaged.home), os.DirFS(string(c.home))); err != nil {
				t.Fatal(err)
			}
			data := bytes.Clone(whole)
			data[at] ^= 0x40
			write(t, filepath.Join(damaged.home.Ledger(), filepath.Base(file)), data)
			what := fmt.Sprintf("byte %d of %d of %s", at, len(whole), filepath.Base(file))
			if damaged.startsOrNames(t, what, indexes, size) {
				named[pattern]++
			}
		}
	}
	for _, pattern := range []string{"*.sst", "*.log"} {
		if named[pattern] == 0 {
			t.Errorf("no flipped byte in %s was ever named: the test damages nothing", pattern)
		}
	}
}

// startsOrNames starts a node that may be damaged, and says whether it was named.
func (c *city) startsOrNames(t *testing.T, what string, indexes []uint64, size string) (named bool) {
	t.Helper()
	cmd := exec.CommandContext(ctx(t), filepath.Join(programs, "munimentd"), c.startArgs(t)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 256)
	if k, _ := stdout.Read(buf); strings.HasPrefix(string(buf[:k]), "serving:") {
		departments := apiv1.NewDepartmentsClient(c.dial(t, "CLERK"))
		for _, i := range indexes {
			var resp *apiv1.ReceiptResponse
			if resp, err = departments.Receipt(ctx(t), &apiv1.ReceiptRequest{Index: i}); err != nil {
				break // it has noticed only now, and ends
			}
			passes(t, c.network, resp.Receipt)
		}
		if err == nil {
			if got := logSize(t, c); got != size {
				t.Errorf("%s: serves a log of %s entries, it had %s", what, got, size)
			}
			cmd.Process.Kill()
			cmd.Wait()
			return false
		}
		t.Logf("%s: %v", what, err)
	}
	cmd.Wait()
	text := stderr.String()
	last := text[strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1:]
	if code := cmd.ProcessState.ExitCode(); code != 7 && code != 1 || strings.Contains(text, "goroutine ") || !strings.HasPrefix(last, "munimentd: ") {
		t.Errorf("%s: exit code %d\n%s", what, code, text)
	}
	t.Logf("%s: %s", what, last)
	return true
}

// logSize gives the number of entries that the running node reports.
func logSize(t *testing.T, c *city) string {
	t.Helper()
	_, rest, ok := strings.Cut(c.status(t), `"log_size":"`)
	size, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		t.Fatal("status has no log_size")
	}
	return size
}

// TestDiskNearlyFull runs the node on a small disk: below the reserve it stops
// cleanly and says so, and on a full one it does not start; with room again it goes
// on. The disk is a tmpfs in a mount namespace of its own, which ends with the shell.
func TestDiskNearlyFull(t *testing.T) {
	needs(t, "unshare")
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-Urm"
	}
	if out, err := exec.CommandContext(ctx(t), "unshare", flags, "true").CombinedOutput(); err != nil {
		t.Skipf("this test needs a mount namespace of its own: %v %s", err, out)
	}
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	id, _ := c.deposit(t, conn, "DEMO-MINUTES", []byte("The council met.\n"), []commitment.Field{{Key: commitment.FieldTitle, Value: "Minutes"}})
	submit(t, conn, c.transaction(t, "CLERK", "DEMO-MINUTES", id), "OK")
	n.stop()
	disk := t.TempDir()
	small := *c
	small.home = node.Home(filepath.Join(disk, "home"))
	const script = `set -eu
disk=$1 home=$2 munimentd=$3
shift 3
mount -t tmpfs -o size=128m none "$disk"
cp -a "$home" "$disk/home"
serving() {
	for i in $(seq 300); do
		grep -q '^serving' "$1" && break
		sleep 0.1
	done
}
"$munimentd" "$@" >"$disk.first" 2>"$disk.log" &
serving "$disk.first"
free=$(df -B1 --output=avail "$disk" | tail -n 1)
head -c $((free - 3000000)) /dev/zero >"$disk/filler"
code=0
wait $! || code=$?
echo "nearly full: exit code $code"
tail -n 1 "$disk.log"
head -c 200000000 /dev/zero >>"$disk/filler" 2>/dev/null || true
code=0
timeout 60 "$munimentd" "$@" >"$disk.first" 2>"$disk.log" || code=$?
echo "full: exit code $code"
cat "$disk.log"
truncate -s -3000000 "$disk/filler"
code=0
"$munimentd" doctor --home "$disk/home" >"$disk.doctor" 2>&1 || code=$?
echo "doctor: exit code $code"
grep 'bad      disk' "$disk.doctor"
rm "$disk/filler"
"$munimentd" "$@" >"$disk.second" 2>"$disk.log" &
serving "$disk.second"
cat "$disk.second"
kill -TERM $!
code=0
wait $! || code=$?
echo "room again: exit code $code"
`
	cmd := exec.CommandContext(ctx(t), "unshare", append([]string{flags, "sh", "-c", script, "sh", disk, string(c.home), filepath.Join(programs, "munimentd")}, small.startArgs(t)...)...)
	out, err := cmd.CombinedOutput()
	for _, want := range []string{
		"nearly full: exit code 7\nmunimentd: 2.", "full: exit code 7\nmunimentd: 0.0 % free: disk is nearly full: make room and start again: nothing that was acknowledged is lost\n",
		"doctor: exit code 7\n", " MiB free, 2.", "serving: gRPC ", "room again: exit code 0\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("lacks %q: %v\n%s", want, err, out)
		}
	}
	if _, err := os.Stat(string(small.home)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the small disk is still mounted: %v", err)
	}
}
