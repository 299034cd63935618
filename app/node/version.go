//go:build !nextversion

package node

// MaxVersion is the newest version of the ledger's rules that this program
// knows. It refuses to go on where the network applies a newer one.
const MaxVersion = 1
