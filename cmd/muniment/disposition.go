package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) dispositionCommand() *cobra.Command {
	return group("disposition", "Propose, approve, lock, show and report dispositions",
		p.dryRunCommand(), p.proposeDispositionCommand(), p.approveDispositionCommand(), p.withdrawDispositionCommand(),
		p.noticeCommand(), p.lockCommand(), p.confirmCommand(), p.dispositionListCommand(), p.dispositionShowCommand(), p.dispositionReportCommand(), p.certificatesCommand())
}

// proposed is a disposition as its proposal was signed. Everything in it is
// verified by the proposal's receipt.
type proposed struct {
	index   record.Index
	entry   record.DispositionEntry
	message *record.ProposeDisposition
}

// proposedDisposition fetches and verifies what a disposition is about.
func (s *session) proposedDisposition(ctx context.Context, index record.Index) (proposed, error) {
	verdict, text, err := s.receipt(ctx, uint64(index))
	if err != nil {
		return proposed{}, err
	}
	e, isOne := verdict.Entry.(record.DispositionEntry)
	m, signed := signedMessage(verdict, text).(*record.ProposeDisposition)
	if !isOne || !signed {
		return proposed{}, failed(exitNotFound, "NOT_FOUND", "muniment disposition list lists them", "entry %d proposes no disposition", index)
	}
	return proposed{index, e, m}, nil
}

// text says in one line what the disposition is about.
func (d proposed) text() string {
	m := d.message
	text := fmt.Sprintf("%s %s of %s, series %s", m.Action, countText(len(m.Records)), d.entry.Office, m.Series)
	if len(m.Records) == 1 {
		text += fmt.Sprintf(": record %d", m.Records[0])
	} else {
		text += ": records " + fewText(m.Records)
	}
	if m.To != "" {
		text += fmt.Sprintf("; %s takes custody over", m.To)
	}
	if m.Action == record.ActionRedact {
		text += fmt.Sprintf("; the parts that redaction %x marks are erased for good", m.Redaction)
	}
	if m.Standing != 0 {
		text += fmt.Sprintf("; by standing authorization %d", m.Standing)
	}
	return text
}

func countText(records int) string { return counted(records, "record") }

// boundCommand is a command whose signature binds what a disposition is about,
// which it shows first.
func (p *program) boundCommand(c *cobra.Command, doing string, message func(index record.Index, hash [32]byte) record.Message, next string) *cobra.Command {
	c.Args = exactly(1, "one disposition")
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
		d, err := s.proposedDisposition(c.Context(), index)
		if err != nil {
			return err
		}
		p.say("%s: %s", doing, d.text())
		if err := s.sayParts(c.Context(), d); err != nil {
			return err
		}
		done, err := s.act(c.Context(), message(index, d.entry.Hash))
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf(next, index))
	}
	return c
}

func (p *program) approveDispositionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "approve DISPOSITION", Short: "Approve a disposition: it is shown, and the signature binds what is shown",
		Long: "The proposal's receipt is verified, what it disposes of is shown, and the hash of the signed proposal is what the\n" +
			"approval binds. An approval is good for 180 days. muniment disposition show lists the records.",
	}
	return p.boundCommand(c, "approving", func(index record.Index, hash [32]byte) record.Message {
		return &record.ApproveDisposition{Disposition: index, Hash: hash}
	}, "muniment disposition show %d")
}

func (p *program) lockCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "lock DISPOSITION", Short: "Make a disposition final: all is judged again, by the facts of this moment",
		Long: "An office with the role IT or OPERATOR locks. The ledger judges every record, hold, rule and approval again; what\n" +
			"stands against it is a refusal with an entry. After the lock nothing takes it back.",
	}
	return p.boundCommand(c, "locking", func(index record.Index, hash [32]byte) record.Message {
		return &record.LockDisposition{Disposition: index, Hash: hash}
	}, "muniment disposition show %d tells who has to report")
}

func (p *program) withdrawDispositionCommand() *cobra.Command {
	c := &cobra.Command{Use: "withdraw DISPOSITION", Short: "End a disposition that is not locked", Args: exactly(1, "one disposition")}
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.WithdrawDisposition{Disposition: index})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("muniment disposition show %d", index))
	}
	return c
}

func (p *program) noticeCommand() *cobra.Command {
	var day string
	c := &cobra.Command{
		Use: "notice DISPOSITION --day DATE", Short: "State on which day the persons concerned were told",
		Long: "For series whose rule asks for notice before destruction. The office that proposed states it; the last statement\n" +
			"counts.",
		Args: exactly(1, "one disposition"),
	}
	c.Flags().StringVar(&day, "day", "", "day of the notice, as YYYY-MM-DD (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		told, err := wantedDay("--day", day)
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.RecordNotice{Disposition: index, Day: told})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("muniment disposition show %d", index))
	}
	return c
}

func (p *program) confirmCommand() *cobra.Command {
	var preserved []string
	nothing := false
	c := &cobra.Command{
		Use: "confirm DISPOSITION", Short: "Report, as an office that must, that what was locked was done",
		Long: "The office that keeps the records itself, or that takes their custody over, reports once. Custodians report by\n" +
			"themselves. Records that were preserved, as under a hold that came late, live on.",
		Example: "  muniment disposition confirm 210\n  muniment disposition confirm 210 --preserved 42,50-52",
		Args:    exactly(1, "one disposition"),
	}
	c.Flags().StringSliceVar(&preserved, "preserved", nil, "records that were preserved: indexes and ranges, separated by commas")
	c.Flags().BoolVar(&nothing, "nothing-done", false, "all its records were preserved")
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		if nothing && len(preserved) > 0 {
			return usage("give --preserved or --nothing-done, not both")
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		report := &record.ReportErasure{Disposition: index, Outcome: record.OutcomeDone}
		if nothing {
			report.Outcome = record.OutcomePreserved
		}
		if report.Preserved, err = s.recordList(c.Context(), preserved, ""); err != nil {
			return err
		}
		done, err := s.act(c.Context(), report)
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("muniment disposition show %d", index))
	}
	return c
}
