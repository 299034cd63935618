// Package ports finds ports for tests of programs that have to be told theirs
// beforehand.
package ports

import (
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// Ports come from below the range from which the system gives out its own, so that
// no connection and no listener at port 0 of another test takes one between the
// look and the use.
const first, last = 20_000, 32_000

var (
	mu    sync.Mutex
	taken = map[int]bool{} // given out in this process
)

// Free gives an address of this machine at which nobody listens, and gives none
// twice.
func Free(t testing.TB) string {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	start := os.Getpid() * 131 % (last - first)
	for i := range last - first {
		port := first + (start+7*i)%(last-first)
		if taken[port] {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			taken[port] = true
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// FreeRun gives the first of n ports in a row of this machine at which nobody
// listens, and gives none of them twice.
func FreeRun(t testing.TB, n int) int {
	t.Helper()
	mu.Lock()
	defer mu.Unlock()
	start := os.Getpid() * 131 % (last - first - n)
	for i := range last - first {
		port := first + (start+7*i)%(last-first-n)
		if !freeRun(port, n) {
			continue
		}
		for at := range n {
			taken[port+at] = true
		}
		return port
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}

func freeRun(port, n int) bool {
	for at := range n {
		if taken[port+at] {
			return false
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+at))
		if err != nil {
			return false
		}
		defer l.Close()
	}
	return true
}
