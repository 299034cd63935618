package main

import (
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) scheduleApproveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "approve PROPOSAL [--file FILE]", Short: "Approve a version of a schedule: its rules are shown",
		Long: "Shows the rules that would be adopted, and signs. The signature binds the root over all of them. With --file they\n" +
			"must be the rules of that authority file, with its version and effective day: else nothing is signed.",
		Example: "  muniment schedule approve 318 --file ct-personnel.toml --office CLERK",
		Args:    exactly(1, "one proposal"),
	}
	c.Flags().StringVar(&file, "file", "", "authority file with which the rules must agree")
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		var want *record.Schedule
		var a authority
		if file != "" {
			if a, err = p.readAuthority(file); err != nil {
				return err
			}
			if want, err = a.fact(); err != nil {
				return err
			}
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
		fact, ok := proposed.fact.(*record.Schedule)
		if !ok {
			return failed(exitRefused, "OTHER_FACT", "muniment office approve approves everything else", "proposal %d adopts no schedule: %s", index, factText(proposed.fact))
		}
		if err := r.agrees(fact, want); err != nil {
			return err
		}
		p.say("approving: %s", factText(fact))
		for _, rule := range r.stated(fact.Code, fact.Version) {
			p.say("%s: %s", rule.Series, ruleText(rule))
		}
		done, err := s.act(c.Context(), &record.ApproveChange{Proposal: index, FactHash: proposed.hash})
		if err != nil {
			return err
		}
		return p.showAct(done, "muniment schedule show "+string(fact.Code))
	}
	return c
}

// agrees wants that a version is what was stated, and what a file says if there
// is one.
func (r registry) agrees(fact, want *record.Schedule) error {
	root, err := rootOf(r.stated(fact.Code, fact.Version))
	if err != nil {
		return err
	}
	if root != fact.Root {
		return failed(exitRefused, "WRONG_ROOT", "propose it again", "the rules that were stated have the root %s, and the proposal %s", hex.EncodeToString(root[:]), hex.EncodeToString(fact.Root[:]))
	}
	if want != nil && *want != *fact {
		return failed(exitRefused, "OTHER_SCHEDULE", "ask who proposed it for the file", "the proposal is not the file: it is %s, and the file %s", factText(fact), factText(want))
	}
	return nil
}
