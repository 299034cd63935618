//go:build !crashtest

package node

import (
	"os"
	"strings"
)

// ScrubEnvironment removes from the environment what CometBFT reads there: one
// variable ends the process at a chosen point, and the rest would override a
// configuration that is code. It must be called before anything else runs.
// Builds with the tag crashtest, which the crash tests make for themselves,
// leave the environment alone.
func ScrubEnvironment() {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if name == "FAIL_TEST_INDEX" || strings.HasPrefix(name, "CMT") || strings.HasPrefix(name, "TM") {
			os.Unsetenv(name)
		}
	}
}
