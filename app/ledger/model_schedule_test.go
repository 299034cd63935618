package ledger_test

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Schedules, activation, standing authorizations and batches, from
// docs/spec/schedules.md.

// modelVersion is a version of a schedule, adopted or not.
type modelVersion struct {
	code    record.Code
	number  uint32
	rules   map[record.Code]modelFact // by series
	adopted int64
}

// modelAdoption is the adoption of a version.
type modelAdoption struct {
	*modelVersion
	state     bool
	day       record.Day
	effective record.Day
	covers    []record.Code         // series of this and all earlier adoptions of the schedule, ascending
	since     map[record.Code]int64 // by series: entry after which records were anchored under it
}

func (a *modelAdoption) from() record.Day {
	if a.effective > a.day {
		return a.effective
	}
	return a.day
}

// modelBatch names a batch.
type modelBatch struct {
	office, series record.Code
	day            record.Day
}

func (m *model) version(code record.Code, number uint32) *modelVersion {
	if v, ok := m.versions[fmt.Sprint(code, "/", number)]; ok {
		return v
	}
	return &modelVersion{code: code, number: number, rules: map[record.Code]modelFact{}}
}

func (v *modelVersion) series() []record.Code {
	var all []record.Code
	for s := range v.rules {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// stateSchedule takes a fact of this page as stated.
func (m *model) stateSchedule(f record.Fact, at int64) {
	today := m.today(0)
	switch f := f.(type) {
	case *record.ScheduleRule:
		v := m.version(f.Schedule, f.Version)
		v.rules[f.Series] = modelFact{at, f}
		m.versions[fmt.Sprint(f.Schedule, "/", f.Version)] = v
	case *record.Schedule:
		v := m.version(f.Code, f.Version)
		v.adopted = at
		a := modelAdoption{modelVersion: v, state: f.State, day: today, effective: f.Effective, since: map[record.Code]int64{}}
		a.covers = v.series()
		for _, earlier := range m.adoptions {
			if earlier.code == f.Code {
				a.covers = append(a.covers, earlier.covers...)
			}
		}
		slices.Sort(a.covers)
		a.covers = slices.Compact(a.covers)
		if a.from() == today {
			for _, s := range a.covers {
				a.since[s] = at
			}
		}
		m.adoptions = append(m.adoptions, a)
	case *record.Activation:
		m.activations[[2]record.Code{f.Series, f.Office}] = modelFact{at, f}
	case *record.StandingAuthorization:
		m.standings[at] = *f
	}
}

// scheduleFacts lists the facts of this page that stand: rules, adoptions,
// activations and standing authorizations.
func (m *model) scheduleFacts() []record.Fact {
	var all []record.Fact
	for _, v := range m.versions {
		for _, r := range v.rules {
			all = append(all, r.fact)
		}
	}
	for _, p := range m.proposals {
		if _, adopts := p.fact.(*record.Schedule); adopts && p.executed != 0 {
			all = append(all, p.fact)
		}
	}
	for _, f := range m.activations {
		all = append(all, f.fact)
	}
	for _, f := range m.standings {
		all = append(all, &f)
	}
	return all
}

// unschedulable says why a fact of this page cannot be stated now.
func (m *model) unschedulable(p modelProposal, today record.Day) string {
	switch f := p.fact.(type) {
	case *record.ScheduleRule:
		v := m.version(f.Schedule, f.Version)
		if _, stated := v.rules[f.Series]; stated {
			return "RULE_STATED"
		}
		if v.adopted != 0 {
			return "VERSION_ADOPTED"
		}
	case *record.Schedule:
		return m.unadoptable(f, today)
	case *record.Activation:
		if bad := m.noDepartment(f.Office); bad != "" {
			return bad
		}
		if f.Assessed >= p.day || f.Review < today {
			return "BAD_ASSESSMENT"
		}
		if now, ok := m.activations[[2]record.Code{f.Series, f.Office}]; ok && modelFactHash(now.fact) == modelFactHash(f) {
			return "NO_CHANGE"
		}
		if len(m.inForce(f.Series, today)) == 0 {
			return "NO_RULE"
		}
	case *record.StandingAuthorization:
		if bad := m.noDepartment(f.Office); bad != "" {
			return bad
		}
		if f.From < p.day-31 || f.From > p.day+366 || f.Until < today {
			return "BAD_EFFECTIVE_DAY"
		}
		for _, s := range f.Series {
			if len(m.inForce(s, today)) == 0 {
				return "NO_RULE"
			}
		}
	}
	return ""
}

func (m *model) noDepartment(code record.Code) string {
	office, ok := m.office(code)
	if !ok {
		return "UNKNOWN_OFFICE"
	}
	if !slices.Contains(office.Roles, record.RoleDepartment) && !slices.Contains(office.Roles, record.RoleLibraryCEO) {
		return "WRONG_ROLE"
	}
	return ""
}

func (m *model) unadoptable(f *record.Schedule, today record.Day) string {
	v := m.version(f.Code, f.Version)
	if v.adopted != 0 {
		return "VERSION_ADOPTED"
	}
	for _, a := range m.adoptions {
		if a.code == f.Code && a.state != f.State {
			return "WRONG_AUTHORITY"
		}
	}
	if f.Effective > today+366 {
		return "BAD_EFFECTIVE_DAY"
	}
	var facts [][]byte
	for _, s := range v.series() {
		b, err := record.MarshalFact(v.rules[s].fact)
		if err != nil {
			panic(err)
		}
		facts = append(facts, b)
	}
	if int(f.Count) != len(facts) || modelMTH(facts) != f.Root {
		return "WRONG_ROOT"
	}
	for s, local := range v.rules {
		for _, r := range m.bindingOrToCome(s, today) {
			if !f.State && r.state && !modelNotShorter(local.fact.(*record.ScheduleRule).Rule, r.rule.Rule) {
				return "SHORTER_THAN_STATE"
			}
		}
	}
	return ""
}

// modelRule is a rule of an adopted version.
type modelRule struct {
	stated int64
	rule   *record.ScheduleRule
	state  bool
	from   record.Day
}

// latest gives of each schedule the rule of the version with the latest first
// day, among those that count.
func (m *model) latest(series record.Code, counts func(*modelAdoption) bool) []modelRule {
	var rules []modelRule
	var schedules []record.Code
	for i := range m.adoptions {
		if !slices.Contains(schedules, m.adoptions[i].code) {
			schedules = append(schedules, m.adoptions[i].code)
		}
	}
	for _, schedule := range schedules {
		var last *modelAdoption
		for i := range m.adoptions {
			a := &m.adoptions[i]
			if a.code == schedule && slices.Contains(a.covers, series) && counts(a) && (last == nil || a.from() >= last.from()) {
				last = a
			}
		}
		if last == nil {
			continue
		}
		if r, ok := last.rules[series]; ok {
			rules = append(rules, modelRule{r.at, r.fact.(*record.ScheduleRule), last.state, last.from()})
		}
	}
	return rules
}

func (m *model) inForce(series record.Code, today record.Day) []modelRule {
	return m.latest(series, func(a *modelAdoption) bool { return a.from() <= today })
}

// bindingOrToCome gives the rules in force and those that will be.
func (m *model) bindingOrToCome(series record.Code, today record.Day) []modelRule {
	rules := m.inForce(series, today)
	for i := range m.adoptions {
		a := &m.adoptions[i]
		if r, ok := a.rules[series]; ok && a.from() > today {
			rules = append(rules, modelRule{r.at, r.fact.(*record.ScheduleRule), a.state, a.from()})
		}
	}
	return rules
}

// binding gives the rules that bind a record: those in force when it was
// anchored and those in force today, ascending by the entry that states them.
func (m *model) binding(series record.Code, anchored record.Index, today record.Day) []modelRule {
	rules := m.latest(series, func(a *modelAdoption) bool {
		since := a.since[series]
		return since != 0 && since < int64(anchored)
	})
	rules = append(rules, m.inForce(series, today)...)
	slices.SortFunc(rules, func(a, b modelRule) int { return int(a.stated - b.stated) })
	return slices.CompactFunc(rules, func(a, b modelRule) bool { return a.stated == b.stated })
}

// firstAnchor notes from which entry on records are anchored under the versions
// that have come into force.
func (m *model) firstAnchor(series record.Code, today record.Day, at int64) {
	for i := range m.adoptions {
		a := &m.adoptions[i]
		if slices.Contains(a.covers, series) && a.from() <= today && a.since[series] == 0 {
			a.since[series] = at
		}
	}
}

// modelOpening is how a series takes records.
type modelOpening struct {
	granularity record.Granularity
	batched     bool
}

func (m *model) opening(series, custody record.Code, by modelSigner) (open modelOpening, code string) {
	if !by.has(record.RoleDepartment) {
		return open, "WRONG_ROLE"
	}
	rules := m.inForce(series, by.today)
	stated, registered := m.facts["series/"+string(series)]
	switch {
	case !registered:
		code = "UNKNOWN_SERIES"
	case stated.fact.(*record.Series).Status != record.StatusActive:
		code = "SERIES_INACTIVE"
	default:
		s := stated.fact.(*record.Series)
		if open.granularity = s.Granularity; len(s.Departments) > 0 && !slices.Contains(s.Departments, by.office.Code) {
			code = "WRONG_OFFICE"
		}
	}
	demonstration := len(series) > 5 && series[:5] == "DEMO-"
	if len(rules) > 0 && (code != "" || !demonstration) {
		activation, ok := m.activations[[2]record.Code{series, by.office.Code}]
		if !ok {
			return open, "SERIES_INACTIVE"
		}
		f := activation.fact.(*record.Activation)
		if f.Review < by.today {
			return open, "ASSESSMENT_OVERDUE"
		}
		open.granularity, code = f.Granularity, ""
	}
	if code != "" {
		return open, code
	}
	for _, r := range rules {
		open.batched = open.batched || r.rule.Batched
	}
	if _, ok := m.facts["custody/"+string(custody)]; !ok && custody != "" {
		return open, "UNKNOWN_CUSTODY"
	}
	return open, ""
}

func (m *model) anchorBatch(msg *record.AnchorBatch, by modelSigner) (modelNo, func()) {
	open, code := m.opening(msg.Series, msg.Custody, by)
	if code != "" {
		return modelNot(code), nil
	}
	if !open.batched {
		return modelNot("NOT_BATCHED"), nil
	}
	batch := modelBatch{by.office.Code, msg.Series, by.today}
	if _, ok := m.batches[batch]; ok {
		return modelNot("BATCH_EXISTS"), nil
	}
	if at, ok := m.anchored(by.office.Code, msg.Commitment); ok {
		return modelNo{code: "ALREADY_ANCHORED", inTheWay: at, bad: -1}, nil
	}
	day := by.today
	for !modelDay(day, open.granularity) {
		day++
	}
	return modelNo{}, func() {
		m.firstAnchor(msg.Series, by.today, m.size()-1)
		m.batches[batch] = m.write(record.AnchorEntry{
			Office: by.office.Code, Series: msg.Series, Custody: msg.Custody, Commitment: msg.Commitment, Day: day, Flags: 2,
		})
	}
}

// standingCovers tells whether a standing authorization holds for a series of an office.
func (m *model) standingCovers(at int64, office, series record.Code, today record.Day) bool {
	s, ok := m.standings[at]
	return ok && s.Office == office && slices.Contains(s.Series, series) && s.From <= today && today <= s.Until
}

// modelNamed lists the series that a rule refers to.
func modelNamed(r retention.Rule) []record.Code {
	var codes []record.Code
	if r.Series != "" {
		codes = append(codes, record.Code(r.Series))
	}
	for _, part := range r.Rules {
		codes = append(codes, modelNamed(part)...)
	}
	return codes
}
