package vault

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestCheckpointIsAVault: it has what was there, and nothing of what came later.
func TestCheckpointIsAVault(t *testing.T) {
	fs := vfs.NewCrashableMem()
	v := openVault(t, fs)
	defer v.Close()
	r, sealed := putAnchored(t, v, 1, 16, 40)
	if err := v.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	if err := v.Checkpoint("copy"); err == nil {
		t.Error("a checkpoint was written over another")
	}
	if err := v.Bury([]Record{r}, nil); err != nil {
		t.Fatal(err)
	}
	late, _ := putAnchored(t, v, 2, 16, 40)
	copied, err := Open("copy", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if got := segmentsOf(t, copied, r); !slices.EqualFunc(got, sealed, bytes.Equal) {
		t.Errorf("%d segments came back, or changed", len(got))
	}
	if _, ok, err := copied.Find("CLERK", late.Commitment); ok || err != nil {
		t.Errorf("a later record is in the checkpoint: %v, %v", ok, err)
	}
}

// TestLogIsCopiedWhileItGrows: a copy is a log that verifies to the head that it
// is said to have, which is on the way of the log itself.
func TestLogIsCopiedWhileItGrows(t *testing.T) {
	fs := vfs.NewMem()
	l, err := OpenLog("log", Options{FS: fs, LogFileSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	line := Line{Time: 1, Account: "CLERK/00112233445566ff", Action: "read", RID: RID{1}, Purpose: "LEGAL", Outcome: "allowed"}
	before := int64(-1)
	for i := range 20 {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for range 30 {
					if err := l.Append(line); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		dir := fmt.Sprint("copy", i)
		head, err := l.Copy(dir)
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := verifyLog(fs, dir); err != nil || got != head || head.Size < before {
			t.Errorf("copy %d: head %v, %v; want %v after %d", i, got, err, head, before)
		}
		before = head.Size
		if again, err := OpenLog(dir, Options{FS: fs}); err != nil {
			t.Error(err)
		} else {
			again.Close()
		}
	}
	if _, err := l.Copy("copy0"); err == nil {
		t.Error("a copy was written over another")
	}
	head, err := l.Copy("last")
	if err != nil || head != l.Head() {
		t.Errorf("head of the copy %v, %v; of the log %v", head, err, l.Head())
	}
	l.Close()
	if _, err := l.Copy("closed"); err == nil {
		t.Error("a closed log was copied")
	}
}
