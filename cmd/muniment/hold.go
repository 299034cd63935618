package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func (p *program) holdCommand() *cobra.Command {
	return group("hold", "Place, extend, release, show and prove holds: what is held is not destroyed",
		p.holdPlaceCommand(), p.holdExtendCommand(), p.holdResolveCommand(), p.holdReleaseCommand(),
		p.holdListCommand(), p.holdShowCommand(), p.holdMatterCommand(), p.holdProveCommand())
}

// kindName is how a command line says the kind of a hold: foi-request.
func kindName(k record.HoldKind) string {
	return strings.ReplaceAll(strings.ToLower(k.String()), "_", "-")
}

func kindNames() []string {
	var names []string
	for _, k := range record.HoldKinds() {
		names = append(names, kindName(k))
	}
	return names
}

func parseKind(name string) (record.HoldKind, error) {
	for _, k := range record.HoldKinds() {
		if kindName(k) == name {
			return k, nil
		}
	}
	if name == "" {
		return 0, usage("which kind of hold? give --kind %s", strings.Join(kindNames(), "|"))
	}
	return 0, usage("kind %q: use one of %s", printable(name), strings.Join(kindNames(), ", "))
}

func (p *program) holdPlaceCommand() *cobra.Command {
	var kind string
	var issues uint32
	var covers holdScope
	var m matterOptions
	c := &cobra.Command{
		Use: "place --kind KIND --matter TEXT (RECORD... | --department CODE | --city)", Short: "Place a hold on records, or on all that an office has and will have",
		Long: "RECORD is an entry index, a range of them as 40-59, or a CID. The ledger never refuses a hold because of the\n" +
			"state of a record; one that comes after the lock is recorded as late.\n\n" +
			"The ledger gets a salted hash of the matter, nothing of its text. The text and its salt are written to a file of\n" +
			"mode 0600: with it, and with it alone, the office can show later which matter it was. Keep it.",
		Example: "  muniment hold place --kind anticipated --issues 2 --matter-file matter.txt 42 50-59\n" +
			"  muniment hold place --kind litigation --matter-file matter.txt --department DPW --series DEMO-PLANS --from 2019-01-01",
	}
	c.Flags().StringVar(&kind, "kind", "", "why: "+strings.Join(kindNames(), ", ")+" (required)")
	c.Flags().Uint32Var(&issues, "issues", 0, "issues that must be resolved before the release, besides the action itself")
	covers.flags(c)
	m.flags(c)
	if err := c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		k, err := parseKind(kind)
		if err != nil {
			return err
		}
		text, err := m.read(p)
		if err != nil {
			return err
		}
		if issues > record.MaxIssues {
			return usage("a hold has at most %d issues", record.MaxIssues)
		}
		covers.records = args
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		scope, err := covers.scope(c.Context(), s)
		if err != nil {
			return err
		}
		if scope.Empty() {
			return usage("what is to be held? name records, or give --department CODE or --city")
		}
		if err := oneTransaction(scope.Records, "hold a department's series, or extend the hold by the rest"); err != nil {
			return err
		}
		return s.placeHold(c.Context(), &record.PlaceHold{Kind: k, Issues: issues, Scope: scope}, text, m.opening)
	}
	return c
}

// oneTransaction wants a list of records that fits into one transaction.
func oneTransaction(records []record.Index, next string) error {
	if len(records) <= record.MaxRecords {
		return nil
	}
	return failed(exitUsage, "TOO_LARGE", next, "%d records are named, one transaction takes %d", len(records), record.MaxRecords)
}

// placed is what hold place and hold extend print.
type placed struct {
	actResult
	Late    int64  `json:"late"`              // locked dispositions for which the hold comes too late
	Opening string `json:"opening,omitempty"` // file that opens the matter
}

// placeHold places a hold. The opening of its matter is on disk before the
// transaction leaves, so that no hold is ever without it.
func (s *session) placeHold(ctx context.Context, m *record.PlaceHold, text []byte, file string) error {
	p := s.program
	o := newOpening(text)
	m.Matter = o.commitment()
	if file == "" {
		file = p.openingFile(s, m.Matter)
	}
	if err := o.write(file); err != nil {
		return err
	}
	done, verdict, err := s.carryOut(ctx, m)
	if err != nil {
		if codeOf(err) == exitRefused {
			removeOpening(file)
		}
		return err
	}
	e, ok := verdict.Entry.(record.HoldEntry)
	if !ok {
		return notWhatWasSigned(verdict)
	}
	if err := p.showPlaced(placed{done, e.Late, file}, fmt.Sprintf("muniment hold show %d", done.Index)); err != nil {
		return err
	}
	if e.Late == 0 {
		s.sayGone(ctx, m.Scope.Records)
	}
	return nil
}

// sayGone tells people that records which a hold names were locked and reported
// on before it: it may find nothing of them. It is the node's word; where the
// node does not say, the hold stands all the same.
func (s *session) sayGone(ctx context.Context, records []record.Index) {
	if len(records) == 0 || s.program.output != "text" {
		return
	}
	var locked []uint64
	_, err := s.dryRun(ctx, nil, records, func(i dueItem) error {
		if i.Standing == "locked" {
			locked = append(locked, i.Index)
		}
		return nil
	}, func() error { return nil })
	if err == nil && len(locked) > 0 {
		s.program.say("it comes after the disposition of %s: muniment record show %d says what became of it", countText(len(locked)), locked[0])
	}
}

// notWhatWasSigned: the receipt is good, but of an entry of another kind.
func notWhatWasSigned(v receipt.Verdict) error {
	return failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the receipt of entry %d is of another kind of act: %s", v.Index, v.Kind)
}

func (p *program) showPlaced(r placed, next string) error {
	if p.output == "json" {
		return p.show(r, nil)
	}
	if err := p.showAct(r.actResult, ""); err != nil {
		return err
	}
	if r.Late > 0 {
		p.say("it comes after the lock of %s not reported done yet: ask the custodians what they could preserve", counted(int(r.Late), "disposition"))
	}
	if r.Opening != "" {
		p.say("keep %s: it alone shows which matter this is", printable(r.Opening))
	}
	p.say("next: %s", next)
	return nil
}

func (p *program) holdExtendCommand() *cobra.Command {
	var issues uint32
	var covers holdScope
	c := &cobra.Command{
		Use: "extend HOLD [--issues N] [RECORD... | --department CODE | --city]", Short: "Widen a hold, or add issues to it",
		Args:    cobra.MinimumNArgs(1),
		Example: "  muniment hold extend 120 --issues 1 43 44",
	}
	c.Flags().Uint32Var(&issues, "issues", 0, "further issues")
	covers.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		hold, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		if issues > record.MaxIssues {
			return usage("a hold has at most %d issues", record.MaxIssues)
		}
		covers.records = args[1:]
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		scope, err := covers.scope(c.Context(), s)
		if err != nil {
			return err
		}
		if scope.Empty() && issues == 0 {
			return usage("by what? name records, or give --department CODE, --city or --issues N")
		}
		if err := oneTransaction(scope.Records, "extend it by some first, then by the rest"); err != nil {
			return err
		}
		done, verdict, err := s.carryOut(c.Context(), &record.ExtendHold{Hold: hold, Issues: issues, Scope: scope})
		if err != nil {
			return err
		}
		e, ok := verdict.Entry.(record.ExtensionEntry)
		if !ok {
			return notWhatWasSigned(verdict)
		}
		return p.showPlaced(placed{actResult: done, Late: e.Late}, fmt.Sprintf("muniment hold show %d", hold))
	}
	return c
}

func (p *program) holdResolveCommand() *cobra.Command {
	var issue uint32
	closed := false
	c := &cobra.Command{
		Use: "resolve HOLD (--issue N | --action-closed)", Short: "State that an issue of a hold is resolved, or that the action is closed",
		Args:    exactly(1, "one hold"),
		Example: "  muniment hold resolve 120 --action-closed\n  muniment hold resolve 120 --issue 2",
	}
	c.Flags().Uint32Var(&issue, "issue", 0, "number of the issue, from 1")
	c.Flags().BoolVar(&closed, "action-closed", false, "the action itself is closed")
	c.RunE = func(c *cobra.Command, args []string) error {
		hold, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		if closed == (issue > 0) {
			return usage("give --issue N or --action-closed, and one of them alone")
		}
		if issue > record.MaxIssues {
			return usage("a hold has at most %d issues", record.MaxIssues)
		}
		done, err := p.act(c.Context(), &record.ResolveIssue{Hold: hold, Issue: issue})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("when all is resolved, another office than the one that placed it runs: muniment hold release %d", hold))
	}
	return c
}

func (p *program) holdReleaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "release HOLD", Short: "End a hold whose action and issues are all closed",
		Long: "Another office than those that placed and extended the hold releases it, once the action is closed and every\n" +
			"issue is resolved.",
		Args: exactly(1, "one hold"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		hold, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.ReleaseHold{Hold: hold})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("muniment hold show %d", hold))
	}
	return c
}
