package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestAcceptanceStory plays scripts/story.sh, which is part two of `make demo`:
// steps 2, 3, 5, 7 to 11 and 19 of the acceptance story with real programs. The
// script stops at the first thing that is not as it has to be.
func TestAcceptanceStory(t *testing.T) {
	play(t, "scripts/story.sh",
		"== 2.", "== 3.", "== 5.", "== 7.", "== 8.", "== 9.", "== 10.", "== 11.", "== 19.",
		"(SERIES_INACTIVE)", "(HELD)", "(MISSING_APPROVAL)", "(SAME_OFFICE)", "(OPEN_ISSUES)", "(DISPOSITION_CLOSED)",
		"verdict        not held", "verdict        held", "changed.legality: FAILED", "and replays the whole log", "== done")
}

// play runs a part of the story to its end, and wants it to have said these things.
func play(t *testing.T, script string, wants ...string) {
	t.Parallel()
	t.Helper()
	cmd := exec.CommandContext(ctx(t), "bash", script)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PROGRAMS="+programs, "TMPDIR="+t.TempDir(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the story ends with %v:\n%s", err, out)
	}
	for _, want := range wants {
		if !strings.Contains(string(out), want) {
			t.Errorf("the story lacks %q:\n%s", want, out)
		}
	}
}
