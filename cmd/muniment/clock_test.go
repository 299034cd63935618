package main

import (
	"strings"
	"testing"
	"time"
)

// TestClockFreezes: a jump is shown, two offices acknowledge it, and it lasts.
func TestClockFreezes(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2020-01-01")[0]
	var clock clockResult
	d.json("PERMITS", &clock, "clock")
	if clock.Frozen || clock.LedgerDay != "2031-01-01" {
		t.Errorf("before: %+v", clock)
	}
	if _, err := d.hall.block(11 * time.Minute); err != nil {
		t.Fatal(err)
	}
	if r := d.refused("PERMITS", "(FROZEN)", "disposition", "propose", "--series", "DEMO-PERMITS", "--action", "destroy", numeral(r)); !strings.Contains(r.stderr, "muniment clock says what ends it") {
		t.Errorf("no word of the clock: %q", r.stderr)
	}
	shown := d.as("PERMITS", "clock")
	d.json("PERMITS", &clock, "clock")
	jump := numeral(clock.Jump)
	if !clock.Frozen || len(clock.AcknowledgedBy) != 0 || clock.UntilHeight < 8640 || !strings.HasPrefix(clock.UntilTime, "2031-01-04T13:1") {
		t.Errorf("after the jump: %+v", clock)
	}
	if !strings.Contains(shown.stdout, "frozen since the jump of entry "+jump) || !strings.Contains(shown.stderr, "muniment clock acknowledge "+jump) {
		t.Errorf("as text: %q, %q", shown.stdout, shown.stderr)
	}
	d.refused("PERMITS", "(NOT_GOVERNING)", "clock", "acknowledge", jump)
	d.refused("CLERK", "(UNKNOWN_JUMP)", "clock", "acknowledge", "3")
	for _, office := range []string{"CLERK", "IT"} {
		d.as(office, "clock", "acknowledge", jump)
	}
	d.refused("CLERK", "(ALREADY_APPROVED)", "clock", "acknowledge", jump)
	if shown := d.as("PERMITS", "clock"); !strings.Contains(shown.stdout, "by CLERK, IT; 2 governing offices are needed") || strings.Contains(shown.stderr, "next:") {
		t.Errorf("acknowledged: %q, %q", shown.stdout, shown.stderr)
	}
	d.hold(r) // no freeze refuses a hold
}
