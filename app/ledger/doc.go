// Package ledger is the replicated state machine: what an office may put on
// the ledger, and what follows from it.
//
// Contract:
//   - [Machine.Check] judges one transaction by the state after the last block,
//     the header and the bytes; [Machine.Apply] judges the transactions of a
//     block in order, each by the state that the ones before it left. Both call
//     the same rules, so what Apply refuses for reasons that do not lie in the
//     state, Check refuses too.
//   - A transaction is atomic: it is carried out whole, or it leaves nothing.
//   - A refusal is a [Code]. An error means that this node cannot be trusted to
//     go on: its store is damaged, or the engine broke a promise.
//   - Apply changes nothing. It returns [Changes], which the store writes in one
//     synced batch and [Overlay] lays over a view.
//   - Equal views and equal blocks give equal changes, on every machine: no
//     clock, disk, network, goroutine or chance; maps are looked up, never
//     iterated over.
//
// After every block:
//   - Height has grown by one and time has not gone back.
//   - The log has only grown, and entry i is what it was.
//   - A block with entries ends with a block entry that holds its height, its
//     time and the root of the state; a block without entries changed nothing.
//   - A record is anchored at most once per office.
//   - There is a validator, no key of a node is anybody else's or was, and after
//     a change of validators those that are known to be live have more than two
//     thirds of the power.
//   - The era in force has the keys of the nodes that are registered.
//   - Enough governing offices hold active signing keys to decide on offices and
//     keys.
//
// The rules, the codes and the exact bytes of the state are in
// docs/spec/ledger.md and the pages that it names, the entries in docs/spec/entry.md.
//
//	changes, results, err := machine.Apply(view, ledger.Block{Height: 7, Time: now, Txs: txs})
package ledger
