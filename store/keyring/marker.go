package keyring

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// ErrMarker: a marker file is damaged, or the directory that it names is missing.
var ErrMarker = errors.New("damaged ring marker")

// RingID names a ring: a department's office and a retention class.
type RingID struct{ Department, Class record.Code }

// String gives the ring's name in files, as "CLERK_MINUTES". Codes have no
// underscore.
func (id RingID) String() string { return string(id.Department) + "_" + string(id.Class) }

func (id RingID) valid() bool { return id.Department.Valid() && id.Class.Valid() }

func parseRingID(name string) (RingID, bool) {
	department, class, _ := strings.Cut(name, "_")
	id := RingID{record.Code(department), record.Code(class)}
	return id, id.valid()
}

// Names of files below the keyring's directory.
const (
	ringPrefix    = "ring-"
	markerSuffix  = ".epoch"
	journalSuffix = ".journal"
	reportSuffix  = ".report"
	newSuffix     = ".new" // of a file that is being replaced
)

func (id RingID) marker() string { return ringPrefix + id.String() + markerSuffix }

func (id RingID) journal() string { return ringPrefix + id.String() + journalSuffix }

func (id RingID) report() string { return ringPrefix + id.String() + reportSuffix }

func (id RingID) directory(epoch uint64) string {
	return ringPrefix + id.String() + "-" + strconv.FormatUint(epoch, 10)
}

// parseDirectory reads what directory wrote.
func parseDirectory(name string) (id RingID, epoch uint64, ok bool) {
	dash := strings.LastIndexByte(name, '-')
	if !strings.HasPrefix(name, ringPrefix) || dash < len(ringPrefix) {
		return RingID{}, 0, false
	}
	epoch, err := strconv.ParseUint(name[dash+1:], 10, 64)
	id, ok = parseRingID(name[len(ringPrefix):dash])
	if err != nil || !ok || id.directory(epoch) != name {
		return RingID{}, 0, false
	}
	return id, epoch, true
}

const markerHead = "muniment ring epoch v1"

func markerText(epoch uint64) []byte { return fmt.Appendf(nil, "%s\n%d\n", markerHead, epoch) }

// parseMarker reads what markerText wrote.
func parseMarker(text []byte) (uint64, error) {
	number, ok := strings.CutPrefix(string(text), markerHead+"\n")
	epoch, err := strconv.ParseUint(strings.TrimSuffix(number, "\n"), 10, 64)
	if !ok || err != nil || epoch == 0 || string(markerText(epoch)) != string(text) {
		return 0, fmt.Errorf("%w: %.80q", ErrMarker, text)
	}
	return epoch, nil
}

// replaceFile makes data the content of a file, durably: after a crash the file
// holds the old or the new content, whole.
func replaceFile(fs vfs.FS, dir, name string, data []byte) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+newSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = fs.Rename(path+newSuffix, path)
	}
	if err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// syncDir makes the names in a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

const maxFile = 4096 // bytes of a marker or wrapped key

func readFile(fs vfs.FS, dir, name string, limit int) ([]byte, error) {
	f, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return data, err
}
