package node

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
)

var (
	// ErrNoBackup is returned for a folder that is no finished backup.
	ErrNoBackup = errors.New("no finished backup")
	// ErrBackupDamaged is returned for a backup that is not what its manifest says.
	ErrBackupDamaged = errors.New("backup is not what its manifest says")
	// ErrOtherBackup is returned for a backup of another node or network.
	ErrOtherBackup = errors.New("backup is another node's")
	// ErrHomeRuns is returned where the node of a home is running.
	ErrHomeRuns = errors.New("the node of this home is running")
	// ErrRestoring is returned for a home in which a restore was interrupted.
	ErrRestoring = errors.New("a restore was interrupted here")
	// ErrOtherDisk is returned where a part of a home is a link, or a file system
	// of its own: nothing can be moved there in one step.
	ErrOtherDisk = errors.New("it is a link or a file system of its own: take that away, restore, and move what was restored there")
	// ErrRestoreBusy is returned while another restore goes on in the home.
	ErrRestoreBusy = errors.New("another restore is under way in this home")
	// ErrNothingMissing is returned where a home has all that a backup holds.
	ErrNothingMissing = errors.New("nothing is missing in this home, so nothing was restored")
)

// Names in a home that is being restored.
const (
	restoringName   = "restoring"
	restoringStaged = "staged" // file in it: everything is there, and is what the manifest says
	ringsPart       = "rings"
)

// restoring gives the folder in which parts of the home are put together.
func (h Home) restoring() string { return h.path(restoringName) }

// Restored is what a restore did.
type Restored struct {
	Put     []string // parts that came from the backup
	Kept    []string // parts that were there and were left alone
	Entries int64    // of the log in the backup
	Records uint64   // or states of a keyring
	Taken   time.Time
}

// Restore puts the parts that a home lacks back from a backup. The home has its
// keys, and its node is stopped. The steps:
//
//  1. HOME/restoring, which keeps the node from starting
//  2. the node is stopped; the backup is finished, and this node's
//  3. the missing parts are copied there; each file is compared with the manifest
//     and synced; then the file that says so
//  4. each part moves into the home by one step of the file system
//  5. HOME/restoring goes
//
// Until step 4 nothing of the home is changed. A restore that was interrupted is
// run again: before the end of step 3 it begins anew, after it it goes on.
func Restore(home Home, passphrase []byte, dir string) (Restored, error) {
	r, err := home.restore(func(staging string, r *Restored) error {
		m, err := readManifest(dir)
		if err != nil {
			return err
		}
		keys, err := OpenKeys(home, passphrase)
		if err != nil {
			return err
		}
		if err := m.isOf(home, keys); err != nil {
			return err
		}
		r.Entries, r.Records, r.Taken = m.Entries, m.Records, m.Taken
		return m.stage(home, dir, staging, r)
	})
	if err != nil {
		return Restored{}, fmt.Errorf("restore %s: %w", dir, err)
	}
	return r, nil
}

// RestoreKeyring puts the rings of a home back from a backup of the keyring,
// where the home has none. Every ring has to open under the home's root. The
// steps are those of Restore.
func RestoreKeyring(home Home, passphrase []byte, file string) (Restored, error) {
	r, err := home.restore(func(staging string, r *Restored) (err error) {
		if there, err := present(home.Rings()); err != nil || there {
			r.Kept = []string{ringsPart}
			return err
		}
		root, done, err := home.RingRoot(passphrase)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		r.Put = []string{ringsPart}
		r.Records, err = keyring.Restore(filepath.Join(staging, ringsPart), root, f, keyring.Options{})
		if errors.Is(err, keyring.ErrRoot) {
			err = fmt.Errorf("%w, or older than the last erasure, which has destroyed its key in the device: %w", ErrOtherBackup, err)
		}
		return err
	})
	if err != nil {
		return Restored{}, fmt.Errorf("restore keyring from %s: %w", file, err)
	}
	return r, nil
}

// restore takes the steps; stage is the third.
func (h Home) restore(stage func(staging string, r *Restored) error) (r Restored, err error) {
	unlock, err := h.begin()
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	_, err = os.Lstat(filepath.Join(h.restoring(), restoringStaged))
	resumed := err == nil
	if resumed { // what was interrupted is finished first
		if err := h.moveIn(&r); err != nil {
			return Restored{}, err
		}
		if err := os.Mkdir(h.restoring(), 0o700); err != nil {
			return Restored{}, err
		}
	}
	finished := r.Put
	r.Put = nil
	if err = emptyFolder(h.restoring()); err == nil {
		err = stage(h.restoring(), &r)
	}
	if err != nil || len(r.Put) == 0 {
		if err == nil && !resumed {
			err = ErrNothingMissing
		}
		r.Put = finished
		return r, errors.Join(err, os.RemoveAll(h.restoring()))
	}
	crashpoint("restore: copied")
	if err := replaceFile(filepath.Join(h.restoring(), restoringStaged), nil, nil); err != nil {
		return Restored{}, err
	}
	crashpoint("restore: staged")
	err = h.moveIn(&r)
	r.Put = append(finished, r.Put...)
	return r, err
}

// begin takes the steps 1 and half of 2. One restore at a time: the lock on the
// home's folder is given back by unlock, as those of its stores are.
func (h Home) begin() (unlock func() error, err error) {
	folder, err := os.Open(string(h))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrRestoreBusy, err), folder.Close())
	}
	if err := os.Mkdir(h.restoring(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(err, folder.Close())
	}
	stores, err := h.lock()
	if err != nil {
		return nil, errors.Join(err, h.abandon(), folder.Close())
	}
	crashpoint("restore: begun")
	return func() error { return errors.Join(stores(), folder.Close()) }, nil
}

// abandon takes back step 1, unless there is an earlier restore to go on with.
func (h Home) abandon() error {
	err := os.Remove(h.restoring())
	if errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}

// lock makes sure that no node runs in the home: none answers, and the locks of
// its stores are free. They are held until unlock, so that none can start.
func (h Home) lock() (unlock func() error, err error) {
	if conn, err := net.DialTimeout("unix", h.Socket(), time.Second); err == nil {
		return nil, errors.Join(ErrHomeRuns, conn.Close())
	}
	var held []io.Closer
	unlock = func() (err error) {
		for _, l := range held {
			err = errors.Join(err, l.Close())
		}
		return err
	}
	for _, store := range []string{h.Ledger(), h.Vault()} {
		path := filepath.Join(store, "LOCK")
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		l, err := vfs.Default.Lock(path)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", ErrHomeRuns, err), unlock())
		}
		held = append(held, l)
	}
	return unlock, nil
}

// moveIn takes the steps 4 and 5. Nothing that is in the home is replaced.
func (h Home) moveIn(r *Restored) error {
	staged, err := os.ReadDir(h.restoring())
	if err != nil {
		return err
	}
	for _, part := range append(slices.Clone(backupParts), ringsPart) {
		if !slices.ContainsFunc(staged, func(e fs.DirEntry) bool { return e.Name() == part }) {
			continue
		}
		there, err := present(h.path(part))
		if err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w: %s came into being meanwhile: move it away and restore again", ErrRestoring, h.path(part))
		}
		// A folder takes the place of an empty one, which os.Rename would refuse.
		if err := unix.Rename(filepath.Join(h.restoring(), part), h.path(part)); err != nil {
			return err
		}
		if err := errors.Join(syncDirectory(string(h)), syncDirectory(h.restoring())); err != nil {
			return err
		}
		crashpoint("restore: moved " + part)
		if !slices.Contains(r.Put, part) {
			r.Put = append(r.Put, part)
		}
	}
	if err := h.create(); err != nil {
		return err
	}
	if err := os.RemoveAll(h.restoring()); err != nil {
		return err
	}
	return syncDirectory(string(h))
}

// CheckRestored refuses a home in which a restore was interrupted.
func (h Home) CheckRestored() error {
	if _, err := os.Lstat(h.restoring()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("home %s: %w", h, ErrRestoring)
}

// present says whether a part is in a home. An empty folder or file is nothing,
// and another folder can take its place.
func present(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case info.Mode().IsRegular():
		return info.Size() > 0, nil
	}
	if entries, err := os.ReadDir(path); len(entries) > 0 || err != nil && info.IsDir() {
		return true, err
	}
	var here, above unix.Stat_t
	if err := errors.Join(unix.Lstat(path, &here), unix.Stat(filepath.Dir(path), &above)); err != nil {
		return false, err
	}
	if !info.IsDir() || here.Dev != above.Dev {
		return false, fmt.Errorf("%s: %w", path, ErrOtherDisk)
	}
	return false, nil
}

// emptyFolder removes what is in a folder.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// readManifest reads the manifest of a backup. A backup without one was never
// finished.
func readManifest(dir string) (Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("%w: there is no %s in it", ErrNoBackup, manifestName)
	}
	if err != nil {
		return Manifest{}, err
	}
	if _, err := os.Lstat(filepath.Join(dir, backupUnfinished)); err == nil {
		return Manifest{}, fmt.Errorf("%w: it was interrupted", ErrNoBackup)
	}
	return ParseManifest(text)
}

// isOf checks that a backup is of the node that has the keys, and of the network
// of its home.
func (m Manifest) isOf(home Home, keys Keys) error {
	// The backup may be older than the present keys, and a new one may wait for its
	// decision: what counts is that the home has the key under which it was made.
	node, custodian := false, keys.Custodian == nil && m.Custodian == nil
	for _, g := range keys.chain.Generations() {
		switch key := g.Public(); g.Use {
		case "node":
			node = node || m.Node == receipt.NodeID(key[:])
		case "custodian":
			custodian = custodian || m.Custodian != nil && *m.Custodian == record.KeyIDOf(key[:])
		}
	}
	if !custodian {
		var mine Manifest
		if key, ok := custodianOf(keys.Fact(0)); ok {
			mine.Custodian = &key
		}
		return fmt.Errorf("%w: its custodian key is %.16s, this home's is %.16s", ErrOtherBackup, m.custodian(), mine.custodian())
	}
	if !node {
		return fmt.Errorf("%w: it is of node %s, this home is of %s", ErrOtherBackup, m.Node, keys.ID())
	}
	genesis, err := os.ReadFile(home.Genesis())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it comes from the backup
	}
	if err == nil && sha256.Sum256(genesis) != m.Network {
		err = fmt.Errorf("%w: it is of network %x, genesis.json of this home is of another", ErrOtherBackup, m.Network[:8])
	}
	return err
}

// stage copies the parts that the home lacks, and compares every file.
func (m Manifest) stage(home Home, dir, staging string, r *Restored) error {
	for _, part := range backupParts {
		files := slices.DeleteFunc(slices.Clone(m.Files), func(f ManifestFile) bool { return f.part() != part })
		if len(files) == 0 {
			continue
		}
		there, err := present(home.path(part))
		if err != nil {
			return err
		}
		if there {
			r.Kept = append(r.Kept, part)
			continue
		}
		for _, f := range files {
			if err := f.copy(dir, staging); err != nil {
				return fmt.Errorf("%s: %w", f.Path, err)
			}
		}
		if err := syncFolders(filepath.Join(staging, part)); err != nil {
			return err
		}
		crashpoint("restore: copied " + part)
		r.Put = append(r.Put, part)
	}
	if err := m.checkGenesis(staging); err != nil {
		return err
	}
	return syncDirectory(staging)
}

// checkGenesis compares a genesis document that comes from the backup with the
// network that the manifest names.
func (m Manifest) checkGenesis(staging string) error {
	genesis, err := os.ReadFile(filepath.Join(staging, "genesis.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && sha256.Sum256(genesis) != m.Network {
		err = fmt.Errorf("%w: genesis.json is of another network", ErrBackupDamaged)
	}
	return err
}

// copy copies a file, durably, if it is what the manifest says.
func (f ManifestFile) copy(from, to string) error {
	source, err := os.Open(filepath.Join(from, filepath.FromSlash(f.Path)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it is missing", ErrBackupDamaged)
	}
	if err != nil {
		return err
	}
	defer source.Close()
	path := filepath.Join(to, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	target, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(target, h), io.LimitReader(source, f.Size+1))
	if err == nil && (size != f.Size || !bytes.Equal(h.Sum(nil), f.SHA256[:])) {
		err = fmt.Errorf("%w: it was changed", ErrBackupDamaged)
	}
	if err == nil {
		err = target.Sync()
	}
	return errors.Join(err, target.Close())
}

// syncFolders makes all names below a path durable.
func syncFolders(path string) error {
	return filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDirectory(path)
	})
}
