// Package model walks every interleaving of a few moves on the real state
// machine, and asks after each of them whether the law was kept.
//
// Contract:
//
//   - The moves are: place a hold, close and release it, propose, approve,
//     withdraw, lock, report, withhold, a day passes, the clock leaps, a role is
//     taken away, a key is suspended; and some of them together in one block. Two
//     records, and every office that has a part. Who may not do it tries, too.
//     Whole records are destroyed in two of the settings; in the third parts of
//     them are erased as well, and moves that the others make are left out.
//
//   - The machine is [github.com/muniment/muniment/app/ledger.Machine] with a
//     Verify that takes every signature.
//
//   - States that differ only in the numbers of entries and heights, not in
//     their order, are one state. Of each, every move is made, up to a depth.
//
//   - The oracle knows the entries of the log alone. In every state: no record
//     is locked that is held or not due; a lock has its approvals, by distinct
//     offices that may, and its notice period; holds come first in a block and
//     count the locks for which they are late; a refusal leaves nothing but its
//     entry; every locked disposition can be brought to its end; and of each
//     record the ledger names the lock and the decisions that the log does.
//
//     make model            # to depth 6
//     make model DEPTH=8    # by hand, before a release
package model
