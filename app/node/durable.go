package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrStateCorrupt is returned for a state file whose checksum or form is wrong.
// Such a file is never repaired by guessing: a wrong guess signs twice.
var ErrStateCorrupt = errors.New("state file is damaged")

// The durable steps of replaceFile, in order. A test may fail each of them.
const (
	beforeWrite     = "write"          // the new content goes to PATH.new
	beforeSync      = "sync"           // PATH.new is on disk
	beforeRename    = "rename"         // PATH names the new content
	beforeDirectory = "sync directory" // and does so after a power loss
	beforeFolder    = "sync folder"    // a new folder is there after a power loss
)

// replaceFile makes data the content of path, durably: when it returns nil, the
// new content outlives a power loss; when it returns an error, path holds the
// old or the new content, whole. Before each step it asks at, which is nil
// outside tests.
func replaceFile(path string, data []byte, at func(step string) error) error {
	if at == nil {
		at = func(step string) error {
			crashpoint(filepath.Base(path) + ": before " + step)
			return nil
		}
	}
	next := path + ".new"
	if err := at(beforeWrite); err != nil {
		return err
	}
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = at(beforeSync)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = at(beforeRename)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	if err := at(beforeDirectory); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(path)); err != nil {
		return err
	}
	crashpoint(filepath.Base(path) + ": done")
	return nil
}

// syncDirectory makes the names in a directory durable.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

// makeFolder makes a folder for the owner alone, durably, where it is not there.
// What is synced within a folder whose own name is not is lost with it.
func makeFolder(dir string, at func(step string) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if at != nil {
		if err := at(beforeFolder); err != nil {
			return err
		}
	}
	return syncDirectory(filepath.Dir(dir)) // also where a crash came before it the last time
}

// withChecksum appends the line that tells a damaged state file from a whole one.
func withChecksum(lines ...string) []byte {
	text := strings.Join(lines, "\n") + "\n"
	sum := sha256.Sum256([]byte(text))
	return []byte(text + hex.EncodeToString(sum[:]) + "\n")
}

// checkedLines is the inverse of withChecksum for a file of n lines.
func checkedLines(data []byte, n int) ([]string, error) {
	lines := strings.Split(string(data), "\n")
	if len(lines) != n+2 || lines[n+1] != "" {
		return nil, fmt.Errorf("%w: it has not %d lines", ErrStateCorrupt, n+1)
	}
	lines = lines[:n]
	if string(withChecksum(lines...)) != string(data) {
		return nil, fmt.Errorf("%w: checksum differs", ErrStateCorrupt)
	}
	return lines, nil
}
