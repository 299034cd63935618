package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	tableSize = 32 << 20 // bytes after which another table begins
	tableSync = 512 << 10
	bottom    = 6 // Pebble's lowest level
)

// tables writes what a new store is to hold into files, in the order of keys.
type tables struct {
	options *pebble.Options
	fs      vfs.FS
	dir     string
	name    string

	table *sstable.Writer // nil before the first key and between two tables
	files []string
}

func newTables(o Options, dir, name string) *tables {
	t := &tables{options: o.pebbleOptions(), fs: o.fs(), dir: dir, name: name}
	t.options.EnsureDefaults()
	return t
}

func (t *tables) set(key, value []byte) error {
	if t.table == nil {
		if err := t.begin(); err != nil {
			return err
		}
	}
	if err := t.table.Set(key, value); err != nil {
		return err
	}
	if t.table.Raw().EstimatedSize() >= tableSize {
		return t.finish()
	}
	return nil
}

func (t *tables) begin() error {
	path := t.fs.PathJoin(t.dir, fmt.Sprintf("%s-%d", t.name, len(t.files)))
	f, err := t.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	// Write as it goes: one large sync would hold up those of everybody else.
	f = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: tableSync})
	format := t.options.FormatMajorVersion.MaxTableFormat()
	t.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), t.options.MakeWriterOptions(bottom, format))
	t.files = append(t.files, path)
	return nil
}

// finish closes the table that was begun, synced.
func (t *tables) finish() error {
	if t.table == nil {
		return nil
	}
	err := t.table.Close()
	t.table = nil
	return err
}

// close finishes the last table after what was set, which may have failed, and
// gives all files.
func (t *tables) close(err error) ([]string, error) {
	if err = errors.Join(err, t.finish()); err != nil {
		return nil, err
	}
	return t.files, nil
}

// storeOf makes a store in dir that takes over files of tables, durably.
func storeOf(o Options, dir string, files []string) (*pebble.DB, error) {
	options := o.pebbleOptions()
	options.ErrorIfExists = true
	db, err := pebble.Open(dir, options)
	if err != nil || len(files) == 0 {
		return db, err
	}
	if err := db.Ingest(context.Background(), files); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
