package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// maxEventRecords is how many records one transaction may name.
const maxEventRecords = 4096

func (p *program) eventCommand() *cobra.Command {
	c := group("event", "State what starts or ends retention periods: closed, terminated, audited ...",
		p.eventRecordCommand(), p.eventFollowCommand(), p.eventFileCommand(), p.eventAuditedCommand())
	c.Long = "Retention periods run from what happened to a record, or wait for it. The office that owns the records states it.\n" +
		"Supersession has a command of its own: muniment record supersede."
	c.Example = "  muniment event record closed --day 2026-06-30 40 52-60\n" +
		"  muniment event follow --series CT-16-2-8H-07 40-44\n" +
		"  muniment event file --into 12 40 41\n" +
		"  muniment event audited --department PERMITS --through 2026-06-30"
	return c
}

// eventNames lists the events that are recorded by hand.
func eventNames() (names []string) {
	for _, e := range retention.Events() {
		if e != retention.Created && e != retention.Audited && e != retention.Superseded {
			names = append(names, e.String())
		}
	}
	return names
}

func (p *program) eventRecordCommand() *cobra.Command {
	var date, department string
	c := &cobra.Command{
		Use: "record EVENT --day DATE RECORD...", Short: "State that something happened to records",
		Long: "EVENT is one of " + strings.Join(eventNames(), ", ") + ".\n" +
			"RECORD is an entry index, a range of them as 52-60, or a CID. The day is rounded up as the series of the first record\n" +
			"demands. It cannot be taken back: when the event is stated again, only a later day is accepted.",
		Example: "  muniment event record terminated --day 2026-06-30 40 52-60",
		Args:    someRecords(2, "which event, and of which records?"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return eventNames(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.Flags().StringVar(&date, "day", "", "day on which it happened, YYYY-MM-DD (required)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if !slices.Contains(eventNames(), args[0]) {
			return usage("%q is no event to record: use one of %s", printable(args[0]), strings.Join(eventNames(), ", "))
		}
		event, err := retention.ParseEvent(args[0])
		if err != nil {
			return err
		}
		day, err := wantedDay("--day", date)
		if err != nil {
			return err
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		records, err := s.recordList(c.Context(), args[1:], department)
		if err != nil {
			return err
		}
		if day, err = s.roundFor(c.Context(), records[0], day); err != nil {
			return err
		}
		return s.actOn(c.Context(), records, func(records []record.Index) record.Message {
			return &record.RecordEvents{Event: event, Day: day, Records: records}
		})
	}
	return c
}

func (p *program) eventFollowCommand() *cobra.Command {
	var series, department string
	c := &cobra.Command{
		Use: "follow --series CODE RECORD...", Short: "Name the series that records correspond to",
		Long: "For series whose rule is \"as the corresponding series\", as messages and web pages have: says which series the\n" +
			"content belongs to, and with it how long it is kept.",
		Example: "  muniment event follow --series CT-16-2-8H-07 40-44",
		Args:    someRecords(1, "which records?"),
	}
	c.Flags().StringVar(&series, "series", "", "code of the corresponding series (required)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		code, err := parseCode("series", series)
		if err != nil {
			return err
		}
		if code == "" {
			return usage("which series do they correspond to? give --series CODE")
		}
		return p.actOn(c.Context(), args, department, func(records []record.Index) record.Message {
			return &record.FileRecords{Series: code, Records: records}
		})
	}
	return c
}

func (p *program) eventFileCommand() *cobra.Command {
	var into, department string
	c := &cobra.Command{
		Use: "file --into RECORD RECORD...", Short: "State that records were merged into a file",
		Long: "For series whose rule is \"with the file of series ...\": the records are kept as long as the file, which is a\n" +
			"record itself.",
		Example: "  muniment event file --into 12 40 41",
		Args:    someRecords(1, "which records?"),
	}
	c.Flags().StringVar(&into, "into", "", "record of the file (required)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if into == "" {
			return usage("into which file? give --into RECORD")
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		file, err := s.recordList(c.Context(), []string{into}, department)
		if err != nil {
			return err
		}
		if len(file) != 1 {
			return usage("records are merged into one file, not into %d", len(file))
		}
		records, err := s.recordList(c.Context(), args, department)
		if err != nil {
			return err
		}
		return s.actOn(c.Context(), records, func(records []record.Index) record.Message {
			return &record.FileRecords{File: file[0], Records: records}
		})
	}
	return c
}

func (p *program) eventAuditedCommand() *cobra.Command {
	var department, through string
	c := &cobra.Command{
		Use: "audited --department CODE --through DATE", Short: "State through which day a department's accounts are audited",
		Long:    "One statement serves every record of the department whose rule waits for an audit.",
		Example: "  muniment event audited --department PERMITS --through 2026-06-30",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&department, "department", "", "code of the department (required)")
	c.Flags().StringVar(&through, "through", "", "last day that the audit covers, YYYY-MM-DD (required)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		code, err := parseCode("department", department)
		if err != nil {
			return err
		}
		if code == "" {
			return usage("whose accounts? give --department CODE")
		}
		day, err := wantedDay("--through", through)
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.PostAuditedThrough{Department: code, Through: day})
		if err != nil {
			return err
		}
		return p.showAct(done, "muniment due")
	}
	return c
}

// someRecords wants at least n arguments.
func someRecords(n int, question string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("%s", question)
		}
		return nil
	}
}

// eventResult is what the commands print that state something of records.
type eventResult struct {
	Records int         `json:"records"`
	Acts    []actResult `json:"acts"` // one for each 4,096 records
}

// actOn states something of the records that arguments name.
func (p *program) actOn(ctx context.Context, args []string, department string, message func([]record.Index) record.Message) error {
	s, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.close()
	records, err := s.recordList(ctx, args, department)
	if err != nil {
		return err
	}
	return s.actOn(ctx, records, message)
}

// roundFor rounds a day up as the series of a record demands.
func (s *session) roundFor(ctx context.Context, index record.Index, day record.Day) (record.Day, error) {
	found, err := s.resolve(ctx, reference{index: uint64(index)}, "")
	if err != nil {
		return 0, err
	}
	r, err := s.registry(ctx)
	if err != nil {
		return 0, err
	}
	rounded := roundUp(day, r.granularity(found.entry.Series, found.entry.Office))
	if rounded != day {
		s.program.say("the dates of series %s are less exact: %s stands for %s", found.entry.Series, rounded, day)
	}
	return rounded, nil
}

// actOn states something of records, in as many transactions as it takes.
func (s *session) actOn(ctx context.Context, records []record.Index, message func([]record.Index) record.Message) error {
	var result eventResult
	for part := range slices.Chunk(records, maxEventRecords) {
		done, err := s.act(ctx, message(part))
		if err != nil && len(result.Acts) > 0 {
			return fmt.Errorf("stated of the records up to %d, not of those from %d: %w", records[result.Records-1], part[0], err)
		}
		if err != nil {
			return err
		}
		result.Records, result.Acts = result.Records+len(part), append(result.Acts, done)
	}
	err := s.program.show(result, func(w io.Writer) {
		for _, a := range result.Acts {
			fmt.Fprintf(w, "%s\tentry %d\ntransaction\tentry %d\nheight\t%d\n", a.Kind, a.Index, a.Transaction, a.Height)
		}
	})
	if err == nil {
		s.program.say("stated of %s; next: muniment why %d", counted(result.Records, "record"), records[0])
	}
	return err
}
