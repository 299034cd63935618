package restore

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/node"
)

// crashExit is the exit code of a process that ended at a crash point.
const crashExit = 86

func crashAt(point string) []string {
	return []string{"MUNIMENT_CRASH_POINT=" + point, "MUNIMENT_CRASH_PASSAGE=1"}
}

// small is an archive of few records, for tests that start its node often.
func small(t testing.TB) *archive {
	t.Helper()
	return buildArchive(t, 1, 12, 6)
}

func namesIn(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestF06_KilledBackups ends the node at every step of a backup. What is left is
// no backup, or from one step on a whole one; the node goes on, and the next
// backup of that name clears the rest away.
func TestF06_KilledBackups(t *testing.T) {
	a := small(t)
	steps := []string{"unfinished: before write", "unfinished: done", "backup: vault", "backup: ledger", "backup: access log", "genesis.json: before sync",
		"backup: files", "backup: opening", "backup: hashing", "manifest.mun: before write", "manifest.mun: before rename", "manifest.mun: done",
		"backup: manifest", "backup: finishing", "backup: published", "backup: keyring", "backup: keyring synced"}
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			keyring := strings.HasPrefix(step, "backup: keyring")
			home, path := copied(t, a.home), filepath.Join(t.TempDir(), "backup")
			args := []string{"backup", path, "--home", string(home)}
			if keyring {
				args = []string{"backup", "--keyring", path, "--home", string(home)}
			}
			p := a.startProgram(t, must(crashing()), home, crashAt(step)...)
			p.serves(t)
			program(t, must(crashing()), nil, 8, args...)
			if got := p.code(t); got != crashExit || !strings.Contains(p.stdout.String(), "crash point: "+step) {
				t.Fatalf("the node ended with code %d: %s\n%s", got, &p.stdout, &p.stderr)
			}
			_, err := os.Stat(path)
			if published := err == nil; published != (step == "backup: published") {
				t.Fatalf("after the crash the backup is there: %v", published)
			}
			left := filepath.Join(path + ".new")
			if _, err := os.Stat(left); err == nil && !keyring && step != "backup: finishing" {
				sentence := a.restoreInto(t, home, 7, left)
				if !strings.Contains(sentence, "no finished backup") {
					t.Errorf("restore of what was left: %s", sentence)
				}
			}
			p = a.start(t, home)
			p.serves(t)
			if step == "backup: published" {
				munimentd(t, 7, args...)
				a.puts(t, home, p, path)
				return
			}
			munimentd(t, 0, args...)
			if names := namesIn(t, filepath.Dir(path)); fmt.Sprint(names) != "[backup]" {
				t.Errorf("beside the backup: %v", names)
			}
			if !keyring {
				a.puts(t, home, p, path)
			} else {
				p.stop(t)
			}
		})
	}
}

// puts stops the node, loses its data, and wants the backup to bring it back.
func (a *archive) puts(t *testing.T, home node.Home, p *process, data string) {
	t.Helper()
	p.stop(t)
	lose(t, home, "vault", "access-log")
	a.restored(t, home, data, "")
	a.settles(t, home)
}

// restoreInto runs a restore that is to fail, and gives its sentence.
func (a *archive) restoreInto(t *testing.T, home node.Home, code int, args ...string) string {
	t.Helper()
	return munimentd(t, code, append([]string{"restore", "--home", string(home), "--passphrase-file", a.passphrase}, args...)...)
}

// TestF05_KilledRestores ends restores at every step. The home does not start
// with half of what was put back; the restore is run again, and all is there.
func TestF05_KilledRestores(t *testing.T) {
	a := small(t)
	data := []string{"restore: begun", "restore: copied vault", "restore: copied access-log", "restore: copied", "staged: before sync", "staged: done",
		"restore: staged", "restore: moved genesis.json", "restore: moved access-log", "restore: moved vault"}
	rings := []string{"restore: begun", "restore: copied", "restore: staged", "restore: moved rings"}
	for i, step := range append(slices.Clone(data), rings...) {
		keyring := i >= len(data)
		t.Run(fmt.Sprint(step, " keyring ", keyring), func(t *testing.T) {
			home := copied(t, a.home)
			lost, source := []string{"vault", "access-log", "genesis.json"}, []string{a.before.data}
			if keyring {
				lost, source = []string{"rings"}, []string{"--keyring", a.before.keyring}
			}
			lose(t, home, lost...)
			args := append([]string{"restore", "--home", string(home), "--passphrase-file", a.passphrase}, source...)
			program(t, must(crashing()), crashAt(step), crashExit, args...)
			w := a.watching(t)
			p := a.start(t, home)
			if got := p.code(t); got != 7 || !strings.Contains(p.stderr.String(), "a restore was interrupted here: run munimentd restore again") {
				t.Errorf("a node of a home that is half restored: exit code %d\n%s", got, &p.stderr)
			}
			w.end()
			munimentd(t, 0, args...)
			if slices.Contains(namesIn(t, string(home)), "restoring") {
				t.Error("the home holds what was staged")
			}
			a.settles(t, home)
		})
	}
}

// TestF06_KilledWhileErasing ends the node at moments of a rotation by SIGKILL
// and puts a keyring of before into the home, twice: nothing comes back.
func TestF06_KilledWhileErasing(t *testing.T) {
	a := small(t)
	home := copied(t, a.home)
	for range 3 {
		lose(t, home, "rings")
		a.restored(t, home, "", a.before.keyring)
		p := a.start(t, home)
		eventually(t, "the rotation has begun, or is over", func() bool {
			names, err := filepath.Glob(filepath.Join(home.Rings(), "ring-*.journal"))
			return err == nil && len(names) > 0 || strings.Contains(p.stdout.String(), "serving: ")
		})
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.code(t)
	}
	a.settles(t, home)
}
