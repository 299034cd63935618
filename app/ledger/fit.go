package ledger

import "github.com/muniment/muniment/app/record"

// Unfit says what makes a fact of sound shape unfit to be stated, whatever the
// state is: a proposal of it is refused with BAD_FACT. It is empty for a fit one.
func Unfit(f record.Fact) string { return faultOf(f) }
