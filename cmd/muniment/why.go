package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// whyResult is what why prints: the node's judgement of one record.
type whyResult struct {
	Record    dueItem    `json:"record"`
	CID       string     `json:"cid"`
	LedgerDay string     `json:"ledger_day"` // by which was judged
	Because   string     `json:"because"`
	Lines     []string   `json:"lines"` // the explanation, indented
	Rules     []ruleInfo `json:"rules"` // that bind it
	Holds     []holdInfo `json:"holds"` // that stand
}

type ruleInfo struct {
	Schedule string `json:"schedule"`
	Version  uint32 `json:"version"`
	Series   string `json:"series"`
	Rule     string `json:"rule"`
	Stated   uint64 `json:"stated"`  // fact entry
	Adopted  uint64 `json:"adopted"` // fact entry
}

func (p *program) whyCommand() *cobra.Command {
	var department string
	c := &cobra.Command{
		Use: "why RECORD", Short: "Explain why a record can, or cannot, be disposed of",
		Long: "Prints the rules that bind the record, the facts and dates that count, and the holds that stand. The record is\n" +
			"verified; the judgement is the node's word, and the rules and facts are entries whose receipts can be had.",
		Example: "  muniment why 42",
		Args:    exactly(1, "one record"),
	}
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.onRecord(c, args[0], department, func(s *session, a anchored) error {
			said, err := staffCall(c.Context(), s, apiv1.RecordsStaffClient.Why, &apiv1.WhyRequest{Record: a.ref()})
			if err != nil {
				return err
			}
			if said.Item == nil || said.Item.Index != a.index {
				return failed(exitError, "MALFORMED", "", "the node explains another record than %d", a.index)
			}
			return p.showWhy(a, said)
		})
	}
	return c
}

func (p *program) showWhy(a anchored, said *apiv1.WhyResponse) error {
	item := dueItemOf(said.Item)
	result := whyResult{
		Record: item, CID: a.commitment().CID(), LedgerDay: dayText(record.Day(said.LedgerDay)), Because: item.because(),
		Lines: printables(said.Lines), Rules: []ruleInfo{}, Holds: holdInfos(said.Holds),
	}
	for _, r := range said.Rules {
		result.Rules = append(result.Rules, ruleInfo{printable(r.Schedule), r.Version, printable(r.Series), printable(r.Rule), r.Stated, r.Adopted})
	}
	if item.Standing == "locked" {
		defer p.say("next: muniment record show %d says what became of it", item.Index)
	}
	return p.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "record\t%d, %s of %s, %s\n", item.Index, a.entry.Series, a.entry.Office, item.date())
		fmt.Fprintf(w, "standing\t%s on ledger day %s: %s\n", item.Standing, result.LedgerDay, result.Because)
		for _, r := range result.Rules {
			fmt.Fprintf(w, "rule\t%s (schedule %s version %d, entry %d, in force by entry %d)\n", r.Rule, r.Schedule, r.Version, r.Stated, r.Adopted)
		}
		for _, line := range result.Lines {
			fmt.Fprintf(w, "why\t%s\n", line)
		}
		for _, h := range result.Holds {
			fmt.Fprintf(w, "hold\t%d, %s, placed by %s on %s: %s\n", h.Index, h.Kind, h.Office, h.Day, h.state())
		}
		if len(item.Approvals) > 0 {
			fmt.Fprintf(w, "approvals\t%s, besides the head of the department\n", strings.Join(item.Approvals, ", "))
		}
	})
}
