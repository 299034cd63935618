package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

const second = int64(1e9)

// pass applies empty blocks a step apart.
func (c *city) pass(t testing.TB, blocks int, step int64) {
	t.Helper()
	for range blocks {
		c.apply(t, c.view.Head().Time+step)
	}
}

// frozen tells whether a freeze is on.
func (c *city) frozen(t testing.TB) bool {
	t.Helper()
	_, on, err := ledger.FreezeOf(c.view)
	if err != nil {
		t.Fatal(err)
	}
	return on
}

// running gives a city whose clock may be judged: block 3 is the first that can.
func running(t testing.TB) *city {
	t.Helper()
	c, _ := start(t)
	c.pass(t, 2, 0)
	return c
}

// TestT17_OrdinaryStepsWriteNothing wants the chain to come to rest.
func TestT17_OrdinaryStepsWriteNothing(t *testing.T) {
	c := running(t)
	size := c.view.Head().Size
	c.pass(t, 2000, 60*second)
	if got := c.view.Head().Size; got != size || c.frozen(t) {
		t.Errorf("2,000 steps of a minute: %d entries, frozen %t", got-size, c.frozen(t))
	}
	c.pass(t, 1, 60*second+1)
	if got := c.view.Head().Size; got != size+2 || c.frozen(t) {
		t.Errorf("a step of a minute and a nanosecond: %d entries, want a jump and a block; frozen %t", got-size, c.frozen(t))
	}
}

// TestT17_WhatFreezes sums steps: the excess over a minute of a ledger day may
// come to 600 seconds, and so may one step.
func TestT17_WhatFreezes(t *testing.T) {
	tests := []struct {
		name  string
		steps []int64 // nanoseconds
		want  bool
	}{
		{"ten minutes", []int64{600 * second}, false},
		{"ten minutes and a nanosecond", []int64{600*second + 1}, true},
		{"nine minutes", []int64{540 * second}, false},
		{"nine minutes twice", []int64{540 * second, 540 * second}, true},
		{"nine minutes, ordinary steps, nine minutes", []int64{540 * second, 30 * second, 60 * second, 540 * second}, true},
		{"excess of 600 seconds to the nanosecond", []int64{360 * second, 360 * second}, false},
		{"and one more", []int64{360 * second, 360*second + 1}, true},
		{"ten steps of two minutes", []int64{120 * second, 120 * second, 120 * second, 120 * second, 120 * second,
			120 * second, 120 * second, 120 * second, 120 * second, 120 * second}, false},
		{"and ten seconds above", []int64{120 * second, 120 * second, 120 * second, 120 * second, 120 * second,
			120 * second, 120 * second, 120 * second, 120 * second, 120 * second, 70 * second}, true},
	}
	for _, test := range tests {
		c := running(t)
		for _, step := range test.steps {
			c.pass(t, 1, step)
		}
		if got := c.frozen(t); got != test.want {
			t.Errorf("%s: frozen %t, want %t", test.name, got, test.want)
		}
	}
}

// TestT17_DriftIsSummedForEachLedgerDay wants the sum to begin anew at noon UTC,
// when the ledger day changes, and not at midnight.
func TestT17_DriftIsSummedForEachLedgerDay(t *testing.T) {
	for _, test := range []struct {
		before string // time of day of the block before the two steps
		want   bool
	}{{"11:50:00", false}, {"12:00:00", true}, {"23:50:00", true}} {
		c, _ := start(t)
		first := dayOf("2031-01-02").Unix()*second + clock(t, test.before)
		c.pass(t, 1, 0)
		c.apply(t, first)
		c.pass(t, 2, 540*second)
		if got := c.frozen(t); got != test.want {
			t.Errorf("nine minutes twice from %s: frozen %t, want %t", test.before, got, test.want)
		}
	}
}

// TestT17_FreezeEndsWithWordsTimeAndHeights takes away one of the three conditions at a time.
func TestT17_FreezeEndsWithWordsTimeAndHeights(t *testing.T) {
	const hour = 3600 * second
	tests := []struct {
		name   string
		words  []string
		blocks int // after the jump, before the one that is judged
		step   int64
		more   int64 // further time of the last block of these
		want   bool
	}{
		{"all three", []string{"CLERK", "IT"}, 8639, 30 * second, 30 * second, false},
		{"one word", []string{"IT"}, 9000, 30 * second, 0, true},
		{"no word", nil, 9000, 30 * second, 0, true},
		{"a height too few", []string{"CLERK", "IT"}, 8638, 31 * second, 0, true},
		{"half the heights", []string{"CLERK", "IT"}, 4320, 60 * second, 0, true},
		{"a nanosecond too few", []string{"CLERK", "IT"}, 8640, 30 * second, -1, true},
		{"half the time", []string{"CLERK", "IT"}, 8640, 15 * second, 0, true},
		{"much later", []string{"CLERK", "COUNSEL", "IT"}, 8700, 60 * second, 0, false},
	}
	for _, test := range tests {
		c := running(t)
		c.pass(t, 1, hour)
		f, on, err := ledger.FreezeOf(c.view)
		if err != nil || !on {
			t.Fatalf("a step of an hour: frozen %t, %v", on, err)
		}
		jump := record.Index(c.view.Head().Size) - 2
		if f.Jump != jump || f.EndTime-f.Time != 72*hour || f.EndHeight-f.Height != 8640 || len(f.Offices) != 0 {
			t.Fatalf("freeze = %+v, want jump %d", f, jump)
		}
		left := test.blocks
		for _, office := range test.words {
			_, results := c.apply(t, c.view.Head().Time+test.step, c.sign(t, office, day("2031-01-02"), &record.AcknowledgeJump{Jump: jump}))
			if results[0].Code != ledger.OK {
				t.Fatalf("the word of %s: %s", office, results[0].Code)
			}
			left--
		}
		c.pass(t, left-1, test.step)
		c.pass(t, 1, test.step+test.more)
		if got := c.frozen(t); got != test.want {
			head := c.view.Head()
			t.Errorf("%s: frozen %t at height %d, %d ns after the jump, want %t", test.name, got, head.Height+1-f.Height, head.Time-f.Time, test.want)
		}
	}
}

// TestT17_AnotherJumpStartsOver wants a second jump to void the words about the
// first and to begin time and heights anew, while a longer step that does not
// freeze changes nothing.
func TestT17_AnotherJumpStartsOver(t *testing.T) {
	c := running(t)
	c.pass(t, 1, 700*second)
	first, _, err := ledger.FreezeOf(c.view)
	if err != nil {
		t.Fatal(err)
	}
	say := func(office string, jump record.Index) ledger.Code {
		_, results := c.apply(t, c.view.Head().Time+second, c.sign(t, office, day("2031-01-03"), &record.AcknowledgeJump{Jump: jump}))
		return results[0].Code
	}
	for _, office := range []string{"CLERK", "IT"} {
		if code := say(office, first.Jump); code != ledger.OK {
			t.Fatalf("the word of %s: %s", office, code)
		}
	}
	c.pass(t, 1, 90*second)
	if f, on, err := ledger.FreezeOf(c.view); err != nil || !on || f.Jump != first.Jump || len(f.Offices) != 2 {
		t.Errorf("after a step of 90 seconds: %+v, %t, %v, want the freeze as it was", f, on, err)
	}
	c.pass(t, 8000, 32*second)
	c.pass(t, 1, 601*second)
	again, on, err := ledger.FreezeOf(c.view)
	if err != nil || !on || again.Jump == first.Jump || len(again.Offices) != 0 || again.EndHeight != c.view.Head().Height+8640 {
		t.Errorf("after a second jump: %+v, %t, %v", again, on, err)
	}
	for _, test := range []struct {
		office string
		jump   record.Index
		want   ledger.Code
	}{
		{"CLERK", first.Jump, ledger.CodeUnknownJump}, {"CLERK", again.Jump - 1, ledger.CodeUnknownJump}, {"CLERK", 1 << 40, ledger.CodeUnknownJump},
		{"DPW", again.Jump, ledger.CodeNotGoverning}, {"AUDIT", again.Jump, ledger.CodeNotGoverning},
	} {
		c.refused(t, c.sign(t, test.office, record.LedgerDay(c.view.Head().Time), &record.AcknowledgeJump{Jump: test.jump}), test.want)
	}
}

// TestT17_NobodyAcknowledgesWhatDidNotHappen: without a jump there is nothing to say.
func TestT17_NobodyAcknowledgesWhatDidNotHappen(t *testing.T) {
	c := running(t)
	c.refused(t, c.sign(t, "CLERK", day("2031-01-02"), &record.AcknowledgeJump{Jump: 1}), ledger.CodeUnknownJump)
	c.pass(t, 1, 120*second) // an entry, and no freeze
	jump := record.Index(c.view.Head().Size) - 2
	c.refused(t, c.sign(t, "CLERK", day("2031-01-02"), &record.AcknowledgeJump{Jump: jump}), ledger.CodeUnknownJump)
}

// TestT17_NothingIsLockedEarly has block time lie by years, in one step and in
// steps of nine minutes: whatever was due only then stays where it is, and so
// does what was approved before.
func TestT17_NothingIsLockedEarly(t *testing.T) {
	for name, lie := range map[string]func(*archive){
		"in one step":             func(a *archive) { a.pass(t, 1, 5*365*86400*second) },
		"by nine minutes a block": func(a *archive) { a.pass(t, 2, 540*second) },
	} {
		a := foundArchive(t)
		approved, young := a.anchor("DEMO-MINUTES", "a", "2020-05-01"), a.anchor("DEMO-MINUTES", "b", "2030-12-31")
		d, hash := a.propose("DEMO-MINUTES", approved)
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		lie(a)
		a.follow()
		a.refused(ledger.CodeFrozen, true, "DPW", destroys(young))
		a.refused(ledger.CodeFrozen, true, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
		// What only keeps, or only states, goes on.
		a.must("COUNSEL", placed(record.HoldInvestigation, 0, record.Scope{City: true}))
		a.must("DPW", &record.RecordEvents{Event: 2, Day: day("2030-12-31"), Records: []record.Index{young}})
		a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2030-06-30")})
		a.must("DPW", anchors("DEMO-MINUTES", day("2030-12-31"), name))
		a.must("DPW", &record.WithdrawDisposition{Disposition: d})
	}
}

// follow moves the archive to where block time is.
func (a *archive) follow() {
	head := a.view.Head().Time
	a.date = date(record.LedgerDay(head))
	a.second = (head - at(a.date)) / second
}
