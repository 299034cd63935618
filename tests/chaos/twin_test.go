//go:build chaos

package chaos

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestTwoProcessesOneKey runs a validator twice, the second time from a copy of its
// home on a machine of its own. Each half of the network hears one of the two. The
// chain goes on, as one; it gets the evidence, and the log an entry about it.
func TestTwoProcessesOneKey(t *testing.T) {
	c := newCity(t)
	c.startAll(t)
	c.adopt(t)
	r := c.record(t)
	pause(t, 2*time.Second)
	one := c.nodes[2]
	f := fault{kind: "two processes, one key", machines: []int{one.machine, stranger}, from: time.Since(c.began)}
	one.kill(t)
	twin := &member{machine: stranger, id: one.id, home: node.Home(filepath.Join(filepath.Dir(string(one.home)), "twin"))}
	copyTree(t, string(one.home), string(twin.home))
	c.part(t, []int{one.machine}, []int{2, 4, stranger})
	c.part(t, []int{stranger}, []int{1})
	c.start(t, one)
	c.start(t, twin)
	one.serves(t)
	twin.serves(t)
	from := uint64(0)
	by := c.at(t, c.nodes[0])
	took := eventually(t, "an entry about the misbehavior", func() bool {
		var found bool
		found, from = misbehaved(t.Context(), by, from)
		return found
	})
	t.Logf("the log has an entry about it after %.1f s", took.Seconds())
	twin.kill(t)
	f.to = time.Since(c.began)
	c.mend(t)
	pause(t, 2*time.Second)
	c.settle(t)
	f.over = time.Since(c.began)
	c.faults = append(c.faults, f)
	history := r.finish(t)
	c.settle(t)
	books := c.audit(t, history, one.validator)
	if !slices.ContainsFunc(books, func(b book) bool { return len(b.evidence) > 0 }) {
		t.Error("no block has evidence")
	}
}

// misbehaved looks for an entry about misbehavior, from an index on, and gives where
// to go on.
func misbehaved(ctx context.Context, by *client, from uint64) (bool, uint64) {
	for ; ; from++ {
		r, err := by.auditors.Entry(ctx, &apiv1.EntryRequest{Index: from})
		if err != nil {
			return false, from
		}
		if record.KindOf(r.Entry) == record.KindMisbehavior {
			return true, from
		}
	}
}

// copyTree copies a home; its owner alone may look into the copy, too.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(from, "admin.sock")); err != nil {
		t.Fatal(err)
	}
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
