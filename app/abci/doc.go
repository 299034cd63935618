// Package abci turns the calls of CometBFT (ABCI 2.0) into calls of the ledger.
//
// Contract:
//   - The App is safe for concurrent use: every call works on an immutable view
//     of the state after the last committed block. Only FinalizeBlock and Commit
//     hand something over, and both run on the consensus connection, one after
//     the other.
//   - InitChain is a pure function of the genesis facts. It keeps its result in
//     memory and may run again; genesis reaches the disk together with block 1.
//   - FinalizeBlock never writes. Commit writes everything of a block at once,
//     and is the only call that writes.
//   - PrepareProposal and ProcessProposal never fail and never look at a clock.
//     A proposal is rejected only for a transaction that cannot be decoded, or
//     for its size. A transaction that has become stale in the mempool is
//     proposed all the same, so that it is refused in a block: the mempool drops
//     what a block holds and nothing else, and a chain whose mempool is never
//     empty never rests.
//   - A refusal of a transaction is a ledger.Code. An error of the ledger or the
//     store, and any panic, goes to Options.Fatal, which must end the process.
//   - A transaction that CheckTx refuses, and that a block to come may make good, is
//     judged again after each of the next blocks: the engine tells a node of it once.
//   - A transaction that is committed already is not admitted to the mempool again: whoever
//     hands out what others have signed cannot fill their share of it.
//   - FinalizeBlock tells the ledger which validators signed the commit that the
//     block carries, and what the block shows evidence of; Decided gives the same
//     out of the engine's block store. It returns the difference between the
//     validators that the ledger lists before and after the block, which the engine
//     applies two heights later, and nothing that a caller has composed.
//   - The version of the rules is the ledger's. The last block before the first that
//     is judged by another version changes the engine's parameter, and a program
//     that does not know that version ends there, with ErrRules.
//   - AppHash is SHA-256 of the checkpoint body. A block without entries leaves
//     it as it was.
//   - An Ed25519 signature is verified once: what CheckTx or Submit has verified
//     is remembered for FinalizeBlock, in bounded memory.
//
// Submit is how the services of a node hand in a transaction: it returns when
// the block that holds the transaction is on disk, and gives a transaction that
// was committed before its first answer again.
//
// The requirements of CometBFT's specification ("Requirements for the
// Application", 1 to 13) have a test each.
package abci
