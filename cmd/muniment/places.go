package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
)

// places are the directories of the user (XDG base directories).
type places struct {
	config string // settings, keys, network files
	state  string // journals
}

func userPlaces() places {
	return places{config: filepath.Join(xdg.ConfigHome, "muniment"), state: filepath.Join(xdg.StateHome, "muniment")}
}

func (p places) configFile() string { return filepath.Join(p.config, "config.toml") }

// networkFile is where the network file of a chain is kept. Chain ids have no
// character that means anything in a path, but one may be two points.
func (p places) networkFile(chainID string) string {
	return filepath.Join(p.config, "networks", chainID+".mun")
}

func (p places) keyFile(office, use string) string {
	return filepath.Join(p.config, "keys", office+"-"+use+".key")
}

// replaceFile writes a file of mode 0600 durably: under another name, synced,
// renamed, and the directory synced. After a crash the old bytes are there or
// the new ones.
func replaceFile(path string, data []byte) error {
	if err := writeSynced(path+".new", data); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeOutput writes a file that the user named, of mode 0600, whole or not at
// all. It replaces a file and nothing else: no link, no device.
func writeOutput(path string, data []byte) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return failed(exitUsage, "NOT_A_FILE", "use - for standard output", "%s is there and is not a file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // of mode 0600
	if errors.Is(err, fs.ErrNotExist) {
		return failed(exitNotFound, "NO_SUCH_FOLDER", "make it first, or name another file", "there is no folder %s", printable(filepath.Dir(path)))
	}
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// createFile writes a new file of mode 0600 durably and refuses to replace one.
func createFile(path string, data []byte) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return replaceFile(path, data)
}

func writeSynced(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readBounded reads a file, or a pipe, of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, nil
}
