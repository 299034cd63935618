package state

import (
	"reflect"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// checkInquiry compares the records that an inquiry lists with those it finds
// one by one, and leaves lists early: closing the store tells of an iterator
// that was left behind.
func checkInquiry(t *testing.T, s *State) {
	t.Helper()
	n := s.Snapshot()
	size := record.Index(n.View().Head().Size)
	var want, got []ledger.Item
	superseded := 0
	for i := range size {
		it, ok, err := ledger.NewInquiry(n.View()).Item(i)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			want = append(want, it)
		}
		if it.Lifecycle.Supersession != 0 {
			superseded++
		}
	}
	for it, err := range ledger.NewInquiry(n.View()).Items(n.Entries(0, size), n.Values(ledger.LifecyclePrefix()), nil) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, it)
	}
	if len(want) < 100 || superseded == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d records are listed, want %d, or others; %d were superseded", len(got), len(want), superseded)
	}
	for stop := range 5 {
		left := 0
		for range ledger.NewInquiry(n.View()).Items(n.Entries(0, size), n.Values(ledger.LifecyclePrefix()), nil) {
			if left++; left > stop {
				break
			}
		}
		if left != stop+1 {
			t.Errorf("%d records were given, want %d", left, stop+1)
		}
	}
}
