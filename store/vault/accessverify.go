package vault

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	logPrefix    = "access-"
	logSuffix    = ".log"
	logNewSuffix = ".new"   // of a file that is being mended
	logFileSize  = 8 << 20  // a longer file gets a successor
	maxLogFile   = 64 << 20 // a longer one is not ours
)

func logName(first int64) string { return fmt.Sprintf("%s%012d%s", logPrefix, first, logSuffix) }

// firstLine reads what logName wrote.
func firstLine(name string) (int64, bool) {
	number, isLog := strings.CutPrefix(strings.TrimSuffix(name, logSuffix), logPrefix)
	first, err := strconv.ParseInt(number, 10, 64)
	return first, isLog && err == nil && logName(first) == name
}

// logFiles lists the files of a log in the order of their lines.
func logFiles(fs vfs.FS, dir string) (names []string, err error) {
	all, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		if _, ok := firstLine(name); ok {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		first, _ := firstLine(a)
		second, _ := firstLine(b)
		return int(min(1, max(-1, first-second)))
	})
	return names, nil
}

// tail is the end of a log: its last file and the head.
type tail struct {
	head Head
	name string
	end  int64 // bytes of whole lines
	torn bool
}

// readTail checks the last file, and the one before it when that is all there
// is: a file that was just begun has no lines. The hash that the first of these
// lines names is taken as given; VerifyLog takes nothing as given.
func readTail(fs vfs.FS, dir string) (tail, error) {
	names, err := logFiles(fs, dir)
	if err != nil || len(names) == 0 {
		return tail{}, err
	}
	var t tail
	names = names[max(0, len(names)-2):]
	for i, name := range names {
		data, err := readFile(fs, fs.PathJoin(dir, name), maxLogFile)
		if err != nil {
			return tail{}, err
		}
		// Zeros stand where a crash lost a block. A sync covers a whole file, so
		// neither they nor what follows them was ever acknowledged.
		hole := bytes.IndexByte(data, 0)
		if i < len(names)-1 || hole < 0 {
			hole = len(data)
		}
		torn := hole < len(data)
		data = data[:hole]
		if first, _ := firstLine(name); i == 0 && first > 0 {
			t.head = Head{Size: first, Root: namedRoot(data)}
		}
		if t, err = t.follow(name, data); err != nil {
			return tail{}, err
		}
		t.torn = t.torn || torn
	}
	return t, nil
}

// namedRoot reads the hash at the end of the first line, zero if there is none.
func namedRoot(data []byte) (root [32]byte) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	field := line[bytes.LastIndexByte(line, ' ')+1:]
	if len(field) == hex.EncodedLen(len(root)) {
		hex.Decode(root[:], field) // what is no hash fails as a line
	}
	return root
}

// follow checks that a file goes on where the tail ends.
func (t tail) follow(name string, data []byte) (tail, error) {
	if t.torn {
		return tail{}, fmt.Errorf("%w: %s ends within a line", ErrBroken, t.name)
	}
	if first, _ := firstLine(name); first != t.head.Size {
		return tail{}, fmt.Errorf("%w: %s should begin with line %d", ErrBroken, name, t.head.Size)
	}
	next := tail{head: t.head, name: name}
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			next.torn = len(line) > 0
			return next, nil
		}
		_, head, err := parseLine(string(line), next.head)
		if err != nil {
			return tail{}, fmt.Errorf("%w: %s:%d: %w", ErrBroken, name, number, err)
		}
		next.head, next.end, data = head, next.end+int64(len(line))+1, rest
	}
}

// VerifyLog checks every line of the log in a directory and returns its head. The
// error names the first line that does not follow as FILE:LINE. A changed last line,
// and lines cut off at the end, show only in the head: compare it with one that was anchored or noted before.
func VerifyLog(dir string) (Head, error) { return verifyLog(vfs.Default, dir) }

func verifyLog(fs vfs.FS, dir string) (Head, error) {
	names, err := logFiles(fs, dir)
	if err != nil {
		return Head{}, fmt.Errorf("verify access log: %w", err)
	}
	var t tail
	for _, name := range names {
		data, err := readFile(fs, fs.PathJoin(dir, name), maxLogFile)
		if err == nil {
			t, err = t.follow(name, data)
		}
		if err != nil {
			return Head{}, fmt.Errorf("verify access log: %w", err)
		}
	}
	if t.torn {
		return Head{}, fmt.Errorf("verify access log: %w: %s ends within a line", ErrBroken, t.name)
	}
	return t.head, nil
}
