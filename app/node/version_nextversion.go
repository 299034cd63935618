//go:build nextversion

package node

// MaxVersion is what the next program will know. Its rules are those of version
// 1: the build shows that a network changes its program, and nothing else.
const MaxVersion = 2
