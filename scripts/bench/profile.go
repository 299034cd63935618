package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// profiler is a file that a build of munimentd for -profile has besides its own:
// the shipped program has no profiler and opens no port for one. It profiles
// from SIGUSR1 to SIGUSR2, each time into a new file that appears when it is
// whole, and writes what goroutines have waited for since the start.
const profiler = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
)

func init() {
	dir := os.Getenv("BENCH_PROFILE")
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for n := 1; ; n++ {
			<-signals
			name := filepath.Join(dir, fmt.Sprintf("%d.pprof", n))
			f, err := os.Create(name + ".part")
			if err == nil {
				err = pprof.StartCPUProfile(f)
			}
			runtime.SetBlockProfileRate(10_000)
			<-signals
			pprof.StopCPUProfile()
			f.Close()
			if waits, failed := os.Create(filepath.Join(dir, fmt.Sprintf("%d.waits", n))); failed == nil {
				pprof.Lookup("block").WriteTo(waits, 0)
				waits.Close()
			}
			if err == nil {
				os.Rename(name+".part", name)
			}
		}
	}()
}
`

// overlay writes the profiler beside a build and gives the flags that add it.
func (b *bench) overlay() ([]string, error) {
	if b.profile == "" {
		return nil, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	source, file := filepath.Join(b.dir, "profiler.go"), filepath.Join(b.dir, "overlay.json")
	replace := map[string]map[string]string{"Replace": {filepath.Join(root, "cmd", "munimentd", "profiler.go"): source}}
	text, err := json.Marshal(replace)
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.MkdirAll(b.profile, 0o755), os.WriteFile(source, []byte(profiler), 0o600), os.WriteFile(file, text, 0o600))
	return []string{"-overlay", file}, err
}

// moduleRoot gives the folder of go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("run this inside the project: programs are built from its source")
		}
		dir = up
	}
}

// profiled runs do with the node's profiler on, where -profile asks for it.
func (b *bench) profiled(n *node, do func() error) error {
	if b.profile == "" {
		return do()
	}
	if err := n.command.Process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	err := do()
	b.profiles++
	from := filepath.Join(b.profile, fmt.Sprintf("%d.pprof", b.profiles))
	to := filepath.Join(b.profile, fmt.Sprintf("%02d-%s.pprof", b.profiles, strings.ReplaceAll(b.current, " ", "-")))
	err = errors.Join(err, n.command.Process.Signal(syscall.SIGUSR2))
	for range 100 {
		if _, missing := os.Stat(from); missing == nil {
			waits := strings.TrimSuffix(from, "pprof") + "waits"
			return errors.Join(err, os.Rename(from, to), os.Rename(waits, strings.TrimSuffix(to, "pprof")+"waits"))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.Join(err, errors.New("the node wrote no profile"))
}
