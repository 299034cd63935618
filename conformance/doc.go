// Package conformance holds what a node was asked by its engine against a
// grammar that others published: that of ABCI calls, as CometBFT v1.0.1 ships
// it with the parser that its own end-to-end tests use.
//
// It is a module of its own, since the product pins another version of the
// engine, and it has nothing but tests. A call log is text: a line "start" for
// every start of the process, and after it the name of every call, in order,
// separated by blanks or line ends (package abci, CallLog). Of each start, what
// follows the last commit is dropped: the process died there. The first start
// must read as a clean start, the others as recoveries.
//
//	MUNIMENT_CALL_LOGS=folder go test -count=1 .
//
// checks every file of a folder; without it, only those in testdata.
package conformance
