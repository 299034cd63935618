package ledger

import (
	"cmp"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// BindingRule is a schedule rule that binds a record.
type BindingRule struct {
	record.ScheduleRule
	Stated  record.Index // fact entry of the rule
	Adopted record.Index // fact entry of the schedule version
}

// ruleReader finds the rules that bind records, and remembers what it read.
type ruleReader struct {
	view   View
	today  record.Day
	series map[record.Code]*boundSeries
	err    error // the first that a lookup met
}

// boundSeries is what a ruleReader knows of one series.
type boundSeries struct {
	adopted []AdoptedRule
	since   []record.Index  // after which other versions governed, ascending
	binding [][]BindingRule // of the records before since[0], before since[1], ..., after all; nil: not read yet
}

func newRuleReader(v View, today record.Day) *ruleReader {
	return &ruleReader{view: v, today: today, series: map[record.Code]*boundSeries{}}
}

// binding gives the rules that bind a record of a series anchored at an entry:
// those of the versions that governed it then, and of those in force today;
// ascending by the entry that states them. Records that are bound alike share
// one slice.
func (r *ruleReader) binding(series record.Code, anchored record.Index) ([]BindingRule, error) {
	s, err := r.bound(series)
	if err != nil {
		return nil, err
	}
	part, _ := slices.BinarySearch(s.since, anchored)
	if s.binding[part] != nil {
		return s.binding[part], nil
	}
	rules := append(inForceAt(s.adopted, anchored), InForce(s.adopted, r.today)...)
	slices.SortFunc(rules, func(a, b AdoptedRule) int { return cmp.Compare(a.Stated, b.Stated) })
	binding := make([]BindingRule, 0, len(rules))
	for i, rule := range rules {
		if i > 0 && rule.Stated == rules[i-1].Stated {
			continue
		}
		if rule, err = rule.withRule(r.view, series); err != nil {
			return nil, err
		}
		binding = append(binding, BindingRule{ScheduleRule: rule.Rule, Stated: rule.Stated, Adopted: rule.Adopted})
	}
	s.binding[part] = binding
	return binding, nil
}

// bound reads what was adopted for a series.
func (r *ruleReader) bound(series record.Code) (*boundSeries, error) {
	if s, known := r.series[series]; known {
		return s, nil
	}
	adopted, err := adoptedRules(r.view, series)
	if err != nil {
		return nil, err
	}
	s := &boundSeries{adopted: adopted}
	for _, rule := range adopted {
		if rule.Since != 0 {
			s.since = append(s.since, rule.Since)
		}
	}
	slices.Sort(s.since)
	s.since = slices.Compact(s.since)
	s.binding = make([][]BindingRule, len(s.since)+1)
	r.series[series] = s
	return s, nil
}

// refers tells whether rules refer to other series. What these say depends on
// where a record stands in the log.
func refers(rules []BindingRule) bool {
	return slices.ContainsFunc(rules, func(b BindingRule) bool { return refersTo(&b.Rule) })
}

func refersTo(r *retention.Rule) bool {
	if r.Kind == retention.Follow || r.Kind == retention.Merge {
		return true
	}
	for i := range r.Rules {
		if refersTo(&r.Rules[i]) {
			return true
		}
	}
	return false
}

// lookup gives the rule that binds in another series, for a record anchored at
// an entry: the later of all. It says that there is none where the state cannot
// be read, which keeps the record, and notes the error. The entries that state
// what it gave are added to cited.
func (r *ruleReader) lookup(anchored record.Index, cited *[]record.Index) retention.Lookup {
	return func(series string) (retention.Rule, bool) {
		binding, err := r.binding(record.Code(series), anchored)
		if err != nil && r.err == nil {
			r.err = err
		}
		if err != nil || len(binding) == 0 {
			return retention.Rule{}, false
		}
		for _, b := range binding {
			*cited = append(*cited, b.Stated)
		}
		if len(binding) == 1 {
			return binding[0].Rule, true
		}
		later := retention.Rule{Kind: retention.Later}
		for _, b := range binding {
			later.Rules = append(later.Rules, b.Rule)
		}
		return later, true
	}
}
