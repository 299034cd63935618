// Package custody keeps content for departments and gives it out again. It is the
// only place where the ledger and the vault meet.
//
// A deposit is sealed, synced, read back and hashed again before it is
// acknowledged. It then waits for its anchor. Follow reads the committed log from
// a durable position, by the same code at start and ever after: the anchor makes
// the deposit a record; a deposit whose last day has passed without one is an
// orphan and is swept. What is swept leaves vault and ring at once; it is
// forgotten for good, old files and free blocks included, when the ring's epoch
// ends.
//
// Invariants:
//   - Every method that opens content takes the caller first, checks the
//     permission, and has a line of the access log on disk before a byte leaves.
//     If the line cannot be written, nothing leaves.
//   - What is given out was compared with the record's leaf hashes.
//   - Content that is given out is in the register of releases, on disk before a
//     byte leaves. An erasure waits for what was under way at the lock, so that its
//     report tells of every release. A release may stand there of a call that a
//     crash cut short; none is missing.
//   - A redaction is filed only if it hides what would betray what it hides. It is
//     sealed under a key of its record and dies with it. A copy hides what it is
//     asked to hide, what would betray that, and what was erased.
//   - Nothing is acknowledged that would not survive a loss of power.
//   - An orphan is swept only when both the ledger day and the custodian's own
//     clock are past its last day, and the log was followed to that ledger day.
//   - Contents that are being deposited or opened take at most Config.MaxMemory,
//     whatever the clients do. A copy that was handed out is the caller's.
//
// Errors that are answers carry a stable Reason (see ReasonOf); any other error
// means that this node cannot be trusted to go on. A Custody is safe for
// concurrent use.
package custody
