package vault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options say where the files live and what happens when the disk fails. The
// zero value is right for a node.
type Options struct {
	FS vfs.FS // nil: the operating system's
	// Fatal is told of a failed sync or a damaged store and does not return; nil
	// prints the error and ends the process with status 1.
	Fatal func(error)
	// LogFileSize is the size in bytes after which the access log begins its next
	// file: at most 8 MiB, which 0 stands for.
	LogFileSize int64
}

func (o Options) fs() vfs.FS {
	if o.FS == nil {
		return vfs.Default
	}
	return o.FS
}

func (o Options) logFileSize() int64 {
	if o.LogFileSize == 0 {
		return logFileSize
	}
	return min(o.LogFileSize, logFileSize)
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

// pebbleOptions suit a few large values per record.
func (o Options) pebbleOptions() *pebble.Options {
	options := &pebble.Options{
		FS:                          o.fs(),
		Logger:                      logger{o},
		EventListener:               &pebble.EventListener{BackgroundError: logger{o}.background},
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   32 << 20,
		BytesPerSync:                1 << 20,
	}
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone }) // it is ciphertext
	return options
}

// logger takes what Pebble says: only what is fatal matters here.
type logger struct{ o Options }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}

// background takes what went wrong with a flush or a compaction, which Pebble tries
// again for ever. Where it is the system that refuses, it cannot go on.
func (l logger) background(err error) {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		l.o.fatal(fmt.Errorf("vault: %w", err))
	}
}

func (l logger) Fatalf(format string, args ...any) {
	l.o.fatal(fmt.Errorf("vault: "+format, args...))
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

// readFile reads a file of at most limit bytes.
func readFile(fs vfs.FS, path string, limit int64) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", path, limit)
	}
	return data, err
}
