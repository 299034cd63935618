package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Version is a version of a schedule: a draft until it is adopted.
type Version struct {
	Adopted record.Index  // fact entry of its adoption; 0: a draft
	Series  []record.Code // for which a rule was stated, ascending
}

// VersionOf gives a version of a schedule under which a rule was stated.
func VersionOf(v View, schedule record.Code, version uint32) (Version, bool, error) {
	key := StateKeyVersion(schedule, version)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return Version{}, false, err
	}
	r := open(value, 2)
	found := Version{Adopted: r.index(), Series: r.codes()}
	if err := r.end(key); err != nil {
		return Version{}, false, err
	}
	return found, true, nil
}

// versionValue is [1, index of the fact entry of its adoption or 0, [series, ...]], ascending.
func versionValue(v Version) []byte {
	return appendCodes(appendNumber(newValue(2), v.Adopted), v.Series)
}

// RuleOf gives what a version of a schedule, adopted or not, says of a series.
func RuleOf(v View, schedule record.Code, version uint32, series record.Code) (record.ScheduleRule, bool, error) {
	return factOf[record.ScheduleRule](v, StateKeyRule(schedule, version, series))
}

// Adoption is the adoption of a version of a schedule.
type Adoption struct {
	Version   uint32
	Adopted   record.Index // fact entry
	Day       record.Day   // ledger day of that entry
	Effective record.Day   // as the fact says
}

// From gives the first day on which the version is in force.
func (a Adoption) From() record.Day { return max(a.Day, a.Effective) }

// AdoptedSchedule is what was adopted of a schedule.
type AdoptedSchedule struct {
	State     bool          // it is of the state, and always will be
	Adoptions []Adoption    // in their order
	Series    []record.Code // of all these versions, ascending
}

// ScheduleOf gives a schedule of which a version was adopted.
func ScheduleOf(v View, code record.Code) (AdoptedSchedule, bool, error) {
	key := StateKeySchedule(code)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return AdoptedSchedule{}, false, err
	}
	s, err := parseSchedule(Value{key, value})
	return s, err == nil, err
}

func parseSchedule(v Value) (AdoptedSchedule, error) {
	r := open(v.Value, 3)
	s := AdoptedSchedule{State: r.flag(), Adoptions: make([]Adoption, r.list(5))}
	for i := range s.Adoptions {
		r.array(4)
		s.Adoptions[i] = Adoption{Version: r.uint32(), Adopted: r.index(), Day: r.day(), Effective: r.day()}
	}
	s.Series = r.codes()
	if err := r.end(v.Key); err != nil {
		return AdoptedSchedule{}, err
	}
	return s, nil
}

// scheduleValue is [1, state 0 or 1, [[version, index of the fact entry of its
// adoption, its ledger day, effective day], ...], [series, ...]].
func scheduleValue(s AdoptedSchedule) []byte {
	b := appendHead(appendFlag(newValue(3), s.State), majorArray, uint64(len(s.Adoptions)))
	for _, a := range s.Adoptions {
		b = appendNumber(appendHead(appendHead(b, majorArray, 4), majorUint, uint64(a.Version)), a.Adopted)
		b = appendDay(appendDay(b, a.Day), a.Effective)
	}
	return appendCodes(b, s.Series)
}

// changeRule states the rule of a series in a version that is not adopted yet.
func changeRule(v View, f *record.ScheduleRule, at record.Index) ([]Value, Code, error) {
	_, stated, err := RuleOf(v, f.Schedule, f.Version, f.Series)
	if err != nil {
		return nil, 0, err
	}
	if stated {
		return nil, CodeRuleStated, nil
	}
	version, _, err := VersionOf(v, f.Schedule, f.Version)
	switch {
	case err != nil:
		return nil, 0, err
	case version.Adopted != 0:
		return nil, CodeVersionAdopted, nil
	case len(version.Series) >= record.MaxScheduleRules:
		return nil, CodeTooLarge, nil
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return nil, 0, err
	}
	version.Series = withCode(version.Series, f.Series)
	return []Value{
		{StateKeyRule(f.Schedule, f.Version, f.Series), factValue(at, fact)},
		{StateKeyVersion(f.Schedule, f.Version), versionValue(version)},
	}, OK, nil
}

// statedRules gives the rules that were stated under a version, ascending by
// series, their facts, and the entries that state them.
func statedRules(v View, schedule record.Code, version uint32, series []record.Code) ([]record.ScheduleRule, [][]byte, []record.Index, error) {
	rules := make([]record.ScheduleRule, len(series))
	facts := make([][]byte, len(series))
	stated := make([]record.Index, len(series))
	for i, s := range series {
		key := StateKeyRule(schedule, version, s)
		value, ok, err := v.Value(key)
		if err == nil && !ok {
			err = fmt.Errorf("read rule %q: it is not there: %w", key, errDamaged)
		}
		if err != nil {
			return nil, nil, nil, err
		}
		r := open(value, 2)
		stated[i], facts[i] = r.index(), r.bytes()
		if err := r.end(key); err != nil {
			return nil, nil, nil, err
		}
		fact, err := record.ParseFact(facts[i])
		rule, isRule := fact.(*record.ScheduleRule)
		if err != nil || !isRule {
			return nil, nil, nil, fmt.Errorf("read rule %q: %w", key, errDamaged)
		}
		rules[i] = *rule
	}
	return rules, facts, stated, nil
}

// withCode inserts a code into an ascending list.
func withCode(codes []record.Code, code record.Code) []record.Code {
	i, found := slices.BinarySearch(codes, code)
	if found {
		return codes
	}
	return slices.Insert(slices.Clone(codes), i, code)
}
