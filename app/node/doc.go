// Package node is one node of a network: it reads the configuration, opens the
// keys, and runs the consensus engine, the ledger, the cosigner and the
// watchdogs in one process.
//
//	node.ScrubEnvironment()
//	config, err := node.LoadConfig(home, os.Environ(), flags)
//	n, err := node.New(home, config, node.Options{Passphrase: passphrase, Log: log})
//	err = n.Start()
//	result, height, err := n.Submit(ctx, transaction)
//	checkpoint, err := n.CosignedCheckpoint(ctx, int64(result.TxIndex)+1)
//	err = n.Stop()
//
// Contract:
//   - The process may be killed at any moment. What Submit has answered is on
//     disk; what was signed is on disk before the signature leaves.
//   - One Pebble store, HOME/ledger, holds the ledger's state and the engine's
//     databases. Beside it are the engine's consensus log (HOME/wal) and what was
//     signed last (HOME/signer), which no backup may contain.
//   - Votes and proposals are never signed twice for one height, round and step.
//     A node whose validator state is missing, or older than the chain, does not
//     start.
//   - A tree is cosigned once the header that carries its AppHash is committed,
//     and never after a larger one or another one of its size. Cosignatures travel
//     over the engine's connections between nodes, on a channel of their own.
//   - genesis.json is compared with the genesis entry of the log at every start.
//   - What makes the node unfit to go on (a consensus failure, a failed write, a
//     panic in a call of the engine) goes to Options.Fatal, which ends the
//     process. What needs a person is an alarm: a log line, a metric, and a node
//     that reports itself unhealthy.
//   - The environment and the clock are read here and nowhere else below.
//
// A network is made in two steps: MakeKeys on each node, then Found with what
// all nodes have told of themselves, and Join with its two files on each node.
// Init does both for a network of one node.
package node
