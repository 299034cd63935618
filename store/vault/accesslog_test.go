package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func testLine(i int) Line {
	return Line{Time: 1800000000 + int64(i), Account: "CLERK/00112233445566ff", Action: "read", RID: RID{1, byte(i)}, Purpose: "CASE_WORK", Outcome: "allowed"}
}

func openLog(t *testing.T, fs vfs.FS, dir string, size int64) *AccessLog {
	t.Helper()
	l, err := OpenLog(dir, Options{FS: fs, LogFileSize: size, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustAppend(t *testing.T, l *AccessLog, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(testLine(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinesHaveTheirForm(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, nil, dir, 0)
	mustAppend(t, l, 1)
	if err := l.Append(Line{Account: "CLERK/00112233445566ff", Action: "search", Purpose: "-", Outcome: "denied"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "access-000000000000.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(got), "\n")
	want := "0 1800000000 CLERK/00112233445566ff read 01000000000000000000000000000000 CASE_WORK allowed " + strings.Repeat("0", 64) + "\n"
	if lines[0] != want {
		t.Errorf("first line %q, want %q", lines[0], want)
	}
	if !strings.HasPrefix(lines[1], "1 0 CLERK/00112233445566ff search - - denied ") {
		t.Errorf("second line %q", lines[1])
	}
	if head, err := VerifyLog(dir); err != nil || head != l.Head() || head.Size != 2 {
		t.Errorf("VerifyLog = %v, %v; want %v", head, err, l.Head())
	}
}

func TestLogGoesOnAfterRestartAndRotation(t *testing.T) {
	fs := vfs.NewMem()
	var head Head
	for range 5 {
		l := openLog(t, fs, "log", 1000)
		if l.Head() != head {
			t.Errorf("opened at %v, want %v", l.Head(), head)
		}
		mustAppend(t, l, 7)
		head = l.Head()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := logFiles(fs, "log")
	if err != nil || len(names) < 4 {
		t.Errorf("files %v, %v; want at least four", names, err)
	}
	if got, err := verifyLog(fs, "log"); err != nil || got != head || got.Size != 35 {
		t.Errorf("verifyLog = %v, %v; want %v", got, err, head)
	}
}

// TestTamperedLogIsNoticed changes every byte of a log of several files, and
// removes, doubles and swaps lines and files. The error names the place. A change
// of the last line, or a cut end, shows in the head.
func TestTamperedLogIsNoticed(t *testing.T) {
	const dir = "log"
	fs := vfs.NewMem()
	l := openLog(t, fs, dir, 600)
	mustAppend(t, l, 9)
	head := l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := logFiles(fs, dir)
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	original := map[string][]byte{}
	for _, name := range names {
		original[name], err = readFile(fs, dir+"/"+name, maxLogFile)
		if err != nil {
			t.Fatal(err)
		}
	}
	verify := func(name string, data []byte) (Head, error) {
		write(t, fs, dir+"/"+name, data)
		got, err := verifyLog(fs, dir)
		write(t, fs, dir+"/"+name, original[name])
		return got, err
	}
	for _, name := range names {
		for i := range original[name] {
			data := bytes.Clone(original[name])
			data[i] ^= 1
			line := bytes.Count(original[name][:i], []byte("\n")) + 1
			got, err := verify(name, data)
			if err == nil && got != head && name == names[len(names)-1] && bytes.Count(data[i:], []byte("\n")) == 1 {
				continue // nothing follows the last line: only the head tells
			}
			if !errors.Is(err, ErrBroken) || got != (Head{}) {
				t.Errorf("%s: byte %d: %v, %v; want ErrBroken", name, i, got, err)
				continue
			}
			// The line itself, or the next one, which no longer follows from it.
			here, next := fmt.Sprintf("%s:%d:", name, line), fmt.Sprintf("%s:%d:", name, line+1)
			if !strings.Contains(err.Error(), here) && !strings.Contains(err.Error(), next) && !strings.Contains(err.Error(), ".log:1:") &&
				!strings.Contains(err.Error(), "within a line") {
				t.Errorf("%s: byte %d: %v does not name %s", name, i, err, here)
			}
		}
	}
	lines := bytes.SplitAfter(original[names[0]], []byte("\n"))
	join := func(order ...int) (data []byte) {
		for _, i := range order {
			data = append(data, lines[i]...)
		}
		return data
	}
	for name, data := range map[string][]byte{
		"first line removed":  join(1, 2, 3),
		"second line removed": join(0, 2, 3),
		"line doubled":        join(0, 1, 1, 2, 3),
		"lines swapped":       join(0, 2, 1, 3),
		"last line removed":   join(0, 1, 2),
		"file emptied":        {},
		"line cut":            join(0, 1, 2, 3)[:len(join(0, 1, 2, 3))-1],
		"other line endings":  bytes.ReplaceAll(join(0, 1, 2, 3), []byte("\n"), []byte("\r\n")),
	} {
		if got, err := verify(names[0], data); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v, %v; want ErrBroken", name, got, err)
		}
	}
	if err := fs.Remove(dir + "/" + names[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := verifyLog(fs, dir); !errors.Is(err, ErrBroken) {
		t.Errorf("file removed: %v, want ErrBroken", err)
	}
	write(t, fs, dir+"/"+names[1], original[names[1]])
	if got, err := verifyLog(fs, dir); err != nil || got != head {
		t.Errorf("restored: %v, %v; want %v", got, err, head)
	}
	if err := fs.Remove(dir + "/" + names[len(names)-1]); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(dir + "/" + names[len(names)-2]); err != nil {
		t.Fatal(err)
	}
	if got, err := verifyLog(fs, dir); err != nil || got == head || got.Size >= head.Size {
		t.Errorf("end removed: %v, %v; want a smaller head than %v", got, err, head)
	}
}

func write(t *testing.T, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(data)); err != nil { // built with -race, MemFS scribbles over what it was given
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTornEndIsCutOff(t *testing.T) {
	zeros := string(make([]byte, 4096))
	for _, c := range []struct {
		size int64
		torn string
	}{
		{0, "5 1800000009 CLE"}, {500, "5 1800000009 CLE"}, // in a file of several lines, and of two
		{0, zeros}, {500, zeros + "line after a lost block\n"}, {0, "5 18" + zeros + "line after a lost block\nhalf a"},
	} {
		size := c.size
		fs := vfs.NewMem()
		l := openLog(t, fs, "log", size)
		mustAppend(t, l, 5)
		head, name := l.Head(), l.name
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := readFile(fs, "log/"+name, maxLogFile)
		if err != nil {
			t.Fatal(err)
		}
		write(t, fs, "log/"+name, append(data, c.torn...))
		if _, err := verifyLog(fs, "log"); !errors.Is(err, ErrBroken) {
			t.Errorf("torn log verifies: %v", err)
		}
		l = openLog(t, fs, "log", size)
		if l.Head() != head {
			t.Errorf("opened at %v, want %v", l.Head(), head)
		}
		mustAppend(t, l, 1)
		if got, err := verifyLog(fs, "log"); err != nil || got != l.Head() || got.Size != 6 {
			t.Errorf("verifyLog = %v, %v; want %v", got, err, l.Head())
		}
	}
}

// TestFullDiskStopsTheLogNotTheChain lets writes fail half-way. Append fails; as
// soon as there is room again, the log goes on as if nothing had been written.
func TestFullDiskStopsTheLogNotTheChain(t *testing.T) {
	mem, full := vfs.NewMem(), false
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full && (op.Kind == errorfs.OpFileWriteAt || op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	}))
	l := openLog(t, fs, "log", 0)
	mustAppend(t, l, 2)
	head := l.Head()
	full = true
	for range 3 {
		if err := l.Append(testLine(9)); !errors.Is(err, ErrAccessLog) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("append to a full disk: %v, want ErrAccessLog", err)
		}
	}
	half, err := mem.OpenReadWrite("log/"+l.name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	// What a failed write may leave: more bytes than the next lines have.
	if _, err := half.WriteAt(bytes.Repeat([]byte("2 1800000009 CLERK/half a line\nand more"), 30), l.end); err != nil {
		t.Fatal(err)
	}
	if l.Head() != head {
		t.Errorf("head moved to %v", l.Head())
	}
	full = false
	mustAppend(t, l, 2)
	if got, err := verifyLog(mem, "log"); err != nil || got != l.Head() || got.Size != 4 {
		t.Errorf("verifyLog = %v, %v; want %v", got, err, l.Head())
	}
}

// TestLineIsOnDiskWhenAppendReturns crashes after each line and keeps synced
// bytes only, with several writers at a time and across files.
func TestLineIsOnDiskWhenAppendReturns(t *testing.T) {
	mem := vfs.NewCrashableMem()
	l := openLog(t, mem, "log", 900)
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			for i := range 10 {
				line := testLine(i)
				line.RID = RID{byte(writer + 1), byte(i)}
				if err := l.Append(line); err != nil {
					t.Error(err)
					return
				}
				clone := mem.CrashClone(vfs.CrashCloneCfg{})
				again, err := OpenLog("log", Options{FS: clone, LogFileSize: 900})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := verifyLog(clone, "log"); err != nil {
					t.Error(err)
				}
				if !holds(t, clone, line.RID) {
					t.Errorf("line %x is not there after a crash", line.RID[:2])
				}
				again.Close()
			}
		})
	}
	wg.Wait()
	if l.Head().Size != 40 {
		t.Errorf("%d lines, want 40", l.Head().Size)
	}
}

func holds(t *testing.T, fs vfs.FS, rid RID) bool {
	names, err := logFiles(fs, "log")
	if err != nil {
		t.Error(err)
	}
	for _, name := range names {
		data, err := readFile(fs, "log/"+name, maxLogFile)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(data, fmt.Appendf(nil, " %x ", rid)) {
			return true
		}
	}
	return false
}

func TestFailedSyncOfTheLogIsFatal(t *testing.T) {
	broken := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return syscall.EIO
		}
		return nil
	}))
	type died struct{ err error }
	l, err := OpenLog("log", Options{FS: fs, Fatal: func(err error) { panic(died{err}) }})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 1)
	broken = true
	defer func() {
		if d, ok := recover().(died); !ok || !errors.Is(d.err, syscall.EIO) {
			t.Errorf("a failed sync did not end the process: %v", d.err)
		}
	}()
	t.Errorf("Append returned %v", l.Append(testLine(1)))
}

func TestLinesThatCannotBeLogged(t *testing.T) {
	l := openLog(t, vfs.NewMem(), "log", 0)
	for name, change := range map[string]func(*Line){
		"time before 1970":    func(l *Line) { l.Time = -1 },
		"no account":          func(l *Line) { l.Account = "CLERK" },
		"name as account":     func(l *Line) { l.Account = "CLERK/somebody-by-name" },
		"upper-case account":  func(l *Line) { l.Account = "CLERK/00112233445566FF" },
		"office in lower":     func(l *Line) { l.Account = "clerk/00112233445566ff" },
		"action with a space": func(l *Line) { l.Action = "read all" },
		"no action":           func(l *Line) { l.Action = "" },
		"free text purpose":   func(l *Line) { l.Purpose = "because I want" },
		"no purpose":          func(l *Line) { l.Purpose = "" },
		"outcome with LF":     func(l *Line) { l.Outcome = "allowed\n" },
	} {
		line := testLine(0)
		change(&line)
		if err := l.Append(line); !errors.Is(err, ErrLine) || !errors.Is(err, ErrAccessLog) {
			t.Errorf("%s: %v, want ErrLine", name, err)
		}
	}
	if l.Head() != (Head{}) {
		t.Errorf("refused lines moved the head to %v", l.Head())
	}
}

func FuzzParseLine(f *testing.F) {
	text, _, err := testLine(3).format(Head{Size: 3, Root: [32]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.TrimSuffix(string(text), "\n"), int64(3))
	f.Fuzz(func(t *testing.T, text string, size int64) {
		head := Head{Size: size, Root: [32]byte{1}}
		line, next, err := parseLine(text, head)
		if err != nil {
			if line != (Line{}) || next != (Head{}) {
				t.Errorf("%v, %v beside an error", line, next)
			}
			return
		}
		again, following, err := line.format(head)
		if err != nil || string(again) != text+"\n" || following != next {
			t.Errorf("read %q, wrote %q, %v", text, again, err)
		}
	})
}
