package vault

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

// TestFlushThatFailsIsFatal where the disk is full or broken: Pebble would try again
// for ever. What it finds damaged is for whoever reads that.
func TestFlushThatFailsIsFatal(t *testing.T) {
	for _, why := range []error{syscall.ENOSPC, syscall.EIO, errors.New("damaged")} {
		var told error
		func() {
			defer func() { _ = recover() }() // it panics where Fatal returns
			Options{Fatal: func(err error) { told = err }}.pebbleOptions().EventListener.BackgroundError(&fs.PathError{Op: "write", Path: "000009.sst", Err: why})
		}()
		if _, ends := errors.AsType[syscall.Errno](why); ends != errors.Is(told, why) {
			t.Errorf("%v: Fatal was told %v", why, told)
		}
	}
}
