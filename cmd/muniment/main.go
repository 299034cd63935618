// Command muniment is the program of departments, records staff and governing
// offices: it makes an office's keys, anchors records, fetches receipts, copies
// and evidence, and puts changes to the governing offices.
//
//	muniment key new --office CLERK
//	muniment network add network.mun --fingerprint HEX
//	muniment anchor --series DEMO-MINUTES minutes/
//
// Contract:
//   - It trusts the pinned network file. A receipt, copy or bundle is verified
//     before anything is said about it or written; a server is believed only
//     where nothing can be verified: what is due, what is found, what is read.
//   - Record keys live in memory for the time of one deposit. Passphrases come
//     from the terminal or from a file.
//   - A signed transaction is in the journal before it leaves, so that the same
//     command again ends what was begun and never makes a second record.
//   - Data goes to standard output, talk to standard error. One place, exit.go,
//     turns errors into exit codes; docs/cli.md lists them.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := newProgram().run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
