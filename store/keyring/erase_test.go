package keyring

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// secretValue is 60 random bytes, as a sealed state is.
func secretValue(i uint64) []byte {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], i)
	value := make([]byte, 60)
	rand.NewChaCha8(seed).Read(value)
	return value
}

// left counts the values of which a piece is in a file below dir, by the extension
// of the file's name. It asks the scan that follows a rotation.
func left(t *testing.T, fs vfs.FS, dir string, values [][]byte) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, value := range values {
		seen, err := scan(fs, dir, needlesOf(value), new(pace))
		if err != nil {
			t.Fatal(err)
		}
		if (seen.hits == 0) != (len(seen.remains) == 0) || seen.files == 0 || seen.bytes == 0 {
			t.Fatalf("scan saw %+v", seen)
		}
		for _, name := range seen.remains {
			found[filepath.Ext(name)]++
		}
	}
	return found
}

// life writes many values, deletes ten of them, purges as well as Pebble can,
// and scans before and after. The store stays open, as a node's does.
func life(t *testing.T, options *pebble.Options) (before, after map[string]int) {
	t.Helper()
	const dir = "store"
	db, err := pebble.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	key := func(i uint64) []byte { return append([]byte{prefixState}, secretValue(i + 1<<32)[:16]...) }
	compact := func() { must(db.Compact(context.Background(), []byte{0}, []byte{0xff}, false)) }
	for i := range uint64(2000) {
		must(db.Set(key(i), secretValue(i), pebble.NoSync))
	}
	must(db.Flush())
	compact()
	var gone [][]byte
	for i := range uint64(10) {
		gone = append(gone, secretValue(100*i))
	}
	before = left(t, options.FS, dir, gone)
	for i := range uint64(10) {
		must(db.Delete(key(100*i), pebble.Sync))
	}
	must(db.Flush())
	compact()
	must(db.Set(key(1<<20), secretValue(1<<20), pebble.Sync))
	must(db.Flush())
	db.TestOnlyWaitForCleaning()
	return before, left(t, options.FS, dir, gone)
}

// TestOptionsErase is the guard: with Pebble's own options deleted values stay
// in recycled logs, where the scan of a rotation finds them; with ours none is in
// any file. It fails when a future Pebble
// ignores what we do, and also when the scan would find nothing anywhere.
func TestOptionsErase(t *testing.T) {
	before, after := life(t, &pebble.Options{FS: vfs.NewMem(), Logger: logger{}, FormatMajorVersion: pebble.FormatNewest})
	if before[".sst"] != 10 {
		t.Errorf("default options: the scan finds %v of 10 live values: it cannot be trusted", before)
	}
	if after[".log"] == 0 {
		t.Errorf("default options: the scan finds %v of 10 deleted values: none in a log, so recycling is not what it was", after)
	}
	before, after = life(t, Options{FS: vfs.NewMem()}.pebbleOptions())
	if before[".sst"] != 10 {
		t.Errorf("our options: the scan finds %v of 10 live values, want all in tables", before)
	}
	if len(after) != 0 {
		t.Errorf("our options: the scan finds deleted values: %v", after)
	}
}

// countingFS counts what eraseFS is asked for.
type countingFS struct {
	vfs.FS
	reused, removedLogs *int
}

func (f countingFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	*f.reused++
	return f.FS.ReuseForWrite(from, to, category)
}

func (f countingFS) Remove(name string) error {
	if strings.HasSuffix(name, ".log") {
		*f.removedLogs++
	}
	return f.FS.Remove(name)
}

// TestLogsAreNotRecycled fails when a future Pebble writes over old logs, or
// keeps them, in spite of our options.
func TestLogsAreNotRecycled(t *testing.T) {
	run := func(options *pebble.Options) (reused, removedLogs int) {
		options.FS = countingFS{options.FS, &reused, &removedLogs}
		if erase, ok := options.FS.(countingFS).FS.(eraseFS); ok {
			options.FS = eraseFS{countingFS{erase.FS, &reused, &removedLogs}}
		}
		db, err := pebble.Open("store", options)
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(8) {
			if err := db.Set([]byte{prefixState, byte(i)}, secretValue(i), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		db.TestOnlyWaitForCleaning()
		if n := db.Metrics().WAL.ObsoleteFiles; n != 0 && removedLogs > 0 {
			t.Errorf("%d obsolete logs are kept", n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return reused, removedLogs
	}
	reused, removed := run(&pebble.Options{FS: vfs.NewMem(), Logger: logger{}, FormatMajorVersion: pebble.FormatNewest})
	if reused == 0 {
		t.Errorf("default options: %d logs reused, %d removed: the count cannot be trusted", reused, removed)
	}
	reused, removed = run(Options{FS: vfs.NewMem()}.pebbleOptions())
	if reused != 0 || removed < 7 {
		t.Errorf("our options: %d logs reused, %d removed; want 0 and at least 7", reused, removed)
	}
}
