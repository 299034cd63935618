// Package vault keeps sealed records, and the log of who opened them.
//
// A [Vault] is a Pebble store of what may be copied and backed up without care:
// ciphertext, hashes, and facts that the ledger publishes anyway. Whatever opens
// it is in the keyring, so a record dies here when its state dies there; removing
// its bytes is only housekeeping. An [AccessLog] is a chain of lines in plain
// files: one for each time that somebody asked for content.
//
// Invariants:
//   - A record is there whole or not at all: Put writes as often as it needs to,
//     syncs once, and what a crash interrupts is removed at the next Open.
//   - A record that is buried is gone whole, in one write. What is left names it
//     ([Residual]) and tells when it was given out; its commitment never comes back.
//   - Rewrite drops segments of dead leaves and touches no other.
//   - No value holds content, a title, a file name or a length in the clear.
//   - A sealed segment, layout or catalogue entry opens only as part of its own
//     record, at its own place.
//   - A line of the access log is on disk when Append returns, and follows from
//     the line before it.
//   - If a sync fails the process ends.
//
// The exact bytes are in docs/spec/vault.md; all keys are on one page, keys.go.
// Vault and AccessLog are safe for concurrent use.
package vault
