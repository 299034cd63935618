// Package chaos proves on a network of real processes that faults lose nothing.
//
// Four validators, each the shipped munimentd in a network namespace of its own,
// serve departments while they are killed, stopped, cut off from each other, starved
// of disk, lied to by the disk, flooded, restored and cloned. A recorder, a process
// that no fault touches, writes down every call and every answer, synced, before it
// goes on. In the end the log is replayed, and everything that was ever answered is
// held against it: invariants I-01 to I-15 (checkers_test.go says what each wants).
//
// The network needs Linux and root, and has the build tag chaos: `make chaos` runs
// it long, `.ci/run` short. -seed gives the same faults in the same order at the same
// distances; what the machine makes of them may still differ. Without the tag the
// tests of the checkers themselves run, which find every violation that is put into
// a sound history.
package chaos
