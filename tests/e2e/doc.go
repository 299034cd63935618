// Package e2e tries the shipped programs as their users would: real processes,
// real TLS, real files. Whatever a test starts it ends by its own process id.
package e2e
