package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// clockResult is what clock prints: the node's word on the ledger's time.
type clockResult struct {
	LedgerDay      string   `json:"ledger_day"`
	Frozen         bool     `json:"frozen"`
	Jump           uint64   `json:"jump,omitempty"` // entry of the jump that froze
	AcknowledgedBy []string `json:"acknowledged_by"`
	UntilTime      string   `json:"until_time,omitempty"`   // block time before which it cannot end
	UntilHeight    uint64   `json:"until_height,omitempty"` // likewise
}

// acknowledgmentsNeeded is how many governing offices must acknowledge a jump.
const acknowledgmentsNeeded = 2

func (p *program) clockCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "clock", Short: "Show the ledger day, and whether dispositions are frozen",
		Long: "A jump of block time freezes dispositions: nothing is proposed, approved or locked, until two governing offices\n" +
			"have acknowledged that the clock is right again and 72 hours and 8,640 heights have passed.",
		Args: exactly(0, "no arguments"),
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		said, err := staffCall(c.Context(), s, apiv1.RecordsStaffClient.Clock, &apiv1.ClockRequest{})
		if err != nil {
			return err
		}
		return p.showClock(said)
	}
	c.AddCommand(p.clockAcknowledgeCommand())
	return c
}

func (p *program) showClock(said *apiv1.ClockResponse) error {
	r := clockResult{LedgerDay: dayText(record.Day(said.LedgerDay)), Frozen: said.Frozen, AcknowledgedBy: printables(said.AcknowledgedBy)}
	if r.Frozen {
		r.Jump, r.UntilHeight = said.Jump, said.UntilHeight
		r.UntilTime = time.Unix(0, said.UntilTime).UTC().Format(time.RFC3339)
	}
	err := p.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "ledger day\t%s\n", r.LedgerDay)
		if !r.Frozen {
			fmt.Fprintf(w, "dispositions\tnot frozen\n")
			return
		}
		fmt.Fprintf(w, "dispositions\tfrozen since the jump of entry %d\n", r.Jump)
		by := "nobody"
		if len(r.AcknowledgedBy) > 0 {
			by = strings.Join(r.AcknowledgedBy, ", ")
		}
		fmt.Fprintf(w, "acknowledged\tby %s; %d governing offices are needed\n", by, acknowledgmentsNeeded)
		fmt.Fprintf(w, "can end\tafter %s of block time, and not before height %d\n", r.UntilTime, r.UntilHeight)
	})
	if err == nil && r.Frozen && len(r.AcknowledgedBy) < acknowledgmentsNeeded {
		p.say("next: a governing office that has looked at the clock runs: muniment clock acknowledge %d", r.Jump)
	}
	return err
}

func (p *program) clockAcknowledgeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "acknowledge JUMP", Short: "State, as a governing office, that the clock is right again after a jump",
		Args: exactly(1, "one jump"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		jump, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.AcknowledgeJump{Jump: jump})
		if err != nil {
			return err
		}
		return p.showAct(done, "muniment clock")
	}
	return c
}
