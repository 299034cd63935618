//go:build crashtest

package node

// ScrubEnvironment leaves the environment alone: the crash tests choose the
// point of a crash with FAIL_TEST_INDEX.
func ScrubEnvironment() {}
