package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/ledger"
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

// authorityFile is what a file says, before it is judged.
type authorityFile struct {
	schedule  string
	version   uint32
	state     bool
	effective string
	authority string
	citation  string
	series    []seriesFile
}

// seriesFile is one series of a file. A pointer tells what is left out from
// what is zero.
type seriesFile struct {
	line                                                     int // where it begins
	code, number, title, description, citation, rule, action string
	approvals                                                []string
	noticeDays, noticeHeights, fiscalStart                   *uint32
	verified, transitory, batched                            bool
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

// tooManyBytes is the fault of a file that is not read.
var tooManyBytes = fmt.Sprintf("it has more than %d MiB", maxAuthorityBytes>>20)

// judge weighs what a file says, all of it, and turns it into facts.
func (f authorityFile) judge() (authority, error) {
	var bad faults
	a := authority{code: record.Code(f.schedule), version: f.version, state: f.state, authority: f.authority, citation: f.citation}
	if !a.code.Valid() {
		bad.add(0, "schedule", "%.40q is not a code: write 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", f.schedule)
	}
	if a.version == 0 {
		bad.add(0, "version", "write a number from 1")
	}
	var err error
	if a.effective, err = retention.ParseDay(f.effective); err != nil {
		bad.add(0, "effective", "%.40q is no date: write the first day in force, such as 2031-01-01", f.effective)
	}
	bad.text(0, "authority", f.authority, maxCitationBytes)
	bad.text(0, "citation", f.citation, maxCitationBytes)
	if len(f.series) == 0 || len(f.series) > record.MaxScheduleRules {
		bad.add(0, "", "it has %d series: a schedule has 1 to %d", len(f.series), record.MaxScheduleRules)
		return authority{}, bad
	}
	seen := map[string]bool{}
	for i := range f.series {
		s := &f.series[i]
		if seen[s.code] && s.code != "" {
			bad.add(s.line, "series "+s.code, "it is there twice")
		}
		seen[s.code] = true
		a.series = append(a.series, s.series(a, &bad))
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
func (s *seriesFile) series(a authority, bad *faults) authoritySeries {
	line, before := s.line, len(*bad)
	name := fmt.Sprintf("series %.40q", s.code)
	if !record.Code(s.code).Valid() {
		bad.add(line, name, "it is not a code: write 1 to 16 of A-Z, 0-9, point and hyphen, with a letter")
	} else {
		name = "series " + s.code
	}
	if s.title == "" {
		bad.add(line, name, "it has no title")
	}
	bad.text(line, name+": title", s.title, maxTitleBytes)
	bad.text(line, name+": number", s.number, maxNumberBytes)
	bad.text(line, name+": citation", s.citation, maxCitationBytes)
	bad.text(line, name+": description", s.description, maxProseBytes)
	fact := record.ScheduleRule{
		Schedule: a.code, Version: a.version, Series: record.Code(s.code), Transitory: s.transitory, Batched: s.batched,
		NoticeDays: or(s.noticeDays, defaultNoticeDays), NoticeHeights: or(s.noticeHeights, defaultNoticeHeights), FiscalStart: or(s.fiscalStart, defaultFiscalStart),
	}
	var err error
	if fact.Rule, err = retention.Parse(s.rule); err != nil {
		bad.add(line, name, "%v", err)
	}
	if fact.Action, err = parseAction(s.action); err != nil {
		bad.add(line, name, "%v", err)
	}
	if fact.Approvals, err = parseApprovals(s.approvals); err != nil {
		bad.add(line, name, "%v", err)
	}
	if len(*bad) == before && a.code.Valid() && a.version > 0 {
		if _, err := record.MarshalFact(&fact); err != nil {
			bad.add(line, name, "%v", plainFault(err, fact.Series))
		} else if unfit := ledger.Unfit(&fact); unfit != "" {
			bad.add(line, name, "%s", unfit)
		}
	}
	if len(*bad) == before && fact.Rule.Kind == retention.Permanent && fact.Action == record.ActionDestroy {
		bad.add(line, name, "the rule is permanent and the action destroy: write the action permanent, or transfer")
	}
	return authoritySeries{number: s.number, title: s.title, description: s.description, citation: s.citation, verified: s.verified, rule: fact}
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
			return nil, fmt.Errorf("approval by %.40q: it is not a role: write some of %s", name, roleList())
		}
		if slices.Contains(roles, role) {
			return nil, fmt.Errorf("approval by %s is there twice", role)
		}
		roles = append(roles, role)
	}
	slices.Sort(roles)
	return roles, nil
}

// roleList names every role.
func roleList() string {
	var names []string
	for _, r := range record.Roles() {
		names = append(names, r.String())
	}
	return strings.Join(names, ", ")
}
