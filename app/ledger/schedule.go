package ledger

import (
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
	view  View
	today record.Day
}

func newRuleReader(v View, today record.Day) *ruleReader { return &ruleReader{view: v, today: today} }

// binding gives the rules that bind a record of a series anchored at an entry:
// those of the versions that governed it then, and of those in force today.
func (r *ruleReader) binding(series record.Code, anchored record.Index) ([]BindingRule, error) {
	return nil, nil
}

// lookup gives the rule that binds in another series, for a record anchored at an entry.
func (r *ruleReader) lookup(anchored record.Index) retention.Lookup {
	return func(string) (retention.Rule, bool) { return retention.Rule{}, false }
}

func (a *act) anchorBatch(m *record.AnchorBatch) (Code, error) { return CodeUnsupportedChange, nil }
