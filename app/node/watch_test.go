package node

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestExamine(t *testing.T) {
	now := time.Date(2031, 1, 1, 12, 0, 0, 0, time.UTC)
	well := sample{now: now, committed: now.Add(-5 * time.Second), blockTime: now.Add(-6 * time.Second), disk: Disk{50, 100}}
	for _, c := range []struct {
		name   string
		change func(*sample)
		want   string // part of a reason; empty: healthy
		refuse bool
		stop   bool
	}{
		{"all is well", func(*sample) {}, "", false, false},
		{"exactly the limit", func(s *sample) { s.disk.Free = 10 }, "", false, false},
		{"disk fills up", func(s *sample) { s.disk.Free = 9 }, "9.0 % of the disk", true, false},
		{"disk at the second limit", func(s *sample) { s.disk.Free = 3 }, "3.0 % of the disk", true, false},
		{"disk nearly full", func(s *sample) { s.disk.Free = 2 }, "2.0 % of the disk", true, true},
		{"disk unknown", func(s *sample) { s.disk = Disk{} }, "", false, false},
		{"silence", func(s *sample) { s.now = now.Add(3 * time.Minute) }, "no block for 3m5s", false, false},
		{"silence is no wrong clock", func(s *sample) { s.now = now.Add(time.Minute) }, "", false, false},
		{"clock is late", func(s *sample) { s.blockTime = s.committed.Add(61 * time.Second) }, "clock is -1m1s", false, false},
		{"clock is early", func(s *sample) { s.blockTime = s.committed.Add(-61 * time.Second) }, "clock is 1m1s", false, false},
		{"no block yet", func(s *sample) { s.blockTime = time.Time{} }, "", false, false},
		{"catching up", func(s *sample) { s.syncing, s.now = true, now.Add(time.Hour) }, "catching up", false, false},
		{"upgrade", func(s *sample) { s.rules, s.syncing = "rules version 2", true }, "rules version 2", false, false},
		{"alarm", func(s *sample) { s.alarms = []string{"fork"} }, "fork", false, false},
	} {
		s := well
		c.change(&s)
		f := examine(s, DefaultConfig())
		got := strings.Join(f.unhealthy, "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || f.refuse != c.refuse || (f.stop != nil) != c.stop {
			t.Errorf("%s: got %q, refuse %v, stop %v", c.name, got, f.refuse, f.stop)
		}
		if c.stop && !errors.Is(f.stop, ErrDiskFull) {
			t.Errorf("%s: got %v, want %v", c.name, f.stop, ErrDiskFull)
		}
	}
}

func TestAlarmsAreBounded(t *testing.T) {
	var h health
	for range 100 {
		h.alarm("again")
	}
	if n := len(h.alarms); n != 16 {
		t.Errorf("%d alarms stand", n)
	}
}

func TestALowDiskRefusesAndStops(t *testing.T) {
	n := run(t, newHome(t), time.Hour)
	submit(t, n, anchor(t, n, "a"))
	if n.crowded() {
		t.Error("an idle node is crowded")
	}
	n.health.mu.Lock()
	n.health.last.refuse = true
	n.health.mu.Unlock()
	if !n.crowded() {
		t.Error("a node on a low disk admits everything")
	}
	n.stopWanted(ErrDiskFull)
	n.stopWanted(ErrDiskFull)
	if err := <-n.StopWanted(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("got %v, want %v", err, ErrDiskFull)
	}
}

func TestANodeThatWasNeverStarted(t *testing.T) {
	home := newHome(t)
	n := open(t, home, testConfig(), time.Hour)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Submit(t.Context(), anchor(t, n, "a")); err == nil {
		t.Error("a stopped node took a transaction")
	}
	n = run(t, home, time.Hour)
	submit(t, n, anchor(t, n, "a"))
}
