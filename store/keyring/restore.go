package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// restoreSuffix ends the name of the directory in which a keyring is restored
// before it gets its own.
const restoreSuffix = ".restore"

// Restore makes the keyring's directory dir, which does not exist (fs.ErrExist),
// of what Backup wrote, and tells how many states there are in it. Every key is
// unwrapped and every state opened: a backup of another root, or of an epoch whose
// key a device has destroyed, is ErrRoot, and one with any byte changed ErrBackup,
// ErrRoot or ErrDamaged. All is there when it returns. After an error or a crash all
// or nothing is there, and a directory beside, which Open and the next Restore remove.
func Restore(dir string, root Root, r io.Reader, o Options) (states uint64, err error) {
	disk := o.fs()
	if _, err := disk.Stat(dir); err == nil || !isNotExist(err) {
		if err == nil {
			err = fs.ErrExist
		}
		return 0, fmt.Errorf("restore keyring into %s: %w", dir, err)
	}
	s := restorer{options: o, fs: disk, dir: disk.PathJoin(dir) + restoreSuffix}
	states, err = s.restore(root, r)
	if err == nil {
		err = disk.Rename(s.dir, dir)
	}
	if err != nil {
		return 0, fmt.Errorf("restore keyring: %w", errors.Join(err, disk.RemoveAll(s.dir)))
	}
	if err := syncDir(disk, disk.PathDir(dir)); err != nil {
		return 0, fmt.Errorf("restore keyring: %w", err)
	}
	return states, nil
}

// restorer writes the files of a keyring from the items of a backup.
type restorer struct {
	options Options
	fs      vfs.FS
	dir     string

	ring   *ring // whose entries come
	meta   []byte
	tables *tables // of its entries; nil when they are in its store
}

func (s *restorer) restore(root Root, r io.Reader) (states uint64, err error) {
	if err := s.fs.RemoveAll(s.dir); err != nil {
		return 0, err
	}
	if err := s.fs.MkdirAll(s.dir, 0o700); err != nil {
		return 0, err
	}
	b := backupReader{root: root, office: s.office, ring: s.begin, entry: s.entry, end: s.end}
	if err := b.read(r); err != nil {
		if s.tables != nil {
			_, err = s.tables.close(err)
		}
		return 0, err
	}
	return b.states, syncDir(s.fs, s.dir)
}

func (s *restorer) office(office record.Code, wrapped []byte) error {
	return replaceFile(s.fs, s.dir, officeFile(office), wrapped)
}

func (s *restorer) ringDir() string {
	return s.fs.PathJoin(s.dir, s.ring.id.directory(s.ring.meta.epoch))
}

func (s *restorer) begin(r *ring, meta []byte) error {
	s.ring, s.meta = r, meta
	s.tables = newTables(s.options, s.ringDir(), "restored")
	return s.fs.MkdirAll(s.ringDir(), 0o700)
}

func (s *restorer) entry(key, value []byte) error { return s.tables.set(key, value) }

// end makes the store of the ring whose entries have come, and its marker.
func (s *restorer) end() error {
	files, err := s.tables.close(nil)
	s.tables = nil
	if err != nil {
		return err
	}
	db, err := storeOf(s.options, s.ringDir(), files)
	if err != nil {
		return err
	}
	err = db.Set([]byte{prefixMeta}, s.meta, pebble.Sync)
	if err == nil {
		err = db.Flush() // see writeMeta
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return replaceFile(s.fs, s.dir, s.ring.id.marker(), markerText(s.ring.meta.epoch))
}
