package main

import (
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// intake is how a series takes the records of an office.
type intake struct {
	granularity record.Granularity
	batched     bool // one batch a ledger day, and nothing else
}

// intake tells how a series takes the records of an office on a ledger day, or
// why it does not, by the rules of docs/spec/schedules.md.
func (r registry) intake(code, office record.Code, today record.Day) (intake, error) {
	rules := r.rulesInForce(code, today)
	if len(rules) == 0 || code.Demonstration() {
		o, err := r.registered(code, office)
		if err == nil || len(rules) == 0 {
			return withRules(o, rules), err
		}
	}
	a := r.activation(code, office)
	switch {
	case a == nil:
		return intake{}, refused("SERIES_INACTIVE")
	case a.Review < today:
		return intake{}, refused("ASSESSMENT_OVERDUE")
	}
	return withRules(intake{granularity: a.Granularity}, rules), nil
}

// registered tells how a series takes records because genesis says so.
func (r registry) registered(code, office record.Code) (intake, error) {
	for s := range facts[*record.Series](r) {
		switch {
		case s.Code != code:
			continue
		case s.Status != record.StatusActive:
			return intake{}, refused("SERIES_INACTIVE")
		case len(s.Departments) > 0 && !slices.Contains(s.Departments, office):
			return intake{}, refused("WRONG_OFFICE")
		}
		return intake{granularity: s.Granularity}, nil
	}
	return intake{}, refused("UNKNOWN_SERIES")
}

func withRules(o intake, rules []*record.ScheduleRule) intake {
	for _, rule := range rules {
		o.batched = o.batched || rule.Batched
	}
	return o
}

// activation gives the activation of a series for an office; nil: there is none.
func (r registry) activation(series, office record.Code) *record.Activation {
	for a := range facts[*record.Activation](r) {
		if a.Series == series && a.Office == office {
			return a
		}
	}
	return nil
}

// rulesInForce gives what the schedules say of a series on a day: of each
// schedule the version with the latest effective day that has come.
func (r registry) rulesInForce(series record.Code, today record.Day) (rules []*record.ScheduleRule) {
	for rule := range facts[*record.ScheduleRule](r) {
		if rule.Series != series {
			continue
		}
		if current := r.versionInForce(rule.Schedule, today); current != nil && current.Version == rule.Version {
			rules = append(rules, rule)
		}
	}
	slices.SortFunc(rules, func(a, b *record.ScheduleRule) int { return strings.Compare(string(a.Schedule), string(b.Schedule)) })
	return rules
}

// versionInForce gives the version of a schedule that is in force; nil: none is.
// Versions with the same day are listed in the order of their adoption.
func (r registry) versionInForce(code record.Code, today record.Day) (current *record.Schedule) {
	for s := range facts[*record.Schedule](r) {
		if s.Code == code && s.Effective <= today && (current == nil || s.Effective >= current.Effective) {
			current = s
		}
	}
	return current
}

// granularity tells how exactly a series states the dates of an office: where
// genesis and an activation differ, the less exact way counts.
func (r registry) granularity(series, office record.Code) (g record.Granularity) {
	for s := range facts[*record.Series](r) {
		if s.Code == series {
			g = max(g, s.Granularity)
		}
	}
	if a := r.activation(series, office); a != nil {
		g = max(g, a.Granularity)
	}
	return g
}
