// Command muniment-verify checks evidence without any node and without any
// network access: what it trusts is the network file, and nothing else.
//
//	muniment-verify --network city.mun evidence.mun.car
//	muniment-verify replay --network city.mun mirror/
//
// Exit codes: 0 everything PASSED, 1 a file could not be read or written,
// 2 wrong usage, 3 something FAILED or the network file is not the pinned one,
// 4 something is INDETERMINATE. Of several files the most serious one decides,
// in the order 3, 1, 4, 0: what could not be read may contradict.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

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

// What is read into memory at most.
const (
	maxFileBytes    = 1 << 30
	maxNetworkBytes = 4 << 20
)

var errFingerprint = errors.New("the network file is not the one whose fingerprint was given")

const usage = `usage: muniment-verify --network FILE [--fingerprint HEX] [--output text|json] [--extract DIR] [--consistency FILE] [--exemption-log text|csv|json [--exemptions FILE]] FILE...
       muniment-verify replay --network FILE [--fingerprint HEX] [--output text|json] [--consistency FILE] DIR

Checks evidence bundles (*.mun.car), copies, receipts, proofs of holds,
legality files of dispositions and certificates of destruction offline. With replay it carries out anew the
whole log in DIR, which muniment log mirror made: every signature, every rule.

  --network FILE      the network file: whom to believe
  --fingerprint HEX   refuse a network file with another SHA-256
  --output text|json  how to report (text)
  --consistency FILE  proofs by which what keys signed that are retired now still
                      holds, as muniment receipt refresh --proof writes them
  --extract DIR       write the disclosed content of what PASSED into DIR
  --exemption-log text|csv|json
                      instead of a report, list what a copy does not disclose
                      and by which decision, code and authority
  --exemptions FILE   with it: what the codes are about, as muniment exemptions
                      list [AUTHORITY FILE] --output json writes it

exit codes: 0 all PASSED, 1 input or output error, 2 usage, 3 FAILED, 4 INDETERMINATE
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "replay" { // a file of that name is ./replay
		return runReplay(args[1:], stdout, stderr)
	}
	o, err := parseOptions(args)
	if done, code := answered(err, stdout, stderr); done {
		return code
	}
	network, err := o.readNetwork()
	if err != nil {
		return unreadable(err, stderr)
	}
	if network, err = o.withProofs(network); err != nil {
		return unreadable(err, stderr)
	}
	if o.codes, err = o.readCodes(); err != nil {
		complain(stderr, err)
		return exitError
	}
	code := exitDone
	ended := map[int]int{} // files by exit code
	for _, name := range o.files {
		outcome, err := o.verify(network, name, stdout, stderr)
		one := exitOf(outcome)
		if err != nil {
			complain(stderr, err)
			one = exitError
		}
		code = worse(code, one)
		ended[one]++
	}
	if len(o.files) > 1 && o.output == "text" {
		fmt.Fprintf(stdout, "%d files: %d PASSED, %d INDETERMINATE, %d FAILED, %d not read or written\n", len(o.files),
			ended[exitDone], ended[exitIndeterminate], ended[exitContradicted], ended[exitError])
	}
	return code
}

// answered tells whether the command line leaves nothing to verify: it asks for
// help, or is wrong.
func answered(err error, stdout, stderr io.Writer) (done bool, code int) {
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return true, exitDone
	case err != nil:
		complain(stderr, err)
		fmt.Fprintln(stderr, "muniment-verify: run with --help to see how it is used")
		return true, exitUsage
	}
	return false, exitDone
}

// unreadable says why there is no network to believe.
func unreadable(err error, stderr io.Writer) int {
	complain(stderr, err)
	if errors.Is(err, errFingerprint) {
		return exitContradicted
	}
	return exitError
}

// complain says on one line what is wrong. File names can be a stranger's too.
func complain(stderr io.Writer, err error) {
	fmt.Fprintf(stderr, "muniment-verify: %s\n", printable(err.Error()))
}

// verify inspects one file, extracts its content where that is wanted, and
// reports.
func (o options) verify(n receipt.Network, name string, stdout, stderr io.Writer) (receipt.Outcome, error) {
	data, err := readFile(name, maxFileBytes)
	if err != nil {
		return "", err
	}
	r, err := inspect(n, data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	r.File = name
	var extractErr error
	if r.Outcome == receipt.Passed && o.extract != "" && r.Content != nil {
		r.Extracted, extractErr = extract(o.extract, r)
	}
	if o.log != "" && r.Content != nil {
		if r.Outcome != receipt.Passed {
			complain(stderr, fmt.Errorf("%s: %s %s: %s", name, r.Outcome, r.Reasons[0], r.Detail))
		}
		return r.Outcome, errors.Join(extractErr, o.list(stdout, r))
	}
	if err := o.write(stdout, r, r.text); err != nil {
		return "", fmt.Errorf("write report: %w", err)
	}
	return r.Outcome, extractErr
}

// list writes the exemption log of a copy.
func (o options) list(stdout io.Writer, r report) error {
	log := receipt.NewExemptionLog(r.Content.commitment, r.Receipts, r.Content.Segments, r.Content.HiddenRuns)
	log.Explain(o.codes)
	text, err := log.Marshal(o.log)
	if err != nil {
		return err
	}
	_, err = stdout.Write(text)
	return err
}

// exitOf gives the exit code of an outcome.
func exitOf(o receipt.Outcome) int {
	switch o {
	case receipt.Passed:
		return exitDone
	case receipt.Indeterminate:
		return exitIndeterminate
	}
	return exitContradicted
}

// worse keeps the more serious of two exit codes.
func worse(a, b int) int {
	gravest := []int{exitContradicted, exitError, exitIndeterminate, exitDone}
	if slices.Index(gravest, b) < slices.Index(gravest, a) {
		return b
	}
	return a
}

// options is what the command line says.
type options struct {
	network, fingerprint, output, extract string
	consistency                           string // file of consistency proofs; empty: there is none
	log                                   string // format of the exemption log; empty: a report is wanted
	exemptions                            string // file that says what the codes of the log are about
	codes                                 receipt.ExemptionCodes
	files                                 []string
}

// parseOptions reads the command line. Flags may stand before, between and
// after the files; what follows "--" is a file.
func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("muniment-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.network, "network", "", "")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "")
	flags.StringVar(&o.output, "output", "text", "")
	flags.StringVar(&o.extract, "extract", "", "")
	flags.StringVar(&o.consistency, "consistency", "", "")
	flags.StringVar(&o.log, "exemption-log", "", "")
	flags.StringVar(&o.exemptions, "exemptions", "", "")
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return options{}, err
		}
		rest := flags.Args()
		if taken := len(args) - len(rest); len(rest) == 0 || taken > 0 && args[taken-1] == "--" {
			o.files = append(o.files, rest...)
			break
		}
		o.files = append(o.files, rest[0])
		args = rest[1:]
	}
	return o, o.check()
}

func (o options) check() error {
	pin, err := hex.DecodeString(o.fingerprint)
	switch {
	case o.network == "":
		return errors.New("which network is to be believed? give --network FILE")
	case o.fingerprint != "" && (err != nil || len(pin) != 32 || hex.EncodeToString(pin) != o.fingerprint):
		return errors.New("the fingerprint is not 64 lower-case hex digits")
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("output %q: use text or json", o.output)
	case o.log != "" && o.log != receipt.LogText && o.log != receipt.LogCSV && o.log != receipt.LogJSON:
		return fmt.Errorf("exemption log %q: use text, csv or json", o.log)
	case o.exemptions != "" && o.log == "":
		return errors.New("--exemptions explains the codes of an exemption log: give --exemption-log text, csv or json")
	case len(o.files) == 0:
		return errors.New("nothing to verify: name at least one file")
	}
	return nil
}

func (o options) readNetwork() (receipt.Network, error) {
	text, err := readFile(o.network, maxNetworkBytes)
	if err != nil {
		return receipt.Network{}, err
	}
	n, err := receipt.ParseNetwork(text)
	if err != nil {
		return receipt.Network{}, fmt.Errorf("network file %s: %w: ask whoever gave it to you for a whole one", o.network, err)
	}
	if got := n.Fingerprint(); o.fingerprint != "" && o.fingerprint != hex.EncodeToString(got[:]) {
		return receipt.Network{}, fmt.Errorf("%s has fingerprint %x: %w: nothing was verified", o.network, got, errFingerprint)
	}
	return n, nil
}

// withProofs adds the proofs of the consistency file to the network.
func (o options) withProofs(n receipt.Network) (receipt.Network, error) {
	if o.consistency == "" {
		return n, nil
	}
	text, err := readFile(o.consistency, receipt.MaxConsistencyBytes)
	if err != nil {
		return receipt.Network{}, err
	}
	origin, proofs, err := receipt.ParseConsistency(text)
	if err != nil {
		return receipt.Network{}, fmt.Errorf("%s: %w: write it again with muniment receipt refresh --proof", o.consistency, err)
	}
	if origin != n.Origin {
		return receipt.Network{}, fmt.Errorf("%s is of %s, the network file of %s", o.consistency, origin, n.Origin)
	}
	return n.WithProofs(proofs...), nil
}

// write reports what was found, as text or as JSON.
func (o options) write(w io.Writer, found any, text func() string) error {
	if o.output == "text" {
		_, err := io.WriteString(w, text())
		return err
	}
	b, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(printableJSON(b), '\n'))
	return err
}

// readFile reads a file of at most limit bytes, whatever it says about its size.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, which is more than can be verified", name, limit)
	}
	return data, nil
}
