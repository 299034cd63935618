package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// samples are the values that the rounds of a row gave.
type samples []float64

// quantile gives the smallest sample that a part q of them does not exceed.
func (s samples) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	i := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// median gives the middle sample, or the mean of the middle two.
func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// usage is the processor time that was used up to a moment: by this process and
// its children, and by everybody on the machine.
type usage struct {
	ours, all time.Duration
	at        time.Time
}

// tick is the unit of /proc's processor times (proc(5), USER_HZ).
const tick = 10 * time.Millisecond

func usageNow(children ...*child) usage {
	u := usage{at: time.Now(), ours: processorTime()}
	for _, c := range children {
		if c != nil {
			u.ours += c.processorTime()
		}
	}
	line, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u
	}
	first, _, _ := strings.Cut(string(line), "\n")
	for i, f := range strings.Fields(first) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // "cpu", idle, iowait, guests
			continue
		}
		if n, err := strconv.ParseInt(f, 10, 64); err == nil {
			u.all += time.Duration(n) * tick
		}
	}
	return u
}

// since gives the processor time that ours used, and how many processors others
// kept busy meanwhile.
func (u usage) since(before usage) (ours time.Duration, others float64) {
	ours = u.ours - before.ours
	if wall := u.at.Sub(before.at); wall > 0 {
		others = max(0, (u.all-before.all-ours).Seconds()/wall.Seconds())
	}
	return ours, others
}

// processorTime gives what this process has used, user and system.
func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// processorTime gives what a child has used, user and system.
func (c *child) processorTime() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.command.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// memory gives a child's resident memory now and at its peak, in bytes.
func (c *child) memory() (now, peak int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.command.Process.Pid))
	if err != nil {
		return 0, 0
	}
	read := func(name string) int64 {
		_, rest, _ := strings.Cut(string(text), name+":")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		n, _ := strconv.ParseInt(value, 10, 64)
		return n << 10
	}
	return read("VmRSS"), read("VmHWM")
}

// diskBytes gives what the files below a folder take on disk.
func diskBytes(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // a compaction may remove a file meanwhile
		}
		if info, err := e.Info(); err == nil {
			if s, ok := info.Sys().(*syscall.Stat_t); ok {
				total += s.Blocks * 512
			}
		}
		return nil
	})
	return total
}

// syncTime gives the median time, in milliseconds, of appending 4 KiB to a file
// and syncing it: the disk of the moment.
func (b *bench) syncTime() (float64, error) {
	f, err := os.CreateTemp(b.dir, "sync-")
	if err != nil {
		return 0, err
	}
	var times samples
	block := make([]byte, 4<<10)
	for range 100 {
		begin := time.Now()
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			break
		}
		times = append(times, milliseconds(time.Since(begin)))
	}
	return times.median(), errors.Join(err, f.Close(), os.Remove(f.Name()))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// measured is what one round of something done by the node gave.
type measured struct {
	rate   float64 // operations per second
	cpu    float64 // processor time of the node and of this program, microseconds per operation
	disk   float64 // bytes on disk per operation
	sync   float64 // fsync p50 of the moment, ms
	others float64 // processors that others kept busy
}

// measured runs do, which gives how many operations it did and how long they
// took, and measures around it.
func (b *bench) measured(n *node, do func() (float64, time.Duration, error)) (m measured, err error) {
	if m.sync, err = b.syncTime(); err != nil {
		return measured{}, err
	}
	nodes := append(slices.Clip(n.others), n.child)
	disk, before := diskBytes(n.home), usageNow(nodes...)
	var count float64
	var took time.Duration
	err = b.profiled(n, func() (err error) {
		count, took, err = do()
		return err
	})
	if err != nil {
		return measured{}, err
	}
	used, others := usageNow(nodes...).since(before)
	m.rate, m.cpu, m.others = count/took.Seconds(), used.Seconds()*1e6/count, others
	m.disk = float64(diskBytes(n.home)-disk) / count
	return m, nil
}

// add adds a round.
func (r *result) add(m measured) {
	r.ours, r.cpu, r.disk = append(r.ours, m.rate), append(r.cpu, m.cpu), append(r.disk, m.disk)
	r.sync, r.others = append(r.sync, m.sync), append(r.others, m.others)
}
