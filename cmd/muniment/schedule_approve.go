package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		if err := r.agrees(fact, want, a); err != nil {
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
		proposed.approvedBy = append(proposed.approvedBy, string(s.account.Office))
		next := "muniment schedule show " + string(fact.Code)
		if missing := r.awaited(proposed, fact); len(missing) > 0 {
			next = "it waits for " + printable(joined(missing)) + ": muniment schedule list"
		}
		return p.showAct(done, next)
	}
	return c
}

// awaited tells whose approval a version still needs: offices that must govern,
// how many more of the others, and the administrator for one of the state.
func (r registry) awaited(open proposal, s *record.Schedule) (missing []string) {
	for g := range facts[*record.Governance](r) {
		if g.Subject != record.SubjectRecords {
			continue
		}
		more := int(g.Threshold)
		var others []string
		for _, office := range g.Offices {
			switch {
			case slices.Contains(open.approvedBy, string(office)):
				more--
			case slices.Contains(g.Required, office):
				missing, more = append(missing, string(office)), more-1
			default:
				others = append(others, string(office))
			}
		}
		switch {
		case more == len(others):
			missing = append(missing, others...)
		case more > 0:
			missing = append(missing, fmt.Sprintf("%d of %s", more, strings.Join(others, ", ")))
		}
	}
	if !s.State {
		return missing
	}
	for office := range facts[*record.Office](r) {
		if slices.Contains(office.Roles, record.RoleStateRecords) && slices.Contains(open.approvedBy, string(office.Code)) {
			return missing
		}
	}
	return append(missing, record.RoleStateRecords.String())
}

// agrees wants that a version is what was stated, and what the file a says,
// whose fact is want; nil: there is none.
func (r registry) agrees(fact, want *record.Schedule, a authority) error {
	root, err := rootOf(r.stated(fact.Code, fact.Version))
	if err != nil {
		return err
	}
	if root != fact.Root {
		return failed(exitRefused, "WRONG_ROOT", "propose it again", "the rules that were stated have the root %s, and the proposal %s", hex.EncodeToString(root[:]), hex.EncodeToString(fact.Root[:]))
	}
	if want == nil || *want == *fact {
		return nil
	}
	differs := fmt.Errorf("it is %s, and the file %s", factText(fact), factText(want))
	if want.Code == fact.Code && want.Version == fact.Version {
		switch missing, err := r.missingRules(a); {
		case err != nil:
			differs = errors.Unwrap(err)
		case len(missing) > 0:
			differs = fmt.Errorf("the file has a rule of %s, and the proposal has none", missing[0].Series)
		}
	}
	return failed(exitRefused, "OTHER_SCHEDULE", "ask who proposed it for the file", "the proposal is not the file: %w", differs)
}
