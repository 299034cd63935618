package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/state"
	"github.com/muniment/muniment/store/vault"
)

var (
	// ErrBackupPath is returned for a place where no backup can be made.
	ErrBackupPath = errors.New("no backup can be made there")
	// ErrBackupBusy is returned while another backup goes on.
	ErrBackupBusy = errors.New("another backup is under way")
	// ErrNoRings is returned where a keyring is asked of a node that has none.
	ErrNoRings = errors.New("this node keeps no content and has no keyring")
)

// Names beside and in a backup that is being made.
const (
	backupNew        = ".new"       // after the name of what is being made
	backupUnfinished = "unfinished" // file that says so
)

// KeyringBackup is what a backup of the keyring holds.
type KeyringBackup struct {
	States uint64
	Bytes  int64
}

// Backup writes a backup into a folder that does not exist, while the node goes
// on: everything but what opens content and what was signed. The steps:
//
//  1. DIR.new, with a file that says that it is unfinished
//  2. the vault as it is at one moment, then the ledger as it is at a later one,
//     so that the ledger knows of all that the vault has followed; then the rest
//  3. vault and ledger are opened there, and every file is hashed and synced
//  4. the manifest, synced; the file of step 1 goes
//  5. DIR.new becomes DIR in one step of the file system
//
// Whatever a crash leaves is called DIR.new, which no restore accepts and the
// next backup of that name removes.
func (s *Service) Backup(ctx context.Context, dir string) (Manifest, error) {
	if !s.backingUp.TryLock() {
		return Manifest{}, fmt.Errorf("back up into %s: %w", dir, ErrBackupBusy)
	}
	defer s.backingUp.Unlock()
	m, err := s.backup(ctx, dir)
	if err != nil {
		return Manifest{}, fmt.Errorf("back up into %s: %w", dir, err)
	}
	s.node.log.Info("backup made", "entries", m.Entries, "records", m.Records, "bytes", m.Bytes())
	return m, nil
}

func (s *Service) backup(ctx context.Context, dir string) (Manifest, error) {
	if err := s.node.home.checkBackupPath(dir); err != nil {
		return Manifest{}, err
	}
	next := dir + backupNew
	if err := clearUnfinished(next); err != nil {
		return Manifest{}, err
	}
	m, err := s.backupInto(ctx, next)
	if err == nil {
		err = publish(next, dir)
	}
	if err != nil {
		return Manifest{}, errors.Join(err, os.RemoveAll(next))
	}
	crashpoint("backup: published")
	return m, nil
}

// checkBackupPath refuses what is taken, and what would be lost with the home.
func (h Home) checkBackupPath(path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || filepath.Base(path) == "/" {
		return fmt.Errorf("%w: name it by a whole path", ErrBackupPath)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%w: it is there already", ErrBackupPath), err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackupPath, err)
	}
	home, err := filepath.Abs(string(h))
	if err == nil {
		home, err = filepath.EvalSymlinks(home)
	}
	if err != nil {
		return err
	}
	if parent == home || strings.HasPrefix(parent, home+string(filepath.Separator)) {
		return fmt.Errorf("%w: it would be lost with the home", ErrBackupPath)
	}
	return nil
}

// clearUnfinished removes what a crash left of an earlier backup, and refuses
// what is none.
func clearUnfinished(next string) error {
	if _, err := os.Lstat(next); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, mark := range []string{backupUnfinished, manifestName} {
		if _, err := os.Lstat(filepath.Join(next, mark)); err == nil {
			return os.RemoveAll(next)
		}
	}
	if err := os.Remove(next); err != nil { // an empty folder of a crash in step 1
		return fmt.Errorf("%w: %s is in the way", ErrBackupPath, next)
	}
	return nil
}

// backupInto takes the steps 1 to 4.
func (s *Service) backupInto(ctx context.Context, next string) (Manifest, error) {
	if err := os.Mkdir(next, 0o700); err != nil {
		return Manifest{}, err
	}
	if err := replaceFile(filepath.Join(next, backupUnfinished), nil, nil); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Network: s.node.network.ID, Node: s.node.keys.ID(), Taken: s.node.now().UTC().Truncate(1e9)}
	if s.custody != nil {
		key := public(s.node.keys.Custodian)
		id := record.KeyIDOf(key[:])
		m.Custodian = &id
	}
	for _, step := range []struct {
		name string
		run  func(*Manifest) error
	}{
		{"vault", func(m *Manifest) error { return s.copyVault(filepath.Join(next, "vault")) }},
		{"ledger", func(m *Manifest) error { return s.copyLedger(filepath.Join(next, "ledger")) }},
		{"access log", func(m *Manifest) error { return s.copyAccesses(filepath.Join(next, "access-log")) }},
		{"files", func(m *Manifest) error { return s.node.home.copyFiles(next) }},
		{"handovers", func(m *Manifest) error { return s.node.home.copyEras(filepath.Join(next, "eras")) }}, // of all eras of the ledger
		{"opening", func(m *Manifest) error { return m.open(next) }},
		{"hashing", func(m *Manifest) error { return m.hash(ctx, next) }},
		{"manifest", func(m *Manifest) error { return replaceFile(filepath.Join(next, manifestName), m.Marshal(), nil) }},
		{"finishing", func(m *Manifest) error { return os.Remove(filepath.Join(next, backupUnfinished)) }},
	} {
		if err := ctx.Err(); err != nil {
			return Manifest{}, err
		}
		if err := step.run(&m); err != nil {
			return Manifest{}, fmt.Errorf("%s: %w", step.name, err)
		}
		crashpoint("backup: " + step.name)
	}
	return m, syncDirectory(next)
}

func (s *Service) copyVault(dir string) error {
	if s.vault == nil {
		return os.Mkdir(dir, 0o700)
	}
	return s.vault.Checkpoint(dir)
}

func (s *Service) copyLedger(dir string) error {
	return s.node.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

func (s *Service) copyAccesses(dir string) error {
	if s.accesses == nil {
		return os.Mkdir(dir, 0o700)
	}
	_, err := s.accesses.Copy(dir)
	return err
}

// copyFiles copies the files of the home that are no secret. There may be no
// configuration: then all settings have their defaults.
func (h Home) copyFiles(dir string) error {
	for _, path := range []string{h.Genesis(), h.Network(), h.Config()} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && path == h.Config() {
			continue
		}
		if err == nil {
			err = replaceFile(filepath.Join(dir, filepath.Base(path)), data, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyEras copies the handovers. There are none while the first era is in force.
func (h Home) copyEras(dir string) error {
	files, err := os.ReadDir(h.Eras())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	for _, f := range files {
		if err != nil {
			return err
		}
		if filepath.Ext(f.Name()) != handoverSuffix {
			continue // being written
		}
		var text []byte
		if text, err = os.ReadFile(filepath.Join(h.Eras(), f.Name())); err == nil {
			err = replaceFile(filepath.Join(dir, f.Name()), text, nil)
		}
	}
	return err
}

// open opens vault and ledger of a backup, counts what is in them, and checks
// that the ledger is not the older one: a backup that nobody has opened is none.
func (m *Manifest) open(dir string) error {
	var damage error
	entries, err := ledgerSize(filepath.Join(dir, "ledger"))
	if err != nil {
		return err
	}
	m.Entries = entries
	if m.Custodian == nil {
		return nil
	}
	v, err := vault.Open(filepath.Join(dir, "vault"), vault.Options{Fatal: func(err error) { damage = err }})
	if err != nil {
		return err
	}
	position, err := v.Position()
	if err == nil {
		m.Records, err = v.Count()
	}
	if err := errors.Join(err, v.Close(), damage); err != nil {
		return err
	}
	if int64(position) > entries {
		return fmt.Errorf("the vault has followed the log to entry %d, the ledger has %d", position, entries)
	}
	return nil
}

// ledgerSize opens a ledger, changing nothing, and gives the entries of its log.
func ledgerSize(dir string) (int64, error) {
	options := state.NewOptions(state.Options{Exit: func(int) {}})
	options.ReadOnly = true
	db, err := pebble.Open(dir, options)
	if err != nil {
		return 0, err
	}
	s, err := state.Open(db)
	if err != nil {
		return 0, errors.Join(err, db.Close())
	}
	return s.View().Head().Size, db.Close()
}

// hash notes every file of the parts, for the owner alone, and has it on disk.
func (m *Manifest) hash(ctx context.Context, dir string) error {
	m.Files = nil
	for _, part := range backupParts {
		err := filepath.WalkDir(filepath.Join(dir, part), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && (part == "munimentd.toml" || part == "eras") {
				return nil
			}
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if d.IsDir() {
				return errors.Join(os.Chmod(path, 0o700), syncDirectory(path))
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			f := ManifestFile{Path: filepath.ToSlash(name)}
			if f.Size, f.SHA256, err = hashFile(path); err != nil {
				return err
			}
			m.Files = append(m.Files, f)
			return nil
		})
		if err != nil {
			return err
		}
	}
	m.sort()
	return nil
}

// hashFile hashes a file and has it on disk.
func hashFile(path string) (size int64, sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, sum, err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, sum, err
	}
	return size, [32]byte(h.Sum(nil)), f.Sync()
}

// BackupKeyring writes the keyring, sealed as it is, into a file that does not
// exist, while the node goes on. During a rotation it waits for the end.
func (s *Service) BackupKeyring(path string) (KeyringBackup, error) {
	if s.rings == nil {
		return KeyringBackup{}, ErrNoRings
	}
	if !s.backingUp.TryLock() {
		return KeyringBackup{}, fmt.Errorf("back up the keyring into %s: %w", path, ErrBackupBusy)
	}
	defer s.backingUp.Unlock()
	b, err := s.backupKeyring(path)
	if err != nil {
		return KeyringBackup{}, fmt.Errorf("back up the keyring into %s: %w", path, err)
	}
	s.node.log.Info("backup of the keyring made", "states", b.States, "bytes", b.Bytes)
	return b, nil
}

func (s *Service) backupKeyring(path string) (b KeyringBackup, err error) {
	if err := s.node.home.checkBackupPath(path); err != nil {
		return KeyringBackup{}, err
	}
	next := path + backupNew
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return KeyringBackup{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(next))
		}
	}()
	b.States, err = s.rings.Backup(f)
	if err == nil {
		crashpoint("backup: keyring")
		b.Bytes, err = f.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return KeyringBackup{}, err
	}
	crashpoint("backup: keyring synced")
	return b, publish(next, path)
}

// publish gives what was made its name, durably, and replaces nothing.
func publish(next, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, next, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // a file system over the network, say
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("rename %s: %w", next, err)
	}
	return syncDirectory(filepath.Dir(path))
}
