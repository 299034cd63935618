// Package crash proves on real processes that nothing acknowledged is lost.
//
// The tests build munimentd with the tag crashtest, make the home of a network
// of one validator, and end its process in every way that a process can end:
// at each crash point of the engine, at crash points of our own around every
// durable step, by SIGKILL at random moments under load, and by SIGTERM. What
// was acknowledged is written down by somebody who does not crash: the test
// itself, or a recorder process with a synced file of its own. At the end
//   - every acknowledged record is at its index with its commitment, by the
//     services and in the store, and its receipt passes offline;
//   - no commitment is in the log twice, whatever was retried, and none that
//     nobody submitted;
//   - a transaction that is handed in again gets its first answer;
//   - a transaction that was called after another returned stands behind it;
//   - the whole log replays without the engine: every signature, every rule,
//     every state root, and the AppHash of every header;
//   - every tree that was ever shown is a prefix of the log.
//
// A custodian that destroys and redacts is killed at each durable step too: whatever
// a killed process has left, nothing that is reported can be opened by any key of the
// keyring, nothing that lives is lost, and from the lock on nothing is given out.
//
// There is nothing but tests here. They run short by default; the flags -points,
// -founded, -passages, -kills, -terms, -erasures and -rings lengthen them, -seed
// chooses the same moments again, and -calls keeps the engine's calls for module
// conformance.
// scripts/crash-sweep.sh is the long run.
package crash
