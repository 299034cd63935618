// Command munimentd is a node of the ledger: it takes part in consensus, keeps
// content where it is a custodian, and serves departments and auditors.
//
// Exit codes: 0 done, 1 error, 2 wrong usage, 3 something is contradicted,
// 7 a precondition does not hold, 8 the node does not answer.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
)

// Exit codes, the same for all programs of the project (docs/errors.md).
const (
	exitError        = 1
	exitUsage        = 2
	exitContradicted = 3
	exitPrecondition = 7
	exitUnavailable  = 8
)

// coded is an error with the exit code that it leads to.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string { return c.err.Error() }
func (c coded) Unwrap() error { return c.err }

func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return coded{code, err}
}

// options are the flags that every command has.
type options struct {
	home           string
	passphraseFile string
	output         string
}

func (o options) node() node.Home { return node.Home(o.home) }

func main() {
	node.ScrubEnvironment()
	syscall.Umask(0o077) // whatever is written is the owner's alone
	if err := node.ForbidDumps(); err != nil {
		fmt.Fprintf(os.Stderr, "munimentd: core dumps cannot be switched off, and would hold keys: %v\n", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "munimentd: %s\n", advise(err))
	var c coded
	if errors.As(err, &c) {
		return c.code
	}
	return exitError
}

func command() *cobra.Command {
	o := new(options)
	root := &cobra.Command{
		Use:           "munimentd",
		Short:         "A node of a ledger for public records",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       fmt.Sprintf("%s, knows the rules up to version %d", version(), node.MaxVersion),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withCode(exitUsage, fmt.Errorf("there is no command %q: run munimentd --help", args[0]))
			}
			return c.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&o.home, "home", filepath.Join(xdg.DataHome, "munimentd"), "folder of the node")
	flags.StringVar(&o.passphraseFile, "passphrase-file", "", "file with the passphrase of the home (default: ask)")
	flags.StringVar(&o.output, "output", "text", "text or json")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return withCode(exitUsage, err) })
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if o.output != "text" && o.output != "json" {
			return withCode(exitUsage, fmt.Errorf("output %q: use text or json", o.output))
		}
		return nil
	}
	root.AddCommand(initCommand(o), startCommand(o), statusCommand(o), doctorCommand(o), rebuildCommand(o), logCommand(o),
		eraseCommand(o), custodyCommand(o), backupCommand(o), restoreCommand(o), tokenCommand(o), testnetCommand(o), memberCommand(o), genesisCommand(o), keysCommand(o), networkCommand(o))
	return root
}

// noArgs refuses arguments as wrong usage.
func noArgs(c *cobra.Command, args []string) error { return withCode(exitUsage, cobra.NoArgs(c, args)) }

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unversioned"
}
