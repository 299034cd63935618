//go:build !nextversion

package ledger

// MaxVersion is the newest version of the rules that this program knows; it
// knows all from 1 on. It refuses to go on where a newer one is applied.
const MaxVersion = 1
