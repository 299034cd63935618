// Package app is the map of Muniment. It holds no code: only this page and the
// tests that keep the tree in the shape it describes.
//
// A record is cut into segments, hidden behind salted leaves, and named by a
// 32-byte commitment (commitment). An office signs a transaction that anchors
// commitments (record). The replicated machine judges it and appends entries to
// an RFC 6962 log, and keeps the current facts in a sparse Merkle tree (ledger,
// statetree). The engine, CometBFT, makes all nodes agree on the same blocks
// (abci, node). Each block that changed anything gives a checkpoint, which the
// nodes cosign; an entry, its inclusion proof and a cosigned checkpoint are a
// receipt, verified offline for ever after (receipt). The content itself never
// goes near the chain: it is sealed in a vault, under keys in a keyring that can
// forget (store/vault, store/keyring), and custody is the only place where
// ledger and vault meet.
//
// # Floors
//
// A package imports only packages of lower floors:
//
//	6   cmd/munimentd        cmd/muniment           cmd/muniment-verify
//	5   app/node
//	4   app/abci                                    app/rpc
//	3   store/state          store/cometdb          app/custody      app/receipt
//	2   app/ledger           app/identity           store/vault      store/keyring
//	1   app/record
//	0   app/commitment       app/retention          app/statetree    app/keyfile    proto/muniment/...
//
// Floors 0 to 2 under app, identity aside, and app/receipt are pure: bytes in, bytes out. They know no clock, no
// disk, no network, no goroutine and no variable that changes; time and chance
// are arguments. So each can be read, tested and reimplemented on its own.
//
// # Where to look
//
//	what are the exact bytes of ...      docs/spec, then app/record, app/commitment
//	is this transaction allowed          app/ledger: Check, Apply
//	why should I believe this receipt    app/receipt: Verify
//	what was destroyed, who says so      app/receipt: VerifyCertificate
//	what is on disk                      store/state, store/vault, store/keyring
//	what can a client call               proto/muniment/api/v1, app/rpc
//	who is calling                       app/identity
//	in what order does a node start      app/node
//
// A place named here and not in the tree is not built; docs/design.md says what
// comes later.
//
// # The rules, and where they are enforced
//
//	layers_test.go   who may import whom, and which module from outside
//	purity_test.go   no clock, chance, disk, network or state in the pure packages
//	budget_test.go   sizes of files and functions, depth, packages, interfaces
//	pins_test.go     exact versions of the engine and the store
//	links_test.go    what the two small programs may not link
//	text_test.go     no path of somebody's machine, no promise without a number
//
// Each rule has a small tree in testdata that breaks it, so that a rule which no
// longer bites fails too.
package app
