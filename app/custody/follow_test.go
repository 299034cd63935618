package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// TestOrphansAreSweptByBothClocks: a deposit without anchor goes when the ledger
// day and the custodian's own clock are both past its last day, and not before.
func TestOrphansAreSweptByBothClocks(t *testing.T) {
	last := today + 2
	for _, c := range []struct {
		name          string
		ledger, clock record.Day
		swept         bool
	}{
		{"both on the last day", last, last, false},
		{"ledger past it, clock on it", last + 1, last, false},
		{"ledger long past it, clock years early", last + 100, last - 2000, false},
		{"clock past it, ledger on it", last, last + 1, false},
		{"clock years late, ledger on it", last, last + 2000, false},
		{"both past it", last + 1, last + 1, true},
		{"both long past it", last + 100, last + 2000, true},
	} {
		h := newHouse(t)
		header, content := offer(minutes, "Orphan")
		orphan := mustDeposit(t, h.Custody, clerk, header, content)
		header, content = offer(minutes, "Record")
		anchored := mustDeposit(t, h.Custody, clerk, header, content)
		h.city.block(t, startOf(today)+1e9, "CLERK", "DEMO-MINUTES", "CITY", anchored)
		h.city.block(t, startOf(c.ledger), "CLERK", "DEMO-MINUTES", "CITY")
		h.clock.set(c.clock)
		r, _, err := h.vault.Find("CLERK", orphan)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
		if held, err := h.Holds("CLERK", orphan); held == c.swept || err != nil {
			t.Errorf("%s: held %v, %v; want swept %v", c.name, held, err, c.swept)
		}
		if _, ok, err := h.rings.State(ringOf(r), r.RID); ok == c.swept || err != nil {
			t.Errorf("%s: state %v, %v; want swept %v", c.name, ok, err, c.swept)
		}
		if hits, _, err := h.Search(context.Background(), clerk, Query{Text: "orphan", Limit: 2}); err != nil || (len(hits) == 0) != c.swept {
			t.Errorf("%s: found %+v, %v", c.name, hits, err)
		}
		if held, err := h.Holds("CLERK", anchored); !held || err != nil {
			t.Errorf("%s: the anchored record is held: %v, %v", c.name, held, err)
		}
		if c.swept {
			_, err := read(h.Custody, clerk, Ref{"CLERK", orphan}, CaseWork)
			wantReason(t, c.name, err, NotFound)
		}
	}
}

// TestNothingIsSweptDuringAFreeze: where block time has jumped over the last day
// of a deposit, that day may not be over.
func TestNothingIsSweptDuringAFreeze(t *testing.T) {
	h := newHouse(t)
	header, content := offer(minutes, "Orphan")
	orphan := mustDeposit(t, h.Custody, clerk, header, content)
	for _, at := range []int64{startOf(today) + 1e9, startOf(today) + 2e9, startOf(today + 100)} {
		h.city.block(t, at, "CLERK", "DEMO-MINUTES", "CITY")
	}
	h.clock.set(today + 100)
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if held, err := h.Holds("CLERK", orphan); !held || err != nil {
		t.Errorf("held %v, %v: swept on the word of a clock in doubt", held, err)
	}
}

// TestOnlyItsOwnAnchorCounts: an anchor of the same commitment by another office,
// in another series or with another custody leaves the deposit waiting.
func TestOnlyItsOwnAnchorCounts(t *testing.T) {
	for name, c := range map[string]struct {
		office, series, custody record.Code
		anchored                bool
	}{
		"its own":        {"DPW", "DEMO-MINUTES", "CITY", true},
		"another office": {"CLERK", "DEMO-MINUTES", "CITY", false},
		"another series": {"DPW", "DEMO-PERMITS", "CITY", false},
		"another set":    {"DPW", "DEMO-MINUTES", "OTHERS", false},
		"external":       {"DPW", "DEMO-MINUTES", "", false},
	} {
		for _, early := range []bool{false, true} {
			h := newHouse(t)
			header, content := offer(minutes, "Minutes")
			anchor := func(item record.Commitment) {
				h.city.block(t, startOf(today)+1e9, c.office, c.series, c.custody, item)
			}
			var item record.Commitment
			if early { // the anchor comes first: a deposit repeated after a sweep
				probe := newHouse(t)
				item = mustDeposit(t, probe.Custody, works, header, content)
				anchor(item)
				if err := h.CatchUp(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			item = mustDeposit(t, h.Custody, works, header, content)
			if !early {
				anchor(item)
			}
			if err := h.CatchUp(context.Background()); err != nil {
				t.Fatal(err)
			}
			r, ok, err := h.vault.Find("DPW", item)
			if err != nil || !ok || r.Anchored != c.anchored {
				t.Errorf("%s, early %v: anchored %v, %v, %v; want %v", name, early, r.Anchored, ok, err, c.anchored)
			}
		}
	}
}

// TestDepositUnderWayIsLeftAlone: while a deposit has not been answered, neither a
// second one nor the sweep touches it.
func TestDepositUnderWayIsLeftAlone(t *testing.T) {
	h := newHouse(t)
	header, content := offer(minutes, "Minutes")
	item := mustDeposit(t, h.Custody, clerk, header, content)
	name := deposited{"CLERK", item}
	if !h.begin(name) || h.begin(name) {
		t.Fatal("a deposit begins twice")
	}
	_, err := h.Deposit(context.Background(), clerk, header, bytes.NewReader(content))
	wantReason(t, "the same deposit beside it", err, Busy)
	h.clock.set(today + 9)
	h.city.block(t, startOf(today+9), "CLERK", "DEMO-MINUTES", "CITY")
	for _, underway := range []bool{true, false} {
		if !underway {
			h.end(name)
		}
		if err := h.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
		if held, err := h.Holds("CLERK", item); held != underway || err != nil {
			t.Errorf("under way %v: held %v, %v", underway, held, err)
		}
	}
}

func TestLedgerOlderThanTheVaultIsRefused(t *testing.T) {
	fs, clock, ledger := vfs.NewMem(), &clock{}, newCity(t)
	clock.set(today)
	h := openHouse(t, fs, "house", ledger, clock)
	ledger.block(t, startOf(today)+1e9, "CLERK", "DEMO-MINUTES", "CITY", record.Commitment{1})
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.close()
	h = openHouse(t, fs, "house", newCity(t), clock)
	if err := h.CatchUp(context.Background()); err == nil || !strings.Contains(err.Error(), "older than the vault") {
		t.Errorf("an older ledger: %v", err)
	}
}

// TestFollowKeepsUp runs the follower beside deposits, anchors and searches in
// virtual time: every anchored deposit becomes a record, every other an orphan.
func TestFollowKeepsUp(t *testing.T) {
	if _, err := testRoot(); err != nil { // derived outside, once for all tests
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		defer h.close()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Follow(ctx, time.Second) }()
		var mu sync.Mutex
		kept, orphans := map[record.Commitment]bool{}, map[record.Commitment]bool{}
		var wg sync.WaitGroup
		blocks := int64(0)
		for client := range 4 {
			wg.Go(func() {
				for i := range 6 {
					header, content := offer(fmt.Sprintf("%s %d %d", minutes, client, i), "Minutes")
					d, err := h.Deposit(ctx, clerk, header, bytes.NewReader(content))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if i%3 == 2 {
						orphans[d.Commitment] = true
					} else {
						kept[d.Commitment] = true
						blocks++
						h.city.block(t, startOf(today)+blocks*1e9, "CLERK", "DEMO-MINUTES", "CITY", d.Commitment)
					}
					mu.Unlock()
					time.Sleep(time.Duration(client*300+i*170) * time.Millisecond) // virtual
					if _, _, err := h.Search(ctx, clerk, Query{Text: "minutes", Limit: 100}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		for c := range kept {
			if r, _, err := h.vault.Find("CLERK", c); err != nil || !r.Anchored {
				t.Errorf("record %x: anchored %v, %v", c[:4], r.Anchored, err)
			}
		}
		wantHeld(t, h, orphans, true)
		h.clock.set(today + 9)
		time.Sleep(time.Minute) // the ledger day has not come
		synctest.Wait()
		wantHeld(t, h, orphans, true)
		h.city.pass(t, startOf(today+9))
		synctest.Wait()
		wantHeld(t, h, orphans, true) // nobody has looked yet
		time.Sleep(time.Second)
		synctest.Wait()
		wantHeld(t, h, kept, true)
		wantHeld(t, h, orphans, false)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Follow ended with %v", err)
		}
	})
}

func wantHeld(t *testing.T, h *house, all map[record.Commitment]bool, want bool) {
	t.Helper()
	for c := range all {
		if held, err := h.Holds("CLERK", c); held != want || err != nil {
			t.Errorf("deposit %x: held %v, %v; want %v", c[:4], held, err, want)
		}
	}
}

// TestMemoryIsBounded: contents wait for room, in turn, and give up with their
// context.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(8 << 20)
		first, err := m.take(t.Context(), 5<<20)
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 3)
		go func() {
			release, err := m.take(t.Context(), 100<<20) // more than there is: all of it
			if err != nil {
				t.Error(err)
				return
			}
			order <- "large"
			release()
		}()
		synctest.Wait()
		go func() {
			release, err := m.take(t.Context(), 1)
			if err != nil {
				t.Error(err)
				return
			}
			order <- "small"
			release()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("took memory behind one who waits: %v", err)
		}
		select {
		case who := <-order:
			t.Errorf("%s got memory that is not free", who)
		default:
		}
		first()
		synctest.Wait()
		if a, b := <-order, <-order; a != "large" || b != "small" {
			t.Errorf("served %s before %s", a, b)
		}
		if len(m.units) != 8 {
			t.Errorf("%d units of 8 came back", len(m.units))
		}
	})
}
