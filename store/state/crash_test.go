package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// image is what a power cut at one moment leaves on disk.
type image struct {
	point    string // what was about to happen: "wal write", "table sync", ...
	unsynced int    // per cent of what was not synced that reached the disk all the same
	acked    int64  // height of the last block that Commit had acknowledged
	fs       *vfs.MemFS
}

// recorder takes images of a file system just before each change of it.
type recorder struct {
	mu     sync.Mutex
	mem    *vfs.MemFS
	random *rand.Rand
	acked  int64
	taken  map[string]int // by point
	seen   map[string]bool
	images []image
}

func (r *recorder) point(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[name]++
	once := fmt.Sprintf("%s at %d", name, r.acked)
	if r.seen[once] {
		return // one image of each point for each block is enough
	}
	r.seen[once] = true
	for _, percent := range []int{0, 50, 100} {
		clone := r.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r.random})
		r.images = append(r.images, image{name, percent, r.acked, clone})
	}
}

func (r *recorder) ack(height int64) {
	r.mu.Lock()
	r.acked = height
	r.mu.Unlock()
	r.point("acknowledged")
}

// operation is asked before each operation of the file system.
func (r *recorder) operation(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	what := map[errorfs.OpKind]string{
		errorfs.OpCreate: "create", errorfs.OpReuseForWrite: "create", errorfs.OpRename: "rename", errorfs.OpRemove: "remove",
		errorfs.OpFileWrite: "write", errorfs.OpFileSync: "sync", errorfs.OpFileSyncData: "sync", errorfs.OpFileSyncTo: "sync",
	}[op.Kind]
	if file := fileKind(op.Path); what != "" && file != "" {
		r.point(file + " " + what)
	}
	return nil
}

func fileKind(path string) string {
	base := filepath.Base(path)
	switch {
	case strings.HasSuffix(base, ".log"):
		return "wal"
	case strings.HasSuffix(base, ".sst"):
		return "table"
	case strings.HasPrefix(base, "MANIFEST"):
		return "manifest"
	}
	return ""
}

const crashSeed = 42

// crashEverywhere commits blocks on fs, whose changes r records, and gives what the store must hold at each height.
func crashEverywhere(t *testing.T, fs vfs.FS, r *recorder) map[int64]map[string][]byte {
	t.Helper()
	opts := testOptions(errorfs.Wrap(fs, errorfs.InjectorFunc(r.operation)))
	opts.DisableTableStats = true // fewer reads in the background
	db := openDB(t, opts)
	s := openState(t, db)
	c := newChain(crashSeed)
	want := map[int64]map[string][]byte{-1: {}}
	for i := range 14 {
		commit(t, s, c.next())
		r.ack(c.head.Height)
		want[c.head.Height] = dump(t, db)
		if i%4 == 3 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 11 {
			if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeDB(t, db)
	return want
}

// recover opens an image and says what is wrong with it: it must be the acknowledged block or the next, whole.
func (i image) recover(t *testing.T, want map[int64]map[string][]byte) error {
	t.Helper()
	db, err := pebble.Open("ledger", testOptions(i.fs))
	if err != nil {
		return err
	}
	defer closeDB(t, db)
	s, err := Open(db)
	if err != nil {
		return err
	}
	got := dump(t, db)
	height := s.View().Head().Height
	if len(got) == 0 {
		height = -1
	}
	if height != i.acked && height != i.acked+1 {
		return fmt.Errorf("height %d after %d was acknowledged", height, i.acked)
	}
	if !maps.EqualFunc(got, want[height], bytes.Equal) {
		return fmt.Errorf("height %d holds %d keys, other than the %d it must hold", height, len(got), len(want[height]))
	}
	return nil
}

func newRecorder() *recorder {
	return &recorder{mem: vfs.NewCrashableMem(), random: rand.New(rand.NewPCG(crashSeed, 1)), acked: -1, taken: map[string]int{}, seen: map[string]bool{}}
}

func TestPowerCutLeavesWholeBlocks(t *testing.T) {
	r := newRecorder()
	want := crashEverywhere(t, r.mem, r)
	for _, point := range []string{"wal create", "wal write", "wal sync", "acknowledged", "table create", "table write", "table sync", "manifest write", "manifest sync"} {
		if r.taken[point] == 0 {
			t.Errorf("no power cut before %q", point)
		}
	}
	next := 0
	for _, i := range r.images {
		if err := i.recover(t, want); err != nil {
			t.Errorf("power cut (%d %% of unsynced data written, seed %d) before %q after block %d: %v", i.unsynced, crashSeed, i.point, i.acked, err)
		}
		if i.unsynced == 100 && i.point == "wal sync" {
			next++
		}
	}
	if next == 0 {
		t.Error("no image of a block that is written and not acknowledged")
	}
	t.Logf("%d images", len(r.images))
}

// A disk that only pretends to sync must be caught by the test above, or the test proves nothing.
func TestPowerCutTestCatchesALostSync(t *testing.T) {
	r := newRecorder()
	want := crashEverywhere(t, lyingFS{r.mem}, r)
	for _, i := range r.images {
		if i.point == "acknowledged" && i.unsynced == 0 && i.recover(t, want) != nil {
			return
		}
	}
	t.Error("a sync that does nothing goes unnoticed")
}

// lyingFS is a file system whose logs are never synced.
type lyingFS struct{ vfs.FS }

func (l lyingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, category)
	if err == nil && fileKind(name) == "wal" {
		f = lyingFile{f}
	}
	return f, err
}

func (l lyingFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.ReuseForWrite(old, name, category)
	if err == nil {
		f = lyingFile{f}
	}
	return f, err
}

type lyingFile struct{ vfs.File }

func (lyingFile) Sync() error                { return nil }
func (lyingFile) SyncData() error            { return nil }
func (lyingFile) SyncTo(int64) (bool, error) { return true, nil }

var errDisk = errors.New("disk says no")

// lostAck commits a block while the log cannot be synced, cuts the power, and tells whether a block is lost that Commit acknowledged.
func lostAck(t *testing.T, change func(*pebble.Options)) (lost bool, ended any) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	failing := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if fileKind(op.Path) == "wal" {
				return errDisk
			}
		}
		return nil
	})}
	opts := testOptions(errorfs.Wrap(mem, failing))
	change(opts)
	s := openState(t, openDB(t, opts)) // never closed: this process is to end
	c := newChain(43)
	commit(t, s, c.next())
	failing.On()
	var err error
	func() {
		defer func() { ended = recover() }()
		err = s.Commit(c.next())
	}()
	acked := err == nil && ended == nil
	db := openDB(t, testOptions(mem.CrashClone(vfs.CrashCloneCfg{})))
	defer closeDB(t, db)
	return acked && openState(t, db).View().Head().Height < c.head.Height, ended
}

func TestFailedSyncEndsTheProcess(t *testing.T) {
	lost, ended := lostAck(t, func(*pebble.Options) {})
	if lost {
		t.Error("a block was acknowledged and lost")
	}
	if ended != (exited{1}) {
		t.Errorf("the process ended with %v, want exit code 1", ended)
	}
}

// The same with an Exit that returns: the logger must not let Pebble go on.
func TestFailedSyncEndsTheProcessEvenIfExitReturns(t *testing.T) {
	lost, ended := lostAck(t, func(o *pebble.Options) { o.Logger = logger{quiet, func(int) {}} })
	if lost || ended == nil {
		t.Errorf("lost %t, ended with %v, want a panic", lost, ended)
	}
}

// A logger that does nothing loses a block; were this not seen, the two tests above would prove nothing.
func TestSilentLoggerWouldLoseBlocks(t *testing.T) {
	if lost, _ := lostAck(t, func(o *pebble.Options) { o.Logger = silent{} }); !lost {
		t.Error("a silent logger goes unnoticed")
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// The same blocks, with and without restarts, flushes and compactions, give the same store.
func TestHistoryLeavesNoTrace(t *testing.T) {
	const seed, blocks = 44, 30
	plain := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, plain)
	s := openState(t, plain)
	c := newChain(seed)
	for range blocks {
		commit(t, s, c.next())
	}
	want := dump(t, plain)
	for run := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, run))
		fs := vfs.NewMem()
		db := openDB(t, testOptions(fs))
		s := openState(t, db)
		c := newChain(seed)
		for c.head.Height < blocks-1 {
			if random.IntN(3) == 0 && c.head.Height < blocks-2 {
				commit(t, s, c.next(), c.next()) // two blocks in one batch
			} else {
				commit(t, s, c.next())
			}
			var err error
			switch random.IntN(6) {
			case 0:
				closeDB(t, db)
				db = openDB(t, testOptions(fs))
				s = openState(t, db)
			case 1:
				err = db.Flush()
			case 2:
				err = db.Compact(t.Context(), []byte{0}, []byte{0xff}, false)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c.check(t, s.View())
		if got := dump(t, db); !maps.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("run %d (seed %d): another store", run, seed)
		}
		closeDB(t, db)
	}
}
