// Package receipt makes and verifies the proofs that leave the ledger:
// checkpoints with their signatures and cosignatures, receipts of entries,
// receipts of state, legality files of dispositions, and the network file that
// says whom to believe; and what is made of several of these: proofs of holds,
// certificates of destruction, the reasons why a copy hides what it hides.
//
// The package is pure: bytes in, bytes out. The exact formats are
// docs/spec/{receipt,legality,held,certificate,redaction,network}.md; they rest on
// the C2SP formats signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy and
// tlog-proof, so that tools of others can read them. State values are read by
// package ledger, which wrote them.
//
// Contract:
//
//   - Everything a [Verdict] states as proven was checked; what was not is
//     listed as not proven. The outcome is PASSED only if every check held.
//   - A grade is computed from the signatures at hand and never upgraded.
//   - Every parser accepts one spelling of a value, bounds what it reads,
//     and returns the zero value on error.
//   - Nothing here reads a clock: times of cosignatures are arguments when
//     made and claims of their signers when read.
package receipt

import "errors"

// Limits of what is read.
const (
	MaxReceiptBytes = 64 << 10  // a receipt or state receipt
	MaxNetworkBytes = 4 << 20   // a network file
	MaxTreeSize     = 1<<53 - 1 // entries of a log; exact in any language

	maxCheckpointBytes = 24 << 10 // 100 signatures of the longest names fit twice over
	maxProofHashes     = 63
	maxLeaves          = 8
)

// Errors of form. They are wrapped with what is wrong.
var (
	ErrMalformed = errors.New("malformed")
	ErrTooLarge  = errors.New("too large")
)
