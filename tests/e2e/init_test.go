package e2e

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestKilledInit kills munimentd init at every call that makes, syncs, renames
// or removes a name. What is there afterwards is no home at all, or an
// unfinished one that says what to do, or a whole one that starts.
func TestKilledInit(t *testing.T) {
	needs(t, "strace")
	dir := t.TempDir()
	example := program(t, 0, "", "munimentd", "init", "--example").stdout
	for i := 0; strings.Contains(example, "<"); i++ {
		before, rest, _ := strings.Cut(example, "<")
		_, after, _ := strings.Cut(rest, ">")
		seed := sha256.Sum256([]byte{byte(i)})
		example = fmt.Sprintf("%s%x%s", before, ed25519.NewKeyFromSeed(seed[:]).Public(), after)
	}
	founding := write(t, filepath.Join(dir, "founding.toml"), []byte(example))
	secret := write(t, filepath.Join(dir, "passphrase"), []byte(passphrase))
	seen := map[string]int{}
	for _, calls := range []string{"mkdirat", "renameat", "unlinkat", "fsync"} {
		for n := 1; ; n++ {
			home := filepath.Join(dir, fmt.Sprint(calls, n), "home")
			if err := os.Mkdir(filepath.Dir(home), 0o700); err != nil {
				t.Fatal(err)
			}
			// strace counts by thread, so that some points are met twice, and the loop ends where none is left.
			inject := fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n)
			cmd := exec.CommandContext(ctx(t), "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+calls, "-e", inject,
				filepath.Join(programs, "munimentd"), "init", "--home", home, "--founding", founding, "--passphrase-file", secret)
			out, err := cmd.CombinedOutput()
			if err == nil { // it makes fewer such calls
				if got := stateOf(t, home); got != "whole" {
					t.Errorf("%s: %s after an init that was not killed", calls, got)
				}
				break
			}
			if len(out) > 0 && !strings.Contains(string(out), "fingerprint") {
				t.Fatalf("%s %d: %v\n%s", calls, n, err, out)
			}
			state := stateOf(t, home)
			seen[state]++
			switch state {
			case "nothing":
				program(t, 7, "is no home of a node: make one with munimentd init", "munimentd", "start", "--home", home, "--passphrase-file", secret)
			case "unfinished":
				for _, args := range [][]string{{"init", "--founding", founding}, {"start"}, {"doctor"}} {
					e := exec.CommandContext(ctx(t), filepath.Join(programs, "munimentd"), append(args, "--home", home, "--passphrase-file", secret)...)
					text, _ := e.CombinedOutput()
					if e.ProcessState.ExitCode() != 7 || !strings.Contains(string(text), "the making of this home was interrupted: remove the folder, and make it again") {
						t.Errorf("%s %d: %s: %d\n%s", calls, n, args[0], e.ProcessState.ExitCode(), text)
					}
				}
			case "whole":
				program(t, 7, "home holds keys already: name another with --home", "munimentd", "init", "--home", home, "--founding", founding, "--passphrase-file", secret)
				if out := program(t, 0, "", "munimentd", "doctor", "--home", home).stdout; !strings.Contains(out, "ok       network") {
					t.Errorf("%s %d: doctor:\n%s", calls, n, out)
				}
			}
		}
	}
	if seen["nothing"] == 0 || seen["unfinished"] < 10 { // only the last two syncs leave a whole one
		t.Errorf("the kills left %v: some points were not reached", seen)
	}
}

func stateOf(t *testing.T, home string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(home, "unfinished")); err == nil {
		return "unfinished"
	}
	if _, err := os.Stat(filepath.Join(home, "genesis.json")); err == nil {
		return "whole"
	}
	if entries, err := os.ReadDir(home); err == nil && len(entries) > 0 {
		t.Fatalf("%s holds %d things and neither says that it is unfinished nor is a home", home, len(entries))
	}
	return "nothing"
}
