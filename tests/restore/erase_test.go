package restore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// TestEraseOnDemand: a locked disposition is carried out when the operator asks
// for it, and the command says what was done and what is claimed. Status and
// metrics count it.
func TestEraseOnDemand(t *testing.T) {
	c := newCity(t, 1)
	c.eraseEvery = "24h"
	p := c.start(t, c.custodian)
	p.serves(t)
	conn := c.dial(t, department)
	c.adopt(t, conn)
	records := c.keep(t, conn, 12)
	home := string(c.custodian)
	if out := munimentd(t, 0, "erase", "--home", home); out != "nothing waits to be erased\n" {
		t.Errorf("nothing is locked: %s", out)
	}
	c.destroy(t, conn, records[:8])
	if _, reason := ask(within(t), conn, records[0]); reason != "LOCKED" {
		t.Errorf("a locked record: %s", reason)
	}
	if s := status(t, c.custodian); s.Pending != 1 || s.Claim != "C1" {
		t.Errorf("status says %+v", s)
	}
	out := munimentd(t, 0, "erase", "--home", home)
	want := `^carried out  dispositions \d+
records      8 destroyed, 0 redacted, 0 preserved
rings        1 replaced, their old keys destroyed
claim        ` + regexp.QuoteMeta(record.ClaimFiles.Says()) + "\n$"
	if !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("erase says\n%s", out)
	}
	if s := status(t, c.custodian); s.Pending != 0 {
		t.Errorf("after it %d are pending", s.Pending)
	}
	if _, reason := ask(within(t), conn, records[0]); reason != "DESTROYED" {
		t.Errorf("a destroyed record: %s", reason)
	}
	if content, reason := ask(within(t), conn, records[11]); content != records[11].content {
		t.Errorf("a record beside it: %s", reason)
	}
	c.destroy(t, conn, records[8:9])
	var answer struct {
		Dispositions []uint64 `json:"dispositions"`
		Destroyed    uint64   `json:"destroyed"`
		Rings        uint32   `json:"rings"`
		Claim        string   `json:"claim"`
		Waiting      []any    `json:"waiting"`
	}
	if err := json.Unmarshal([]byte(munimentd(t, 0, "erase", "--home", home, "--output", "json")), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Dispositions) != 1 || answer.Destroyed != 1 || answer.Rings != 1 || answer.Claim != "C1" || len(answer.Waiting) != 0 {
		t.Errorf("erase answers %+v", answer)
	}
	p.stop(t)
	if !strings.Contains(p.stderr.String(), "node started") || strings.Contains(p.stderr.String(), "alarm") {
		t.Errorf("the log of the node:\n%s", &p.stderr)
	}
}

// TestCopiesBelowTheRingsAreFound: somebody has left a copy of the rings below the
// keyring. The keys are destroyed, the round says where their bytes still are, and
// the next round is done when they are gone.
func TestCopiesBelowTheRingsAreFound(t *testing.T) {
	c := newCity(t, 1)
	c.eraseEvery = "24h"
	p := c.start(t, c.custodian)
	p.serves(t)
	conn := c.dial(t, department)
	c.adopt(t, conn)
	records := c.keep(t, conn, 4)
	c.destroy(t, conn, records[:2])
	epochs, err := filepath.Glob(filepath.Join(c.custodian.Rings(), "ring-*-1"))
	if err != nil || len(epochs) != 1 {
		t.Fatalf("%v, %v", epochs, err)
	}
	left := filepath.Join(c.custodian.Rings(), "old-copy")
	copyFolder(t, epochs[0], left)
	out := munimentd(t, 0, "erase", "--home", string(c.custodian))
	if !regexp.MustCompile(`^waiting      disposition \d+: .*destroyed bytes are still in a file: old-copy/.*: remove them\n$`).MatchString(out) {
		t.Errorf("erase says %s", out)
	}
	if _, reason := ask(within(t), conn, records[0]); reason != "DESTROYED" && reason != "LOCKED" {
		t.Errorf("a destroyed record: %s", reason)
	}
	if err := os.RemoveAll(left); err != nil {
		t.Fatal(err)
	}
	if out := munimentd(t, 0, "erase", "--home", string(c.custodian)); !strings.Contains(out, "records      2 destroyed") {
		t.Errorf("without the copy: %s", out)
	}
	p.stop(t)
}
