package vault

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrAccessLog: a line could not be written; what it is about must not happen.
	ErrAccessLog = errors.New("access log cannot be written")
	// ErrBroken: a line of the log was changed, removed or put in.
	ErrBroken = errors.New("access log is broken")
)

// AccessLog is the chain of accesses, in files access-N.log of a directory, where
// N is the sequence number of the file's first line.
type AccessLog struct {
	options Options
	fs      vfs.FS
	dir     string

	syncing sync.Mutex // held by whoever syncs or changes the file; taken before mu
	durable Head       // what is on disk; guarded by syncing

	mu   sync.Mutex // guards what follows
	file vfs.File
	name string
	end  int64 // bytes of whole lines in file
	head Head  // after them
	torn bool  // there may be bytes after end, of a write that failed
}

// OpenLog opens the log in dir, which it makes if need be, and checks its last
// lines, those of one whole file at least. Bytes after the last whole line are of
// a write that was never acknowledged: they are cut off.
func OpenLog(dir string, o Options) (*AccessLog, error) {
	l := &AccessLog{options: o, fs: o.fs(), dir: dir}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return l, nil
}

func (l *AccessLog) open() error {
	if err := l.fs.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	if err := syncDir(l.fs, l.fs.PathDir(l.dir)); err != nil {
		return err
	}
	tail, err := readTail(l.fs, l.dir)
	if err != nil {
		return err
	}
	l.head, l.durable, l.name, l.end, l.torn = tail.head, tail.head, tail.name, tail.end, tail.torn
	switch {
	case l.name == "":
		return l.begin()
	case l.torn:
		return l.mend()
	}
	l.file, err = l.fs.OpenReadWrite(l.fs.PathJoin(l.dir, l.name), vfs.WriteCategoryUnspecified)
	return err
}

// Close closes the log.
func (l *AccessLog) Close() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Head gives the head of what is on disk.
func (l *AccessLog) Head() Head {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	return l.durable
}

// Append writes a line and returns when it is on disk. ErrAccessLog means that it
// may not be, and that what it says must not happen; a later call may succeed.
// Calls at the same time share one sync.
func (l *AccessLog) Append(line Line) error {
	synced, err := l.Start(line)
	if err != nil {
		return err
	}
	return synced()
}

// Start writes a line as Append does, and gives what returns when it is on disk:
// until then what it says may be prepared, and must not happen.
func (l *AccessLog) Start(line Line) (synced func() error, err error) {
	sequence, err := l.write(line)
	if errors.Is(err, errTorn) {
		if err = l.cutTorn(); err == nil {
			sequence, err = l.write(line)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAccessLog, err)
	}
	return func() error { return l.sync(sequence + 1) }, nil
}

// errTorn: the file must be mended before it takes another line.
var errTorn = errors.New("log file ends within a line")

// write puts a line at the end of the file. Nothing is durable yet.
func (l *AccessLog) write(line Line) (sequence int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.file == nil:
		return 0, errors.New("log is closed")
	case l.torn:
		return 0, errTorn
	}
	text, next, err := line.format(l.head)
	if err != nil {
		return 0, err
	}
	if _, err := l.file.WriteAt(text, l.end); err != nil {
		l.torn = true
		return 0, err
	}
	sequence = l.head.Size
	l.head, l.end = next, l.end+int64(len(text))
	return sequence, nil
}

// sync returns when the first size lines are on disk, and begins a new file when
// this one is full. A failed sync ends the process.
func (l *AccessLog) sync(size int64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.durable.Size >= size {
		return nil
	}
	l.mu.Lock()
	head, file := l.head, l.file
	l.mu.Unlock()
	if file == nil {
		return fmt.Errorf("%w: log is closed", ErrAccessLog)
	}
	if err := file.SyncData(); err != nil {
		l.options.fatal(fmt.Errorf("access log: sync: %w", err))
	}
	l.durable = head
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end < l.options.logFileSize() || l.head != head || l.torn {
		return nil
	}
	// The line is safe already. A new file that cannot be made is tried again
	// after the next line.
	old := l.file
	if err := l.begin(); err != nil {
		return nil
	}
	return old.Close()
}

// cutTorn mends the file if nobody else has.
func (l *AccessLog) cutTorn() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.torn {
		return nil
	}
	return l.mend()
}

// begin makes the file of the next line.
func (l *AccessLog) begin() error {
	name := logName(l.head.Size)
	file, err := l.fs.Create(l.fs.PathJoin(l.dir, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), syncDir(l.fs, l.dir)); err != nil {
		return errors.Join(err, file.Close())
	}
	l.file, l.name, l.end, l.torn = file, name, 0, false
	return nil
}

// mend replaces the file by one that has its whole lines only, durably.
func (l *AccessLog) mend() error {
	path := l.fs.PathJoin(l.dir, l.name)
	data, err := readFile(l.fs, path, maxLogFile)
	if err != nil {
		return err
	}
	file, err := l.fs.Create(path+logNewSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(data[:l.end])
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = l.fs.Rename(path+logNewSuffix, path)
	}
	if err == nil {
		err = syncDir(l.fs, l.dir)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if l.file != nil {
		err = l.file.Close()
	}
	l.file, l.torn, l.durable = file, false, l.head
	return err
}
