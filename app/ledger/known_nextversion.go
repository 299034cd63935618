//go:build nextversion

package ledger

// MaxVersion is what the next program will know. Its rules are those of version
// 1: the build shows that a network changes its programs, and nothing else.
const MaxVersion = 2
