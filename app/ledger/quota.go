package ledger

import (
	"github.com/muniment/muniment/app/record"
)

// OfficeTxs is how many transactions of one office are judged in one block, and
// as many again that are urgent. Further ones are refused without an entry, and
// may be handed in again: whoever makes a block cannot give all of it to one
// office. What was accepted before and what a custodian reports does not count.
const OfficeTxs = 1000

// spent counts the transactions of each office in a block, in the order in which
// they are carried out. Nil is for a transaction alone, and counts nothing.
type spent map[share]int

// share is what an office has of a block: one for holds and decisions of
// governance, one for all else.
type share struct {
	office record.Code
	urgent bool
}

// over counts the transaction of an act whose signature is good, and tells
// whether its office has had its share.
func (s spent) over(a *act) bool {
	if s == nil || a.custodian != (record.KeyID{}) {
		return false
	}
	of := share{a.key.Office, record.Urgent(a.tx.Raw)}
	s[of]++
	return s[of] > OfficeTxs
}
