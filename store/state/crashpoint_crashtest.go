//go:build crashtest

package state

import (
	"fmt"
	"os"
	"sync/atomic"
)

// The process ends at the crash point of this name, at its n-th passage.
const (
	crashPointVariable   = "MUNIMENT_CRASH_POINT"
	crashPassageVariable = "MUNIMENT_CRASH_PASSAGE"
)

// crashExit is the exit code of a process that ended at a crash point.
const crashExit = 86

var crashPassages atomic.Int64

// crashpoint ends the process at the point that the environment names, as a
// kill would: nothing is closed and nothing that was deferred runs.
func crashpoint(name string) {
	if name != os.Getenv(crashPointVariable) {
		return
	}
	if fmt.Sprint(crashPassages.Add(1)) == os.Getenv(crashPassageVariable) {
		fmt.Printf("crash point: %s\n", name)
		os.Exit(crashExit)
	}
}
