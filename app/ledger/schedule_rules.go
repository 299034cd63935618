package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// AdoptedRule is what an adopted version of a schedule says of a series.
type AdoptedRule struct {
	Adoption
	Schedule record.Code
	State    bool
	Stated   record.Index // fact entry of the rule; 0: the version leaves the series out
	// Since is the entry after which records of the series were anchored under the
	// version: that of its adoption, or the transaction entry of the first anchor
	// on or after its first day; 0: there was none yet.
	Since record.Index
	Rule  record.ScheduleRule // zero where the series is left out
}

// RulesOf lists what adopted versions say of a series, in the order of their
// adoption: past, in force and to come.
func RulesOf(v View, series record.Code) ([]AdoptedRule, error) {
	rules, err := adoptedRules(v, series)
	if err != nil {
		return nil, err
	}
	for i := range rules {
		if rules[i], err = rules[i].withRule(v, series); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// InForce picks the rules that are in force on a day: of each schedule that of
// the version with the latest first day that has come; of versions with the same
// first day the one adopted last. A version that leaves the series out ends what
// the schedule said of it.
func InForce(rules []AdoptedRule, today record.Day) []AdoptedRule {
	return latest(rules, func(r *AdoptedRule) bool { return r.From() <= today })
}

// inForceAt picks the rules under which entry i was anchored.
func inForceAt(rules []AdoptedRule, i record.Index) []AdoptedRule {
	return latest(rules, func(r *AdoptedRule) bool { return r.Since != 0 && r.Since < i })
}

// latest picks of each schedule the version that came into force last, of those that count.
func latest(rules []AdoptedRule, counts func(*AdoptedRule) bool) []AdoptedRule {
	var last []AdoptedRule // one a schedule
	for i := range rules {
		r := &rules[i]
		if !counts(r) {
			continue
		}
		at := slices.IndexFunc(last, func(other AdoptedRule) bool { return other.Schedule == r.Schedule })
		switch {
		case at < 0:
			last = append(last, *r)
		case r.From() >= last[at].From():
			last[at] = *r
		}
	}
	return slices.DeleteFunc(last, func(r AdoptedRule) bool { return r.Stated == 0 })
}

// adoptedRules is RulesOf without the rules themselves: one look-up.
func adoptedRules(v View, series record.Code) ([]AdoptedRule, error) {
	key := StateKeyRules(series)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return nil, err
	}
	r := open(value, 1)
	rules := make([]AdoptedRule, r.list(9))
	for i := range rules {
		r.array(8)
		rules[i] = AdoptedRule{Schedule: r.code(), Adoption: Adoption{Version: r.uint32()}, State: r.flag(), Stated: r.index()}
		rules[i].Adopted, rules[i].Day, rules[i].Effective, rules[i].Since = r.index(), r.day(), r.day(), r.index()
	}
	if err := r.end(key); err != nil {
		return nil, err
	}
	return rules, nil
}

// rulesValue is [1, [[schedule, version, state 0 or 1, index of the fact entry
// of the rule or 0, of the adoption, its ledger day, effective day, index after
// which records were anchored under it or 0], ...]], in the order of adoption.
func rulesValue(rules []AdoptedRule) []byte {
	b := appendHead(newValue(1), majorArray, uint64(len(rules)))
	for _, r := range rules {
		b = appendHead(appendCode(appendHead(b, majorArray, 8), r.Schedule), majorUint, uint64(r.Version))
		b = appendNumber(appendNumber(appendFlag(b, r.State), r.Stated), r.Adopted)
		b = appendNumber(appendDay(appendDay(b, r.Day), r.Effective), r.Since)
	}
	return b
}

// withRule reads the rule itself.
func (r AdoptedRule) withRule(v View, series record.Code) (AdoptedRule, error) {
	if r.Stated == 0 {
		return r, nil
	}
	rule, ok, err := RuleOf(v, r.Schedule, r.Version, series)
	if err == nil && !ok {
		err = fmt.Errorf("read rule of %s in %s version %d: it is not there: %w", series, r.Schedule, r.Version, errDamaged)
	}
	if err != nil {
		return AdoptedRule{}, err
	}
	r.Rule = rule
	return r, nil
}
