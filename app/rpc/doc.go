// Package rpc serves the node's gRPC services (proto/muniment/api/v1): it turns
// protobuf into domain calls and back, and decides who may call what.
//
// Contract:
//   - A connection is TLS 1.3 with an account certificate that an access key
//     registered on the ledger has signed, or with the certificate that a registered
//     node serves with. Whoever has none reaches no handler.
//   - Every call, and every message of a stream, is checked again against the
//     committed state: a suspended office or key is cut off at once, and so is a node
//     that was removed or that does not belong to the custodian set it asks about.
//   - Which role may call what is one table, permissions, and nothing else. Nodes call
//     the Custodians service, which nobody else may, and no other.
//   - Whatever a caller does, what is kept for it is bounded in number and what
//     waits for it is bounded in time (limits.go).
//   - Every refusal carries a google.rpc.ErrorInfo whose reason is stable
//     (errors.go, docs/errors.md). What goes wrong inside is said without detail,
//     and written to the log; nothing that was asked or answered is.
//   - The log tiles are served over HTTPS: hashes to everybody, entries to
//     registered offices.
//   - The Operators service listens on a unix socket of the node's home; who may
//     open the socket may call it.
package rpc
