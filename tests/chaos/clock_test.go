//go:build chaos

package chaos

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A watch is the wall clock of one process. A program asks for the time in a page that
// the kernel maps into it, the vDSO; the watch puts code of its own over the function
// there, which asks the kernel and adds to what it says. So the shipped program sees
// its machine's clock jump while it runs. Monotonic time goes on as ever.
type watch struct {
	pid         int
	first, last uint64 // addresses of the vDSO
	clock       uint64 // address of clock_gettime
	right       []byte // what is there
}

func watchOf(t *testing.T, pid int) *watch {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Fatalf("no watch was built for %s", runtime.GOARCH)
	}
	w := &watch{pid: pid}
	maps, err := os.ReadFile(w.file("maps"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			if _, err := fmt.Sscanf(line, "%x-%x", &w.first, &w.last); err != nil {
				t.Fatal(err)
			}
		}
	}
	page := make([]byte, w.last-w.first)
	w.memory(t, func(f *os.File) (int, error) { return f.ReadAt(page, int64(w.first)) })
	image, err := elf.NewFile(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := image.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if at < 0 {
		t.Fatal("the vDSO has no clock")
	}
	w.clock = w.first + symbols[at].Value
	w.right = slices.Clone(page[symbols[at].Value:][:len(offset(0))])
	return w
}

// offset is clock_gettime(2), with so many seconds added to the wall clock.
func offset(seconds int32) []byte {
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME?
		0x75, 0x07, // jne
		0x48, 0x81, 0x06, // add qword [rsi],
	}
	return append(binary.LittleEndian.AppendUint32(code, uint32(seconds)), 0xc3) // ret
}

// turn has the clock jump, so far from the right time.
func (w *watch) turn(t *testing.T, by time.Duration) {
	t.Helper()
	code := w.right
	if by != 0 {
		code = offset(int32(by / time.Second))
	}
	eventually(t, "no thread asks for the time", func() bool {
		w.send(t, syscall.SIGSTOP)
		defer w.send(t, syscall.SIGCONT)
		if !w.still(t) {
			return false
		}
		w.memory(t, func(f *os.File) (int, error) { return f.WriteAt(code, int64(w.clock)) })
		return true
	})
}

// still waits until every thread has stopped, and says whether none is in the vDSO.
func (w *watch) still(t *testing.T) bool {
	t.Helper()
	free := true
	eventually(t, "the process stops", func() bool {
		threads, err := filepath.Glob(w.file("task/*"))
		if err != nil || len(threads) == 0 {
			t.Fatalf("process %d has no threads: %v", w.pid, err)
		}
		free = true
		for _, thread := range threads {
			// A number or -1, and more; in the end the stack and the code that run.
			text, err := os.ReadFile(filepath.Join(thread, "syscall"))
			if os.IsNotExist(err) {
				continue
			}
			fields := strings.Fields(string(text))
			if err != nil || len(fields) < 3 {
				return false // it runs
			}
			at, err := strconv.ParseUint(fields[len(fields)-1], 0, 64)
			if err != nil {
				t.Fatal(err)
			}
			free = free && (at < w.first || at >= w.last)
		}
		return true
	})
	return free
}

func (w *watch) file(name string) string { return filepath.Join("/proc", fmt.Sprint(w.pid), name) }

func (w *watch) send(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(w.pid, s); err != nil {
		t.Fatalf("signal %v: %v", s, err)
	}
}

// memory does something with the memory of the process.
func (w *watch) memory(t *testing.T, do func(*os.File) (int, error)) {
	t.Helper()
	f, err := os.OpenFile(w.file("mem"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := do(f); err != nil {
		t.Fatal(err)
	}
}

// clockForward has the clock of a node jump ahead, and back to the right time. Its
// votes lie about the time meanwhile, and so do the blocks that it proposes.
func (n *nemesis) clockForward(t *testing.T, struck []*member, mending func()) {
	w := watchOf(t, struck[0].process.cmd.Process.Pid)
	w.turn(t, time.Duration(1+n.random.IntN(1000))*time.Hour)
	n.rest(t, 3*time.Second, 5*time.Second)
	mending()
	w.turn(t, 0)
	if struck[0].process.hasEnded() {
		t.Errorf("node %d: its clock was ahead, and it ended with code %d", struck[0].machine, struck[0].process.code(t))
	}
}

// clockBack has it jump back, so that to the node all blocks are of the future: it has
// to end, and goes on when its clock is right.
func (n *nemesis) clockBack(t *testing.T, struck []*member, mending func()) {
	m := struck[0]
	watchOf(t, m.process.cmd.Process.Pid).turn(t, -time.Duration(1+n.random.IntN(1000))*time.Hour)
	if got := m.process.code(t); got <= 0 || !strings.Contains(m.process.stderr.String(), "too far in the future") {
		t.Errorf("node %d: its clock was behind, and it ended with code %d\n%s", m.machine, got, tail(m.process.stderr.String()))
	}
	mending()
	n.back(t, struck)
}
