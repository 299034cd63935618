//go:build chaos

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// undone are the commands that take away what tests have made outside of their
// folder, and that would outlive a process that is told to end.
var undone struct {
	mu  sync.Mutex
	all [][]string
}

// undo has a command run with the end of the test, or of the process.
func undo(t *testing.T, command ...string) {
	t.Helper()
	undone.mu.Lock()
	defer undone.mu.Unlock()
	undone.all = append(undone.all, command)
	t.Cleanup(func() {
		undone.mu.Lock()
		defer undone.mu.Unlock()
		undone.all = slices.DeleteFunc(undone.all, func(c []string) bool { return slices.Equal(c, command) })
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	})
}

// undoAtTheEnd tidies up where somebody ends this process, which no cleanup survives.
// The nodes end with it.
func undoAtTheEnd() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-told
		undone.mu.Lock() // for good: nothing more is made
		for _, command := range slices.Backward(undone.all) {
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%v: %v\n%s", command, err, out)
			}
		}
		_ = os.RemoveAll(work)
		os.Exit(1)
	}()
}
