package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// maxDaysAhead is how far ahead an adoption or an authorization may reach.
const maxDaysAhead = 366

// changeSchedule adopts a version of a schedule.
func changeSchedule(v View, f *record.Schedule, at record.Index, today record.Day) ([]Value, Code, error) {
	version, _, err := VersionOf(v, f.Code, f.Version)
	if err != nil {
		return nil, 0, err
	}
	schedule, known, err := ScheduleOf(v, f.Code)
	switch {
	case err != nil:
		return nil, 0, err
	case version.Adopted != 0:
		return nil, CodeVersionAdopted, nil
	case known && schedule.State != f.State:
		return nil, CodeWrongAuthority, nil
	case int64(f.Effective)-int64(today) > maxDaysAhead:
		return nil, CodeBadEffectiveDay, nil
	}
	rules, facts, stated, err := statedRules(v, f.Code, f.Version, version.Series)
	if err != nil {
		return nil, 0, err
	}
	root, err := record.ScheduleRoot(facts)
	if err != nil {
		return nil, 0, err
	}
	if int64(f.Count) != int64(len(rules)) || f.Root != root {
		return nil, CodeWrongRoot, nil
	}
	if !f.State {
		if code, err := notShorter(v, rules, today); err != nil || code != OK {
			return nil, code, err
		}
	}
	adoption := Adoption{Version: f.Version, Adopted: at, Day: today, Effective: f.Effective}
	values, err := adopt(v, f.Code, schedule, f.State, adoption, version.Series, stated)
	return values, OK, err
}

// notShorter holds the rules of a local schedule against those of the state that
// are in force or will be.
func notShorter(v View, local []record.ScheduleRule, today record.Day) (Code, error) {
	for i := range local {
		adopted, err := adoptedRules(v, local[i].Series)
		if err != nil {
			return 0, err
		}
		binding := InForce(adopted, today)
		for _, r := range adopted {
			if r.From() > today && r.Stated != 0 {
				binding = append(binding, r)
			}
		}
		for _, r := range binding {
			if !r.State {
				continue
			}
			if r, err = r.withRule(v, local[i].Series); err != nil {
				return 0, err
			}
			if !retention.NotShorter(local[i].Rule, r.Rule.Rule) {
				return CodeShorterThanState, nil
			}
		}
	}
	return OK, nil
}

// adopt gives what the adoption of a version sets: every series that the
// schedule covers or covered learns of it, also those that it leaves out now.
func adopt(v View, code record.Code, s AdoptedSchedule, state bool, a Adoption, series []record.Code, stated []record.Index) ([]Value, error) {
	values := []Value{{StateKeyVersion(code, a.Version), versionValue(Version{Adopted: a.Adopted, Series: series})}}
	s.State, s.Adoptions = state, append(slices.Clip(s.Adoptions), a)
	s.Series = append(slices.Clip(s.Series), series...)
	slices.Sort(s.Series)
	s.Series = slices.Compact(s.Series)
	values = append(values, Value{StateKeySchedule(code), scheduleValue(s)})
	for _, covered := range s.Series {
		rules, err := adoptedRules(v, covered)
		if err != nil {
			return nil, err
		}
		r := AdoptedRule{Schedule: code, State: state, Adoption: a}
		if i, found := slices.BinarySearch(series, covered); found {
			r.Stated = stated[i]
		}
		if a.From() == a.Day {
			r.Since = a.Adopted
		}
		values = append(values, Value{StateKeyRules(covered), rulesValue(append(rules, r))})
	}
	return values, nil
}
