package state

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/tests/printed"
)

// TestFlushToAFullDiskEndsTheProcess: a flush that fails is tried again by Pebble as soon as it has failed, for ever. Where
// the disk is full the process ends instead, when a store is opened as well as later; any other failure is told and tried again.
func TestFlushToAFullDiskEndsTheProcess(t *testing.T) {
	for _, c := range []struct {
		why  error
		ends bool
	}{
		{&fs.PathError{Op: "write", Path: "000009.sst", Err: syscall.ENOSPC}, true},
		{&fs.PathError{Op: "fsync", Path: "000009.sst", Err: syscall.EIO}, true},
		{errors.New("of no system"), false},
	} {
		failed, ended := make(chan struct{}, 1), make(chan struct{})
		disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind != errorfs.OpCreate || filepath.Ext(op.Path) != ".sst" {
				return nil
			}
			select {
			case failed <- struct{}{}:
				return c.why
			default: // once
				return nil
			}
		}))
		var log printed.Output
		db := openDB(t, NewOptions(Options{FS: disk, Log: slog.New(slog.NewTextHandler(&log, nil)), Exit: func(code int) {
			if code != 1 {
				t.Errorf("%v: exit code %d", c.why, code)
			}
			close(ended)
			select {} // as os.Exit, it does not come back
		}}))
		if err := db.Set([]byte("key"), []byte("value"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		flushed, err := db.AsyncFlush()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended: // the store stays as it is: its process is no more
		case <-flushed:
			closeDB(t, db)
		case <-time.After(time.Minute):
			t.Fatalf("%v: it neither ends nor goes on", c.why)
		}
		select {
		case <-ended:
			if !c.ends {
				t.Errorf("%v ended the process", c.why)
			}
		default:
			if c.ends {
				t.Errorf("%v did not end the process", c.why)
			}
		}
		if !strings.Contains(log.String(), c.why.Error()) {
			t.Errorf("%v is not in the log: %v", c.why, &log)
		}
	}
}
