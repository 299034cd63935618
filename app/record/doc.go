// Package record holds the nouns of the ledger and their exact bytes:
// transactions, governed facts, log entries, the checkpoint body, and the
// domain tags under which anything is hashed or signed.
//
// The package is pure. It knows no state: whether an office may do what a
// transaction asks is the business of package ledger. What is decided here is
// form, once and for everybody:
//
//   - A transaction body is valid only if encoding what was decoded gives the
//     same bytes (ascending fields, each once, no explicit defaults, minimal
//     varints, packed numbers, exact sizes, no unknown fields). The schema is
//     proto/muniment/ledger/v1/ledger.proto.
//   - An entry is a deterministic CBOR array [1, kind, ...] (RFC 8949 section
//     4.2) of at most 32 KiB. The schema is docs/spec/entry.md.
//   - Signatures cover the bytes that arrived, never a re-encoding.
//
// Every parser returns the zero value on error and one of the sentinels
// [ErrMalformed] and [ErrTooLarge], wrapped with what is wrong.
package record
