//go:build crashtest

package keyring

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// The process stops at the crash point of this name, at its n-th passage, says so
// and waits to be killed; or until this file is there, then it goes on.
const (
	stopPointVariable   = "MUNIMENT_STOP_POINT"
	stopPassageVariable = "MUNIMENT_STOP_PASSAGE"
	stopUntilVariable   = "MUNIMENT_STOP_UNTIL"
)

var stopPassages atomic.Int64

// crashpoint holds the goroutine at the point that the environment names, while
// the rest of the process goes on as it would.
func crashpoint(name string) {
	if name != os.Getenv(stopPointVariable) || fmt.Sprint(stopPassages.Add(1)) != os.Getenv(stopPassageVariable) {
		return
	}
	fmt.Printf("crash point: %s\n", name)
	for {
		if _, err := os.Stat(os.Getenv(stopUntilVariable)); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
