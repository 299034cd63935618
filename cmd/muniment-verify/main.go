// Command muniment-verify checks evidence without any node and without any
// network access: what it trusts is the network file, and nothing else.
//
//	muniment-verify --network city.mun evidence.mun.car
//
// Exit codes: 0 everything PASSED, 1 a file could not be read or written,
// 2 wrong usage, 3 something FAILED, 4 something is INDETERMINATE.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/muniment/muniment/app/receipt"
)

// Exit codes, the same for all programs of the project (docs/errors.md).
const (
	exitDone          = 0
	exitError         = 1
	exitUsage         = 2
	exitContradicted  = 3
	exitIndeterminate = 4
)

// maxFileBytes bounds what is read into memory.
const maxFileBytes = 1 << 30

const usage = `usage: muniment-verify --network FILE [--fingerprint HEX] [--output text|json] [--extract DIR] FILE...

Checks evidence bundles (*.mun.car), copies and receipts offline.

  --network FILE      the network file: whom to believe
  --fingerprint HEX   refuse a network file with another SHA-256
  --output text|json  how to report (text)
  --extract DIR       write the disclosed content of what PASSED into DIR

exit codes: 0 all PASSED, 1 input or output error, 2 usage, 3 FAILED, 4 INDETERMINATE
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("muniment-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.network, "network", "", "")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "")
	flags.StringVar(&o.output, "output", "text", "")
	flags.StringVar(&o.extract, "extract", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitDone
	case err != nil:
		return fail(stderr, exitUsage, err)
	}
	o.files = flags.Args()
	if err := o.check(); err != nil {
		return fail(stderr, exitUsage, err)
	}
	network, err := o.readNetwork()
	if err != nil {
		return fail(stderr, exitError, err)
	}
	code := exitDone
	for _, name := range o.files {
		data, err := readFile(name)
		if err != nil {
			return fail(stderr, exitError, err)
		}
		report := inspect(network, data)
		report.File = name
		if report.Outcome == receipt.Passed && o.extract != "" {
			if report.Extracted, err = extract(o.extract, report); err != nil {
				return fail(stderr, exitError, err)
			}
		}
		if err := o.print(stdout, report); err != nil {
			return fail(stderr, exitError, err)
		}
		code = worse(code, report.Outcome)
	}
	return code
}

// worse keeps the more serious exit code: a contradiction before a doubt.
func worse(code int, o receipt.Outcome) int {
	switch {
	case o == receipt.Failed || code == exitContradicted:
		return exitContradicted
	case o == receipt.Indeterminate:
		return exitIndeterminate
	}
	return code
}

func fail(stderr io.Writer, code int, err error) int {
	fmt.Fprintf(stderr, "muniment-verify: %v\n", err)
	if code == exitUsage {
		fmt.Fprintln(stderr, "muniment-verify: run with --help to see how it is used")
	}
	return code
}

// options is what the command line says.
type options struct {
	network, fingerprint, output, extract string
	files                                 []string
}

func (o options) check() error {
	switch {
	case o.network == "":
		return errors.New("which network is to be believed? give --network FILE")
	case len(o.files) == 0:
		return errors.New("nothing to verify: name at least one file")
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("output %q: use text or json", o.output)
	}
	return nil
}

func (o options) readNetwork() (receipt.Network, error) {
	text, err := readFile(o.network)
	if err != nil {
		return receipt.Network{}, err
	}
	n, err := receipt.ParseNetwork(text)
	if err != nil {
		return receipt.Network{}, fmt.Errorf("network file %s: %w", o.network, err)
	}
	if got := n.Fingerprint(); o.fingerprint != "" && o.fingerprint != hex.EncodeToString(got[:]) {
		return receipt.Network{}, fmt.Errorf("network file %s has fingerprint %x, not the one given", o.network, got)
	}
	return n, nil
}

func (o options) print(w io.Writer, r report) error {
	if o.output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	_, err := io.WriteString(w, r.text())
	return err
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s has %d bytes: at most %d can be verified", name, info.Size(), maxFileBytes)
	}
	return os.ReadFile(name)
}
