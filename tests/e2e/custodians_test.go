package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// adopted is a town at work, whose minutes are due after sixty days.
func adopted(t testing.TB) *town {
	t.Helper()
	w := newTown(t)
	w.begin(t)
	w.adopt(t, w.dial(t, "CLERK"), rule("DEMO-MINUTES", record.RoleClerk))
	return w
}

// minutes anchors a record with one custodian and gives its index and content.
func (w *town) minutes(t testing.TB, at int, name string) (index, content string) {
	t.Helper()
	content = fmt.Sprintf("Minutes of %s.\n\nThey name %s.\n\nThe meeting rose.\n", name, canary())
	return w.at[at].anchor(t, name+".txt", []byte(content)), content
}

// TestCustodiansKeepTheSameRecords: what is deposited with one custodian is read at
// each; a destruction is certified when each has reported.
func TestCustodiansKeepTheSameRecords(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	words := map[string][]byte{"content": []byte(canary()), "title": []byte(canary()), "file name": []byte(canary())}
	content := fmt.Sprintf("Minutes.\n\nThey name %s.\n\nThe meeting rose.\n", words["content"])
	index := w.anchor(t, string(words["file name"])+".txt", []byte(content), "--title", string(words["title"]))
	w.copied(t, 0, 3, 1)
	w.same(t, index, content, 0, 1, 2)
	for i := range 3 {
		if hits := w.at[i].as(t, 0, "DPW", "search", string(words["title"])).stdout; !strings.Contains(hits, index) {
			t.Errorf("node %d finds no title:\n%s", i+1, hits)
		}
	}
	w.at[3].reads(t, index, "", "NOT_CUSTODIAN", 7)
	if out := w.at[3].operator(t, 0, "", "custody", "status").stdout; !strings.Contains(out, "keeps no content") {
		t.Errorf("the node without content says %s", out)
	}
	if out := w.operator(t, 0, "", "status").stdout; !strings.Contains(out, "CITY 3 of 3 custodians have everything") {
		t.Errorf("status says\n%s", out)
	}
	d := w.lock(t, w.at[1], index)
	for i := range 3 {
		w.at[i].reads(t, index, "", "LOCKED", 7)
	}
	for i := range 3 {
		if e := w.as(t, 4, "DPW", "certificate", index, "-o", w.out(fmt.Sprint("early-", i))); !strings.Contains(e.stderr, "REPORTS_DUE") {
			t.Errorf("with %d of 3 reports:\n%s", i, e.stderr)
		}
		w.carriesOut(t, i, d)
		w.at[i].reads(t, index, "", "DESTROYED", 6)
	}
	w.as(t, 0, "DPW", "certificate", index, "-o", w.out("certificate"))
	program(t, 0, "", "muniment-verify", "--network", w.home.Network(), w.out("certificate"))
	w.end(0, 1, 2, 3)
	w.quiet(t, words)
	for i := range 3 {
		for _, hit := range found(t, string(w.at[i].home), words) {
			t.Error(hit)
		}
	}
}

// TestACustodianIsAway during a deposit, a redaction that is filed and a destruction:
// the departments go on, and it catches up when it is back.
func TestACustodianIsAway(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	first, _ := w.minutes(t, 0, "first")
	kept, keptContent := w.minutes(t, 1, "kept")
	w.copied(t, 0, 3, 2)
	w.nodes[2].kill()
	later, laterContent := w.minutes(t, 0, "later")
	unseen, _ := w.minutes(t, 1, "unseen") // destroyed before the third has heard of it
	w.copied(t, 0, 2, 4)
	w.copied(t, 1, 2, 4)
	w.same(t, later, laterContent, 0, 1)
	for _, index := range []string{first, unseen} {
		d := w.lock(t, w.at[0], index)
		w.carriesOut(t, 0, d)
		w.carriesOut(t, 1, d)
		if e := w.as(t, 4, "DPW", "certificate", index, "-o", w.out("early")); !strings.Contains(e.stderr, "REPORTS_DUE") {
			t.Errorf("without the report of who is away:\n%s", e.stderr)
		}
	}
	h := w.custody(t, 0)
	if len(h.Sets) != 1 || h.Sets[0].Complete != 2 {
		t.Errorf("with one away: %+v", h)
	}
	w.begin(t, 2)
	w.copied(t, 0, 3, 2)
	w.copied(t, 1, 3, 2)
	w.copied(t, 2, 3, 2)
	if e := w.at[2].erase(t); len(e.Waiting) > 0 { // it does so by itself at its start
		t.Errorf("when it is back: %+v", e)
	}
	for i := range 3 {
		w.at[i].reads(t, first, "", "DESTROYED", 6)
		w.same(t, later, laterContent, i)
		w.same(t, kept, keptContent, i)
	}
	for n, index := range []string{first, unseen} {
		w.as(t, 0, "DPW", "certificate", index, "-o", w.out(fmt.Sprint("certificate-", n)))
	}
	w.end(0, 1, 2, 3)
}

// TestALostDiskIsFilledByTheOthers: a custodian of which keys and ledger are left,
// and none of the content.
func TestALostDiskIsFilledByTheOthers(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	gone, _ := w.minutes(t, 2, "gone")
	contents := map[string]string{}
	for i := range 3 {
		index, content := w.minutes(t, i, fmt.Sprint("kept-", i))
		contents[index] = content
	}
	for i := range 3 {
		w.copied(t, i, 3, 4)
	}
	d := w.lock(t, w.at[0], gone)
	for i := range 3 {
		w.carriesOut(t, i, d)
	}
	w.end(2)
	home := w.at[2].home
	for _, dir := range []string{home.Vault(), home.Rings(), home.Accesses()} {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	w.begin(t, 2)
	for i := range 3 {
		w.copied(t, i, 3, 3)
	}
	for index, content := range contents {
		w.same(t, index, content, 2)
	}
	if e := w.at[2].try(t, "DPW", "read", gone, "-o", w.out("gone")); e.code != 6 {
		t.Errorf("what was destroyed is read after the loss: exit code %d\n%s", e.code, e.stderr)
	}
	// It is a custodian as before: it reports on what is destroyed now.
	for index := range contents {
		d := w.lock(t, w.at[2], index)
		for i := range 3 {
			w.carriesOut(t, i, d)
		}
		w.as(t, 0, "DPW", "certificate", index, "-o", w.out("certificate-"+index))
		break
	}
	w.end(0, 1, 2, 3)
}

// TestACustodianLeaves: it hands over first, and then nothing of the set opens there.
func TestACustodianLeaves(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	w.nodes[1].kill()
	index, content := w.minutes(t, 2, "minutes")
	if e := w.at[2].operator(t, 1, "", "custody", "leave", "CITY"); !strings.Contains(e.stderr, "do not have everything") {
		t.Fatalf("it leaves while another custodian lacks a record:\n%s", e.stderr)
	}
	w.same(t, index, content, 2)
	w.begin(t, 1)
	w.copied(t, 2, 3, 1)
	if out := w.at[2].operator(t, 0, "", "custody", "leave", "CITY").stdout; !strings.Contains(out, "left CITY: every record is with the other custodians") {
		t.Errorf("leaving says %s", out)
	}
	w.at[2].reads(t, index, "", "(", 6)
	w.copied(t, 0, 2, 1)
	w.same(t, index, content, 0, 1)
	if out := w.at[2].operator(t, 0, "", "custody", "status").stdout; !strings.Contains(out, "shares no set") {
		t.Errorf("after it has left, its status says %s", out)
	}
	w.at[2].operator(t, 7, "", "custody", "leave", "CITY")
	w.at[2].operator(t, 2, "", "custody", "leave", "city hall")
	later, laterContent := w.minutes(t, 0, "later")
	w.copied(t, 1, 2, 2)
	w.same(t, later, laterContent, 0, 1)
	path := write(t, filepath.Join(w.desk, "records", "refused.txt"), []byte("Minutes that nobody keeps.\n"))
	if e := w.at[2].try(t, "DPW", "anchor", "--series", "DEMO-MINUTES", "--date", "2019-08-15", path); !strings.Contains(e.stderr, "UNKNOWN_CUSTODY") {
		t.Errorf("a deposit with who has left: exit code %d\n%s", e.code, e.stderr)
	}
	w.end(0, 1, 2, 3)
}

// crashing is munimentd with crash points.
var crashing = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programs, "munimentd-crashing")
	build := exec.Command("go", "build", "-tags", "crashtest", "-o", path, "./cmd/munimentd")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// TestAnExchangeIsCutOff: whoever of the two dies at whatever step, nothing is lost
// and nothing is there twice when it is back.
func TestAnExchangeIsCutOff(t *testing.T) {
	t.Parallel()
	program, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	w := adopted(t)
	w.nodes[1].kill() // two are enough for this
	records, contents := uint64(0), map[string]string{}
	for _, c := range []struct {
		point string
		node  int  // that stops there
		other bool // the other one dies, and the first goes on then
	}{
		{point: "parcel: in the vault", node: 2},
		{point: "parcel: redactions in the vault", node: 2},
		{point: "parcel: in the ring", node: 2},
		{point: "parcel: read back", node: 2},
		{point: "parcel: in the vault", node: 2, other: true},
		{point: "parcel: read back", node: 2, other: true},
		{point: "copy: taken", node: 0},
	} {
		t.Logf("%s at node %d, other: %v", c.point, c.node+1, c.other)
		w.nodes[c.node].kill()
		until := filepath.Join(t.TempDir(), "go-on")
		stopped := w.beginAt(t, program, c.node, c.point, until)
		if records > 0 { // of none, who was killed may have everything
			w.copied(t, 2-c.node, 2, records)
		}
		index, content := "", fmt.Sprintf("Minutes %d.\n\nThey name %s.\n", records, canary())
		anchor := func() { index = w.at[0].anchor(t, fmt.Sprintf("minutes-%d.txt", records), []byte(content)) }
		if c.node == 0 { // it may die before it answers: the same command again, then
			file := write(t, filepath.Join(w.desk, "records", fmt.Sprintf("minutes-%d.txt", records)), []byte(content))
			w.at[0].try(t, "DPW", "anchor", "--series", "DEMO-MINUTES", "--date", "2019-08-15", file)
		} else {
			anchor()
		}
		<-stopped
		if c.other {
			w.nodes[2-c.node].kill()
			write(t, until, nil)
			w.begin(t, 2-c.node)
		} else {
			w.nodes[c.node].kill()
			w.begin(t, c.node)
		}
		if c.node == 0 {
			anchor()
		}
		contents[index], records = content, records+1
		w.copied(t, 0, 2, records)
		w.copied(t, 2, 2, records)
		for index, content := range contents {
			w.same(t, index, content, 0, 2)
		}
		for _, i := range []int{0, 2} {
			if out := w.at[i].status(t); !strings.Contains(out, fmt.Sprintf(`"records_here":"%d"`, records)) {
				t.Errorf("node %d has not %d records: %s", i+1, records, out)
			}
		}
	}
	w.end(0, 2, 3)
}

// beginAt starts a node that stops at a crash point, and tells when it does.
func (w *town) beginAt(t testing.TB, program string, i int, point, until string) <-chan struct{} {
	t.Helper()
	surrounding := []string{
		"MUNIMENT_STOP_POINT=" + point, "MUNIMENT_STOP_PASSAGE=1", "MUNIMENT_STOP_UNTIL=" + until,
		"MUNIMENT_CRASH_POINT=" + point, "MUNIMENT_CRASH_PASSAGE=1", program,
	}
	stopped := make(chan struct{})
	w.nodes[i] = launchProgram(t, "env", func(line string) {
		if line == "crash point: "+point {
			close(stopped)
		}
	}, append(surrounding, w.args(i)...)...)
	return stopped
}

// TestACustodianStandsStill: one that is stopped in the middle, as by a partition,
// keeps nobody from working, and goes on where it was.
func TestACustodianStandsStill(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	w.copied(t, 0, 3, 0)
	w.nodes[2].cmd.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	index, content := w.minutes(t, 0, "minutes")
	w.copied(t, 1, 2, 1)
	w.same(t, index, content, 0, 1)
	t.Logf("deposited and copied in %v", time.Since(began))
	w.end(1) // and nobody from stopping
	w.nodes[2].cmd.Process.Signal(syscall.SIGCONT)
	w.begin(t, 1)
	w.copied(t, 0, 3, 1)
	w.same(t, index, content, 2)
	w.end(0, 1, 2, 3)
}
