package keyring

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// ErrBackup: what is to be restored is not a backup of a keyring, or was changed.
var ErrBackup = errors.New("damaged backup of a keyring")

// restoreSuffix ends the name of the directory in which a keyring is restored
// before it gets its own.
const restoreSuffix = ".restore"

// Restore makes the keyring's directory dir, which does not exist (fs.ErrExist),
// of what Backup wrote, and tells how many states there are in it. Every key is
// unwrapped and every state opened: a backup of another root, or of an epoch whose
// key a device has destroyed, is ErrRoot, and one with any byte changed ErrBackup,
// ErrRoot or ErrDamaged. All is there when it returns, and nothing after an error
// or a crash but a directory beside, which Open and the next Restore remove.
func Restore(dir string, root Root, r io.Reader, o Options) (states uint64, err error) {
	disk := o.fs()
	if _, err := disk.Stat(dir); err == nil || !isNotExist(err) {
		if err == nil {
			err = fs.ErrExist
		}
		return 0, fmt.Errorf("restore keyring into %s: %w", dir, err)
	}
	s := restorer{
		options: o, fs: disk, dir: disk.PathJoin(dir) + restoreSuffix, root: root,
		from: bufio.NewReaderSize(r, 1<<16), sum: sha256.New(),
	}
	err = s.restore()
	if err == nil {
		err = disk.Rename(s.dir, dir)
	}
	if err != nil {
		return 0, fmt.Errorf("restore keyring: %w", errors.Join(err, disk.RemoveAll(s.dir)))
	}
	if err := syncDir(disk, disk.PathDir(dir)); err != nil {
		return 0, fmt.Errorf("restore keyring: %w", err)
	}
	return s.states, nil
}

// restorer reads a backup item by item and writes the files that it came from.
type restorer struct {
	options Options
	fs      vfs.FS
	dir     string
	root    Root
	from    *bufio.Reader
	sum     hash.Hash // of what was read
	states  uint64

	office record.Code   // the last one
	ring   *restoredRing // that entries are of; nil before the first
}

// restoredRing is a ring on its way to the disk.
type restoredRing struct {
	entries entries
	raw     []byte // META
	dir     string
	tables  *tables
}

func (s *restorer) restore() error {
	if err := s.fs.RemoveAll(s.dir); err != nil {
		return err
	}
	if err := s.fs.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	head, err := s.take(len(backupHead))
	if err != nil || string(head) != backupHead {
		return fmt.Errorf("%w: it does not begin as one", ErrBackup)
	}
	for isEnd := false; !isEnd; {
		item, err := s.take(1)
		if err != nil {
			return err
		}
		switch item[0] {
		case itemOffice:
			err = s.takeOffice()
		case itemRing:
			err = s.takeRing()
		case itemEntry:
			err = s.takeEntry()
		case itemEnd:
			err = s.takeEnd()
			isEnd = true
		default:
			err = fmt.Errorf("%w: item of kind %d", ErrBackup, item[0])
		}
		if err != nil {
			if s.ring != nil {
				_, err = s.ring.tables.close(err)
			}
			return err
		}
	}
	return syncDir(s.fs, s.dir)
}

func (s *restorer) takeOffice() error {
	name, wrapped, err := s.takeItem(1, 255, 2, maxFile)
	if err != nil {
		return err
	}
	office := record.Code(name)
	if !office.Valid() || office <= s.office || s.ring != nil {
		return fmt.Errorf("%w: office %.40q is not where it belongs", ErrBackup, office)
	}
	s.office = office
	if _, err := unwrapFor(s.root, officeUse(office), wrapped); err != nil {
		return fmt.Errorf("key of office %s: %w", office, err)
	}
	return replaceFile(s.fs, s.dir, officeFile(office), wrapped)
}

func (s *restorer) takeRing() error {
	name, raw, err := s.takeItem(1, 255, 2, metaSize+maxWrapped)
	if err != nil {
		return err
	}
	id, ok := parseRingID(string(name))
	if !ok || s.ring != nil && id.String() <= s.ring.entries.ring.id.String() {
		return fmt.Errorf("%w: ring %.80q is not where it belongs", ErrBackup, name)
	}
	if err := s.finishRing(); err != nil {
		return err
	}
	m, err := parseMeta(raw)
	if err != nil {
		return err
	}
	key, err := unwrapFor(s.root, m.use(id), m.wrapped)
	if err != nil {
		return fmt.Errorf("ring %s: %w", id, err)
	}
	aead, err := newCipher(key)
	if err == nil {
		err = m.check(aead, id)
	}
	if err != nil {
		return fmt.Errorf("ring %s: %w", id, err)
	}
	r := &restoredRing{raw: raw, dir: s.fs.PathJoin(s.dir, id.directory(m.epoch))}
	r.entries.ring = &ring{id: id, meta: m, aead: aead, place: placeOf(id, m.epoch)}
	r.tables = newTables(s.options, r.dir, "restored")
	s.ring = r
	return s.fs.MkdirAll(r.dir, 0o700)
}

func (s *restorer) takeEntry() error {
	key, value, err := s.takeItem(1, 255, 4, maxEntry)
	if err != nil {
		return err
	}
	if s.ring == nil {
		return fmt.Errorf("%w: an entry of no ring", ErrBackup)
	}
	if err := s.ring.entries.check(key, value); err != nil {
		return err
	}
	return s.ring.tables.set(key, value)
}

// finishRing makes the store of the ring whose entries have come, and its marker.
func (s *restorer) finishRing() error {
	r := s.ring
	if r == nil {
		return nil
	}
	s.ring = nil
	files, err := r.tables.close(nil)
	if err != nil {
		return err
	}
	db, err := storeOf(s.options, r.dir, files)
	if err != nil {
		return err
	}
	err = db.Set([]byte{prefixMeta}, r.raw, pebble.Sync)
	if err == nil {
		err = db.Flush() // see writeMeta
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	s.states += r.entries.states
	id := r.entries.ring.id
	return replaceFile(s.fs, s.dir, id.marker(), markerText(r.entries.ring.meta.epoch))
}

// takeEnd reads the hash of all that was read, and demands that nothing follows.
func (s *restorer) takeEnd() error {
	if err := s.finishRing(); err != nil {
		return err
	}
	sum := s.sum.Sum(nil)
	told, err := s.take(len(sum))
	if err != nil {
		return err
	}
	if !bytes.Equal(told, sum) {
		return fmt.Errorf("%w: its hash is another one", ErrBackup)
	}
	if _, err := s.from.ReadByte(); err != io.EOF {
		return fmt.Errorf("%w: something follows its end", errors.Join(ErrBackup, err))
	}
	return nil
}

// takeItem reads two fields, each after its size in so many bytes.
func (s *restorer) takeItem(firstSize, maxFirst, secondSize, maxSecond int) (first, second []byte, err error) {
	if first, err = s.takeField(firstSize, maxFirst); err != nil {
		return nil, nil, err
	}
	second, err = s.takeField(secondSize, maxSecond)
	return first, second, err
}

func (s *restorer) takeField(size, limit int) ([]byte, error) {
	head, err := s.take(size)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(append(make([]byte, 4-size), head...))
	if uint64(n) > uint64(limit) {
		return nil, fmt.Errorf("%w: a field of %d bytes, at most %d", ErrBackup, n, limit)
	}
	return s.take(int(n))
}

// take reads n bytes; memory is used as they come, whatever n says.
func (s *restorer) take(n int) ([]byte, error) {
	var b bytes.Buffer
	if _, err := io.CopyN(&b, s.from, int64(n)); err != nil {
		if err == io.EOF {
			err = fmt.Errorf("%w: it ends early", ErrBackup)
		}
		return nil, err
	}
	s.sum.Write(b.Bytes())
	return b.Bytes(), nil
}
