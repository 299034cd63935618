package custody

import (
	"encoding/hex"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// custodians is the office by which the access log names other custodians: their
// pseudonym is how the id of their key begins.
const custodians record.Code = "CUSTODIAN"

// peer is another custodian as a caller.
func peer(id record.KeyID) Caller {
	return Caller{Office: custodians, Account: hex.EncodeToString(id[:8])}
}

// keeps tells whether a custodian is one of a set, and has not left it.
func keeps(view ledger.View, set record.Code, id record.KeyID) (bool, error) {
	s, ok, err := ledger.CustodianSetOf(view, set)
	if err != nil || !ok || !slices.Contains(s.Custodians, id) {
		return false, err
	}
	_, gone, err := ledger.DepartureOf(view, set, id)
	return err == nil && !gone, err
}

// belongs refuses what is about a set that this custodian does not keep, or has
// left.
func (c *Custody) belongs(view ledger.View, set record.Code) error {
	ours, err := keeps(view, set, c.config.Custodian)
	if err == nil && !ours {
		err = refuse(UnknownCustody, "this node does not belong to custodian set %.16q", set)
	}
	return err
}

// takes refuses what is to be kept here for a set, where this custodian does not
// belong to it or is leaving it.
func (c *Custody) takes(view ledger.View, set record.Code) error {
	if err := c.belongs(view, set); err != nil {
		return err
	}
	return c.staying(set)
}

// Staying refuses to answer for a set that this custodian is leaving: whoever hands
// over to it, and leaves as well, would leave nothing behind.
func (c *Custody) Staying(set record.Code) error { return c.staying(set) }

// staying refuses what is to be kept for a set that this custodian is leaving.
func (c *Custody) staying(set record.Code) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving[set] {
		return refuse(UnknownCustody, "this node is leaving custodian set %.16q", set)
	}
	return nil
}

// shares refuses a transfer of records of a set from or to another custodian,
// unless both belong to it.
func (c *Custody) shares(view ledger.View, set record.Code, other record.KeyID) error {
	theirs, err := keeps(view, set, other)
	if err != nil {
		return err
	}
	if !theirs || other == c.config.Custodian {
		return refuse(Denied, "custodian %x is no other custodian of set %.16q", other[:8], set)
	}
	return c.belongs(view, set)
}
