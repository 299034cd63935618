package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// serve runs a home with everything that serves callers, until the test ends.
func serve(t *testing.T, home Home) *Service {
	t.Helper()
	config := testConfig()
	config.GRPC.Listen, config.Tiles.Listen = "127.0.0.1:0", ""
	s, err := NewService(home, config, Options{
		Passphrase: passphrase, Log: slog.New(slog.DiscardHandler), Heartbeat: time.Hour,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(waiting(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

func halt(t *testing.T, s *Service) {
	t.Helper()
	if err := s.Stop(waiting(t)); err != nil {
		t.Fatal(err)
	}
}

// backedUp makes a home whose node has anchored something, its backup, and stops it.
func backedUp(t *testing.T) (home Home, dir string, m Manifest) {
	t.Helper()
	home = newHome(t)
	if err := os.Mkdir(home.Eras(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(handoverFile(home.Eras(), 2), []byte("a handover\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, home)
	_, height := submit(t, s.node, anchor(t, s.node, "minutes of january"))
	eventually(t, "the chain rests", func() bool { return s.node.View().Head().Height == height+1 })
	dir = filepath.Join(t.TempDir(), "backup")
	m, err := s.Backup(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	halt(t, s)
	return home, dir, m
}

// TestABackupHoldsNoSecret: what a backup consists of, whose it is, and what is
// in no backup.
func TestABackupHoldsNoSecret(t *testing.T) {
	home, dir, m := backedUp(t)
	text := read(t, filepath.Join(dir, manifestName))
	if got, err := ParseManifest(text); err != nil || string(got.Marshal()) != string(m.Marshal()) {
		t.Fatalf("the manifest reads as %+v, %v", got, err)
	}
	if m.Entries == 0 || m.Custodian == nil || m.Network != sha256.Sum256(read(t, home.Genesis())) {
		t.Errorf("manifest %+v", m)
	}
	listed := map[string]bool{manifestName: true}
	for _, f := range m.Files {
		listed[f.Path] = true
	}
	parts := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if d.IsDir() && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		name, err := filepath.Rel(dir, path)
		if !d.IsDir() && !listed[name] {
			t.Errorf("%s is not in the manifest", name)
		}
		part, _, _ := strings.Cut(name, string(filepath.Separator))
		parts[part] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"rings", "keys", "signer", "wal"} {
		if parts[secret] {
			t.Errorf("the backup holds %s", secret)
		}
	}
	for _, part := range backupParts {
		if !parts[part] {
			t.Errorf("the backup lacks %s", part)
		}
	}
}

// TestWhereNoBackupIsMade: what is there is not touched.
func TestWhereNoBackupIsMade(t *testing.T) {
	home := newHome(t)
	s := serve(t, home)
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	for _, path := range []string{taken, filepath.Join(dir, "mine.new")} {
		if err := os.MkdirAll(filepath.Join(path, "notes"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"relative", taken, dir + "/a/../b", filepath.Join(string(home), "backup"), filepath.Join(home.Rings(), "backup"),
		filepath.Join(dir, "absent", "backup"), filepath.Join(dir, "mine"), "/"} {
		if _, err := s.Backup(t.Context(), path); !errors.Is(err, ErrBackupPath) {
			t.Errorf("backup into %s: got %v, want %v", path, err, ErrBackupPath)
		}
	}
	for _, path := range []string{"relative", taken, filepath.Join(string(home), "rings.backup")} {
		if _, err := s.BackupKeyring(path); !errors.Is(err, ErrBackupPath) {
			t.Errorf("keyring into %s: got %v, want %v", path, err, ErrBackupPath)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Backup(ended, filepath.Join(dir, "ended")); !errors.Is(err, context.Canceled) {
		t.Errorf("backup for nobody: %v", err)
	}
	if names := namesIn(t, dir); fmt.Sprint(names) != "[mine.new taken]" {
		t.Errorf("left behind: %v", names)
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
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

// TestErasuresAreCounted: the monitor and the status tell of rotations, of what is
// pending and of quarantine, in numbers alone.
func TestErasuresAreCounted(t *testing.T) {
	s := serve(t, newHome(t))
	r, err := http.Get("http://" + s.node.MonitorAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nmuniment_ring_rotations_total 0\n", "\nmuniment_erasures_pending 0\n", "\nmuniment_rings_quarantined 0\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if got := (served{s}).Status(); got.Claim != "C1" || got.ErasuresPending != 0 || len(got.Quarantined) != 0 {
		t.Errorf("status %v", got)
	}
}

// TestBackupsWhileTheNodeWorks: each of many backups is a ledger that opens and
// goes on, whatever was anchored meanwhile.
func TestBackupsWhileTheNodeWorks(t *testing.T) {
	s := serve(t, newHome(t))
	ctx, cancel := context.WithCancel(t.Context())
	begun, anchored := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			submit(t, s.node, anchor(t, s.node, fmt.Sprint("record ", n)))
			if n == 0 {
				close(begun)
			}
		}
		anchored <- n
	}()
	<-begun
	dir := t.TempDir()
	last := int64(0)
	for i := range 5 {
		m, err := s.Backup(t.Context(), filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Entries < last {
			t.Errorf("backup %d has %d entries, the one before %d", i, m.Entries, last)
		}
		last = m.Entries
	}
	cancel()
	if n := <-anchored; last < 2 {
		t.Errorf("%d records, %d entries: they are in no backup", n, last)
	}
}

// without removes parts of a home.
func without(t *testing.T, home Home, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err := os.RemoveAll(home.path(part)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestorePutsBackWhatIsMissing: every subset of the parts, lost from a home
// that has stopped since. What is there is left alone, byte for byte.
func TestRestorePutsBackWhatIsMissing(t *testing.T) {
	home, dir, m := backedUp(t)
	if _, err := Restore(home, passphrase, dir); !errors.Is(err, ErrNothingMissing) {
		t.Errorf("into a whole home: got %v, want %v", err, ErrNothingMissing)
	}
	whole := t.TempDir()
	if err := os.CopyFS(filepath.Join(whole, "home"), os.DirFS(string(home))); err != nil {
		t.Fatal(err)
	}
	for subset := 1; subset < 1<<len(backupParts); subset += 3 {
		var lost []string
		for i, part := range backupParts {
			if subset&(1<<i) != 0 {
				lost = append(lost, part)
			}
		}
		copied := Home(filepath.Join(t.TempDir(), "home"))
		if err := os.CopyFS(string(copied), os.DirFS(filepath.Join(whole, "home"))); err != nil {
			t.Fatal(err)
		}
		without(t, copied, lost...)
		if subset%2 == 0 { // an empty folder is nothing
			for _, part := range []string{"ledger", "vault", "access-log"} {
				if err := os.MkdirAll(copied.path(part), 0o700); err != nil {
					t.Fatal(err)
				}
			}
		}
		r, err := Restore(copied, passphrase, dir)
		if err != nil || fmt.Sprint(r.Put) != fmt.Sprint(lost) || len(r.Put)+len(r.Kept) != len(backupParts) || r.Entries != m.Entries {
			t.Errorf("lost %v: got %+v, %v", lost, r, err)
		}
		if _, err := os.Stat(copied.restoring()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("lost %v: %s is still there", lost, copied.restoring())
		}
		for _, f := range m.Files {
			if slices.Contains(r.Put, f.part()) && sha256.Sum256(read(t, copied.path(f.Path))) != f.SHA256 {
				t.Errorf("lost %v: %s differs", lost, f.Path)
			}
		}
	}
}

// TestARestoredNodeGoesOn: all but keys and signer is lost right after the
// backup; the node goes on where it was.
func TestARestoredNodeGoesOn(t *testing.T) {
	home, dir, m := backedUp(t)
	without(t, home, backupParts...)
	if _, err := Restore(home, passphrase, dir); err != nil {
		t.Fatal(err)
	}
	s := serve(t, home)
	if got := s.node.View().Head().Size; got < m.Entries {
		t.Errorf("the log has %d entries, had %d", got, m.Entries)
	}
	submit(t, s.node, anchor(t, s.node, "minutes of february"))
}

// TestALoneValidatorLacksABlock: its ledger comes from a backup, and it has signed
// one block more. Nobody can give it that block; it says so instead of waiting.
func TestALoneValidatorLacksABlock(t *testing.T) {
	home, dir, m := backedUp(t)
	n := run(t, home, 200*time.Millisecond)
	before := n.View().Head().Height
	eventually(t, "one more block", func() bool { return n.View().Head().Height > before })
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := home.CheckBlocks(); err != nil {
		t.Errorf("a whole ledger: %v", err)
	}
	for _, wal := range []string{"its consensus log", "no consensus log"} {
		without(t, home, "ledger")
		if wal == "no consensus log" {
			without(t, home, "wal")
		}
		if r, err := Restore(home, passphrase, dir); err != nil || r.Entries != m.Entries {
			t.Fatalf("got %+v, %v", r, err)
		}
		if _, err := NewService(home, testConfig(), testOptions(t)); !errors.Is(err, ErrBlocksLost) {
			t.Errorf("with %s: got %v, want %v", wal, err, ErrBlocksLost)
		}
		if err := home.CheckBlocks(); !errors.Is(err, ErrBlocksLost) {
			t.Errorf("with %s, looked at: got %v, want %v", wal, err, ErrBlocksLost)
		}
	}
}

// TestWhatRestoreRefuses: nothing of the home changes.
func TestWhatRestoreRefuses(t *testing.T) {
	home, dir, _ := backedUp(t)
	other, otherDir, _ := backedUp(t)
	without(t, home, "vault")
	copied := func(change func(dir string)) string {
		to := filepath.Join(t.TempDir(), "backup")
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		change(to)
		return to
	}
	rewrite := func(path string, change func([]byte) []byte) {
		if err := os.WriteFile(path, change(read(t, path)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inVault := func(dir string) string {
		files, err := filepath.Glob(filepath.Join(dir, "vault", "MANIFEST-*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no manifest of the vault: %v", err)
		}
		return files[0]
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, c := range map[string]struct {
		dir  string
		want error
	}{
		"another node's":   {otherDir, ErrOtherBackup},
		"without manifest": {copied(func(d string) { os.Remove(filepath.Join(d, manifestName)) }), ErrNoBackup},
		"unfinished":       {copied(func(d string) { os.WriteFile(filepath.Join(d, backupUnfinished), nil, 0o600) }), ErrNoBackup},
		"manifest damaged": {copied(func(d string) { rewrite(filepath.Join(d, manifestName), flip) }), ErrManifest},
		"file changed":     {copied(func(d string) { rewrite(inVault(d), flip) }), ErrBackupDamaged},
		"file longer":      {copied(func(d string) { rewrite(inVault(d), func(b []byte) []byte { return append(b, 0) }) }), ErrBackupDamaged},
		"file missing":     {copied(func(d string) { os.Remove(inVault(d)) }), ErrBackupDamaged},
		"no folder":        {filepath.Join(t.TempDir(), "absent"), ErrNoBackup},
	} {
		if _, err := Restore(home, passphrase, c.dir); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if names := namesIn(t, string(home)); slices.Contains(names, "vault") || slices.Contains(names, restoringName) {
			t.Errorf("%s: the home holds %v", name, names)
		}
	}
	if err := os.Symlink(t.TempDir(), home.Vault()); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(home, passphrase, dir); !errors.Is(err, ErrOtherDisk) {
		t.Errorf("onto a link: got %v, want %v", err, ErrOtherDisk)
	}
	if err := os.Remove(home.Vault()); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(home, []byte("wrong"), dir); err == nil {
		t.Error("a wrong passphrase restores")
	}
	unlock, err := home.begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(home, passphrase, dir); !errors.Is(err, ErrRestoreBusy) {
		t.Errorf("two at a time: got %v, want %v", err, ErrRestoreBusy)
	}
	if err := errors.Join(unlock(), home.abandon()); err != nil {
		t.Fatal(err)
	}
	s := serve(t, other)
	if _, err := Restore(other, passphrase, otherDir); !errors.Is(err, ErrHomeRuns) {
		t.Errorf("home of a node that runs: got %v, want %v", err, ErrHomeRuns)
	}
	if _, err := RestoreKeyring(other, passphrase, dir); !errors.Is(err, ErrHomeRuns) {
		t.Errorf("keyring of a node that runs: got %v, want %v", err, ErrHomeRuns)
	}
	halt(t, s)
	if names := namesIn(t, string(other)); slices.Contains(names, restoringName) {
		t.Errorf("the home holds %v", names)
	}
}

// TestAnInterruptedRestoreKeepsTheNodeFromStarting, and is run again.
func TestAnInterruptedRestoreKeepsTheNodeFromStarting(t *testing.T) {
	home, dir, _ := backedUp(t)
	without(t, home, "vault", "access-log")
	if err := os.MkdirAll(filepath.Join(home.restoring(), "vault"), 0o700); err != nil { // half copied
		t.Fatal(err)
	}
	if _, err := New(home, testConfig(), testOptions(t)); !errors.Is(err, ErrRestoring) {
		t.Errorf("start: got %v, want %v", err, ErrRestoring)
	}
	r, err := Restore(home, passphrase, dir)
	if err != nil || fmt.Sprint(r.Put) != "[access-log vault]" {
		t.Fatalf("got %+v, %v", r, err)
	}
	halt(t, serve(t, home))
}

func testOptions(t *testing.T) Options {
	return Options{Passphrase: passphrase, Log: slog.New(slog.DiscardHandler), Heartbeat: time.Hour, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
}

func testManifest() Manifest {
	id := record.KeyID{7}
	return Manifest{
		Network: [32]byte{1}, Node: strings.Repeat("ab", 20), Custodian: &id, Taken: time.Unix(1_900_000_000, 0).UTC(), Entries: 12, Records: 3,
		Files: []ManifestFile{{"genesis.json", 5, [32]byte{2}}, {"ledger/000012.sst", 4096, [32]byte{3}}, {"vault/LOCK", 0, [32]byte{4}}},
	}
}

// TestManifestIsReadStrictly: every changed byte, and what points elsewhere.
func TestManifestIsReadStrictly(t *testing.T) {
	text := testManifest().Marshal()
	if m, err := ParseManifest(text); err != nil || !bytes.Equal(m.Marshal(), text) {
		t.Fatalf("got %+v, %v", m, err)
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if m, err := ParseManifest(changed); !errors.Is(err, ErrManifest) || m.Files != nil {
			t.Fatalf("byte %d: got %+v, %v", i, m, err)
		}
	}
	for i := range text {
		if _, err := ParseManifest(text[:i]); !errors.Is(err, ErrManifest) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	for _, path := range []string{"rings/x", "../vault/x", "vault/../keys/home.key", "/vault/x", "vault//x", "vault/a b", "", ".", "keys/home.key", "signer/validator.state", "wal/wal"} {
		m := testManifest()
		m.Files = []ManifestFile{{path, 1, [32]byte{}}}
		if _, err := ParseManifest(m.Marshal()); !errors.Is(err, ErrManifest) {
			t.Errorf("file %q: %v", path, err)
		}
	}
	none := testManifest()
	none.Custodian = nil
	if m, err := ParseManifest(none.Marshal()); err != nil || m.Custodian != nil {
		t.Errorf("without a custodian: %+v, %v", m, err)
	}
	twice := testManifest()
	twice.Files[1] = twice.Files[0]
	if _, err := ParseManifest(twice.Marshal()); !errors.Is(err, ErrManifest) {
		t.Errorf("a file twice: %v", err)
	}
}

// FuzzParseManifest: what is read is what would be written.
func FuzzParseManifest(f *testing.F) {
	f.Add(testManifest().Marshal())
	f.Add([]byte(manifestTitle + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err == nil && !bytes.Equal(m.Marshal(), text) {
			t.Errorf("%q is written as %q", text, m.Marshal())
		}
	})
}
