package state

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damagedOptions does not end the process when Pebble reports damage: the test wants to see what a reader is given.
func damagedOptions(fs vfs.FS) *pebble.Options {
	opts := testOptions(fs)
	opts.ReadOnly = true
	opts.DisableTableStats = true // no reads in the background
	opts.DisableAutomaticCompactions = true
	opts.EventListener.DataCorruption = func(pebble.DataCorruptionInfo) {}
	return opts
}

// storeOnDisk commits blocks and closes the store, flushed to tables or left in the log.
func storeOnDisk(t *testing.T, format pebble.FormatMajorVersion, flush bool) (fs *vfs.MemFS, want map[string][]byte, blocks *chain) {
	t.Helper()
	fs = vfs.NewMem()
	opts := testOptions(fs)
	opts.FormatMajorVersion = format
	db := openDB(t, opts)
	s := openState(t, db)
	c := newChain(50)
	for i := range 10 { // few keys, many bytes: all in one log
		k := c.randomContent(10*min(i, 1), 40, 2)
		commit(t, s, c.block(k))
	}
	if flush {
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	want = dump(t, db)
	closeDB(t, db)
	return fs, want, c
}

// filesOf gives the paths of the store's files with this ending that are not empty.
func filesOf(t *testing.T, fs *vfs.MemFS, ending string) (paths []string) {
	t.Helper()
	names, err := fs.List("ledger")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		info, err := fs.Stat("ledger/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ending) && info.Size() > 0 {
			paths = append(paths, "ledger/"+name)
		}
	}
	if len(paths) == 0 {
		t.Fatalf("no %s file", ending)
	}
	return paths
}

// eachFlip opens the store, to be read only, with one byte changed, at every step-th byte of the files with this ending,
// and passes it to check, or the error with which Pebble refused it.
func eachFlip(t *testing.T, fs *vfs.MemFS, format pebble.FormatMajorVersion, ending string, step int64, check func(f flip, db *pebble.DB, err error)) {
	t.Helper()
	for _, path := range filesOf(t, fs, ending) {
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := int64(0); at < info.Size(); at += step {
			toggle(t, fs, path, at)
			opts := damagedOptions(fs)
			opts.FormatMajorVersion = format
			db, err := pebble.Open("ledger", opts)
			check(flip{path, at, info.Size()}, db, err)
			if err == nil {
				closeDB(t, db)
			}
			toggle(t, fs, path, at)
		}
	}
}

// toggle changes one byte of a file, or changes it back.
func toggle(t *testing.T, fs *vfs.MemFS, path string, at int64) {
	t.Helper()
	file, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := file.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := file.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// flip is one changed byte of a file of size bytes.
type flip struct {
	path     string
	at, size int64
}

func TestFlippedByteInTableIsNoticed(t *testing.T) {
	fs, want, _ := storeOnDisk(t, pebble.FormatNewest, true)
	flips, noticed := 0, 0
	eachFlip(t, fs, pebble.FormatNewest, ".sst", 1499, func(f flip, db *pebble.DB, err error) {
		flips++
		var s *State
		if err == nil {
			s, err = Open(db)
		}
		if err != nil {
			noticed++
			return
		}
		for key, value := range want {
			got, found, err := s.get([]byte(key))
			if err != nil {
				noticed++
				return
			}
			if !found || !bytes.Equal(got, value) {
				t.Fatalf("%v: key %q gives %x (found %t), want %x or an error", f, key, got, found, value)
			}
		}
	})
	// What may be left over are bytes that no read needs: properties, and filters that only spare reads.
	if flips < 50 || noticed*100 < flips*95 {
		t.Errorf("%d of %d flips noticed, want nearly all", noticed, flips)
	}
}

// Outside of these tests, damage that a reader meets ends the process: a node must not serve from such a disk.
func TestDamageEndsTheProcess(t *testing.T) {
	fs, want, _ := storeOnDisk(t, pebble.FormatNewest, true)
	for _, path := range filesOf(t, fs, ".sst") {
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		toggle(t, fs, path, info.Size()/2)
	}
	opts := damagedOptions(fs)
	opts.EventListener.DataCorruption = nil // as in NewOptions
	s := &State{db: openDB(t, opts)}        // never closed: this process is to end
	defer func() {
		if got := recover(); got != (exited{1}) {
			t.Errorf("the process ended with %v, want exit code 1", got)
		}
	}()
	for key := range want {
		if _, _, err := s.get([]byte(key)); err != nil {
			t.Fatalf("the reader was given %v, and the process goes on", err)
		}
	}
	t.Error("the damage was not met")
}

// logTail is where Pebble cannot tell damage from an end of the log: it looks for the mark of a later sync from the next 32 KiB on.
const logTail = 2 * 32 << 10

func TestFlippedByteInLogIsNoticed(t *testing.T) {
	fs, want, c := storeOnDisk(t, pebble.FormatNewest, false)
	refused := 0
	eachFlip(t, fs, pebble.FormatNewest, ".log", 3001, func(f flip, db *pebble.DB, err error) {
		if err != nil {
			refused++
			return
		}
		s, err := Open(db)
		if err != nil {
			t.Fatalf("%v: the store is half there: %v", f, err)
		}
		whole := s.View().Head() == c.head
		if whole && !maps.EqualFunc(dump(t, db), want, bytes.Equal) {
			t.Fatalf("%v: the last block is there with other keys", f)
		}
		if !whole && f.at < f.size-logTail {
			t.Fatalf("%v: height %d, want %d, or a refusal", f, s.View().Head().Height, c.head.Height)
		}
	})
	if refused < 15 {
		t.Errorf("%d flips refused, want most", refused)
	}
}

// The same with Pebble's default format loses acknowledged blocks in silence; were this not seen, the test above would prove nothing.
func TestOldFormatWouldLoseBlocks(t *testing.T) {
	fs, _, c := storeOnDisk(t, pebble.FormatMinSupported, false)
	lost := 0
	eachFlip(t, fs, pebble.FormatMinSupported, ".log", 9973, func(f flip, db *pebble.DB, err error) {
		if err != nil || f.at >= f.size-logTail {
			return
		}
		if s, err := Open(db); err == nil && s.View().Head().Height < c.head.Height {
			lost++
		}
	})
	if lost == 0 {
		t.Error("the old format loses nothing: the choice of the format is not tested")
	}
}
