// Command bench measures the figures that one node is to reach, each beside its
// baseline in the same run, and prints one table.
//
//	go run ./scripts/bench [-rows REGEXP] [-short] [-out FILE]
//	go run ./scripts/bench -rows erasure [-out FILE]
//	go run ./scripts/bench -growth 10000000 [-out FILE]
//	go run ./scripts/bench -flood 100000 [-out FILE]
//
// The node is a munimentd process of its own, reached through its TLS listener;
// so are the counting application on CometBFT and the empty call. A row takes
// turns with its baseline, round by round, and gives medians. A row that cannot
// be measured says "not run", and why: it is never left out. So do a few that take
// minutes, unless -rows is given.
//
// Everything is written below one temporary folder, which is removed at the end.
// Children end with their input, so none outlives this program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	rows   string
	short  bool
	rounds int
	out    string
	dir    string
	growth int64
	flood  int

	profile string // folder for profiles of the node
}

// row is a line of the table, or a few that are measured together.
type row struct {
	name string
	run  func(*bench) ([]result, error)
	long string // how long it takes; then it is measured only where -rows asks for it
}

// rows are all of them, in the order of the design's section 8.
var rows = []row{
	{name: "anchors in batches", run: runBatches},
	{name: "anchors one by one", run: runSingles},
	{name: "anchor to receipt", run: runReceipts},
	{name: "proof look-ups", run: runProofs},
	{name: "deposits", run: runDeposits},
	{name: "verification", run: runVerification},
	{name: "erasure by rotation", run: runRotation},
	{name: "erasure by rotation, a large ring", run: runLargeRotation, long: "1 minute"},
	{name: "erasure of a batch", run: runErasure, long: "2 minutes"},
	{name: "anchors beside erasure", run: runBesideErasure, long: "3 minutes"},
	{name: "redacted copy", run: runCopies},
	{name: "redacted copy of a custodian", run: runFiled},
	{name: "retention", run: runRetention},
	{name: "four validators", run: runFour},
	{name: "flood of an office", run: runFlood, long: "10 minutes"},
	{name: "limits of the machine", run: runLimits},
}

// bench is one run of this program.
type bench struct {
	options
	ctx     context.Context
	log     io.Writer
	bin     string // folder of the programs that were built
	running *node  // nil until a row needs it
	nodeErr error
	bareApp *child
	archive *archive // nil until a row needs it

	current  string // row that is measured
	profiles int    // taken of the running node
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == childMode {
		os.Exit(runChild(os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.rows, "rows", "", "measure only the rows whose name matches this regular expression")
	flag.BoolVar(&o.short, "short", false, "small counts: shows that it works, not how fast it is")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of each row")
	flag.StringVar(&o.out, "out", "", "write the table to this file as well")
	flag.StringVar(&o.dir, "dir", "", "where to make the temporary folder (default: the system's)")
	flag.Int64Var(&o.growth, "growth", 0, "anchor so many records in one network, and measure on the way, instead of the rows")
	flag.IntVar(&o.flood, "flood", 0, "measure the row of an office's flood alone, with so many transactions")
	flag.StringVar(&o.profile, "profile", "", "take a CPU profile of the node in each round, into this folder (figures suffer a little)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	if o.flood > 0 && o.rows == "" {
		o.rows = "^flood of an office$"
	}
	wanted, err := regexp.Compile(o.rows)
	if err != nil {
		return fmt.Errorf("-rows: %w", err)
	}
	if o.rounds < 1 {
		return errors.New("-rounds: use at least 1")
	}
	if o.short {
		o.rounds = min(o.rounds, 2)
	}
	dir, err := os.MkdirTemp(o.dir, "muniment-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o.dir = dir
	b := &bench{options: o, ctx: ctx, log: stderr, bin: filepath.Join(dir, "bin")}
	defer func() { err = errors.Join(err, b.stopChildren()) }()

	t := table{short: o.short, rounds: o.rounds, at: time.Now()}
	if o.growth > 0 {
		b.current = "growth"
		if t.results, err = runGrowth(b); err != nil {
			return err
		}
	} else {
		t.results = b.measure(wanted)
	}
	if _, err := io.WriteString(stdout, t.text()); err != nil {
		return err
	}
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(t.markdown()), 0o644)
}

// measure runs the rows whose name is wanted. A row that fails is in the table
// with its reason.
func (b *bench) measure(wanted *regexp.Regexp) (results []result) {
	for _, r := range rows {
		if !wanted.MatchString(r.name) {
			continue
		}
		fmt.Fprintf(b.log, "bench: %s\n", r.name)
		if b.ctx.Err() != nil {
			results = append(results, result{name: r.name, notRun: "interrupted"})
			continue
		}
		if r.long != "" && b.rows == "" && !b.short {
			results = append(results, result{name: r.name, notRun: fmt.Sprintf("takes %s: go run ./scripts/bench -rows '%s'", r.long, r.name)})
			continue
		}
		b.current = r.name
		got, err := r.run(b)
		if err != nil {
			got = append(got, result{name: r.name, notRun: err.Error()})
		}
		results = append(results, got...)
	}
	return results
}

func (b *bench) logf(format string, args ...any) { fmt.Fprintf(b.log, "  "+format+"\n", args...) }

// count is how much of something to do: less in a short run.
func (b *bench) count(full, short int) int {
	if b.short {
		return short
	}
	return full
}

func (b *bench) stopChildren() error {
	var errs []error
	if b.running != nil {
		errs = append(errs, b.running.stop())
	}
	if b.archive != nil {
		errs = append(errs, b.archive.close())
	}
	if b.bareApp != nil {
		errs = append(errs, b.bareApp.stop())
	}
	return errors.Join(errs...)
}
