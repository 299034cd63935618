package state

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options are the choices of a store. The zero value is a small store on disk.
type Options struct {
	CacheBytes int64        // of the block cache; 0: 64 MiB
	FS         vfs.FS       // nil: the operating system's
	Log        *slog.Logger // nil: slog.Default
	// Exit ends the process after Pebble found that it cannot go on, for example because a sync went wrong;
	// nil: os.Exit. Should it return, the calling goroutine panics: Pebble would answer that all is well.
	Exit func(code int)
}

const (
	memTableBytes     = 64 << 20
	defaultCacheBytes = 64 << 20
	filterBitsPerKey  = 10
)

// NewOptions returns the options under which the ledger's Pebble store is opened.
func NewOptions(o Options) *pebble.Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Exit == nil {
		o.Exit = os.Exit
	}
	opts := &pebble.Options{
		CacheSize: o.CacheBytes,
		FS:        o.FS,
		// Only the newest formats mark in the write-ahead log how far it was synced; without that
		// mark a flipped bit in the log passes for its end, and acknowledged blocks are dropped.
		// The first log of a new store lacks the marks all the same, so Open begins a second one.
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             logger{o.Log, o.Exit},
		EventListener:      &pebble.EventListener{BackgroundError: logger{o.Log, o.Exit}.background},
		MemTableSize:       memTableBytes,
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBitsPerKey)
	}
	return opts
}

// logger passes Pebble's messages on, and ends the process where Pebble asks for it.
type logger struct {
	log  *slog.Logger
	exit func(code int)
}

func (l logger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l logger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

// background takes what went wrong with a flush or a compaction. Pebble tries both again for ever; where it is the
// system that refuses, on a full disk for example, it cannot go on.
func (l logger) background(err error) {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		l.Fatalf("%v", err)
	}
	l.Errorf("background error: %v", err)
}

func (l logger) Fatalf(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	l.log.Error(message)
	l.exit(1)
	panic("ledger store: " + message)
}
