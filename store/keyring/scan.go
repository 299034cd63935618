package keyring

import (
	"errors"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	scanBuffer = 1 << 20
	maxRemains = 16 // names of files that a report lists
)

// scanned is what a scan saw.
type scanned struct {
	files, bytes, hits uint64
	pace               *pace
	remains            []string // files with a hit, by their names below the directory; the first of them
}

// scan reads every file below a directory and counts the pieces in it that the
// needles stand for. A file that goes away meanwhile is gone.
func scan(fs vfs.FS, dir string, needles []needle, beside *pace) (scanned, error) {
	s := scanned{pace: beside}
	h := newHaystack(needles)
	err := s.directory(fs, dir, "", h, make([]byte, scanBuffer))
	if err != nil {
		return scanned{}, err
	}
	return s, nil
}

func (s *scanned) directory(fs vfs.FS, dir, below string, h *haystack, buffer []byte) error {
	names, err := fs.List(dir)
	if err != nil {
		return ignoreNotExist(err)
	}
	slices.Sort(names)
	for _, name := range names {
		path, shown := fs.PathJoin(dir, name), below+name
		info, err := fs.Stat(path)
		switch {
		case err != nil:
			err = ignoreNotExist(err)
		case info.IsDir():
			err = s.directory(fs, path, shown+"/", h, buffer)
		default:
			err = s.file(fs, path, shown, h, buffer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *scanned) file(fs vfs.FS, path, shown string, h *haystack, buffer []byte) error {
	f, err := fs.Open(path)
	if err != nil {
		return ignoreNotExist(err)
	}
	size, hits, err := h.read(f, buffer, s.pace)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.files++
	s.bytes += size
	s.hits += hits
	if hits > 0 && len(s.remains) < maxRemains {
		s.remains = append(s.remains, shown)
	}
	return nil
}

// read counts hits to the end of a file. Each buffer begins with the end of the
// one before, so that no window falls between two.
func (h *haystack) read(r io.Reader, buffer []byte, beside *pace) (size, hits uint64, err error) {
	kept, work := 0, beside.shift()
	for {
		work.giveWay()
		n, err := io.ReadFull(r, buffer[kept:])
		size += uint64(n)
		hits += h.count(buffer[:kept+n])
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return size, hits, nil
		}
		if err != nil {
			return 0, 0, err
		}
		kept = copy(buffer, buffer[len(buffer)-(pieceSize-1):])
	}
}

func ignoreNotExist(err error) error {
	if isNotExist(err) {
		return nil
	}
	return err
}
