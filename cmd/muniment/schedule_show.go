package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) scheduleListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the schedules, their versions, and which are in force", Args: exactly(0, "no arguments"),
		Example: "  muniment schedule list",
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, r, err := p.lookAround(c.Context())
		if err != nil {
			return err
		}
		defer s.close()
		result := struct {
			Schedules []scheduleResult `json:"schedules"`
		}{[]scheduleResult{}}
		for _, v := range r.versions("") {
			result.Schedules = append(result.Schedules, r.version(v, s.ledgerDay()))
		}
		if len(result.Schedules) == 0 {
			p.say("there are no schedules: muniment schedule propose FILE proposes one")
		}
		return p.show(result, func(w io.Writer) {
			for _, v := range result.Schedules {
				fmt.Fprintf(w, "%s\tversion %d\t%s\t%s\t%s\n", v.Schedule, v.Version, counted(v.Count, "rule"), v.Effective, marked(v.Status, v.Demonstration))
			}
		})
	}
	return c
}

func (p *program) scheduleShowCommand() *cobra.Command {
	var file string
	var version uint32
	c := &cobra.Command{
		Use: "show SCHEDULE [--version N] [--file FILE]", Short: "Show the rules of a schedule",
		Long: "Shows the version in force, or without one the newest. The ledger has codes and rules; with --file, titles and\n" +
			"citations are added from an authority file whose rules are the same.",
		Example: "  muniment schedule show CT-PERSONNEL --file ct-personnel.toml\n" +
			"  muniment schedule show CT-PERSONNEL --file ct-personnel.toml --find grievance",
		Args: exactly(1, "one schedule"),
	}
	c.Flags().StringVar(&file, "file", "", "authority file that has the titles")
	c.Flags().Uint32Var(&version, "version", 0, "version to show (default: the one in force)")
	find := findFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		code, err := parseCode("schedule", args[0])
		if err != nil {
			return err
		}
		var a authority
		if file != "" {
			if a, err = p.readAuthority(file); err != nil {
				return err
			}
		}
		s, r, err := p.lookAround(c.Context())
		if err != nil {
			return err
		}
		defer s.close()
		found, err := r.choose(code, version, s.ledgerDay())
		if err != nil {
			return err
		}
		result := r.version(found, s.ledgerDay())
		if file != "" {
			if err := result.describe(a); err != nil {
				return err
			}
		}
		if err := result.find(*find); err != nil {
			return err
		}
		return p.show(result, func(w io.Writer) { result.write(w) })
	}
	return c
}

// versionID names a version of a schedule.
type versionID struct {
	code    record.Code
	version uint32
}

// versions lists the versions of a schedule, or of all for "", drafts included.
func (r registry) versions(code record.Code) []versionID {
	seen := map[versionID]bool{}
	for rule := range facts[*record.ScheduleRule](r) {
		if code == "" || rule.Schedule == code {
			seen[versionID{rule.Schedule, rule.Version}] = true
		}
	}
	var list []versionID
	for v := range seen {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b versionID) int {
		return cmp.Or(strings.Compare(string(a.code), string(b.code)), cmp.Compare(a.version, b.version))
	})
	return list
}

// choose finds the version that is meant: that number, else the one in force,
// else the newest.
func (r registry) choose(code record.Code, version uint32, today record.Day) (versionID, error) {
	all := r.versions(code)
	if current := r.versionInForce(code, today); version == 0 && current != nil {
		version = current.Version
	}
	if version == 0 && len(all) > 0 {
		return all[len(all)-1], nil
	}
	if id := (versionID{code, version}); slices.Contains(all, id) {
		return id, nil
	}
	what := "schedule " + string(code)
	if len(all) > 0 {
		what = fmt.Sprintf("version %d of %s", version, what)
	}
	return versionID{}, failed(exitNotFound, "UNKNOWN_SCHEDULE", "muniment schedule list lists them", "%s is not on the ledger", what)
}

// version tells what is on the ledger of a version, as the node says.
func (r registry) version(id versionID, today record.Day) scheduleResult {
	result := scheduleResult{Schedule: string(id.code), Version: id.version, Demonstration: demonstration(id.code), Status: "draft, not adopted", Effective: "no day yet"}
	if adopted := r.adopted(id.code, id.version); adopted != nil {
		result.State, result.Effective, result.Root = adopted.State, adopted.Effective.String(), hex.EncodeToString(adopted.Root[:])
		switch current := r.versionInForce(id.code, today); {
		case adopted.Effective > today:
			result.Status = "adopted, not in force yet"
		case current.Version == id.version:
			result.Status = "in force"
		default:
			result.Status = fmt.Sprintf("replaced by version %d", current.Version)
		}
	} else {
		for _, open := range r.proposals {
			if s, ok := open.fact.(*record.Schedule); ok && s.Code == id.code && s.Version == id.version {
				result.State, result.Effective = s.State, s.Effective.String()
				result.Status = fmt.Sprintf("draft, proposal %d approved by %s, waits for %s", open.index, printable(joined(open.approvedBy)), printable(joined(r.awaited(open, s))))
			}
		}
	}
	for _, rule := range r.stated(id.code, id.version) {
		result.Rules = append(result.Rules, ruleResultOf(rule))
	}
	result.Count = len(result.Rules)
	return result
}

// describe adds titles and citations from an authority file that states the
// same rules.
func (s *scheduleResult) describe(a authority) error {
	same := string(a.code) == s.Schedule && a.version == s.Version && len(a.series) == len(s.Rules)
	if same {
		for i, rule := range a.rules() {
			same = same && ruleText(rule) == s.Rules[i].text && string(rule.Series) == s.Rules[i].Series
		}
	}
	if !same {
		return failed(exitRefused, "OTHER_SCHEDULE", "give the file of that version", "the file is not version %d of schedule %s", s.Version, s.Schedule)
	}
	s.Authority, s.Citation = a.authority, a.citation
	for i := range a.series {
		for j := range s.Rules {
			if s.Rules[j].Series == string(a.series[i].rule.Series) {
				s.Rules[j].describe(&a.series[i])
			}
		}
	}
	return nil
}
