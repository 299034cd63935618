// Package custody keeps content for departments, gives it out again, and erases it
// when the ledger says so. It is the only place where the ledger and the vault meet.
//
// A deposit is sealed, synced, read back and hashed again before it is
// acknowledged. It then waits for its anchor. Follow reads the committed log from
// a durable position, by the same code at start and ever after: the anchor makes
// the deposit a record; a deposit whose last day has passed without one is an
// orphan and is swept. What is swept leaves vault and ring at once; it is
// forgotten for good, old files and free blocks included, when the ring's epoch
// ends.
//
// Erase carries out locked dispositions: it rotates the rings that hold the keys,
// writes a report, buries the records in the vault and hands the report in. A node
// calls Reconcile before it serves, and Erase every so often.
//
// Invariants:
//   - Every method that opens content takes the caller first, checks the
//     permission, and has a line of the access log on disk before a byte leaves.
//     If the line cannot be written, nothing leaves.
//   - What is given out was compared with the record's leaf hashes.
//   - What is given out is in the register of releases before it leaves.
//   - Nothing is acknowledged that would not survive a loss of power.
//   - An orphan is swept only when both the ledger day and the custodian's own
//     clock are past its last day, and the log was followed to that ledger day.
//   - From the lock of a disposition that erases on, nothing of its records is given
//     out, by the committed state at each call: no restored vault or ring can answer.
//   - A record is erased only if the ledger had it locked and without a hold when
//     the ring had already moved on; until then everything can go back.
//   - A report is written when nothing opens what it calls erased, and it is never
//     written again. What it calls preserved is whole.
//   - What Erase has to do follows from ledger, rings and vault alone: it can be
//     killed at any point and called again.
//   - A ring that has lost erasures which were reported gives nothing out until they
//     were applied again.
//   - Contents that are being deposited or opened take at most Config.MaxMemory,
//     whatever the clients do. A copy that was handed out is the caller's.
//
// Errors that are answers carry a stable Reason (see ReasonOf); any other error
// means that this node cannot be trusted to go on. A Custody is safe for
// concurrent use. The procedure of erasing is in docs/spec/erasure.md.
package custody
