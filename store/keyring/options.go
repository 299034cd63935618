package keyring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say where rings live and what happens when the disk fails. The zero
// value is right for a node.
type Options struct {
	FS vfs.FS // nil: the operating system's
	// Fatal is told of a failed sync or a damaged store and does not return; nil
	// prints the error and ends the process with status 1.
	Fatal func(error)
}

func (o Options) fs() vfs.FS {
	if o.FS == nil {
		return vfs.Default
	}
	return o.FS
}

func (o Options) fatal(err error) {
	if o.Fatal != nil {
		o.Fatal(err)
	} else {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	panic(err) // the callback came back
}

// pebbleOptions are those of a store that must be able to forget.
func (o Options) pebbleOptions() *pebble.Options {
	options := &pebble.Options{
		FS:                  eraseFS{o.fs()},
		Cleaner:             pebble.ArchiveCleaner{}, // see eraseFS
		Logger:              logger{o},
		EventListener:       &pebble.EventListener{BackgroundError: logger{o}.background},
		FormatMajorVersion:  pebble.FormatNewest,
		MemTableSize:        4 << 20,
		CacheSize:           1 << 20,
		MaxManifestFileSize: 1 << 20,
		MaxOpenFiles:        64,
	}
	// Sealed states do not compress, and a scan for bytes finds them as they are.
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	// Separated values stay in blob files after a compaction.
	options.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy { return pebble.ValueSeparationPolicy{} }
	return options
}

// eraseFS makes Pebble remove its old logs instead of writing over them one day.
// Pebble v2.1.7 has no option for that: it keeps at least three logs for reuse,
// whatever they hold, unless its cleaner archives files. So the cleaner is the
// one that archives, and to archive is to remove.
type eraseFS struct{ vfs.FS }

const archive = "archive" // directory below a store's to which ArchiveCleaner moves files

func (f eraseFS) Rename(from, to string) error {
	if filepath.Base(filepath.Dir(to)) == archive {
		return f.FS.Remove(from)
	}
	return f.FS.Rename(from, to)
}

func (f eraseFS) MkdirAll(dir string, mode os.FileMode) error {
	if filepath.Base(dir) == archive {
		return nil
	}
	return f.FS.MkdirAll(dir, mode)
}

// ReuseForWrite is not called while the cleaner archives. Should that change,
// the old file goes all the same.
func (f eraseFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.FS.Remove(from); err != nil {
		return nil, err
	}
	return f.FS.Create(to, category)
}

// logger takes what Pebble says: only what is fatal matters here.
type logger struct{ o Options }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}

// background takes what went wrong with a flush or a compaction, which Pebble tries
// again for ever. Where it is the system that refuses, it cannot go on.
func (l logger) background(err error) {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		l.o.fatal(fmt.Errorf("keyring: %w", err))
	}
}

func (l logger) Fatalf(format string, args ...any) {
	l.o.fatal(fmt.Errorf("keyring: "+format, args...))
}
