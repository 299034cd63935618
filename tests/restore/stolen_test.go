package restore

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestT13_StolenBackups: no file of a backup, of the data or of the keyring, holds
// a word of any record, and the data opens nothing without the rings.
func TestT13_StolenBackups(t *testing.T) {
	a := lonelyArchive(t)
	var needles [][]byte
	for _, k := range append(a.living[:50:50], a.gone[:50]...) {
		words := strings.Fields(strings.TrimSuffix(k.content, ".\n"))
		needles = append(needles, []byte(words[len(words)-1]))
	}
	files := 0
	for _, path := range []string{a.before.data, a.after.data, a.before.keyring, a.after.keyring} {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			data, err := os.ReadFile(path)
			for _, needle := range needles {
				if bytes.Contains(data, needle) {
					t.Errorf("%s holds a word of a record", path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 20 {
		t.Errorf("only %d files were looked at", files)
	}
	home := copied(t, a.home)
	lose(t, home, "rings", "vault")
	a.restored(t, home, a.before.data, "")
	p := a.start(t, home)
	if got := p.code(t); got != 7 || !strings.Contains(p.stderr.String(), "the keyring is missing: ") {
		t.Errorf("without rings: exit code %d\n%s", got, &p.stderr)
	}
	p = a.start(t, home, "--without-rings")
	p.serves(t)
	conn := a.dial(t, department)
	for _, k := range append(a.living[:50:50], a.gone[:50]...) {
		if content, reason := ask(within(t), conn, k); content != "" || reason == "" {
			t.Errorf("record %d without rings: %q", k.index, content)
		}
	}
	p.stop(t)
}

// TestBackupsUnderLoad: deposits, anchors and erasures go on while backups are
// made, one after the other. What was acknowledged before the last of them began
// is there when its vault is put back, and what was destroyed is not.
func TestBackupsUnderLoad(t *testing.T) {
	const rounds = 4
	a := &archive{city: newCity(t, 1)}
	p := a.start(t, a.custodian)
	p.serves(t)
	conn := a.dial(t, department)
	a.adopt(t, conn)
	a.gone = a.keep(t, conn, 8)
	a.destroy(t, conn, a.gone)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var acknowledged []kept
	var load sync.WaitGroup
	load.Go(func() {
		for ctx.Err() == nil {
			records := a.keep(t, conn, 4)
			mu.Lock()
			acknowledged = append(acknowledged, records...)
			mu.Unlock()
		}
	})
	dir := t.TempDir()
	var data, keyring string
	for i := range rounds {
		before := 0
		eventually(t, "more records", func() bool {
			mu.Lock()
			defer mu.Unlock()
			before = len(acknowledged)
			return before > len(a.living) || t.Failed()
		})
		mu.Lock()
		a.living = append([]kept{}, acknowledged[:before]...)
		mu.Unlock()
		data, keyring = filepath.Join(dir, string(rune('a'+i))), filepath.Join(dir, string(rune('A'+i)))
		munimentd(t, 0, "backup", data, "--home", string(a.custodian))
		munimentd(t, 0, "backup", "--keyring", keyring, "--home", string(a.custodian))
	}
	eventually(t, "the destruction is over", func() bool { return a.probe(t, conn, a.gone[0]) == "DESTROYED" })
	cancel()
	load.Wait()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.code(t)
	lose(t, a.custodian, "vault", "access-log", "rings")
	a.restored(t, a.custodian, data, keyring)
	a.settles(t, a.custodian)
	t.Logf("%d records were acknowledged before the last backup, %d in all", len(a.living), len(acknowledged))
}
