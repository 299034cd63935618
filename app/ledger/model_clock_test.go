package ledger_test

import (
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
)

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

// frozen tells whether dispositions wait: two offices have to look at the clock,
// and three days and 8,640 heights to pass.
func (m *model) frozen(by modelSigner) bool {
	c := m.clock
	over := len(c.acknowledged) >= 2 && by.time-c.time >= 3*86400e9 && by.height-c.height >= 8640
	return c.jump != 0 && !over
}

func (m *model) acknowledge(msg *record.AcknowledgeJump, by modelSigner) (modelNo, func()) {
	governs := false
	for _, s := range []record.Subject{record.SubjectRecords, record.SubjectSecurity} {
		governs = governs || slices.Contains(m.governing(s).Offices, by.office.Code)
	}
	code := string(by.office.Code)
	switch {
	case !governs:
		return modelNot("NOT_GOVERNING"), nil
	case int64(msg.Jump) != m.clock.jump:
		return modelNot("UNKNOWN_JUMP"), nil
	case slices.Contains(m.clock.acknowledged, any(code)):
		return modelNot("ALREADY_APPROVED"), nil
	}
	return modelNo{}, func() {
		m.write(record.AcknowledgmentEntry{Office: by.office.Code, Jump: msg.Jump})
		m.clock.acknowledged = append(m.clock.acknowledged, code)
		slices.SortFunc(m.clock.acknowledged, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
}
