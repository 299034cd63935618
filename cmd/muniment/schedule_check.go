package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// scheduleResult is a version of a schedule as commands print it.
type scheduleResult struct {
	Schedule      string       `json:"schedule"`
	Version       uint32       `json:"version"`
	State         bool         `json:"state"`
	Effective     string       `json:"effective"`
	Authority     string       `json:"authority,omitempty"` // as the file says
	Citation      string       `json:"citation,omitempty"`  // as the file says
	Demonstration bool         `json:"demonstration"`
	Status        string       `json:"status,omitempty"`     // as the node says
	Root          string       `json:"root,omitempty"`       // of all rules, in hex
	Count         int          `json:"count"`                // of all rules
	Rules         []ruleResult `json:"rules"`                // all, or those that were looked for
	Unverified    int          `json:"unverified,omitempty"` // rules that were not compared with their source
}

// ruleResult is a rule as commands print it.
type ruleResult struct {
	Series        string   `json:"series"`
	Number        string   `json:"number,omitempty"`      // as the file says
	Title         string   `json:"title,omitempty"`       // as the file says
	Description   string   `json:"description,omitempty"` // as the file says
	Citation      string   `json:"citation,omitempty"`    // as the file says
	Verified      bool     `json:"verified,omitempty"`    // as the file says
	Rule          string   `json:"rule"`
	Action        string   `json:"action"`
	Approvals     []string `json:"approvals"`
	NoticeDays    uint32   `json:"notice_days"`
	NoticeHeights uint32   `json:"notice_heights"`
	FiscalStart   uint32   `json:"fiscal_start"`
	Transitory    bool     `json:"transitory"`
	Batched       bool     `json:"batched"`
	Demonstration bool     `json:"demonstration"`
	Example       string   `json:"example,omitempty"`

	text string
}

func ruleResultOf(r *record.ScheduleRule) ruleResult {
	result := ruleResult{Series: string(r.Series), Rule: r.Rule.String(), Action: actionName(r.Action), Approvals: []string{},
		NoticeDays: r.NoticeDays, NoticeHeights: r.NoticeHeights, FiscalStart: r.FiscalStart, Transitory: r.Transitory, Batched: r.Batched,
		Demonstration: r.Series.Demonstration(), text: ruleText(r)}
	for _, role := range r.Approvals {
		result.Approvals = append(result.Approvals, role.String())
	}
	return result
}

// describe adds what only the file says of a series.
func (r *ruleResult) describe(s *authoritySeries) {
	r.Number, r.Title, r.Description, r.Citation, r.Verified = s.number, s.title, s.description, s.citation, s.verified
}

func (p *program) scheduleCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Check an authority file, and show what each rule would do",
		Long: "Reads an authority file in TOML, or a table in CSV, and tells every fault in it. Nothing is signed or sent, and no\n" +
			"keys are needed. For each rule an example says when a record would be due: one that was created on the first\n" +
			"day in force, while everything that the rule waits for happened a year later.",
		Example:           "  muniment schedule check ct-personnel.toml\n  muniment schedule check schedule.csv --output json | jq '.rules[].example'",
		Args:              exactly(1, "one authority file"),
		ValidArgsFunction: completeFiles("toml", "csv"),
	}
	find := findFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		a, err := p.readAuthority(args[0])
		if err != nil {
			return err
		}
		result, err := a.result()
		if err != nil {
			return err
		}
		for i := range a.series {
			result.Rules[i].Example = a.example(&a.series[i].rule)
		}
		if err := result.find(*find); err != nil {
			return err
		}
		err = p.show(result, func(w io.Writer) { result.write(w) })
		if err == nil {
			p.say("next: muniment schedule propose %s", args[0])
		}
		return err
	}
	return c
}

// findFlag adds the flag by which one looks for series.
func findFlag(c *cobra.Command) *string {
	return c.Flags().String("find", "", "only series whose code, number, title, description, rule or citation has this text")
}

// find leaves the series that have a text somewhere, in any case of letters.
func (s *scheduleResult) find(text string) error {
	text = strings.ToLower(text)
	s.Rules = slices.DeleteFunc(s.Rules, func(r ruleResult) bool {
		return !strings.Contains(strings.ToLower(strings.Join([]string{r.Series, r.Number, r.Title, r.Description, r.Rule, r.Citation}, "\n")), text)
	})
	if len(s.Rules) == 0 {
		return failed(exitNotFound, "NOT_FOUND", "leave --find out to see all of them", "no series of schedule %s has %q", s.Schedule, printable(text))
	}
	return nil
}

// result lists an authority in the order of its file.
func (a authority) result() (scheduleResult, error) {
	fact, err := a.fact()
	if err != nil {
		return scheduleResult{}, err
	}
	result := scheduleResult{Schedule: string(a.code), Version: a.version, State: a.state, Effective: a.effective.String(),
		Authority: a.authority, Citation: a.citation, Demonstration: demonstration(a.code), Root: hex.EncodeToString(fact.Root[:]), Count: len(a.series)}
	for i := range a.series {
		rule := ruleResultOf(&a.series[i].rule)
		rule.describe(&a.series[i])
		result.Rules = append(result.Rules, rule)
		if !rule.Verified {
			result.Unverified++
		}
	}
	return result, nil
}

// write prints a schedule for people.
func (s scheduleResult) write(w io.Writer) {
	kind := "local schedule"
	if s.State {
		kind = "state schedule"
	}
	head := marked(fmt.Sprintf("%s %s version %d, from %s, %s", kind, s.Schedule, s.Version, s.Effective, counted(s.Count, "rule")), s.Demonstration)
	if s.Status != "" {
		head += ": " + s.Status
	}
	fmt.Fprintln(w, head)
	for _, line := range []string{s.Authority, s.Citation} {
		if line != "" {
			fmt.Fprintln(w, line)
		}
	}
	if s.Root != "" {
		fmt.Fprintf(w, "root %s\n", s.Root)
	}
	for _, r := range s.Rules {
		number := r.Number
		if number == r.Series {
			number = ""
		}
		fmt.Fprintf(w, "\n%s\n  %s\n", strings.Join(nonempty(r.Series, number, r.Title), "  "), r.text)
		if r.Description != "" {
			fmt.Fprintf(w, "  %s\n", r.Description)
		}
		if r.Citation != "" {
			fmt.Fprintf(w, "  %s\n", r.Citation)
		}
		if r.Title != "" && !r.Verified && !r.Demonstration {
			fmt.Fprintln(w, "  not verified: compare it with its source")
		}
		if r.Example != "" {
			fmt.Fprintf(w, "  example: %s\n", r.Example)
		}
	}
}

func nonempty(texts ...string) (list []string) {
	for _, text := range texts {
		if text != "" {
			list = append(list, text)
		}
	}
	return list
}

// example says when a record would be due that was created on the first day in
// force, while everything that its rule waits for happened a year later.
func (a authority) example(r *record.ScheduleRule) string {
	created := a.effective
	later := retention.Add(created, 1, retention.Years)
	start := time.Month(r.FiscalStart)
	f := retention.Facts{Created: created, FiscalStart: start}
	f.Audits = []retention.Audit{{Through: retention.EndOfYear(created, retention.FiscalYear, start), Posted: later}}
	named := map[retention.Event]bool{}
	a.events(&r.Rule, named, &f, 0)
	happened := []string{"created " + created.String()}
	for _, e := range retention.Events() {
		if e == retention.Created || !named[e] {
			continue
		}
		f.Events = append(f.Events, retention.Fact{Event: e, Day: later})
		happened = append(happened, strings.ReplaceAll(e.String(), "-", " ")+" "+later.String())
	}
	if f.File != nil {
		f.File.Created, f.File.FiscalStart, f.File.Events, f.File.Audits = f.Created, f.FiscalStart, f.Events, f.Audits
	}
	v := retention.Evaluate(r.Rule, f, created, a.lookup)
	text := strings.Join(happened, ", ") + ": " + verdictText(v)
	if v.Review {
		text += "; an archivist reviews it first"
	}
	if v.NoticeCount > 0 {
		text += "; the person concerned is notified " + counted(v.NoticeCount, strings.TrimSuffix(v.NoticeUnit.String(), "s")) + " before"
	}
	return text
}

func verdictText(v retention.Verdict) string {
	switch {
	case v.Status == retention.Never:
		return "kept for good"
	case v.Status == retention.Waiting:
		return "kept while this is missing: " + strings.Join(v.Missing, "; ")
	case v.Due == retention.MinDay:
		return "due at any time"
	}
	return "due from " + v.Due.String()
}

// lookup finds a rule of the same file.
func (a authority) lookup(series string) (retention.Rule, bool) {
	for i := range a.series {
		if string(a.series[i].rule.Series) == series {
			return a.series[i].rule.Rule, true
		}
	}
	return retention.Rule{}, false
}

// events notes which events a rule names, those of rules that it refers to
// included, and the file into which it wants a record to be merged.
func (a authority) events(r *retention.Rule, named map[retention.Event]bool, f *retention.Facts, follows int) {
	switch r.Kind {
	case retention.Need:
		named[retention.NeedEnded] = true
	case retention.Merge:
		f.File = &retention.Facts{Series: r.Series}
	}
	named[r.Event] = true
	if rule, ok := a.lookup(r.Series); ok && r.Series != "" && follows < retention.MaxFollows {
		a.events(&rule, named, f, follows+1)
	}
	for i := range r.Rules {
		a.events(&r.Rules[i], named, f, follows)
	}
}
