package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

// officeResult is what office show prints: what the node says is registered.
type officeResult struct {
	Facts     []factInfo     `json:"facts"`
	Proposals []proposalInfo `json:"proposals"`
}

type factInfo struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	Fact string `json:"fact"` // canonical bytes in hex
}

type proposalInfo struct {
	Index      int64    `json:"index"`
	Text       string   `json:"text"`
	FactHash   string   `json:"fact_hash"`
	Office     string   `json:"office"`
	ApprovedBy []string `json:"approved_by"`
	LastDay    string   `json:"last_day"`
}

func (p *program) officeShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "show [CODE]", Short: "Show what is registered, or what concerns one office, and the open proposals",
		Args: cobra.MaximumNArgs(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		only := record.Code("")
		if len(args) == 1 {
			if only = record.Code(args[0]); !only.Valid() {
				return usage("office %q is not a code", args[0])
			}
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		r, err := s.registry(c.Context())
		if err != nil {
			return err
		}
		result, err := r.about(only)
		if err != nil {
			return err
		}
		if only != "" && !r.knows(only) && len(result.Proposals) == 0 {
			return failed(exitNotFound, "UNKNOWN_OFFICE", "muniment office show lists all", "office %s is not registered", only)
		}
		return p.show(result, func(w io.Writer) {
			for _, f := range result.Facts {
				fmt.Fprintln(w, f.Text)
			}
			for _, open := range result.Proposals {
				fmt.Fprintf(w, "proposal %d by %s, approved by %v, until %s: %s\n", open.Index, open.Office, open.ApprovedBy, open.LastDay, open.Text)
			}
		})
	}
	return c
}

// about gives the facts and proposals that concern an office, or all.
func (r registry) about(only record.Code) (officeResult, error) {
	result := officeResult{Facts: []factInfo{}, Proposals: []proposalInfo{}}
	for _, f := range r.facts {
		if only != "" && !concerns(f, only) {
			continue
		}
		raw, err := record.MarshalFact(f)
		if err != nil {
			return officeResult{}, err
		}
		result.Facts = append(result.Facts, factInfo{factKind(f), factText(f), hex.EncodeToString(raw)})
	}
	for _, open := range r.proposals {
		if only != "" && !concerns(open.fact, only) {
			continue
		}
		approved := make([]string, len(open.approvedBy))
		for i, office := range open.approvedBy {
			approved[i] = printable(office)
		}
		result.Proposals = append(result.Proposals, proposalInfo{Index: int64(open.index), Text: factText(open.fact),
			FactHash: hex.EncodeToString(open.hash[:]), Office: printable(open.office), ApprovedBy: approved, LastDay: dayText(open.lastDay)})
	}
	return result, nil
}

// knows tells whether an office is registered.
func (r registry) knows(code record.Code) bool {
	return slices.ContainsFunc(r.facts, func(f record.Fact) bool {
		office, ok := f.(*record.Office)
		return ok && office.Code == code
	})
}

func concerns(f record.Fact, office record.Code) bool {
	switch f := f.(type) {
	case *record.Office:
		return f.Code == office
	case *record.Key:
		return f.Office == office
	case *record.Governance:
		return slices.Contains(f.Offices, office)
	case *record.Series:
		return len(f.Departments) == 0 || slices.Contains(f.Departments, office)
	case *record.Activation:
		return f.Office == office
	case *record.StandingAuthorization:
		return f.Office == office
	}
	return false
}

func factKind(f record.Fact) string {
	switch f.(type) {
	case *record.Parameters:
		return "parameters"
	case *record.Office:
		return "office"
	case *record.Key:
		return "key"
	case *record.Governance:
		return "governance"
	case *record.CustodianSet:
		return "custodian-set"
	case *record.Series:
		return "series"
	case *record.Witnesses:
		return "witnesses"
	case *record.Upgrade:
		return "upgrade"
	case *record.ScheduleRule:
		return "schedule-rule"
	case *record.Schedule:
		return "schedule"
	case *record.Activation:
		return "activation"
	case *record.StandingAuthorization:
		return "standing-authorization"
	}
	return "node"
}
