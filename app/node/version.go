package node

import "github.com/muniment/muniment/app/ledger"

// MaxVersion is the newest version of the ledger's rules that this program
// knows. It refuses to go on where the network applies a newer one.
const MaxVersion = ledger.MaxVersion
