package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/muniment/muniment/app/ledger"
)

// ErrDiskFull is the reason of the stop of a node whose disk is nearly full.
var ErrDiskFull = errors.New("disk is nearly full")

// watchEvery is how often a node looks after itself.
const watchEvery = 5 * time.Second

// sample is what the watchdogs look at.
type sample struct {
	now       time.Time
	committed time.Time // when the last block was written, by this machine's clock; the start before the first
	blockTime time.Time // of the last block; zero where it says nothing
	disk      Disk
	syncing   bool
	rules     string   // that the network is going to apply and this program does not know; empty: none
	alarms    []string // raised elsewhere, standing
}

// Disk is how much there is of a home's disk. Zero: that is unknown.
type Disk struct {
	Free uint64 // bytes that a process may take
	Size uint64 // bytes
}

// Disk asks the system.
func (h Home) Disk() (Disk, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(string(h), &s); err != nil {
		return Disk{}, err
	}
	return Disk{s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize)}, nil
}

// Percent is how much of it is free.
func (d Disk) Percent() float64 {
	if d.Size == 0 {
		return 100
	}
	return 100 * float64(d.Free) / float64(d.Size)
}

// full is ErrDiskFull where too little is free for a node to run.
func (d Disk) full(c Config) error {
	if free := d.Percent(); free < float64(c.Watch.StopBelowPercent) {
		return fmt.Errorf("%.1f %% free: %w", free, ErrDiskFull)
	}
	return nil
}

// findings is what follows from a sample.
type findings struct {
	unhealthy []string // sentences; empty: healthy
	refuse    bool     // governance alone is admitted
	stop      error    // the process must end cleanly
}

// examine judges a sample by the configuration.
func examine(s sample, c Config) findings {
	f := findings{unhealthy: append([]string{}, s.alarms...), stop: s.disk.full(c)}
	if free := s.disk.Percent(); free < float64(c.Watch.RefuseBelowPercent) {
		f.refuse = true
		f.unhealthy = append(f.unhealthy, fmt.Sprintf("%.1f %% of the disk is free", free))
	}
	if s.rules != "" {
		f.unhealthy = append(f.unhealthy, s.rules)
	}
	if s.syncing {
		f.unhealthy = append(f.unhealthy, "node is catching up")
		return f
	}
	if silent := s.now.Sub(s.committed); silent > time.Duration(c.Watch.SilenceSeconds)*time.Second {
		f.unhealthy = append(f.unhealthy, fmt.Sprintf("no block for %v", silent.Round(time.Second)))
	}
	// The block's time is compared with the moment it was written, so silence
	// alone does not look like a wrong clock.
	if d := s.committed.Sub(s.blockTime); !s.blockTime.IsZero() && math.Abs(d.Seconds()) > float64(c.Watch.ClockSeconds) {
		f.unhealthy = append(f.unhealthy, fmt.Sprintf("clock is %v from block time", d.Round(time.Second)))
	}
	return f
}

// health is the standing judgement, shared by the watchdogs, the mempool's
// admission and the monitor.
type health struct {
	mu        sync.Mutex
	committed time.Time
	blocks    int // written since the start
	alarms    []string
	last      findings
	freeBytes uint64
}

// alarm notes what needs a person, for good.
func (h *health) alarm(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	const most = 16
	if len(h.alarms) < most {
		h.alarms = append(h.alarms, text)
	}
}

func (h *health) findings() findings {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *health) wrote(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.committed = now
	h.blocks++
}

// watch looks after the node until the context ends, and calls stop once where
// the process must end cleanly.
func (n *Node) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		f := n.look()
		if f.stop != nil {
			n.log.Error("stopping", "err", f.stop)
			n.stopWanted(f.stop)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look takes a sample and keeps what follows from it.
func (n *Node) look() findings {
	s := sample{now: n.now(), syncing: n.engine.ConsensusReactor().WaitSync(), rules: unknownRules(n.app.View())}
	head := n.app.View().Head()
	s.disk, _ = n.home.Disk() // unknown is not full
	n.health.mu.Lock()
	defer n.health.mu.Unlock()
	s.committed, s.alarms = n.health.committed, n.health.alarms
	if n.health.blocks > 1 { // the first block after a start has the time of the precommits before the stop
		s.blockTime = time.Unix(0, head.Time)
	}
	before := len(n.health.last.unhealthy)
	n.health.last, n.health.freeBytes = examine(s, n.config), s.disk.Free
	if now := n.health.last.unhealthy; len(now) > 0 && len(now) != before {
		n.log.Warn("node is unhealthy", "reasons", now)
	}
	return n.health.last
}

// unknownRules says that an upgrade was decided for which this program is too old.
func unknownRules(v ledger.View) string {
	version, height, decided, err := ledger.NextVersion(v)
	if err != nil || !decided || version <= MaxVersion {
		return ""
	}
	return fmt.Sprintf("the network applies rules version %d from block %d on: install a munimentd that knows them before", version, height)
}
