package vault

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Checkpoint writes the vault as it is at one moment into a directory that does
// not exist, while it is used. Open opens it. Nothing in it opens a record.
func (v *Vault) Checkpoint(dir string) error {
	if err := v.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("checkpoint vault: %w", err)
	}
	return nil
}

// Copy writes the log, up to its present end, into a directory that does not
// exist, while lines are added, and gives the head of what was copied.
func (l *AccessLog) Copy(dir string) (Head, error) {
	head, last, end, err := l.settle()
	if err != nil {
		return Head{}, fmt.Errorf("copy access log: %w", err)
	}
	if _, err := l.fs.Stat(dir); err == nil {
		return Head{}, fmt.Errorf("copy access log: %s is there already", dir)
	}
	if err := l.copyTo(dir, last, end); err != nil {
		return Head{}, fmt.Errorf("copy access log: %w", err)
	}
	return head, nil
}

// settle has all lines on disk and tells where they end. Files before the last
// one do not change any more, nor does what the last one holds up to there.
func (l *AccessLog) settle() (head Head, last string, end int64, err error) {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.file == nil:
		return Head{}, "", 0, fmt.Errorf("%w: log is closed", ErrAccessLog)
	case l.torn:
		if err := l.mend(); err != nil {
			return Head{}, "", 0, err
		}
	}
	if l.durable != l.head {
		if err := l.file.SyncData(); err != nil {
			l.options.fatal(fmt.Errorf("access log: sync: %w", err))
		}
		l.durable = l.head
	}
	return l.head, l.name, l.end, nil
}

func (l *AccessLog) copyTo(dir, last string, end int64) error {
	names, err := logFiles(l.fs, l.dir)
	if err != nil {
		return err
	}
	if err := l.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range names {
		limit := int64(maxLogFile)
		if name == last {
			limit = end
		}
		if err := copyFile(l.fs, l.fs.PathJoin(l.dir, name), l.fs.PathJoin(dir, name), limit); err != nil {
			return err
		}
		if name == last {
			break
		}
	}
	return errors.Join(syncDir(l.fs, dir), syncDir(l.fs, l.fs.PathDir(dir)))
}

// copyFile copies at most limit bytes of a file, durably.
func copyFile(fs vfs.FS, from, to string, limit int64) error {
	source, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, io.LimitReader(source, limit))
	if err == nil {
		err = target.Sync()
	}
	return errors.Join(err, target.Close())
}
