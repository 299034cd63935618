// Package commitment hides a record behind one hash and opens it again, whole or
// in parts.
//
// A content is cut losslessly into segments (Split). Every segment, every
// descriptive field and the digest of the whole become leaves, each hidden by a
// secret salt; the leaves form an RFC 6962 tree; a small manifest holds the
// tree's root, and the SHA-256 of the manifest is the Commitment, the only thing
// that others ever see. All salts and sealing keys grow from one 32-byte
// RecordKey through a tree of seeds (State). Puncturing the state at a leaf
// forgets that leaf's secrets for good and leaves all others as they were.
//
//	RecordKey -> State -> secrets -> leaves -> root -> Manifest -> Commitment
//
// A Copy discloses some segments of a record and proves them against its
// commitment; the rest shows only as hashes. A Bundle adds receipts to a copy.
// Both travel as CARv1 files that any IPLD tool can read.
//
// Invariants:
//   - The content segments of a layout, in order, are the original bytes.
//   - A copy that hides any content hides the digest leaf and every oracle too.
//   - No seed in a state or copy covers a leaf that was punctured or hidden.
//   - One record has one encoding: every parser re-encodes and compares.
//   - A parser's memory is bounded by its input, whatever the input declares.
//
// The package is pure: no clock, no files, no goroutines. Only Seal draws
// randomness, for its nonces, as FIPS 140-3 demands of AES-GCM. The exact bytes
// are in docs/spec/commitment.md.
package commitment
