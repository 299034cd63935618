package ledger

import "github.com/muniment/muniment/app/record"

// recordStep puts a jump entry first in a block whose time is further from the
// last block's than the parameters allow. Block 1 carries the genesis time, and
// the network may have begun to run long after it: the first step between two
// clocks is that to block 3.
func (d *draft) recordStep(b Block) error {
	p, err := ParametersOf(d)
	if err != nil {
		return err
	}
	before := d.head.Time
	if b.Height <= 2 || b.Time-before <= int64(p.JumpSeconds)*1e9 {
		return nil
	}
	return d.add(record.JumpEntry{Height: b.Height, Before: before, After: b.Time})
}

// frozen tells whether dispositions are frozen at a header.
func frozen(v View, h Header) (bool, error) { return false, nil }

func (a *act) acknowledge(m *record.AcknowledgeJump) (Code, error) { return CodeUnsupportedChange, nil }
