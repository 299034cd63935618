package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Limits of authority files.
const (
	maxAuthorityBytes = 4 << 20
	maxTitleBytes     = 200
	maxNumberBytes    = 40
	maxCitationBytes  = 300
	maxProseBytes     = 2000
	maxFaults         = 20 // that are told; a file with more is of another kind
)

// authority is a version of a records schedule as its file states it. Titles,
// descriptions, numbers and citations stay off the ledger.
type authority struct {
	code      record.Code
	version   uint32
	state     bool
	effective record.Day
	authority string // who issued it
	citation  string
	series    []authoritySeries // in the order of the file
}

// authoritySeries is a series of an authority file and its rule.
type authoritySeries struct {
	number, title, description, citation string
	verified                             bool // compared with its source
	rule                                 record.ScheduleRule
}

// authorityFile is an authority file as TOML has it. A pointer tells what is
// left out from what is zero.
type authorityFile struct {
	Schedule  string          `toml:"schedule"`
	Version   uint32          `toml:"version"`
	State     bool            `toml:"state"`
	Effective *toml.LocalDate `toml:"effective"`
	Authority string          `toml:"authority"`
	Citation  string          `toml:"citation"`
	Series    []seriesFile    `toml:"series"`
}

// seriesFile is one [[series]] of an authority file.
type seriesFile struct {
	Code          string   `toml:"code"`
	Number        string   `toml:"number"`
	Title         string   `toml:"title"`
	Description   string   `toml:"description"`
	Citation      string   `toml:"citation"`
	Verified      bool     `toml:"verified"`
	Rule          string   `toml:"rule"`
	Action        string   `toml:"action"`
	Approvals     []string `toml:"approvals"`
	NoticeDays    *uint32  `toml:"notice_days"`
	NoticeHeights *uint32  `toml:"notice_heights"`
	FiscalStart   *uint32  `toml:"fiscal_start"`
	Transitory    bool     `toml:"transitory"`
	Batched       bool     `toml:"batched"`
}

// What stands where a file says nothing.
const (
	defaultNoticeDays    = 1
	defaultNoticeHeights = 2
	defaultFiscalStart   = 7 // July
)

// faults are what is wrong with an authority file, a sentence each.
type faults []string

func (f *faults) add(line int, what, format string, args ...any) {
	sentence := fmt.Sprintf(format, args...)
	if what != "" {
		sentence = what + ": " + sentence
	}
	if line > 0 {
		sentence = fmt.Sprintf("line %d: %s", line, sentence)
	}
	*f = append(*f, sentence)
}

// Error gives them as one sentence.
func (f faults) Error() string {
	if len(f) == 1 {
		return f[0]
	}
	return fmt.Sprintf("%d faults, the first: %s", len(f), f[0])
}

// parseAuthority reads an authority file in TOML. Its error is of type faults.
func parseAuthority(text []byte) (authority, error) {
	if len(text) > maxAuthorityBytes {
		return authority{}, faults{fmt.Sprintf("it has more than %d MiB", maxAuthorityBytes>>20)}
	}
	var f authorityFile
	decoder := toml.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return authority{}, tomlFaults(err)
	}
	return f.authority(seriesLines(text))
}

// tomlFaults says where the form of a file is wrong.
func tomlFaults(err error) (bad faults) {
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		for _, unknown := range strict.Errors {
			line, _ := unknown.Position()
			bad.add(line, "", "%q is no setting of an authority file", strings.Join(unknown.Key(), "."))
		}
		return bad
	}
	line := 0
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ = at.Position()
	}
	bad.add(line, "", "%s", strings.TrimPrefix(err.Error(), "toml: "))
	return bad
}

// seriesLines gives the line of each [[series]]. The text was decoded before.
func seriesLines(text []byte) (lines []int) {
	var p unstable.Parser
	p.Reset(text)
	for p.NextExpression() {
		if e := p.Expression(); e.Kind == unstable.ArrayTable {
			key := e.Key()
			key.Next()
			lines = append(lines, p.Shape(key.Node().Raw).Start.Line)
		}
	}
	return lines
}

// authority judges what a file says, all of it, and turns it into facts. Lines
// are those of the series; 0 where there is none.
func (f authorityFile) authority(lines []int) (authority, error) {
	var bad faults
	a := authority{code: record.Code(f.Schedule), version: f.Version, state: f.State, authority: f.Authority, citation: f.Citation}
	if !a.code.Valid() {
		bad.add(0, "schedule", "%q is not a code: write 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", f.Schedule)
	}
	if a.version == 0 {
		bad.add(0, "version", "write a number from 1")
	}
	if f.Effective == nil {
		bad.add(0, "effective", "write the first day in force, as 2031-01-01")
	} else if day, err := retention.ParseDay(f.Effective.String()); err != nil {
		bad.add(0, "effective", "%s is no day of the years 1 to 9999", f.Effective)
	} else {
		a.effective = day
	}
	bad.text(0, "authority", f.Authority, maxCitationBytes)
	bad.text(0, "citation", f.Citation, maxCitationBytes)
	if len(f.Series) == 0 || len(f.Series) > record.MaxScheduleRules {
		bad.add(0, "", "it has %d series: a schedule has 1 to %d", len(f.Series), record.MaxScheduleRules)
		return authority{}, bad
	}
	seen := map[string]bool{}
	for i := range f.Series {
		line := 0
		if i < len(lines) {
			line = lines[i]
		}
		s := &f.Series[i]
		if seen[s.Code] && s.Code != "" {
			bad.add(line, "series "+s.Code, "it is there twice")
		}
		seen[s.Code] = true
		a.series = append(a.series, s.series(a, line, &bad))
		if len(bad) >= maxFaults {
			break
		}
	}
	if len(bad) > 0 {
		return authority{}, bad
	}
	return a, nil
}

// text wants a text of printable characters.
func (f *faults) text(line int, what, text string, most int) {
	switch {
	case len(text) > most:
		f.add(line, what, "it has %d bytes, and may have %d", len(text), most)
	case printable(text) != text:
		f.add(line, what, "it has characters that cannot be printed")
	}
}

// series judges one series of a file.
func (s *seriesFile) series(a authority, line int, bad *faults) authoritySeries {
	before := len(*bad)
	name := fmt.Sprintf("series %.40q", s.Code)
	if !record.Code(s.Code).Valid() {
		bad.add(line, name, "it is not a code: write 1 to 16 of A-Z, 0-9, point and hyphen, with a letter")
	} else {
		name = "series " + s.Code
	}
	if s.Title == "" {
		bad.add(line, name, "it has no title")
	}
	bad.text(line, name+": title", s.Title, maxTitleBytes)
	bad.text(line, name+": number", s.Number, maxNumberBytes)
	bad.text(line, name+": citation", s.Citation, maxCitationBytes)
	bad.text(line, name+": description", s.Description, maxProseBytes)
	fact := record.ScheduleRule{
		Schedule: a.code, Version: a.version, Series: record.Code(s.Code), Transitory: s.Transitory, Batched: s.Batched,
		NoticeDays: or(s.NoticeDays, defaultNoticeDays), NoticeHeights: or(s.NoticeHeights, defaultNoticeHeights), FiscalStart: or(s.FiscalStart, defaultFiscalStart),
	}
	var err error
	if fact.Rule, err = retention.Parse(s.Rule); err != nil {
		bad.add(line, name, "%v", err)
	}
	if fact.Action, err = parseAction(s.Action); err != nil {
		bad.add(line, name, "%v", err)
	}
	if fact.Approvals, err = parseApprovals(s.Approvals); err != nil {
		bad.add(line, name, "%v", err)
	}
	if len(*bad) == before && a.code.Valid() && a.version > 0 {
		if _, err := record.MarshalFact(&fact); err != nil {
			bad.add(line, name, "%v", plainFault(err, fact.Series))
		}
	}
	if len(*bad) == before && fact.Rule.Kind == retention.Permanent && fact.Action == record.ActionDestroy {
		bad.add(line, name, "the rule is permanent and the action destroy: write the action permanent, or transfer")
	}
	return authoritySeries{number: s.Number, title: s.Title, description: s.Description, citation: s.Citation, verified: s.Verified, rule: fact}
}

// plainFault leaves out of an error what the sentence says already.
func plainFault(err error, series record.Code) string {
	_, text, found := strings.Cut(err.Error(), "schedule rule of "+string(series)+": ")
	if !found {
		return err.Error()
	}
	return strings.TrimSuffix(text, ": "+record.ErrMalformed.Error())
}

func or(given *uint32, otherwise uint32) uint32 {
	if given == nil {
		return otherwise
	}
	return *given
}

// actions are the disposition actions by the names of authority files.
var actions = []struct {
	name   string
	action record.Action
}{{"destroy", record.ActionDestroy}, {"transfer", record.ActionTransfer}, {"permanent", record.ActionPermanent}}

func actionName(a record.Action) string {
	for _, known := range actions {
		if known.action == a {
			return known.name
		}
	}
	return a.String()
}

func parseAction(name string) (record.Action, error) {
	for _, known := range actions {
		if known.name == name {
			return known.action, nil
		}
	}
	return 0, fmt.Errorf("action %.40q: write destroy, transfer or permanent", name)
}

// parseApprovals reads names of roles, in any order.
func parseApprovals(names []string) (roles []record.Role, err error) {
	for _, name := range names {
		role, err := record.ParseRole(name)
		if err != nil {
			return nil, fmt.Errorf("approval by %.40q: it is not a role: write names such as CLERK, CHIEF_ADMIN or STATE_RECORDS", name)
		}
		if slices.Contains(roles, role) {
			return nil, fmt.Errorf("approval by %s is there twice", role)
		}
		roles = append(roles, role)
	}
	slices.Sort(roles)
	return roles, nil
}
