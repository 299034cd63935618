//go:build !crashtest

package state

// crashpoint names a moment between two durable steps. Builds with the tag
// crashtest can end the process there.
func crashpoint(string) {}
