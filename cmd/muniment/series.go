package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) seriesCommand() *cobra.Command {
	c := group("series", "Activate, authorize and show record series",
		p.seriesActivateCommand(), p.seriesAuthorizeCommand(), p.seriesApproveCommand(), p.seriesListCommand(), p.seriesShowCommand())
	c.Long = "A department may use a series once a schedule has a rule for it and five offices have signed off: IT, legal counsel,\n" +
		"the clerk, procurement, and the department itself. What they sign off is a privacy impact assessment and a data\n" +
		"map, both records on the ledger, and the day of the next review. After that day the series takes no new records\n" +
		"until it is activated again with a new assessment."
	c.Example = "  muniment series activate CT-16-2-8H-12 --granularity month --assessment 40 --assessed 2026-05-04 --review 2027-05-04 --data-map 41\n" +
		"  muniment series approve 317 --office IT\n" +
		"  muniment series list"
	return c
}

// granularities are the granularities of dates by their names on command lines.
var granularities = []record.Granularity{record.GranularityDay, record.GranularityMonth, record.GranularityYear}

func granularityNames() (names []string) {
	for _, g := range granularities {
		names = append(names, strings.ToLower(g.String()))
	}
	return names
}

// activateOptions are the flags of series activate as they were given.
type activateOptions struct {
	granularity, assessment, assessed, review, dataMap, department string
}

func (p *program) seriesActivateCommand() *cobra.Command {
	var o activateOptions
	c := &cobra.Command{
		Use:   "activate SERIES --granularity day|month|year --assessment RECORD --assessed DATE --review DATE --data-map RECORD",
		Short: "Propose that the acting office may use a series",
		Long: "The impact assessment and the data map are records: anchor them first. Their commitments are what the five offices\n" +
			"sign off. The assessment is dated before this day; after the day of its next review the series takes no records.",
		Example: "  muniment anchor --series DEMO-PLANS assessment.pdf data-map.pdf\n" +
			"  muniment series activate CT-16-2-8H-12 --granularity month --assessment 40 --assessed 2026-05-04 --review 2027-05-04 --data-map 41",
		Args: exactly(1, "one series"),
	}
	flags := c.Flags()
	flags.StringVar(&o.granularity, "granularity", "", "how exactly dates of records stand on the ledger: day, month or year (required)")
	flags.StringVar(&o.assessment, "assessment", "", "record of the privacy impact assessment (required)")
	flags.StringVar(&o.assessed, "assessed", "", "date of the assessment, YYYY-MM-DD (required)")
	flags.StringVar(&o.review, "review", "", "day of its next review, YYYY-MM-DD (required)")
	flags.StringVar(&o.dataMap, "data-map", "", "record of the data map (required)")
	departmentFlag(c, &o.department)
	if err := c.RegisterFlagCompletionFunc("granularity", cobra.FixedCompletions(granularityNames(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		fact, records, err := o.parse(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		fact.Office = s.account.Office
		for i, commitment := range []*[32]byte{&fact.Assessment, &fact.DataMap} {
			found, err := s.resolve(c.Context(), records[i], o.department)
			if err != nil {
				return err
			}
			*commitment = found.entry.Commitment
		}
		return p.proposeSeries(c.Context(), s, fact)
	}
	return c
}

// parse reads the flags: all of the fact but the office and the commitments.
func (o activateOptions) parse(series string) (fact *record.Activation, records [2]reference, err error) {
	fact = &record.Activation{}
	if fact.Series, err = parseCode("series", series); err != nil {
		return nil, records, err
	}
	for _, flag := range []struct{ name, value string }{
		{"granularity", o.granularity}, {"assessment", o.assessment}, {"assessed", o.assessed}, {"review", o.review}, {"data-map", o.dataMap},
	} {
		if flag.value == "" {
			return nil, records, usage("an activation states all of --granularity, --assessment, --assessed, --review and --data-map: give --%s", flag.name)
		}
	}
	at := slices.Index(granularityNames(), o.granularity)
	if at < 0 {
		return nil, records, usage("granularity %q: use day, month or year", printable(o.granularity))
	}
	fact.Granularity = granularities[at]
	if fact.Assessed, err = parseDay(o.assessed); err != nil {
		return nil, records, err
	}
	if fact.Review, err = parseDay(o.review); err != nil {
		return nil, records, err
	}
	if fact.Review <= fact.Assessed {
		return nil, records, usage("the next review, %s, is not after the assessment of %s", fact.Review, fact.Assessed)
	}
	for i, text := range []string{o.assessment, o.dataMap} {
		if records[i], err = parseReference(text); err != nil {
			return nil, records, err
		}
	}
	return fact, records, nil
}

// proposeSeries proposes what further offices sign off.
func (p *program) proposeSeries(ctx context.Context, s *session, fact record.Fact) error {
	done, err := s.act(ctx, &record.ProposeChange{Fact: fact})
	if err != nil {
		return err
	}
	return p.showAct(done, fmt.Sprintf("the offices that sign off run: muniment series approve %d", done.Index))
}

func (p *program) seriesAuthorizeCommand() *cobra.Command {
	var from, until string
	c := &cobra.Command{
		Use: "authorize SERIES... --from DATE --until DATE", Short: "Propose to authorize dispositions of the acting office in advance",
		Long: "A standing authorization stands for the approvals of routine dispositions under the named series, for at most a\n" +
			"year. IT, the clerk, the State Archivist and the Public Records Administrator sign it off besides the department.\n" +
			"Periods, holds and notices bind as ever.",
		Example: "  muniment series authorize CT-16-2-8H-18 CT-16-2-8H-25 --from 2027-01-01 --until 2027-12-31",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("which series? name one at least")
			}
			return nil
		},
	}
	c.Flags().StringVar(&from, "from", "", "first day, YYYY-MM-DD (required)")
	c.Flags().StringVar(&until, "until", "", "last day, YYYY-MM-DD, at most a year later (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		fact := &record.StandingAuthorization{}
		for _, text := range args {
			code, err := parseCode("series", text)
			if err != nil {
				return err
			}
			if slices.Contains(fact.Series, code) {
				return usage("series %s is named twice", code)
			}
			fact.Series = append(fact.Series, code)
		}
		slices.Sort(fact.Series)
		var err error
		if fact.From, err = wantedDay("--from", from); err != nil {
			return err
		}
		if fact.Until, err = wantedDay("--until", until); err != nil {
			return err
		}
		if fact.Until < fact.From || fact.Until-fact.From > 365 {
			return usage("a standing authorization is for a year at most: %s to %s is not", fact.From, fact.Until)
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		fact.Office = s.account.Office
		return p.proposeSeries(c.Context(), s, fact)
	}
	return c
}

func (p *program) seriesApproveCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "approve PROPOSAL", Short: "Sign off an activation or a standing authorization: it is shown",
		Long: "PROPOSAL is the entry index that activate or authorize printed; series list shows the open ones and whose sign-off\n" +
			"they wait for. The signature binds what is shown.",
		Example: "  muniment series approve 317 --office PROCUREMENT",
		Args:    exactly(1, "one proposal"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		r, err := s.registry(c.Context())
		if err != nil {
			return err
		}
		proposed, err := r.proposal(index)
		if err != nil {
			return err
		}
		var missing []string
		signed := append(slices.Clone(proposed.approvedBy), string(s.account.Office))
		switch f := proposed.fact.(type) {
		case *record.Activation:
			missing = r.unsigned(signed, f.Office, activationRoles)
		case *record.StandingAuthorization:
			missing = r.unsigned(signed, f.Office, standingRoles)
		default:
			return failed(exitRefused, "OTHER_FACT", "muniment office approve approves everything else", "proposal %d is about no series: %s", index, factText(f))
		}
		p.say("approving: %s", factText(proposed.fact))
		if err := s.sayRecords(c.Context(), proposed.fact); err != nil {
			return err
		}
		done, err := s.act(c.Context(), &record.ApproveChange{Proposal: index, FactHash: proposed.hash})
		if err != nil {
			return err
		}
		next := "muniment series list"
		if len(missing) > 0 {
			next = "it waits for " + printable(strings.Join(missing, ", ")) + ": muniment series list"
		}
		return p.showAct(done, next)
	}
	return c
}
