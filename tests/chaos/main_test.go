//go:build chaos

package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	seed   = flag.Uint64("seed", 0, "of faults and load; 0: by the clock")
	points = flag.Int("points", 0, "crash points of the engine, and as many of ours, at one of four; 0: three in each round")
	rounds = flag.Int("rounds", 1, "how often each kind of fault comes")
)

// deadline bounds every wait; nothing is expected to take so long.
const deadline = 90 * time.Second

// work is the folder of everything that the tests write.
var work string

// TestMain is the recorder where the environment says so.
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
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if work, err = os.MkdirTemp("", "mch"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	undoAtTheEnd()
	began := time.Now()
	code := m.Run()
	if err := tally.report(code, time.Since(began)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := os.RemoveAll(work); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// shipped builds munimentd as `make build` does.
var shipped = sync.OnceValues(func() (string, error) { return build("munimentd", "-trimpath") })

// crashing builds it with crash points.
var crashing = sync.OnceValues(func() (string, error) { return build("munimentd-crashtest", "-tags", "crashtest") })

func build(name string, flags ...string) (string, error) {
	path := filepath.Join(work, name)
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	if out, err := exec.Command("go", append(args, "../../cmd/munimentd")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// waiting gives a context that ends with the test or at the deadline.
func waiting(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls a condition, and gives how long it took.
func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for ctx := waiting(t); !ok(); {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %v", what, deadline)
		case <-poll.C:
		}
	}
	return time.Since(began)
}

// pause waits for a while that chance has chosen.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
