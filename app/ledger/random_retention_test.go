package ledger_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Draws of schedules, facts about records, holds and dispositions. Most would be
// accepted: the generator looks into the model for what is there.

var (
	allOffices = []string{
		"CLERK", "DPW", "IT", "LIBRARY", "AUDIT", "COUNSEL", "PROCURE", "PRA", "ARCHIVE", "CAO", "HEALTH", "OPS",
	}
	departments = []string{"DPW", "DPW", "DPW", "HEALTH", "LIBRARY"}
	ruledSeries = []record.Code{"CT-BILLS", "CT-BILLS", "CT-MAIL", "DEMO-MINUTES", "DEMO-MINUTES", "DEMO-PLANS"}
	stateRules  = []string{
		"1 year after created", "2 years after created", "later of (1 year after created, until audited)", "30 days after closed",
		"after archival review: 1 year after created", "after 30 days of notice: 1 year after created", "permanent",
		"earlier of (2 years after created, until closed)", "as long as needed, at most 1 year",
		"1 year after the end of the fiscal year of created",
	}
	localRules = []string{
		"1 year after created", "3 years after created", "none", "until superseded", "60 days after closed", "permanent",
		"later of (2 years after created, until audited)", "later of (60 days after closed, 3 years after created)",
		"earlier of (3 years after created, until closed)", "2 years after the end of the fiscal year of created", "indefinite",
	}
	demoRules = []string{
		"30 days after created", "1 year after created", "until superseded", "none", "as series CT-BILLS", "as the corresponding series",
		"with the file of series DEMO-MINUTES", "after 30 days of notice: until closed", "after archival review: none", "permanent",
	}
)

// retentionMessage draws a message and the key that would rightly sign it; a
// proposal where there is no disposition to go on with.
func (g *generator) retentionMessage() (string, record.Message) {
	draws := []func() (string, record.Message){
		g.events, g.filing, g.audit, g.batch, g.batch,
		g.hold, g.hold, g.extension, g.resolution, g.resolution, g.resolution, g.resolution, g.resolution, g.release, g.release, g.release,
		g.disposition, g.disposition, g.disposition, g.authorization, g.authorization, g.authorization, g.authorization, g.authorization,
		g.locking, g.locking, g.locking, g.locking, g.locking, g.reporting, g.reporting, g.ending, g.acknowledgment, g.withholding,
	}
	if signer, m := pick(g.rand, draws...)(); m != nil {
		return signer, m
	}
	return g.disposition()
}

// scheduling draws a fact of a schedule, and who may propose it.
func (g *generator) scheduling() (string, record.Message) {
	schedule := pick[record.Code](g.rand, "CT", "CT", "DEMO", "DEMO", "LOCAL", "LOCAL")
	version := uint32(1 + g.rand.IntN(3))
	series := pick(g.rand, ruledSeries...)
	switch g.rand.IntN(10) {
	case 0, 1, 2:
		return "CLERK", &record.ProposeChange{Fact: g.rule(schedule, version, series)}
	case 3, 4, 5:
		return "COUNSEL", &record.ProposeChange{Fact: g.adoption(schedule, version)}
	case 6, 7:
		f := &record.Activation{
			Series: series, Office: record.Code(pick(g.rand, "DPW", "DPW", "DPW", "HEALTH", "LIBRARY", "AUDIT", "NOBODY")), Granularity: pick(g.rand, record.GranularityDay, record.GranularityMonth),
			Assessment: commitment("impact assessment"), DataMap: commitment("data map"),
			Assessed: g.today - record.Day(g.rand.IntN(9)), Review: g.today + pick[record.Day](g.rand, 20, 400, 400, 800),
		}
		return string(f.Office), &record.ProposeChange{Fact: f}
	case 8:
		return g.able("IT", "CLERK", "COUNSEL", "PROCURE"), &record.ProposeChange{Fact: &record.Activation{
			Series: series, Office: "DPW", Granularity: record.GranularityDay, Assessment: commitment("impact assessment"),
			DataMap: commitment("data map"), Assessed: g.today - 2, Review: g.today + 300,
		}}
	}
	from := g.today + pick[record.Day](g.rand, -40, -31, 0, 0, 0, 0, 366, 367)
	return "DPW", &record.ProposeChange{Fact: &record.StandingAuthorization{
		Office: "DPW", Series: pick(g.rand, []record.Code{"DEMO-MINUTES"}, []record.Code{"CT-BILLS", "DEMO-MINUTES"}, []record.Code{"CT-BILLS"}),
		From: from, Until: from + pick[record.Day](g.rand, 10, 365),
	}}
}

func (g *generator) rule(schedule record.Code, version uint32, series record.Code) *record.ScheduleRule {
	texts := demoRules
	switch {
	case schedule == "CT":
		texts = stateRules
	case schedule == "LOCAL" || !series.Demonstration():
		texts = localRules
	}
	parsed, err := retention.Parse(pick(g.rand, texts...))
	if err != nil {
		panic(err)
	}
	f := &record.ScheduleRule{
		Schedule: schedule, Version: version, Series: series, Rule: parsed, Action: record.ActionDestroy, FiscalStart: 7,
		Batched: series == "CT-MAIL", NoticeDays: uint32(1 + g.rand.IntN(2)), NoticeHeights: uint32(2 + g.rand.IntN(2)),
		Approvals: pick(g.rand, municipal, []record.Role{record.RoleClerk}, []record.Role{record.RoleClerk, record.RoleChiefAdmin}),
	}
	if series.Demonstration() {
		f.NoticeDays, f.NoticeHeights, f.FiscalStart = 0, 1, uint32(1+g.rand.IntN(12))
	}
	if g.rand.IntN(8) == 0 {
		f.Action = pick(g.rand, record.ActionTransfer, record.ActionPermanent)
	}
	if g.rand.IntN(6) == 0 {
		f.Transitory, f.Approvals = true, nil
	}
	if !series.Demonstration() && g.rand.IntN(25) == 0 {
		f.Series = "P.555-0100"
	}
	return f
}

// adopted gives the adoption of a version as it stands.
func (g *generator) adopted(schedule record.Code, version uint32) *record.Schedule {
	v := g.model.version(schedule, version)
	f := &record.Schedule{
		Code: schedule, Version: version, State: schedule == "CT", Count: uint32(max(1, len(v.rules))),
		Effective: g.today,
	}
	var facts [][]byte
	for _, s := range v.series() {
		b, err := record.MarshalFact(v.rules[s].fact)
		if err != nil {
			panic(err)
		}
		facts = append(facts, b)
	}
	if len(facts) > 0 {
		f.Root = modelMTH(facts)
	}
	return f
}

// adoption draws one, now and then one that nobody could adopt.
func (g *generator) adoption(schedule record.Code, version uint32) *record.Schedule {
	f := g.adopted(schedule, version)
	f.Effective += pick[record.Day](g.rand, -100, 0, 0, 1, 5, 20)
	switch g.rand.IntN(15) {
	case 0:
		f.State = !f.State
	case 1:
		f.Effective = g.today + 367
	case 2:
		f.Root[0] ^= 1
	}
	return f
}

// someAnchors gives indexes of anchors, mostly of one office and series, ascending.
func (g *generator) someAnchors(limit int, fits func(record.Index, record.AnchorEntry) bool) []record.Index {
	var all []record.Index
	for i, e := range g.model.log {
		if a, ok := e.(record.AnchorEntry); ok && fits(record.Index(i), a) {
			all = append(all, record.Index(i))
		}
	}
	g.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(len(all), 1+g.rand.IntN(limit))]
	if len(all) == 0 || g.rand.IntN(25) == 0 {
		all = append(all, record.Index(1+g.rand.IntN(len(g.model.log)+3)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// own picks a department and some of its records that are not locked.
func (g *generator) own(limit int) (string, []record.Index) {
	office := g.able(departments...)
	return office, g.someAnchors(limit, func(i record.Index, a record.AnchorEntry) bool {
		return string(a.Office) == office && (g.model.life(i).disposition == 0 || g.rand.IntN(10) == 0)
	})
}

func (g *generator) events() (string, record.Message) {
	office, records := g.own(3)
	m := &record.RecordEvents{Event: pick(g.rand, retention.Closed, retention.Closed, retention.NeedEnded), Records: records}
	m.Day = g.today - record.Day(g.rand.IntN(200))
	switch g.rand.IntN(4) {
	case 0:
		for !modelDay(m.Day, record.GranularityYear) {
			m.Day++
		}
	case 1:
		m.Day = g.today + 1
	}
	return office, m
}

func (g *generator) filing() (string, record.Message) {
	office, records := g.own(2)
	if g.rand.IntN(2) == 0 {
		return office, &record.FileRecords{Series: pick[record.Code](g.rand, "CT-BILLS", "DEMO-MINUTES", "CT-NOTHING"), Records: records}
	}
	return office, &record.FileRecords{File: g.someAnchors(1, func(i record.Index, a record.AnchorEntry) bool { return string(a.Office) == office })[0], Records: records}
}

func (g *generator) audit() (string, record.Message) {
	m := &record.PostAuditedThrough{Department: pick[record.Code](g.rand, "DPW", "DPW", "HEALTH", "IT"), Through: g.today - record.Day(g.rand.IntN(300))}
	if g.rand.IntN(8) == 0 {
		m.Through = g.today + 1
	}
	return "AUDIT", m
}

func (g *generator) batch() (string, record.Message) {
	return g.able("DPW", "DPW", "DPW", "HEALTH"), &record.AnchorBatch{
		Series: pick[record.Code](g.rand, "CT-MAIL", "CT-MAIL", "CT-MAIL", "DEMO-PLANS"), Custody: "CITY", Commitment: commitment(fmt.Sprint("batch ", g.rand.IntN(40))),
	}
}

var mayHold = []string{"CLERK", "COUNSEL", "COUNSEL", "CAO", "PRA", "AUDIT", "LIBRARY", "DPW"}

func (g *generator) scope() record.Scope {
	s := record.Scope{Department: record.Code(pick(g.rand, append(departments, "NOBODY")...))}
	switch g.rand.IntN(24) {
	case 0:
		s = record.Scope{City: true}
	case 1:
		s.Series = "DEMO-MINUTES"
	case 2:
		s.Series = pick[record.Code](g.rand, "CT-BILLS", "P.555-0100")
	case 3:
	default:
		return record.Scope{Records: g.someAnchors(3, func(record.Index, record.AnchorEntry) bool { return true })}
	}
	if g.rand.IntN(2) == 0 {
		s.Dated, s.From = true, pick(g.rand, day("1999-12-30"), day("2030-01-15"), day("2030-12-31"), g.today-200)
		s.To = s.From + record.Day(g.rand.IntN(400))
	}
	return s
}

func (g *generator) hold() (string, record.Message) {
	kind := pick(g.rand, record.HoldKinds()...)
	if g.rand.IntN(3) == 0 {
		kind = record.HoldAdviceRequested
	}
	return g.able(mayHold...), &record.PlaceHold{Kind: kind, Matter: commitment(fmt.Sprint("matter ", g.rand.Uint64())), Issues: uint32(g.rand.IntN(3)), Scope: g.scope()}
}

// someHold picks a hold, mostly one that stands.
func (g *generator) someHold() (record.Index, *modelHold) {
	var stand []int64
	for _, at := range slices.Sorted(maps.Keys(g.model.holds)) {
		if g.model.holds[at].released == 0 || g.rand.IntN(20) == 0 {
			stand = append(stand, at)
		}
	}
	if len(stand) == 0 || g.rand.IntN(25) == 0 {
		return record.Index(1 + g.rand.IntN(len(g.model.log))), nil
	}
	at := pick(g.rand, stand...)
	return record.Index(at), g.model.holds[at]
}

func (g *generator) extension() (string, record.Message) {
	at, _ := g.someHold()
	m := &record.ExtendHold{Hold: at, Issues: uint32(g.rand.IntN(4) / 3)}
	if g.rand.IntN(20) == 0 {
		m.Issues = record.MaxIssues
	}
	if m.Issues == 0 || g.rand.IntN(4) == 0 {
		m.Scope = g.scope()
	}
	return g.able(mayHold...), m
}

func (g *generator) resolution() (string, record.Message) {
	at, h := g.someHold()
	m := &record.ResolveIssue{Hold: at}
	for h != nil && h.resolved[m.Issue] && m.Issue < record.MaxIssues && g.rand.IntN(10) > 0 {
		m.Issue++
	}
	return g.able("CLERK", "COUNSEL", "DPW"), m
}

func (g *generator) release() (string, record.Message) {
	at, _ := g.someHold()
	var closed []int64
	for _, i := range slices.Sorted(maps.Keys(g.model.holds)) {
		if h := g.model.holds[i]; h.released == 0 && len(h.resolved) > int(h.issues) {
			closed = append(closed, i)
		}
	}
	if len(closed) > 0 && g.rand.IntN(4) > 0 {
		at = record.Index(pick(g.rand, closed...))
	}
	return g.able("CLERK", "COUNSEL", "AUDIT", "CAO", "PRA", "IT"), &record.ReleaseHold{Hold: at}
}
