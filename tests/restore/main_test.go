package restore

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// deadline bounds every wait; nothing is expected to take so long.
const deadline = 2 * time.Minute

// work is the folder of everything that tests share.
var work string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "muniment-restore-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		work = dir
		return m.Run()
	}())
}

// shipped is the program as it is shipped, crashing one with crash points; each
// is built when a test first needs it.
var (
	shipped  = sync.OnceValues(func() (string, error) { return build("munimentd", "") })
	crashing = sync.OnceValues(func() (string, error) { return build("munimentd-crashing", "crashtest") })
)

func build(name, tags string) (string, error) {
	path := filepath.Join(work, name)
	cmd := exec.Command("go", "build", "-tags", tags, "-buildvcs=false", "-o", path, "../../cmd/munimentd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build munimentd: %w\n%s", err, out)
	}
	return path, nil
}

// must gives a value that there has to be.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// within gives a context that ends with the test or at the deadline.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for ctx := within(t); !ok(); {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, deadline)
		case <-poll.C:
		}
	}
}
