package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// The clock of a chain is the word of its validators. What follows makes a lie
// about it visible and slow, whoever tells it.
const (
	stepAllowed     = 60 * 1e9        // nanoseconds between two blocks that nobody asks about
	freezeNanos     = 72 * 3600 * 1e9 // that a freeze lasts at least
	freezeHeights   = 8640            // that it lasts at least, too
	acknowledgments = 2               // offices that must have looked at the clock
)

// clockState is what is known against the clock.
type clockState struct {
	day     record.Day // ledger day of the excess
	excess  int64      // nanoseconds by which steps of that day were too long, since the last freeze
	jump    record.Index
	time    int64 // after the jump, Unix nanoseconds
	height  int64 // of the jump
	offices []record.Code
}

// Freeze is a time in which no disposition goes on, because block time made a
// step that nobody has explained yet.
type Freeze struct {
	Jump      record.Index  // jump entry that began it
	Time      int64         // of the block with the jump, Unix nanoseconds
	Height    int64         // of that block
	Offices   []record.Code // that have acknowledged the jump, ascending
	EndTime   int64         // earliest block time at which it can end, Unix nanoseconds
	EndHeight int64         // earliest height at which it can end
}

// FreezeOf gives the freeze that is on for the next block, were its time that
// of the last one; ok is false when none is.
func FreezeOf(v View) (Freeze, bool, error) {
	s, err := clockOf(v)
	head := v.Head()
	if err != nil || !s.freezes(Header{Height: head.Height + 1, Time: head.Time}) {
		return Freeze{}, false, err
	}
	return Freeze{
		Jump: s.jump, Time: s.time, Height: s.height, Offices: s.offices,
		EndTime: s.time + freezeNanos, EndHeight: s.height + freezeHeights,
	}, true, nil
}

// frozen tells whether dispositions are frozen at a header.
func frozen(v View, h Header) (bool, error) {
	s, err := clockOf(v)
	return err == nil && s.freezes(h), err
}

// freezes tells whether dispositions are frozen at a header.
func (s *clockState) freezes(h Header) bool {
	return s.jump != 0 &&
		(len(s.offices) < acknowledgments || h.Time-s.time < freezeNanos || h.Height-s.height < freezeHeights)
}

// recordStep puts a jump entry first in a block whose time is further from the
// last block's than allowed. Block 1 carries the genesis time, and the network
// may have begun to run long after it: the first step between two clocks is
// that to block 3. Steps of up to a minute write nothing, so that the chain can rest.
func (d *draft) recordStep(b Block) error {
	step := b.Time - d.head.Time
	p, err := ParametersOf(d)
	if err != nil {
		return err
	}
	longest := int64(p.JumpSeconds) * 1e9
	if b.Height <= 2 || step <= min(stepAllowed, longest) {
		return nil
	}
	s, err := clockOf(d)
	if err != nil {
		return err
	}
	if today := record.LedgerDay(b.Time); s.day != today {
		s.day, s.excess = today, 0
	}
	s.excess += max(0, step-stepAllowed)
	if step > longest || s.excess > longest {
		s = clockState{day: s.day, jump: record.Index(d.head.Size), time: b.Time, height: b.Height}
	}
	d.set([]Value{{StateKeyClock(), s.value()}})
	return d.add(record.JumpEntry{Height: b.Height, Before: d.head.Time, After: b.Time})
}

// acknowledge judges a governing office's word that the clock is right again.
func (a *act) acknowledge(m *record.AcknowledgeJump) (Code, error) {
	governs, err := a.governsAny()
	if err != nil {
		return 0, err
	}
	s, err := clockOf(a.view)
	at, found := slices.BinarySearch(s.offices, a.office.Code)
	switch {
	case err != nil:
		return 0, err
	case !governs:
		return CodeNotGoverning, nil
	case m.Jump == 0 || m.Jump != s.jump:
		return CodeUnknownJump, nil
	case found:
		return CodeAlreadyApproved, nil
	}
	s.offices = slices.Insert(s.offices, at, a.office.Code)
	a.add(record.AcknowledgmentEntry{Office: a.office.Code, Jump: m.Jump})
	a.set(StateKeyClock(), s.value())
	return OK, nil
}

// governsAny tells whether the signer's office governs any subject.
func (a *act) governsAny() (bool, error) {
	for _, subject := range [...]record.Subject{record.SubjectRecords, record.SubjectSecurity} {
		g, ok, err := GovernanceOf(a.view, subject)
		if err != nil || ok && slices.Contains(g.Offices, a.office.Code) {
			return err == nil, err
		}
	}
	return false, nil
}

// clockOf gives what is known against the clock: nothing, as long as nothing was written.
func clockOf(v View) (clockState, error) {
	key := StateKeyClock()
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return clockState{}, err
	}
	r := open(value, 6)
	s := clockState{
		day: r.day(), excess: r.number(), jump: r.index(), time: r.number(), height: r.number(), offices: r.codes(),
	}
	if err := r.end(key); err != nil {
		return clockState{}, err
	}
	if !slices.IsSorted(s.offices) {
		return clockState{}, fmt.Errorf("read %q: %w", key, errDamaged)
	}
	return s, nil
}

// value is [1, ledger day of the excess, excess in nanoseconds, index of the
// jump entry that froze or 0, time after it, its height, [office, ...]].
func (s *clockState) value() []byte {
	b := appendNumber(appendDay(newValue(6), s.day), s.excess)
	b = appendNumber(appendNumber(appendNumber(b, s.jump), s.time), s.height)
	return appendCodes(b, s.offices)
}
