package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxContentBytes bounds a document: all of it is in memory while it is
// committed.
const maxContentBytes = 256 << 20

// fromStdin is the argument that means standard input.
const fromStdin = "-"

// source is one document to anchor.
type source struct {
	path string // as the user reaches it; fromStdin for standard input
}

// name is the file name that goes into the record; standard input has none.
func (s source) name() string {
	if s.path == fromStdin {
		return ""
	}
	return filepath.Base(s.path)
}

// expand turns arguments into documents: files as they are named, folders with
// all files below them in the order of their names. Links are not followed, and
// what is neither file nor folder is left out; skipped counts both.
func expand(args []string) (sources []source, skipped int, err error) {
	stdin := false
	for _, arg := range args {
		if arg == fromStdin {
			if stdin {
				return nil, 0, usage("standard input can be read once")
			}
			stdin = true
			sources = append(sources, source{fromStdin})
			continue
		}
		info, err := os.Lstat(arg)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, 0, failed(exitNotFound, "NO_SUCH_FILE", "", "there is no file %s", arg)
		case err != nil:
			return nil, 0, err
		case info.Mode().IsRegular():
			sources = append(sources, source{arg})
			continue
		case !info.IsDir():
			return nil, 0, failed(exitUsage, "NOT_A_FILE", "name the file itself", "%s is a link, a device or a pipe", arg)
		}
		// WalkDir goes through names in lexical order.
		err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.Type().IsRegular():
				sources = append(sources, source{path})
			case !entry.IsDir():
				skipped++
			}
			return nil
		})
		if err != nil {
			return nil, 0, fmt.Errorf("list folder: %w", err)
		}
	}
	if len(sources) == 0 {
		return nil, skipped, failed(exitNotFound, "NO_SUCH_FILE", "", "there is no file to anchor")
	}
	return sources, skipped, nil
}

// document is a source as it was read.
type document struct {
	content  []byte
	modified time.Time // zero for standard input
}

// readSource reads a document whole, or not at all.
func (p *program) readSource(s source) (document, error) {
	if s.path == fromStdin {
		content, err := readAll(p.stdin)
		return document{content: content}, err
	}
	f, err := os.Open(s.path)
	if err != nil {
		return document{}, err
	}
	defer f.Close()
	return readSteady(f)
}

// readSteady reads an open file and refuses it if it changes meanwhile.
func readSteady(f fs.File) (document, error) {
	before, err := f.Stat()
	if err != nil {
		return document{}, err
	}
	if before.Size() > maxContentBytes {
		return document{}, tooLarge()
	}
	content, err := readAll(f)
	if err != nil {
		return document{}, err
	}
	after, err := f.Stat()
	if err != nil {
		return document{}, err
	}
	if before.Size() != int64(len(content)) || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return document{}, failed(exitRefused, "FILE_CHANGED", "anchor it again when nobody writes to it", "the file changed while it was read")
	}
	return document{content: content, modified: before.ModTime()}, nil
}

func readAll(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxContentBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxContentBytes {
		return nil, tooLarge()
	}
	return content, nil
}

func tooLarge() error {
	return failed(exitRefused, "TOO_LARGE", "cut it into parts, and anchor each part as a record", "the document has more than %d MiB", maxContentBytes>>20)
}
