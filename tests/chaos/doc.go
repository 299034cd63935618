// Package chaos proves on a network of real processes that faults lose nothing.
//
// Four validators, each the shipped munimentd in a network namespace of its own, three
// of them custodians of what departments deposit, serve while they are killed, stopped,
// cut off from each other, starved of disk, lied to by disk and clock, flooded,
// restored, cloned, and lost with all they had. A recorder, a process that no fault
// touches, writes down every call and every answer, synced, before it goes on. In the
// end the log is replayed by the plainest rules (logbook_test.go), and everything that
// was ever answered is held against it:
//
//	I-01  what was acknowledged is there, where it was acknowledged
//	I-02  nothing is there that nobody submitted, or twice, or though it was refused
//	I-03  what is locked is given out by no custodian
//	I-04  no hold that stands is passed over
//	I-05  nothing is locked without what it needs; no block is of a time yet to come
//	I-06  one history on all nodes, and none without a quorum
//	I-07  the log, carried out anew, gives every AppHash
//	I-08  every receipt that was ever given verifies in the end
//	I-09  answers agree with the log, in the order of the clock; Porcupine, per record
//	I-10  no evidence against who had one process only
//	I-11  whatever was given out has a line in a whole access log
//	I-12  no word of a document, nor the passphrase, in files and outputs of the nodes
//	I-13  in the end all nodes agree, and custodians owe nothing
//	I-14  each custodian gives out each living document as it was deposited
//	I-15  while a quorum is left the network answers, and soon after it is back
//
// The network needs Linux and root, and has the build tag chaos: `make chaos` runs
// it long, `.ci/run` short. -seed gives the same faults in the same order at the same
// distances; what the machine makes of them may still differ. Without the tag the
// tests of the checkers themselves run, which find every violation that is put into
// a sound history.
package chaos
