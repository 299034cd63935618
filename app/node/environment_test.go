//go:build !crashtest

package node

import (
	"os"
	"testing"
)

func TestScrubEnvironment(t *testing.T) {
	for _, name := range []string{"FAIL_TEST_INDEX", "CMTHOME", "CMT_P2P_LADDR", "TMHOME", "TM_X", "MUNIMENT_HOME", "ATMOST"} {
		t.Setenv(name, "1")
	}
	ScrubEnvironment()
	for name, want := range map[string]string{
		"FAIL_TEST_INDEX": "", "CMTHOME": "", "CMT_P2P_LADDR": "", "TMHOME": "", "TM_X": "", "MUNIMENT_HOME": "1", "ATMOST": "1",
	} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
