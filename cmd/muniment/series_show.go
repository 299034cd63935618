package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

// lookAround opens a session that signs nothing, and asks what is registered.
func (p *program) lookAround(ctx context.Context) (*session, registry, error) {
	s, err := p.open(false)
	if err != nil {
		return nil, registry{}, err
	}
	r, err := s.registry(ctx)
	if err != nil {
		s.close()
		return nil, registry{}, err
	}
	return s, r, nil
}

// seriesResult is a series as commands print it, for one department or, where
// genesis opened it, for several.
type seriesResult struct {
	Series        string         `json:"series"`
	Department    string         `json:"department,omitempty"` // empty: as departments says
	Departments   []string       `json:"departments,omitempty"`
	Status        string         `json:"status"` // active, overdue, draft, without-rule, inactive
	Granularity   string         `json:"granularity,omitempty"`
	Assessed      string         `json:"assessed,omitempty"` // date of the impact assessment
	Review        string         `json:"review,omitempty"`   // its next review: afterwards no new anchors
	Assessment    string         `json:"assessment,omitempty"`
	DataMap       string         `json:"data_map,omitempty"`
	Proposal      int64          `json:"proposal,omitempty"` // open one that activates it
	Signed        []string       `json:"signed,omitempty"`   // offices that signed it off
	WaitsFor      []string       `json:"waits_for,omitempty"`
	Demonstration bool           `json:"demonstration"`
	Rules         []seriesRule   `json:"rules"`
	Standing      []standingText `json:"standing,omitempty"`
}

// seriesRule is a rule in force for a series, and whence it comes.
type seriesRule struct {
	Schedule string `json:"schedule"`
	Version  uint32 `json:"version"`
	ruleResult
}

// standingText is an authorization of dispositions in advance, or a proposal of one.
type standingText struct {
	Office   string   `json:"office"`
	From     string   `json:"from"`
	Until    string   `json:"until"`
	Proposal int64    `json:"proposal,omitempty"` // it is open
	WaitsFor []string `json:"waits_for,omitempty"`
}

func (t standingText) text() string {
	text := fmt.Sprintf("dispositions of %s authorized in advance, %s to %s", t.Office, t.From, t.Until)
	if t.Proposal > 0 {
		text += fmt.Sprintf(": draft, proposal %d waits for %s", t.Proposal, strings.Join(t.WaitsFor, ", "))
	}
	return text
}

// standing lists the authorizations under a series that have not ended, and the
// proposals of some, for a department or, for "", for all.
func (r registry) standing(series record.Code, department string, today record.Day) (list []standingText) {
	concerns := func(f *record.StandingAuthorization) bool {
		return slices.Contains(f.Series, series) && f.Until >= today && (department == "" || department == string(f.Office))
	}
	for f := range facts[*record.StandingAuthorization](r) {
		if concerns(f) {
			list = append(list, standingText{Office: string(f.Office), From: f.From.String(), Until: f.Until.String()})
		}
	}
	for _, open := range r.proposals {
		if f, ok := open.fact.(*record.StandingAuthorization); ok && concerns(f) {
			list = append(list, standingText{string(f.Office), f.From.String(), f.Until.String(), int64(open.index), r.unsigned(open.approvedBy, f.Office, standingRoles)})
		}
	}
	return list
}

func (p *program) seriesListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the record series: active, draft, overdue", Args: cobra.NoArgs,
		Example: "  muniment series list\n  muniment series list --output json | jq '.series[] | select(.status == \"overdue\")'",
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, r, err := p.lookAround(c.Context())
		if err != nil {
			return err
		}
		defer s.close()
		return p.showSeries(r.allSeries(s.ledgerDay()), false)
	}
	return c
}

func (p *program) seriesShowCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "show SERIES [--file FILE]", Short: "Show who may use a series, its rules, and which sign-offs are missing",
		Example: "  muniment series show CT-16-2-8H-12 --file ct-personnel.toml",
		Args:    exactly(1, "one series"),
	}
	c.Flags().StringVar(&file, "file", "", "authority file that has the titles")
	c.RunE = func(c *cobra.Command, args []string) error {
		code, err := parseCode("series", args[0])
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
		list := slices.DeleteFunc(r.allSeries(s.ledgerDay()), func(one seriesResult) bool { return one.Series != string(code) })
		if len(list) == 0 {
			return failed(exitNotFound, "UNKNOWN_SERIES", "muniment series list lists them", "series %s is not on the ledger", code)
		}
		for i := range list {
			list[i].describe(a)
		}
		return p.showSeries(list, true)
	}
	return c
}

// describe adds titles and citations from an authority file where its rule is
// the one in force.
func (s *seriesResult) describe(a authority) {
	for i := range s.Rules {
		for j := range a.series {
			if rule := &a.series[j].rule; s.Rules[i].Schedule == string(rule.Schedule) && s.Rules[i].Version == rule.Version &&
				s.Rules[i].Series == string(rule.Series) && s.Rules[i].text == ruleText(rule) {
				s.Rules[i].describe(&a.series[j])
			}
		}
	}
}

// showSeries prints a line for each series, and all about it if that is wanted.
func (p *program) showSeries(list []seriesResult, all bool) error {
	return p.show(struct {
		Series []seriesResult `json:"series"`
	}{list}, func(w io.Writer) {
		for _, s := range list {
			fmt.Fprintln(w, marked(s.text(), s.Demonstration))
			if !all {
				continue
			}
			for _, r := range s.Rules {
				fmt.Fprintf(w, "  %s version %d: %s\n", r.Schedule, r.Version, strings.Join(nonempty(r.Number, r.Title, r.text, r.Citation), "; "))
			}
			for _, one := range s.Standing {
				fmt.Fprintf(w, "  %s\n", one.text())
			}
		}
	})
}

// text says in one line where a series stands.
func (s seriesResult) text() string {
	who := s.Department
	if who == "" {
		who = strings.Join(s.Departments, ", ")
	}
	if who == "" {
		who = "every department"
	}
	head := s.Series + " for " + who + ": "
	switch s.Status {
	case "active":
		if s.Review != "" {
			return head + "active until the review of " + s.Review + ", dates by " + s.Granularity
		}
		return head + "active, dates by " + s.Granularity
	case "overdue":
		return head + "no new records: the impact assessment was to be reviewed by " + s.Review
	case "draft":
		return head + fmt.Sprintf("draft, proposal %d signed by %s, waits for %s", s.Proposal, strings.Join(s.Signed, ", "), strings.Join(s.WaitsFor, ", "))
	case "without-rule":
		return head + "no new records: no rule is in force"
	case "ruled":
		return s.Series + ": a rule is in force, and no department has activated it"
	}
	return head + "inactive"
}

// allSeries lists the series that are opened, drafted or ruled, by code.
func (r registry) allSeries(today record.Day) []seriesResult {
	list := []seriesResult{}
	known := map[record.Code]bool{}
	add := func(code record.Code, s seriesResult) {
		known[code] = true
		s.Series, s.Demonstration, s.Rules = string(code), code.Demonstration(), []seriesRule{}
		for _, rule := range r.rulesInForce(code, today) {
			s.Rules = append(s.Rules, seriesRule{string(rule.Schedule), rule.Version, ruleResultOf(rule)})
		}
		if len(s.Rules) == 0 && s.Review != "" && s.Status != "draft" {
			s.Status = "without-rule"
		}
		s.Standing = r.standing(code, s.Department, today)
		list = append(list, s)
	}
	for s := range facts[*record.Series](r) {
		status := "inactive"
		if s.Status == record.StatusActive {
			status = "active"
		}
		one := seriesResult{Status: status, Granularity: s.Granularity.String()}
		for _, d := range s.Departments {
			one.Departments = append(one.Departments, string(d))
		}
		add(s.Code, one)
	}
	for a := range facts[*record.Activation](r) {
		one := activationResult(a)
		if one.Status = "active"; a.Review < today {
			one.Status = "overdue"
		}
		add(a.Series, one)
	}
	for _, open := range r.proposals {
		if a, ok := open.fact.(*record.Activation); ok {
			one := activationResult(a)
			one.Status, one.Proposal, one.Signed = "draft", int64(open.index), open.approvedBy
			one.WaitsFor = r.unsigned(open.approvedBy, a.Office, activationRoles)
			add(a.Series, one)
		}
	}
	for rule := range facts[*record.ScheduleRule](r) {
		if !known[rule.Series] && len(r.rulesInForce(rule.Series, today)) > 0 {
			add(rule.Series, seriesResult{Status: "ruled"})
		}
	}
	slices.SortStableFunc(list, func(a, b seriesResult) int { return strings.Compare(a.Series, b.Series) })
	return list
}

func activationResult(a *record.Activation) seriesResult {
	return seriesResult{Department: string(a.Office), Granularity: a.Granularity.String(), Assessed: a.Assessed.String(), Review: a.Review.String(),
		Assessment: fmt.Sprintf("%x", a.Assessment), DataMap: fmt.Sprintf("%x", a.DataMap)}
}

// The roles of the offices that sign off besides the one that asks.
var (
	activationRoles = []record.Role{record.RoleIT, record.RoleCounsel, record.RoleClerk, record.RoleProcurement}
	standingRoles   = []record.Role{record.RoleIT, record.RoleClerk, record.RoleStateArchivist, record.RoleStateRecords}
)

// unsigned tells whose sign-off is missing: the office that asks, and the roles
// that the others cannot fill, an office one role.
func (r registry) unsigned(signed []string, asks record.Code, roles []record.Role) (missing []string) {
	var others []*record.Office
	for office := range facts[*record.Office](r) {
		if office.Code != asks && slices.Contains(signed, string(office.Code)) {
			others = append(others, office)
		}
	}
	if !slices.Contains(signed, string(asks)) {
		missing = append(missing, string(asks))
	}
	for _, role := range leastUnfilled(roles, others) {
		missing = append(missing, role.String())
	}
	return missing
}

// leastUnfilled gives the roles that remain when offices fill as many as they can.
func leastUnfilled(roles []record.Role, offices []*record.Office) []record.Role {
	if len(roles) == 0 {
		return nil
	}
	best := append([]record.Role{roles[0]}, leastUnfilled(roles[1:], offices)...)
	for i, office := range offices {
		if !slices.Contains(office.Roles, roles[0]) {
			continue
		}
		if rest := leastUnfilled(roles[1:], slices.Delete(slices.Clone(offices), i, i+1)); len(rest) < len(best) {
			best = rest
		}
	}
	return best
}
