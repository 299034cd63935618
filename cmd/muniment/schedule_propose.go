package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

// proposedSchedule is what schedule propose prints.
type proposedSchedule struct {
	Schedule      string `json:"schedule"`
	Version       uint32 `json:"version"`
	Demonstration bool   `json:"demonstration"`
	Stated        int    `json:"stated"`   // rules that this run put on the ledger
	Already       int    `json:"already"`  // rules that were there
	Proposal      int64  `json:"proposal"` // that adopts the version
	Proposed      bool   `json:"proposed"` // by this run
	Adopted       bool   `json:"adopted"`  // at once: nobody else has to approve
	Root          string `json:"root"`     // of all rules, in hex
}

func (p *program) scheduleProposeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "propose FILE", Short: "State the rules of an authority file, and propose to adopt them",
		Long: "Signs one transaction for each rule, then one that proposes to adopt them all. Rules have no effect until the\n" +
			"version is adopted. The same command again goes on where it was cut off: what is stated is not stated again.",
		Example:           "  muniment schedule propose ct-personnel.toml --office CLERK",
		Args:              exactly(1, "one authority file"),
		ValidArgsFunction: completeFiles("toml", "csv"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		a, err := p.readAuthority(args[0])
		if err != nil {
			return err
		}
		fact, err := a.fact()
		if err != nil {
			return err
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		result, err := s.proposeSchedule(c.Context(), a, fact)
		if err != nil {
			return err
		}
		err = p.show(result, func(w io.Writer) {
			fmt.Fprintln(w, marked(fmt.Sprintf("schedule %s version %d: %d rules stated, %d were there", result.Schedule, result.Version, result.Stated, result.Already), result.Demonstration))
			if result.Adopted {
				fmt.Fprintf(w, "adopted by proposal %d\n", result.Proposal)
			} else {
				fmt.Fprintf(w, "proposal %d waits for approval\n", result.Proposal)
			}
		})
		if err == nil && !result.Adopted {
			p.say("next: the other governing offices run: muniment schedule approve %d --file %s", result.Proposal, args[0])
		}
		return err
	}
	return c
}

// proposeSchedule puts on the ledger what is not there yet.
func (s *session) proposeSchedule(ctx context.Context, a authority, fact *record.Schedule) (proposedSchedule, error) {
	r, err := s.registry(ctx)
	if err != nil {
		return proposedSchedule{}, err
	}
	missing, err := r.missingRules(a)
	if err != nil {
		return proposedSchedule{}, err
	}
	result := proposedSchedule{Schedule: string(a.code), Version: a.version, Demonstration: demonstration(a.code),
		Already: len(a.series) - len(missing), Root: hex.EncodeToString(fact.Root[:])}
	for i, rule := range missing {
		if _, err := s.act(ctx, &record.ProposeChange{Fact: rule}); err != nil {
			return proposedSchedule{}, fmt.Errorf("rule of %s, %d of %d: %w", rule.Series, i+1, len(missing), err)
		}
		result.Stated++
		s.program.say("stated %d of %d: %s", i+1, len(missing), rule.Series)
	}
	if open := slices.IndexFunc(r.proposals, func(p proposal) bool { return sameFact(p.fact, fact) }); open >= 0 {
		result.Proposal = int64(r.proposals[open].index)
		return result, nil
	}
	done, err := s.act(ctx, &record.ProposeChange{Fact: fact})
	if err != nil {
		return proposedSchedule{}, err
	}
	result.Proposal, result.Proposed = done.Index, true
	result.Adopted, err = s.executed(ctx, done)
	return result, err
}

// executed tells whether a proposal was carried out at once: then the fact is
// the next entry of the same transaction.
func (s *session) executed(ctx context.Context, done actResult) (bool, error) {
	r, err := s.registry(ctx)
	if err != nil {
		return false, err
	}
	_, err = r.proposal(record.Index(done.Index))
	return err != nil, nil
}

// sameFact tells whether two facts are the same.
func sameFact(a, b record.Fact) bool {
	x, errX := record.FactHash(a)
	y, errY := record.FactHash(b)
	return errX == nil && errY == nil && x == y
}

// missingRules gives the rules of a file that are not stated yet, ascending by
// series. What was stated for this version must be what the file says.
func (r registry) missingRules(a authority) ([]*record.ScheduleRule, error) {
	if r.adopted(a.code, a.version) != nil {
		return nil, failed(exitRefused, "VERSION_ADOPTED", "to change the schedule, raise the version in the file", "version %d of schedule %s is adopted already", a.version, a.code)
	}
	stated := map[record.Code]*record.ScheduleRule{}
	for _, rule := range r.stated(a.code, a.version) {
		stated[rule.Series] = rule
	}
	var missing []*record.ScheduleRule
	for _, rule := range a.rules() {
		other, ok := stated[rule.Series]
		switch delete(stated, rule.Series); {
		case !ok:
			missing = append(missing, rule)
		case !sameFact(other, rule):
			return nil, otherRule("the rule of %s in version %d of schedule %s was stated otherwise: %s", rule.Series, a.version, a.code, ruleText(other))
		}
	}
	for _, rule := range r.stated(a.code, a.version) {
		if stated[rule.Series] != nil {
			return nil, otherRule("version %d of schedule %s has a rule of %s, and the file has none", a.version, a.code, rule.Series)
		}
	}
	return missing, nil
}

func otherRule(format string, args ...any) error {
	return failed(exitRefused, "OTHER_RULE", "what is stated stays: raise the version in the file", format, args...)
}

// stated gives the rules that were stated under a version, ascending by series.
func (r registry) stated(code record.Code, version uint32) (rules []*record.ScheduleRule) {
	for rule := range facts[*record.ScheduleRule](r) {
		if rule.Schedule == code && rule.Version == version {
			rules = append(rules, rule)
		}
	}
	return inOrder(rules)
}

// adopted gives the adoption of a version; nil: it is a draft, or unknown.
func (r registry) adopted(code record.Code, version uint32) *record.Schedule {
	for s := range facts[*record.Schedule](r) {
		if s.Code == code && s.Version == version {
			return s
		}
	}
	return nil
}
