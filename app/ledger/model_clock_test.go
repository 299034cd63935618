package ledger_test

import "github.com/muniment/muniment/app/record"

// modelClock is what is known against the clock, see docs/spec/holds.md.
type modelClock struct {
	written            bool
	day                record.Day
	excess             int64
	jump, time, height int64
	acknowledged       []any // offices, ascending
}

// step looks at the time between the last block and this one.
func (m *model) step(height, time int64) {
	const second = int64(1e9)
	step, allowed := time-m.time, int64(m.parameters().JumpSeconds)*second
	if height <= 2 || step <= 60*second && step <= allowed {
		return
	}
	c := &m.clock
	if today := record.LedgerDay(time); !c.written || c.day != today {
		c.day, c.excess = today, 0
	}
	c.written = true
	if step > 60*second {
		c.excess += step - 60*second
	}
	at := m.write(record.JumpEntry{Height: height, Before: m.time, After: time})
	if step > allowed || c.excess > allowed {
		*c = modelClock{written: true, day: c.day, jump: at, time: time, height: height}
	}
}

func (c *modelClock) value() []byte {
	day := int64(c.day) * 2 // zigzag of a day from 1970 on
	return modelCBOR([]any{int64(1), day, c.excess, c.jump, c.time, c.height, append([]any{}, c.acknowledged...)})
}
