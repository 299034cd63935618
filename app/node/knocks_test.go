package node

import (
	"fmt"
	"testing"
	"time"
)

// TestKnocks: a host may begin so many connections in a second, whatever others
// do, and what keeps count is bounded.
func TestKnocks(t *testing.T) {
	var k knocks
	now := time.Unix(1_800_000_000, 0)
	for round := range 3 {
		for i := range 3 * knocksPerSecond {
			if got, want := k.may("203.0.113.7", now), i < knocksPerSecond; got != want {
				t.Fatalf("round %d, connection %d: %v", round, i+1, got)
			}
		}
		if !k.may("203.0.113.8", now) || !k.may("2001:db8::1", now) {
			t.Error("another host has to wait")
		}
		now = now.Add(time.Second / knocksPerSecond)
		if !k.may("203.0.113.7", now) || k.may("203.0.113.7", now) {
			t.Error("after its share of a second a host may begin one connection more")
		}
		now = now.Add(2 * time.Second)
	}
	for i := range 2 * knockers {
		k.may(fmt.Sprintf("2001:db8::%x", i), now)
	}
	if len(k.until) > knockers+1 {
		t.Errorf("%d hosts are told apart", len(k.until))
	}
	if now = now.Add(time.Minute); !k.may("203.0.113.9", now) || len(k.until) > 1 {
		t.Errorf("%d hosts are kept that have not knocked for a minute", len(k.until))
	}
}
