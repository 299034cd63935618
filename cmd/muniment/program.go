package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/muniment/muniment/app/keyfile"
)

// iterations is what new keys are sealed with. Only tests make it smaller.
var iterations = keyfile.Iterations

// program is one run: where it reads and writes, what time it is, and what the
// flags say that all commands share.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	stdoutTerminal bool // standard output is a terminal
	stderrTerminal bool
	now            func() time.Time
	pause          time.Duration // before a call that found no node is made again
	slow           time.Duration // without a block, before that is said
	places         places

	started bool // a command began: errors before are errors of usage

	output         string // text or json
	network        string // chain id of a pinned network; empty: the default
	office         string // empty: the default
	node           string // id of a node, or how it begins; empty: the first
	passphraseFile string
}

func newProgram() *program {
	return &program{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		stdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		stderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		now:            time.Now, pause: time.Second, slow: 10 * time.Second, places: userPlaces(),
	}
}

// run executes one command line and gives the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !p.started {
		text, _, _ := strings.Cut(err.Error(), ": strconv.") // what follows is about Go
		err = usage("%s", text)
	}
	if ctx.Err() != nil && reasonOf(err) != outcomeUnknown {
		err = interrupted()
	}
	p.complain(called, err)
	return codeOf(err)
}

func (p *program) root() *cobra.Command {
	root := group("muniment", "Anchor public records on a city's ledger, and prove them",
		p.keyCommand(), p.networkCommand(), p.anchorCommand(), p.receiptCommand(), p.recordCommand(), p.searchCommand(),
		p.readCommand(), p.segmentsCommand(), p.copyCommand(), p.evidenceCommand(), p.redactCommand(), p.exemptionsCommand(),
		p.officeCommand(), p.nodeCommand(), p.custodyCommand(), p.witnessCommand(), p.upgradeCommand(), p.scheduleCommand(), p.seriesCommand(), p.eventCommand(),
		p.holdCommand(), p.dueCommand(), p.whyCommand(), p.dispositionCommand(), p.legalityCommand(), p.certificateCommand(), p.clockCommand(), p.logCommand(), p.versionCommand())
	root.Example = "  muniment key new --office CLERK\n" +
		"  muniment network add network.mun --fingerprint HEX\n" +
		"  muniment anchor --series DEMO-MINUTES minutes/\n" +
		"  muniment evidence 42 -o 42.mun.car"
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if p.output != "text" && p.output != "json" {
			return usage("output %q: use text or json", p.output)
		}
		p.started = true
		return nil
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.output, "output", "text", "how to report: text or json")
	flags.StringVar(&p.network, "network", "", "chain id of the network (default: the one in the configuration)")
	flags.StringVar(&p.office, "office", "", "code of the office to act for (default: the one in the configuration)")
	flags.StringVar(&p.node, "node", "", "id of the node to call, or how it begins (default: the first of the network file)")
	flags.StringVar(&p.passphraseFile, "passphrase-file", "", "file whose first line is the passphrase (default: ask)")
	fixed := cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)
	if err := root.RegisterFlagCompletionFunc("output", fixed); err != nil {
		panic(err) // the flag is there
	}
	return root
}

// group is a command that only holds others. Called by itself it is a mistake,
// unless help was asked for.
func group(name, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			hint := ""
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				hint = ": did you mean " + near[0] + "?"
			}
			return usage("there is no command %q%s", args[0], hint)
		}
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	var names []string
	for _, child := range children {
		names = append(names, child.Name())
	}
	c.RunE = func(*cobra.Command, []string) error { return usage("say what to do: %s", strings.Join(names, ", ")) }
	c.AddCommand(children...)
	return c
}

// exactly wants n arguments and names them in the complaint.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			are := "are"
			if len(args) == 1 {
				are = "is"
			}
			return usage("it takes %s, here %s %d", what, are, len(args))
		}
		return nil
	}
}
