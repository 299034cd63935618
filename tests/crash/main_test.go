package crash

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	points   = flag.Int("points", 22, "crash points of the engine, from the start of the process, in a ledger that grows")
	founded  = flag.Int("founded", 6, "crash points of the engine, from the start of the process, each in a new home")
	passages = flag.Int("passages", 1, "crashes at each of our own crash points")
	kills    = flag.Int("kills", 6, "SIGKILLs under load")
	terms    = flag.Int("terms", 5, "SIGTERMs under load")
	seed     = flag.Uint64("seed", 0, "of the random moments; 0: by the clock")
	calls    = flag.String("calls", "", "folder that keeps the engine's calls")
)

// deadline bounds every wait; nothing is expected to take so long.
const deadline = 60 * time.Second

// TestMain is the recorder where the environment says so. The program under
// test is built once, when a test first needs it.
func TestMain(m *testing.M) {
	if job := os.Getenv(recorderVariable); job != "" {
		if err := recordLoad(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("seed %d\n", *seed)
	code := m.Run()
	if err := os.RemoveAll(built); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// built is the folder of the program, empty before it is built.
var built string

// munimentd builds the program with crash points and the call log.
var munimentd = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "muniment-crash-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "munimentd")
	build := exec.Command("go", "build", "-tags", "crashtest", "-buildvcs=false", "-o", path, "../../cmd/munimentd")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build munimentd: %w\n%s", err, out)
	}
	return path, nil
})

// waiting gives a context that ends with the test or at the deadline.
func waiting(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for ctx := waiting(t); !ok(); {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, deadline)
		case <-poll.C:
		}
	}
}

// callLogOf gives the file for the engine's calls of a test.
func callLogOf(t *testing.T) string {
	t.Helper()
	dir := *calls
	if dir == "" {
		dir = t.TempDir()
	}
	path, err := filepath.Abs(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".calls"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
